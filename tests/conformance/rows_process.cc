// ctest: process timeout=120
/* What Python's own tests ask of processes and no other test here does; docs/conformance.md has the
 * whole list. */
#include "base/log.h"
#include "conformance/process_test.h"
#include "fault/fault.h"

using namespace serry_test;

namespace {

/* ---- parents ---- */

int name_of_parent(const void *, size_t)
{
    serry_process_info parent = info_of(serry_process_parent());
    EXPECT_TRUE(parent.alive);
    tell(0, 2, parent);
    return 0;
}

int start_another(const void *, size_t)
{
    return join(start(name_of_parent));
}

PROCESS_TEST(AChildSeesTheNameAndNumberOfItsParent)
{
    serry_process_options o = {};
    o.name = "the boss";
    serry_process boss = start(start_another, nullptr, 0, &o);
    serry_process_info seen = hear<serry_process_info>(SERRY_ANY, 2);
    EXPECT_STREQ(seen.name, "the boss");
    EXPECT_EQ(seen.pid, info_of(boss).pid);
    EXPECT_EQ(seen.rank, info_of(boss).rank);
    EXPECT_EQ(join(boss), 0);
}

/* ---- a server ---- */

struct Server {
    serry_queue requests, replies;
};

int serve(const void *arg, size_t len)
{
    Server s = argument<Server>(arg, len);
    std::string word(64, 0);
    size_t n = 0;
    int served = 0;
    while (serry_queue_get(s.requests, word.data(), word.size(), &n, patience(20)) == SERRY_OK
           && n > 0) {
        std::string upper = word.substr(0, n);
        for (char &c : upper)
            c = (char)toupper(c);
        EXPECT_EQ(serry_queue_put(s.replies, upper.data(), n, patience(20)), SERRY_OK);
        served++;
    }
    return served;
}

PROCESS_TEST(AServerAnswersUntilItIsToldToStop)
{
    Server s = {};
    ASSERT_EQ(serry_queue_create(&s.requests, nullptr), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_queue_create(&s.replies, nullptr), SERRY_OK) << serry_err_detail();
    serry_process p = start_with(serve, s);
    const std::vector<std::pair<std::string, std::string>> words = { { "hello", "HELLO" },
                                                                     { "x", "X" },
                                                                     { "A b C", "A B C" } };
    for (const auto &[word, want] : words) {
        std::string got(64, 0);
        size_t n = 0;
        EXPECT_EQ(serry_queue_put(s.requests, word.data(), word.size(), patience(20)), SERRY_OK);
        ASSERT_EQ(serry_queue_get(s.replies, got.data(), got.size(), &n, patience(20)), SERRY_OK)
            << serry_err_detail();
        EXPECT_EQ(got.substr(0, n), want);
    }
    EXPECT_TRUE(serry_process_is_alive(p));
    EXPECT_EQ(serry_queue_put(s.requests, nullptr, 0, patience(20)), SERRY_OK) << "an empty word";
    EXPECT_EQ(join(p), (int)words.size());
}

/* ---- the end ---- */

int complain_and_return(const void *, size_t)
{
    setvbuf(stderr, nullptr, _IOFBF, BUFSIZ);
    fprintf(stderr, "complaint of a child that returns\n");
    return 1;
}

int complain_and_exit(const void *, size_t)
{
    setvbuf(stderr, nullptr, _IOFBF, BUFSIZ);
    fprintf(stderr, "complaint of a child that exits\n");
    exit(8);
}

SERRY_RANKS_BODY(let_children_complain)
{
    EXPECT_EQ(join(start(complain_and_return)), 1);
    EXPECT_EQ(join(start(complain_and_exit)), 8) << "exit is an end like another";
}

TEST(ProcessOutput, ErrorsAreFlushedBeforeTheEnd)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        for (const char *by : { "fork", "agent" }) {
            RankOptions o;
            o.env["SERRY_START"] = by;
            RanksResult r = try_ranks(1, lanes, "let_children_complain", o);
            expect_clean(r, 1, o);
            EXPECT_TRUE(has(r.program.err, "complaint of a child that returns\n")) << r.program;
            EXPECT_TRUE(has(r.program.err, "complaint of a child that exits\n")) << r.program;
        }
    }
}

/* ---- generations ---- */

int count_downwards(const void *arg, size_t len)
{
    int left = argument<int>(arg, len);
    tell(0, 3, count_fds());
    return left == 0 ? 0 : join(start_with(count_downwards, left - 1));
}

