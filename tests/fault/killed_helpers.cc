// ctest: slow timeout=180
/* What must not outlive whom: the first process, the launcher, the agent and the nursery are
 * killed, and nothing is left of the run a second later. Program looks for all that by itself. */
#include "fault/fault.h"

#include <ostream>
#include <set>

using namespace serry_test;

namespace {

/* ---- a family that would go on for ever ---- */

/* Calls nothing of serry, and minds no signal that it can do without. */
[[noreturn]] void compute()
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    for (volatile unsigned long n = 0;; n = n + 1) {
        if (n % (1u << 20) == 0)
            usleep(100); /* others need the processor, too */
    }
}

int computing(const void *, size_t)
{
    note("ready");
    compute();
}

int waiting_for_ever(const void *, size_t)
{
    note("ready");
    int nothing;
    SERRY_IGNORE(serry_recv(serry_rank() - 1, 5, &nothing, sizeof nothing, nullptr, SERRY_FOREVER));
    compute();
}

void start_some()
{
    serry_process p;
    serry_process_options daemon = {};
    daemon.daemon = true;
    ASSERT_EQ(serry_process_start(&p, computing, nullptr, 0, nullptr), SERRY_OK);
    ASSERT_EQ(serry_process_start(&p, waiting_for_ever, nullptr, 0, nullptr), SERRY_OK);
    ASSERT_EQ(serry_process_start(&p, computing, nullptr, 0, &daemon), SERRY_OK);
}

size_t count_notes(const Ranks &r, const std::string &text)
{
    size_t n = 0;
    for (const Record &record : r.records())
        n += record.kind == Record::note && record.text == text;
    return n;
}

/* Have ranks 0 .. n-1 themselves? What they start notes it, too, while rank 0 perhaps is not in the
 * world yet. */
bool are_ready(const Ranks &r, int n)
{
    std::set<int> ready;
    for (const Record &record : r.records()) {
        if (record.kind == Record::note && record.text == "ready" && record.rank < n)
            ready.insert(record.rank);
    }
    return (int)ready.size() == n;
}

/* Each rank computes, after having started three processes: four notes from each. */
SERRY_RANKS_BODY(large_family)
{
    /* The launcher's guard finds those, too; of a program that was started directly they are its
     * own. */
    if (getenv("TEST_FORKS") && fork() == 0)
        compute();
    start_some();
    note("ready");
    compute();
}

void expect_nothing_left(Ranks &ranks, const char *what)
{
    RanksResult r = ranks.wait();
    EXPECT_FALSE(r.program.timed_out) << what << ": " << r.program;
    EXPECT_TRUE(r.program.left_behind.empty()) << what << ": " << r.program;
}

struct Killed {
    const char *name;
    Launch launch;
    int ranks;
    const char *start;
};

void PrintTo(const Killed &k, std::ostream *o)
{
    *o << k.name;
}

class FirstProcess : public testing::TestWithParam<std::tuple<Killed, Lanes>> {};

TEST_P(FirstProcess, TakesAllOthersWithIt)
{
    auto [k, lanes] = GetParam();
    RankOptions o;
    o.launch = k.launch;
    if (k.launch == run)
        o.env["TEST_FORKS"] = "1";
    o.grace = 1;
    o.env["SERRY_START"] = k.start;
    for (int round = 0; round < rounds(4); round++) {
        Ranks ranks(k.ranks, lanes, "large_family", o);
        size_t all = 4u * (size_t)k.ranks;
        if (!ranks.program().wait_for([&] { return count_notes(ranks, "ready") == all; })) {
            ranks.program().signal(SIGKILL);
            RanksResult r = ranks.wait();
            hand_on(r);
            FAIL() << count_notes(ranks, "ready") << " of " << all << " are there\n" << r.program;
        }
        ranks.program().signal(SIGKILL);
        expect_nothing_left(ranks, k.name);
    }
}

/* In the middle of starting, or before. */
TEST_P(FirstProcess, MayDieAtAnyTime)
{
    auto [k, lanes] = GetParam();
    RankOptions o;
    o.launch = k.launch;
    o.grace = 1;
    o.env["SERRY_START"] = k.start;
    for (int round = 0; round < rounds(12); round++) {
        Ranks ranks(k.ranks, lanes, "large_family", o);
        nap(0, 0.06);
        ranks.program().signal(SIGKILL);
        expect_nothing_left(ranks, k.name);
    }
}

