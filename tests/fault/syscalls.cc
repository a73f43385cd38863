// ctest: slow timeout=300
/* A process dies at, or is refused, any of its system calls (strace injects it): the run ends,
 * whoever is left goes on or says what was wrong, and nothing stays behind. */
#include "fault/fault.h"

#include <map>
#include <regex>
#include <set>
#include <sstream>

using namespace serry_test;

namespace {

using Words = std::vector<std::string>;

ProgramOptions options(Lanes lanes)
{
    ProgramOptions o;
    o.timeout = 20;
    o.env["SERRY_LANES"] = name_of(lanes);
    o.env["ASAN_OPTIONS"] = "detect_leaks=0"; /* it needs ptrace for itself */
    return o;
}

/* The N-th of a kind, counted for each process. */
struct Place {
    std::string call;
    int n;
};

/* Where the processes of a run have been since the program began: for each call, its numbers. What
 * is repeated while waiting is cut off: the first ones stand for all. */
std::vector<Place> places_of(const std::string &trace, int most)
{
    std::map<std::string, std::map<std::string, int>> counts; /* process, call */
    std::map<std::string, std::pair<int, int>> ranges;
    std::map<std::string, int> begin;
    std::istringstream in(trace);
    std::regex form("^(?:([0-9]+) +)?([a-z_0-9]+)\\((.*)");
    for (std::string line; std::getline(in, line);) {
        std::smatch m;
        if (!std::regex_match(line, m, form))
            continue;
        std::string process = m[1], call = m[2];
        int n = ++counts[process][call];
        if (has(m[3], "/serry-begins"))
            begin = counts[process];
        /* Numbers that the loader has used up are left out for all, though a process that the
         * program has made begins at 1: an injection does not tell processes apart. */
        if (begin.empty() || call == "exit_group" || n <= begin[call])
            continue;
        auto [it, first] = ranges.insert({ call, { n, n } });
        it->second.first = std::min(it->second.first, n);
        it->second.second = std::max(it->second.second, n);
    }
    std::vector<Place> places;
    for (const auto &[call, range] : ranges) {
        for (int n = range.first; n <= range.second && n < range.first + most; n++)
            places.push_back({ call, n });
    }
    return places;
}

/* Evenly taken from all: so many, or with SERRY_TEST_ROUNDS all. */
std::vector<Place> some_of(const std::vector<Place> &all, size_t most)
{
    if (getenv("SERRY_TEST_ROUNDS") || all.size() <= most)
        return all;
    std::vector<Place> some;
    for (size_t i = 0; i < most; i++)
        some.push_back(all[i * all.size() / most]);
    return some;
}

struct Scenario {
    const char *name;
    Words front;  /* before the strace */
    Words flags;  /* of it */
    Words behind; /* the program under it */
};

Words command(const Scenario &s, const Words &what)
{
    Words argv = s.front;
    argv.push_back("strace");
    argv.insert(argv.end(), { "-qq", "-o" });
    argv.insert(argv.end(), what.begin(), what.end());
    argv.insert(argv.end(), s.flags.begin(), s.flags.end());
    argv.insert(argv.end(), s.behind.begin(), s.behind.end());
    return argv;
}

/* In a shell: rank 1 alone under strace, whose arguments follow; the others run the program as it
 * is. */
Words rank_one(int ranks, const std::string &program)
{
    return { serry_command(),
             "run",
             "--keep-going",
             "-n",
             std::to_string(ranks),
             "sh",
             "-c",
             "if [ $SERRY_RANK = 1 ]; then exec \"$@\"; fi; "
             "exec \""
                 + program + "\" survive",
             "sh" };
}

Scenario scenario(const std::string &name)
{
    std::string program = program_path("a_little_of_all");
    if (name == "first_process")
        return { "first_process", {}, {}, { program } };
    if (name == "first_of_two")
        return { "first_of_two", { "env", "SERRY_NP=2" }, {}, { program } };
    if (name == "everybody")
        return { "everybody", { "env", "SERRY_NP=2" }, { "-f" }, { program } };
    if (name == "by_agent")
        return { "by_agent", { "env", "SERRY_START=agent" }, { "-f" }, { program } };
    if (name == "rank")
        return { "rank", rank_one(3, program), {}, { program, "survive" } };
    if (name == "sync_rank") {
        program = program_path("a_little_of_sync");
        return { "sync_rank", rank_one(3, program), {}, { program, "survive" } };
    }
    return { "launcher", {}, {}, { serry_command(), "run", "-n", "2", program } };
}

std::vector<Place> census(const Scenario &s, Lanes lanes, int most)
{
    Scratch dir;
    ProgramResult r = run_program(command(s, { dir / "trace" }), options(lanes));
    std::string trace = read_file(dir / "trace");
    /* The launcher never says that it begins: all its calls are of interest. */
    if (!strcmp(s.name, "launcher"))
        trace = "access(\"/serry-begins\", F_OK) = -1\n" + trace;
    std::vector<Place> places = places_of(trace, most);
    if (!places.empty())
        EXPECT_TRUE(r.ok()) << r;
    return places;
}

size_t lines_with(const std::string &text, const std::string &part)
{
    size_t n = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size())
        n++;
    return n;
}

