/* patterns/tutorials_output.h: what a program has printed, and questions about it. */
#ifndef SERRY_TUTORIALS_OUTPUT_H
#define SERRY_TUTORIALS_OUTPUT_H

#include "support/program.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace tutorials_test {

using Lines = std::vector<std::string>;

/* What a program has printed, as lines. */
class Output {
public:
    Output(const serry_test::ProgramResult &result, int ranks_, bool relayed_ = false)
        : ranks(ranks_), relayed(relayed_)
    {
        std::istringstream in(result.out);
        for (std::string line; std::getline(in, line);)
            lines.push_back(line);
    }

    /* The first part in brackets (or else all) of each line that a pattern matches wholly. */
    Lines all(const std::string &pattern) const
    {
        Lines found;
        std::smatch match;
        for (const std::string &line : lines)
            if (std::regex_match(line, match, std::regex(pattern)))
                found.push_back(match[match.size() > 1 ? 1 : 0]);
        return found;
    }

    int count(const std::string &pattern) const { return (int)all(pattern).size(); }

    /* The same of the one line that matches, as a number. */
    double number(const std::string &pattern) const
    {
        const auto found = all(pattern);
        EXPECT_EQ(found.size(), 1u) << "lines that match " << pattern;
        return found.size() == 1 ? std::stod(found[0]) : -1;
    }

    /* Where the first, the last line is that matches; -1: nowhere. */
    int first(const std::string &pattern) const { return find(pattern, true); }
    int last(const std::string &pattern) const { return find(pattern, false); }

    Lines lines;
    const int ranks;    /* that were launched */
    const bool relayed; /* each rank's lines by its own way: whose come first says nothing */

private:
    int find(const std::string &pattern, bool stop) const
    {
        int at = -1;
        for (size_t i = 0; i < lines.size() && !(stop && at >= 0); i++)
            if (std::regex_match(lines[i], std::regex(pattern)))
                at = (int)i;
        EXPECT_GE(at, 0) << "no line matches " << pattern;
        return at;
    }
};

/* `work` for each number, in any order: "<number> begins", later "<number> ends". Returns how many
 * were at it at the same time, at most. */
inline int most_at_once(const Lines &lines, const std::string &begins, const std::string &ends)
{
    int inside = 0, most = 0;
    for (const std::string &line : lines) {
        if (std::regex_match(line, std::regex(begins)))
            most = std::max(most, ++inside);
        else if (std::regex_match(line, std::regex(ends)))
            EXPECT_GE(--inside, 0) << line;
    }
    EXPECT_EQ(inside, 0);
    return most;
}

/* Each of the numbers first .. first + n - 1 is there once. */
inline void expect_each_once(const Lines &found, int n, int first = 0)
{
    std::multiset<int> numbers, wanted;
    for (const std::string &each : found)
        numbers.insert(std::stoi(each));
    for (int i = 0; i < n; i++)
        wanted.insert(first + i);
    EXPECT_EQ(numbers, wanted);
}

} // namespace tutorials_test

#endif