const Killed killed[] = { { "one", direct, 1, "fork" },
                          { "one_agent", direct, 1, "agent" },
                          { "three", direct, 3, "fork" },
                          { "launcher", run, 2, "fork" },
                          { "launcher_agent", run, 2, "agent" } };

INSTANTIATE_TEST_SUITE_P(Killed, FirstProcess,
                         testing::Combine(testing::ValuesIn(killed),
                                          testing::Values(shm, serry_test::socket)),
                         [](const auto &p) {
                             return std::string(std::get<0>(p.param).name) + "_"
                                    + name_of(std::get<1>(p.param));
                         });

/* ---- abort ---- */

int abort_everything(const void *, size_t)
{
    serry_abort(9);
}

SERRY_RANKS_BODY(one_aborts)
{
    std::string who = getenv("TEST_WHO");
    serry_process p;
    start_some();
    if (who == "started" && serry_rank() == 0)
        SERRY_CHECK(serry_process_start(&p, abort_everything, nullptr, 0, nullptr));
    if (who == std::to_string(serry_rank()))
        serry_abort(9);
    compute();
}

TEST(Abort, EndsEverybody)
{
    for (Launch launch : { run, direct }) {
        for (Lanes lanes : { shm, serry_test::socket }) {
            for (const char *who : { "0", "1", "started" }) {
                SCOPED_TRACE(std::string(launch == run ? "run " : "direct ") + name_of(lanes) + " "
                             + who);
                RankOptions o;
                o.launch = launch;
                o.grace = 1;
                o.env["TEST_WHO"] = who;
                Ranks ranks(3, lanes, "one_aborts", o);
                expect_nothing_left(ranks, who);
                const ProgramResult r = ranks.wait().program;
                /* Of a program started directly only rank 0 can hand on the code: it was killed. */
                bool by_first = launch == run || !strcmp(who, "0");
                EXPECT_EQ(r.code, by_first ? 9 : -1) << r;
                EXPECT_EQ(r.signal, by_first ? 0 : SIGKILL) << r;
            }
        }
    }
}

/* ---- a program that ends without a word ---- */

SERRY_RANKS_BODY(forgets_finalize)
{
    start_some();
    fflush(nullptr);
    _exit(0);
}

TEST(ForgottenFinalize, LeavesNothing)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        RankOptions o;
        o.launch = direct;
        o.grace = 1;
        Ranks ranks(1, lanes, "forgets_finalize", o);
        expect_nothing_left(ranks, name_of(lanes));
        EXPECT_EQ(ranks.wait().program.code, 0) << ranks.wait().program;
    }
}

/* ---- the agent ---- */

SERRY_RANKS_BODY(wait_in_recv)
{
    int nothing;
    note("ready");
    SERRY_IGNORE(serry_recv((serry_rank() + 1) % serry_size(), 0, &nothing, sizeof nothing, nullptr,
                            SERRY_FOREVER));
    note("returned");
}

SERRY_RANKS_BODY(wait_in_join)
{
    serry_process p;
    ASSERT_EQ(serry_process_start(&p, computing, nullptr, 0, nullptr), SERRY_OK);
    note("ready");
    SERRY_IGNORE(serry_process_join(p, nullptr, SERRY_FOREVER));
    note("returned");
}

SERRY_RANKS_BODY(wait_in_finalize)
{
    note("ready");
    if (serry_rank() != 0)
        compute();
}

SERRY_RANKS_BODY(wait_in_barrier)
{
    note("ready");
    if (serry_rank() == serry_size() - 1)
        compute();
    SERRY_IGNORE(serry_world_barrier());
    note("returned");
}

/* Busy elsewhere when it happens, and calls serry later. */
SERRY_RANKS_BODY(call_later)
{
    note("ready");
    if (serry_rank() != 0)
        compute();
    while (access((rank_dir() + "/killed").c_str(), F_OK) != 0)
        usleep(1000);
    serry_process p;
    SERRY_IGNORE(serry_process_start(&p, computing, nullptr, 0, nullptr));
    note("returned");
}

class Agent : public testing::TestWithParam<std::tuple<const char *, Lanes>> {};