class AtEachCall : public testing::TestWithParam<std::tuple<const char *, Lanes>> {};

TEST_P(AtEachCall, SomeoneMayBeKilled)
{
    auto [name, lanes] = GetParam();
    Scenario s = scenario(name);
    std::vector<Place> all = census(s, lanes, 6);
    if (all.empty())
        GTEST_SKIP() << "strace is not there, or may not trace";
    int killed = 0;
    for (const Place &p : some_of(all, 40)) {
        std::string what = p.call + ":signal=KILL:when=" + std::to_string(p.n);
        ProgramResult r =
            run_program(command(s, { "/dev/null", "-e", "inject=" + what }), options(lanes));
        ASSERT_FALSE(r.timed_out) << what << r;
        ASSERT_TRUE(r.left_behind.empty()) << what << r;
        killed += r.signal == SIGKILL || r.code != 0;
        if (has(name, "rank")) {
            /* The two others have ended well. */
            size_t well = lines_with(r.out, "survived\n") + lines_with(r.out, "done\n");
            ASSERT_GE(well, 2u) << what << r;
            ASSERT_TRUE(r.code == 0 || r.code == 128 + SIGKILL) << what << r;
        }
    }
    EXPECT_GT(killed, 10);
}

INSTANTIATE_TEST_SUITE_P(Strace, AtEachCall,
                         testing::Combine(testing::Values("first_process", "first_of_two",
                                                          "everybody", "by_agent", "rank",
                                                          "sync_rank", "launcher"),
                                          testing::Values(shm, serry_test::socket)),
                         [](const auto &p) {
                             return std::string(std::get<0>(p.param)) + "_"
                                    + name_of(std::get<1>(p.param));
                         });

/* ---- refusals ---- */

struct Refusal {
    std::string call, error;
};

/* What the kernel refuses for want of something. */
const std::vector<Refusal> refusals = {
    { "memfd_create", "ENOMEM" },  { "memfd_create", "EMFILE" }, { "ftruncate", "ENOSPC" },
    { "fallocate", "ENOSPC" },     { "mmap", "ENOMEM" },         { "socketpair", "EMFILE" },
    { "socketpair", "ENFILE" },    { "clone", "EAGAIN" },        { "clone", "ENOMEM" },
    { "epoll_create1", "EMFILE" }, { "epoll_ctl", "ENOSPC" },    { "epoll_ctl", "ENOMEM" },
    { "eventfd2", "EMFILE" },      { "pipe2", "EMFILE" },        { "dup", "EMFILE" },
    { "fcntl", "EMFILE" },         { "pidfd_open", "EMFILE" },   { "sendmsg", "ENOBUFS" },
    { "sendmsg", "ENOMEM" },       { "membarrier", "ENOSYS" },   { "madvise", "EINVAL" },
    { "close_range", "ENOSYS" },   { "setpgid", "EPERM" },       { "openat", "EMFILE" },
    { "write", "EINTR" },          { "poll", "EINTR" },          { "epoll_wait", "EINTR" },
    { "recvmsg", "EINTR" },        { "sendmsg", "EINTR" },       { "wait4", "EINTR" },
    { "read", "EINTR" },           { "fallocate", "EINTR" },
};

class EachCall : public testing::TestWithParam<std::tuple<const char *, Lanes>> {};

TEST_P(EachCall, MayBeRefused)
{
    auto [name, lanes] = GetParam();
    Scenario s = scenario(name);
    std::vector<Place> all = census(s, lanes, 8);
    if (all.empty())
        GTEST_SKIP() << "strace is not there, or may not trace";
    std::vector<Place> chosen;
    for (const Refusal &refusal : refusals) {
        for (const Place &p : all) {
            if (p.call == refusal.call)
                chosen.push_back({ p.call + ":error=" + refusal.error, p.n });
        }
    }
    int refused = 0;
    for (const Place &p : some_of(chosen, 60)) {
        std::string what = p.call + ":when=" + std::to_string(p.n);
        ProgramResult r =
            run_program(command(s, { "/dev/null", "-e", "inject=" + what }), options(lanes));
        ASSERT_FALSE(r.timed_out) << what << r;
        ASSERT_TRUE(r.left_behind.empty()) << what << r;
        /* A rank that gives up aborts, and the first process may be killed by that. */
        EXPECT_TRUE(r.signal == 0 || (r.signal == SIGKILL && r.err != "")) << what << r;
        if (has(what, "EINTR"))
            EXPECT_EQ(r.code, 0) << what << r;
        if (r.code == 0 && r.signal == 0) {
            /* What stdio could not write is gone. */
            EXPECT_TRUE(has(r.out, "done\n") || p.call.compare(0, 6, "write:") == 0) << what << r;
        } else {
            refused++;
            EXPECT_NE(r.err, "") << what << r;
        }
    }
    EXPECT_GT(refused, 3);
}

INSTANTIATE_TEST_SUITE_P(Strace, EachCall,
                         testing::Combine(testing::Values("everybody", "by_agent"),
                                          testing::Values(shm, serry_test::socket)),
                         [](const auto &p) {
                             return std::string(std::get<0>(p.param)) + "_"
                                    + name_of(std::get<1>(p.param));
                         });

} // namespace