PROCESS_TEST(DescriptorsDoNotGrowWithTheGenerations)
{
    const int deep = 6;
    serry_process p = start_with(count_downwards, deep - 1);
    std::map<int, int> counts; /* by rank, which is the generation */
    for (int i = 0; i < deep; i++) {
        int source = -1, count = hear<int>(SERRY_ANY, 3, &source);
        counts[source] = count;
    }
    EXPECT_EQ(join(p), 0);
    ASSERT_EQ(counts.size(), (size_t)deep);
    for (auto [generation, count] : counts)
        EXPECT_LE(count, counts[1]) << "in generation " << generation;
}

/* ---- the helper that starts processes ---- */

int wait_for_the_kill(const void *, size_t)
{
    note("running");
    return hear<int>(0, 4);
}

SERRY_RANKS_BODY(lose_the_nursery)
{
    serry_process p = start(wait_for_the_kill);
    EXPECT_TRUE(wait_for([] { return access((rank_dir() + "/killed").c_str(), F_OK) == 0; }, 20));
    tell(info_of(p).rank, 4, 21);
    EXPECT_EQ(join(p), 21) << "one that runs has nothing to do with it any more";
}

TEST(ProcessHelper, MayBeKilledWhileAChildRuns)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        for (const char *by : { "fork", "agent" }) {
            RankOptions o;
            o.launch = direct;
            o.env["SERRY_START"] = by;
            Ranks ranks(1, lanes, "lose_the_nursery", o);
            ASSERT_TRUE(ranks.wait_for_note("running"));
            pid_t nursery = -1;
            ASSERT_TRUE(wait_for([&] {
                nursery = process_named(ranks.program(), "serry-nursery");
                return nursery > 0;
            }));
            kill(nursery, SIGKILL);
            ASSERT_TRUE(wait_for([&] { return !is_alive(nursery); }));
            write_file(ranks.path() + "/killed", "");
            expect_clean(ranks.wait(), 1, o);
        }
    }
}

/* ---- the log ---- */

int log_something(const void *, size_t)
{
    sri_log(SRI_LOG_DEBUG, "seen by those who debug");
    sri_log(SRI_LOG_WARN, "seen by those who are warned");
    return 0;
}

SERRY_RANKS_BODY(log_in_a_child)
{
    EXPECT_EQ(join(start(log_something)), 0);
}

TEST(ProcessLog, HasTheLevelOfTheProgram)
{
    struct {
        const char *level;
        bool debug, warn;
    } const levels[] = { { "debug", true, true },
                         { "warn", false, true },
                         { "none", false, false } };
    for (const char *by : { "fork", "agent" }) {
        for (const auto &l : levels) {
            RankOptions o;
            o.env["SERRY_START"] = by;
            o.env["SERRY_LOG"] = l.level;
            RanksResult r = try_ranks(1, shm, "log_in_a_child", o);
            expect_clean(r, 1, o);
            EXPECT_EQ(has(r.program.err, "rank 1: seen by those who debug\n"), l.debug)
                << r.program;
            EXPECT_EQ(has(r.program.err, "rank 1: seen by those who are warned\n"), l.warn)
                << r.program;
        }
    }
}

/* ---- signals ---- */

volatile sig_atomic_t signals_seen;

int signal_the_waiting(const void *arg, size_t len)
{
    pid_t parent = argument<pid_t>(arg, len);
    hear<int>(0, 5);
    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(kill(parent, SIGUSR1), 0);
        usleep(500);
    }
    return 6;
}

PROCESS_TEST(SignalsDoNotBreakAWaitForTheFirst)
{
    struct sigaction a = {};
    a.sa_handler = [](int) { signals_seen = signals_seen + 1; };
    sigaction(SIGUSR1, &a, nullptr);
    serry_process ps[2] = { start(sleeper), start_with(signal_the_waiting, getpid()) };
    hear<pid_t>(info_of(ps[0]).rank, 1);
    tell(info_of(ps[1]).rank, 5, 0);
    size_t which = 77;
    EXPECT_EQ(serry_process_wait_any(ps, 2, &which, patience(20)), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(which, 1u);
    EXPECT_EQ(join(ps[1]), 6);
    EXPECT_GT(signals_seen, 0) << "nothing was tested";
    EXPECT_EQ(serry_process_terminate(ps[0]), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(ps[0]), -SIGTERM);
}

} // namespace