TEST_P(Agent, TakesAllWithItAndRankZeroSaysSo)
{
    auto [body, lanes] = GetParam();
    RankOptions o;
    o.launch = direct;
    o.grace = 1;
    for (int round = 0; round < rounds(4); round++) {
        Ranks ranks(2, lanes, body, o);
        ASSERT_TRUE(ranks.program().wait_for([&] { return are_ready(ranks, 2); }))
            << ranks.program().err();
        nap(0, 0.002);
        pid_t agent = process_named(ranks.program(), "serry-agent");
        ASSERT_GT(agent, 0);
        kill(agent, SIGKILL);
        write_file(ranks.path() + "/killed", "");
        RanksResult r = ranks.wait();
        EXPECT_EQ(r.program.code, 70) << r.program;
        EXPECT_TRUE(has(r.program.err, "the agent of this node has died")) << r.program;
        EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
        EXPECT_EQ(count_notes(ranks, "returned"), 0u);
        EXPECT_LT(r.program.seconds, patience(5));
    }
}

INSTANTIATE_TEST_SUITE_P(Killed, Agent,
                         testing::Combine(testing::Values("wait_in_recv", "wait_in_join",
                                                          "wait_in_finalize", "wait_in_barrier",
                                                          "call_later"),
                                          testing::Values(shm, serry_test::socket)),
                         [](const auto &p) {
                             return std::string(std::get<0>(p.param)) + "_"
                                    + name_of(std::get<1>(p.param));
                         });

TEST(AgentOfTheUser, IsDeafToSignalsForTheProgram)
{
    RankOptions o;
    o.launch = direct;
    Ranks ranks(2, shm, "wait_in_recv", o);
    ASSERT_TRUE(ranks.program().wait_for([&] { return count_notes(ranks, "ready") == 2; }));
    pid_t agent = process_named(ranks.program(), "serry-agent");
    ASSERT_GT(agent, 0);
    for (int number : { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2 })
        kill(agent, number);
    /* As from a terminal: rank 0 and its forks end by it, and then the agent has nobody left. */
    EXPECT_TRUE(is_alive(agent));
    ranks.program().signal_group(SIGINT);
    RanksResult r = ranks.wait();
    EXPECT_EQ(r.program.signal, SIGINT) << r.program;
    EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
}

SERRY_RANKS_BODY(talk_while_the_agent_stands_still)
{
    int other = 1 - serry_rank(), x = 0;
    for (int i = 0; i < 200; i++) {
        ASSERT_EQ(serry_sendrecv(other, 1, &i, sizeof i, other, 1, &x, sizeof x, nullptr), SERRY_OK)
            << serry_err_detail();
        ASSERT_EQ(x, i);
        if (i == 20) {
            note("ready");
            while (access((rank_dir() + "/stopped").c_str(), F_OK) != 0)
                usleep(1000);
        }
    }
    note("talked");
}

TEST(AgentOfTheUser, IsNotTakenForDeadWhenItStandsStill)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        RankOptions o;
        o.launch = direct;
        Ranks ranks(2, lanes, "talk_while_the_agent_stands_still", o);
        ASSERT_TRUE(ranks.program().wait_for([&] { return count_notes(ranks, "ready") == 2; }));
        pid_t agent = process_named(ranks.program(), "serry-agent");
        ASSERT_GT(agent, 0);
        kill(agent, SIGSTOP);
        write_file(ranks.path() + "/stopped", "");
        EXPECT_TRUE(ranks.program().wait_for([&] { return count_notes(ranks, "talked") == 2; }));
        nap(0.2, 0.3); /* they are in finalize, and look after it */
        EXPECT_TRUE(is_alive(ranks.program().pid()));
        kill(agent, SIGCONT);
        expect_clean(ranks.wait(), 2, o);
    }
}

/* ---- the nursery ---- */

int answer(const void *arg, size_t)
{
    return *(const int *)arg;
}

SERRY_RANKS_BODY(start_without_a_nursery)
{
    const char *start = getenv("SERRY_START");
    bool by_agent = start && !strcmp(start, "agent");
    int x = 17, code = -1;
    serry_process p;
    note("ready");
    while (access((rank_dir() + "/killed").c_str(), F_OK) != 0)
        usleep(1000);
    serry_err e = serry_process_start(&p, answer, &x, sizeof x, nullptr);
    EXPECT_EQ(e, by_agent ? SERRY_ESTATE : SERRY_OK) << serry_err_detail();
    if (e == SERRY_OK) {
        EXPECT_EQ(serry_process_join(p, &code, SERRY_FOREVER), SERRY_OK);
        EXPECT_EQ(code, 17);
    }
    EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
}

