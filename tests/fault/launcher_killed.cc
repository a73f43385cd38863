// ctest: fault launcher timeout=300
/* Whatever happens to `serry run`, nothing is left: no rank, nothing that ranks have started, no
 * guard, no name. Program looks for all that by itself, and puts it into left_behind. */
#include "support/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <time.h>

using namespace serry_test;

namespace {

using Words = std::vector<std::string>;

/* Each rank with children of its own, some of which do not care for signals. */
const char family[] = "sleep 1000 & sh -c 'trap \"\" INT TERM HUP; sleep 1000; :' & sleep 1000 & "
                      "echo ready; wait; wait; wait";

Words family_argv(int ranks, Words flags = {})
{
    Words argv = { serry_command(), "run", "-n", std::to_string(ranks) };
    argv.insert(argv.end(), flags.begin(), flags.end());
    argv.insert(argv.end(), { "sh", "-c", family });
    return argv;
}

size_t count(const std::string &text, const std::string &part)
{
    size_t n = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size())
        n++;
    return n;
}

void nap(double seconds)
{
    timespec t = { 0, (long)(seconds * 1e9) };
    nanosleep(&t, nullptr);
}

TEST(LauncherKilled, LeavesNothing)
{
    for (const Words &flags : { Words{}, Words{ "-l" } }) {
        Program p(family_argv(3, flags));
        ASSERT_TRUE(p.wait_for([&] { return count(p.out(), "ready\n") == 3; }));
        /* Five of each rank, the launcher and its guard. What is in the middle of an exec is not
         * found: it has no environment then. */
        EXPECT_TRUE(p.wait_for([&] { return p.processes().size() >= 3 * 5 + 2; }))
            << p.processes().size();
        p.signal(SIGKILL);
        const auto &r = p.wait();
        EXPECT_EQ(r.signal, SIGKILL) << r;
        EXPECT_TRUE(r.left_behind.empty()) << r;
    }
}

TEST(LauncherKilled, LeavesNothingOfStoppedRanks)
{
    Program p({ serry_command(), "run", "-n", "3", "sh", "-c",
                "sleep 1000 & echo ready; kill -STOP $$; sleep 1000" });
    ASSERT_TRUE(p.wait_for([&] { return count(p.out(), "ready\n") == 3; }));
    p.signal(SIGKILL);
    EXPECT_TRUE(p.wait().left_behind.empty()) << p.wait();
}

/* From before the first rank until after all have started. */
TEST(LauncherKilled, AtAnyTimeLeavesNothing)
{
    std::mt19937 random(GTEST_FLAG_GET(random_seed) ? (unsigned)GTEST_FLAG_GET(random_seed) : 1);
    std::uniform_real_distribution<double> moment(0, 0.03);
    for (int round = 0; round < 150; round++) {
        Program p(family_argv(1 + round % 7));
        double when = moment(random);
        nap(when);
        p.signal(SIGKILL);
        const auto &r = p.wait();
        EXPECT_EQ(r.signal, SIGKILL) << r;
        ASSERT_TRUE(r.left_behind.empty()) << "after " << when << " s: " << r;
    }
}

TEST(LauncherKilled, WithItsWholeSessionLeavesNothing)
{
    /* As when a terminal is closed for good; the guard is in another session. */
    for (int round = 0; round < 20; round++) {
        Program p(family_argv(3));
        ASSERT_TRUE(p.wait_for([&] { return count(p.out(), "ready\n") == 3; }));
        p.signal_group(SIGKILL);
        EXPECT_TRUE(p.wait().left_behind.empty()) << p.wait();
    }
}

TEST(LauncherKilled, GuardIsNoLoss)
{
    Program p({ serry_command(), "run", "-n", "2", "sh", "-c", "echo ready; exec sleep 1000" });
    ASSERT_TRUE(p.wait_for([&] { return count(p.out(), "ready\n") == 2; }));
    pid_t guard = -1;
    auto named = [&] { /* the last thing it does before it watches */
                       for (pid_t pid : children_of(p.pid())) {
                           if (read_file("/proc/" + std::to_string(pid) + "/comm")
                               == "serry-guard\n")
                               guard = pid;
                       }
                       return guard > 0;
    };
    ASSERT_TRUE(serry_test::wait_for(named));
    for (int number : { SIGINT, SIGTERM, SIGHUP, SIGQUIT })
        kill(guard, number);
    EXPECT_TRUE(is_alive(guard));
    kill(guard, SIGKILL);
    ASSERT_TRUE(serry_test::wait_for([&] { return !is_alive(guard); }));
    p.signal(SIGTERM);
    EXPECT_EQ(p.wait().code, 128 + SIGTERM) << p.wait();
    EXPECT_TRUE(p.wait().left_behind.empty()) << p.wait();
}

