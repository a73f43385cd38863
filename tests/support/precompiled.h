/* support/precompiled.h: what most tests include, read once for all of them. Nothing includes this
 * file: each test names what it uses, and compiles without it (CMAKE_DISABLE_PRECOMPILE_HEADERS). */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>
