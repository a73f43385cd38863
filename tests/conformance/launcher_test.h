/* conformance/launcher_test.h: what the tests of `serry run` share. */
#ifndef SERRY_TEST_LAUNCHER_H
#define SERRY_TEST_LAUNCHER_H

#include "support/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace serry_test {

using Words = std::vector<std::string>;

inline ProgramResult run(Words args, ProgramOptions options = {})
{
    args.insert(args.begin(), { serry_command(), "run" });
    return run_program(args, options);
}

/* A shell script in n ranks. */
inline Words script_in(int n, const std::string &text, Words flags = {})
{
    flags.insert(flags.end(), { "-n", std::to_string(n), "sh", "-c", text });
    return flags;
}

inline ProgramResult script(int n, const std::string &text, Words flags = {},
                            ProgramOptions options = {})
{
    return run(script_in(n, text, flags), options);
}

inline Words lines(const std::string &text)
{
    std::istringstream in(text);
    Words all;
    for (std::string line; std::getline(in, line);)
        all.push_back(line);
    return all;
}

inline Words sorted_lines(const std::string &text)
{
    Words all = lines(text);
    std::sort(all.begin(), all.end());
    return all;
}

inline bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

} // namespace serry_test

#endif