/* ---- at every system call ---- */

const char small_job[] = "sleep 1000 & echo x";

ProgramOptions traced()
{
    ProgramOptions o;
    o.timeout = 30;
    o.env = { { "ASAN_OPTIONS", "detect_leaks=0" } }; /* it needs ptrace for itself */
    return o;
}

/* Names of the launcher's own system calls in a run, each with how often it came. */
std::vector<std::pair<std::string, int>> calls_of_a_run()
{
    Scratch dir;
    run_program({ "strace", "-qq", "-o", dir / "calls", serry_command(), "run", "-n", "2", "sh",
                  "-c", small_job },
                traced());
    std::istringstream in(read_file(dir / "calls"));
    std::vector<std::pair<std::string, int>> all;
    std::regex form("^([a-z_0-9]+)\\(.*");
    for (std::string line; std::getline(in, line);) {
        std::smatch m;
        if (!std::regex_match(line, m, form))
            continue;
        std::string name = m[1];
        auto it =
            std::find_if(all.begin(), all.end(), [&](const auto &c) { return c.first == name; });
        if (it == all.end())
            all.push_back({ name, 1 });
        else
            it->second++;
    }
    return all;
}

ProgramResult run_injected(const std::string &what)
{
    return run_program({ "strace", "-qq", "-o", "/dev/null", "-e", "inject=" + what,
                         serry_command(), "run", "-n", "2", "sh", "-c", small_job },
                       traced());
}

TEST(LauncherAtEachCall, CanBeKilled)
{
    auto calls = calls_of_a_run();
    if (calls.empty())
        GTEST_SKIP() << "strace is not there, or may not trace";
    int killed = 0;
    for (const auto &[name, times] : calls) {
        /* Polling repeats the same calls; the first ones stand for all. */
        for (int n = 1; n <= times && n <= 12; n++) {
            auto r = run_injected(name + ":signal=KILL:when=" + std::to_string(n));
            EXPECT_TRUE(r.left_behind.empty()) << name << " " << n << r;
            EXPECT_FALSE(r.timed_out) << name << " " << n << r;
            killed += r.signal == SIGKILL;
        }
    }
    EXPECT_GT(killed, 50);
}

TEST(LauncherAtEachCall, EndsWithASentenceWhenTheKernelRefuses)
{
    /* What may fail for want of something, while ranks are started. */
    const std::set<std::string> may_fail = { "epoll_create1", "epoll_ctl",  "eventfd2",
                                             "fcntl",         "fallocate",  "ftruncate",
                                             "memfd_create",  "pidfd_open", "pipe2",
                                             "signalfd4",     "socketpair", "timerfd_create",
                                             "vfork",         "clone",      "openat" };
    auto calls = calls_of_a_run();
    if (calls.empty())
        GTEST_SKIP() << "strace is not there, or may not trace";
    int refused = 0;
    for (const auto &[name, times] : calls) {
        for (int n = 1; may_fail.count(name) && n <= times && n <= 12; n++) {
            auto r = run_injected(name + ":error=EMFILE:when=" + std::to_string(n));
            EXPECT_TRUE(r.left_behind.empty()) << name << " " << n << r;
            EXPECT_FALSE(r.timed_out) << name << " " << n << r;
            EXPECT_EQ(r.signal, 0) << name << " " << n << r;
            /* The loader's own complaints, and its exit code, are not ours. */
            if (r.code != 0 && r.code != 127) {
                refused++;
                EXPECT_EQ(count(r.err, "\n"), 1u) << name << " " << n << r;
            }
        }
    }
    EXPECT_GT(refused, 10);
}

} // namespace
