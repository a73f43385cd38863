/* fault/fault.h: what the tests of deaths share. */
#ifndef SERRY_TEST_FAULT_H
#define SERRY_TEST_FAULT_H

#include "support/ranks.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>
#include <sstream>
#include <time.h>
#include <unistd.h>

namespace serry_test {

/* How often something random is tried: SERRY_TEST_ROUNDS, or so many. */
inline int rounds(int quick)
{
    const char *text = getenv("SERRY_TEST_ROUNDS");
    return text && atoi(text) > 0 ? atoi(text) : quick;
}

/* Another one for each process; the same in each run, unless --gtest_random_seed says otherwise. */
inline std::mt19937 &dice()
{
    static std::mt19937 engine((unsigned)GTEST_FLAG_GET(random_seed) + 1);
    return engine;
}

/* Not to wait for anything: to be at an arbitrary place when it is over. */
inline void nap(double least, double most)
{
    double s = std::uniform_real_distribution<double>(least, most)(dice());
    timespec t = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };
    nanosleep(&t, nullptr);
}

inline bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

/* Failures of ranks become those of the test; true if there were none. */
inline bool hand_on(const RanksResult &r)
{
    for (const Record &f : r.of(Record::failure))
        ADD_FAILURE_AT(f.file.empty() ? "unknown" : f.file.c_str(), f.line)
            << "in rank " << f.rank << " (process " << f.pid << "):\n"
            << f.text;
    return r.of(Record::failure).empty();
}

inline double median(std::vector<double> v)
{
    std::sort(v.begin(), v.end());
    return v.empty() ? 0 : v[v.size() / 2];
}

/* The first of a run's processes with that name. */
inline pid_t process_named(const Program &p, const std::string &comm)
{
    for (pid_t pid : p.processes()) {
        if (read_file("/proc/" + std::to_string(pid) + "/comm") == comm + "\n")
            return pid;
    }
    return -1;
}

/* The inodes of the memory that is shared among the processes of a node. */
inline std::set<std::string> segments(pid_t pid)
{
    std::set<std::string> found;
    std::istringstream maps(read_file("/proc/" + std::to_string(pid) + "/maps"));
    std::string line, range, access, offset, device, inode;
    while (std::getline(maps, line)) {
        std::istringstream fields(line);
        fields >> range >> access >> offset >> device >> inode;
        if (has(line, "/memfd:serry") && access.find('s') != std::string::npos)
            found.insert(inode);
    }
    return found;
}

/* The agent with which that rank shares memory. */
inline pid_t agent_of(Ranks &ranks, int rank)
{
    std::set<std::string> its = segments(ranks.pid_of(rank));
    for (pid_t pid : ranks.program().processes()) {
        if (read_file("/proc/" + std::to_string(pid) + "/comm") != "serry-agent\n")
            continue;
        for (const std::string &inode : segments(pid)) {
            if (its.count(inode))
                return pid;
        }
    }
    return -1;
}

inline const char *name_of(Lanes lanes)
{
    return lanes == shm ? "shm" : "socket";
}

} // namespace serry_test

#endif