class Nursery : public testing::TestWithParam<const char *> {};

TEST_P(Nursery, IsMissedOnlyByThoseWhoNeedIt)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        RankOptions o;
        o.launch = direct;
        o.env["SERRY_START"] = GetParam();
        Ranks ranks(1, lanes, "start_without_a_nursery", o);
        ASSERT_TRUE(ranks.wait_for_note("ready"));
        pid_t nursery = -1;
        ASSERT_TRUE(wait_for([&] {
            nursery = process_named(ranks.program(), "serry-nursery");
            return nursery > 0;
        }));
        for (int number : { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM })
            kill(nursery, number);
        EXPECT_TRUE(is_alive(nursery));
        kill(nursery, SIGKILL);
        ASSERT_TRUE(wait_for([&] { return !is_alive(nursery); }));
        write_file(ranks.path() + "/killed", "");
        expect_clean(ranks.wait(), 1, o);
    }
}

INSTANTIATE_TEST_SUITE_P(Killed, Nursery, testing::Values("fork", "agent"),
                         [](const auto &p) { return std::string(p.param); });

/* ---- whoever, whenever ---- */

int add_one(const void *arg, size_t)
{
    int x = *(const int *)arg, y = 0;
    if (serry_send(x, 1, &x, sizeof x) != SERRY_OK
        || serry_recv(x, 2, &y, sizeof y, nullptr, SERRY_FOREVER) != SERRY_OK)
        return 1;
    return 0;
}

/* A bit of everything; ends at the first error, whichever it is. */
bool bit_of_everything()
{
    static char bytes[200000];
    int n = serry_size(), me = serry_rank(), x;
    serry_process p;
    if (serry_world_barrier() != SERRY_OK
        || serry_sendrecv((me + 1) % n, 3, bytes, sizeof bytes / 2, (me + n - 1) % n, 3,
                          bytes + sizeof bytes / 2, sizeof bytes / 2, nullptr)
               != SERRY_OK
        || serry_process_start(&p, add_one, &me, sizeof me, nullptr) != SERRY_OK)
        return false;
    serry_process_info info;
    return serry_process_info_of(p, &info) == SERRY_OK
           && serry_recv(info.rank, 1, &x, sizeof x, nullptr, SERRY_FOREVER) == SERRY_OK
           && serry_send(info.rank, 2, &x, sizeof x) == SERRY_OK
           && serry_process_join(p, nullptr, SERRY_FOREVER) == SERRY_OK;
}

SERRY_RANKS_BODY(a_bit_of_everything)
{
    for (int i = 0; i < 12; i++) {
        if (!bit_of_everything())
            return;
    }
}

class Whoever : public testing::TestWithParam<std::tuple<Lanes, Launch>> {};

TEST_P(Whoever, DiesTheRunEndsAndLeavesNothing)
{
    auto [lanes, launch] = GetParam();
    RankOptions o;
    o.launch = launch;
    o.timeout = 20;
    /* The process in which a sanitizer looks for leaks would be a victim like any other. */
    o.env["ASAN_OPTIONS"] = "detect_leaks=0";
    for (int round = 0; round < rounds(30); round++) {
        o.env["SERRY_START"] = round % 2 ? "agent" : "fork";
        if (launch == run)
            o.run_flags =
                round % 3 ? std::vector<std::string>{} : std::vector<std::string>{ "--keep-going" };
        Ranks ranks(3, lanes, "a_bit_of_everything", o);
        nap(0, 0.08);
        std::vector<pid_t> all = ranks.program().processes();
        std::string who = "nobody";
        if (!all.empty()) {
            pid_t pid = all[dice()() % all.size()];
            who = std::to_string(pid) + ", " + read_file("/proc/" + std::to_string(pid) + "/comm");
            kill(pid, SIGKILL);
        }
        RanksResult r = ranks.wait();
        ASSERT_FALSE(r.program.timed_out) << "killed " << who << r.program;
        ASSERT_TRUE(r.program.left_behind.empty()) << "killed " << who << r.program;
    }
}

INSTANTIATE_TEST_SUITE_P(Killed, Whoever,
                         testing::Combine(testing::Values(shm, serry_test::socket),
                                          testing::Values(run, direct)),
                         [](const auto &p) {
                             return std::string(name_of(std::get<0>(p.param)))
                                    + (std::get<1>(p.param) == run ? "_run" : "_direct");
                         });

} // namespace
