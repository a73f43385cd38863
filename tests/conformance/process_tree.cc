// ctest: process nodes own
/* Processes that start processes: families, daemons, and handles that travel. */
#include "conformance/process_test.h"

#include <fcntl.h>
#include <sys/wait.h>

using namespace serry_test;

namespace {

std::string report_path()
{
    return rank_dir() + "/report";
}

/* One line, in the order of time. */
void report(const std::string &text)
{
    int fd = open(report_path().c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    std::string line = text + "\n";
    EXPECT_EQ(write(fd, line.data(), line.size()), (ssize_t)line.size());
    close(fd);
}

/* Something that takes its time: not to wait for anything, but so that who does not wait for it is
 * seen not to. */
void take_time()
{
    usleep(100000);
}

/* ---- families ---- */

int recursion(const void *arg, size_t len)
{
    std::string id((const char *)arg, len);
    report("[" + id + "]");
    for (char c : { '0', '1' }) {
        std::string child = id + c;
        if (child.size() <= 2)
            EXPECT_EQ(join(start(recursion, child.data(), child.size())), 0);
    }
    return 0;
}

PROCESS_TEST(ChildrenStartChildren)
{
    recursion("", 0);
    EXPECT_EQ(read_file(report_path()), "[]\n[0]\n[00]\n[01]\n[1]\n[10]\n[11]\n");
}

int generations(const void *arg, size_t len)
{
    int left = argument<int>(arg, len);
    return left == 0 ? serry_rank() : join(start_with(generations, left - 1));
}

PROCESS_TEST(AGenerationIsLikeAnother)
{
    EXPECT_EQ(join(start_with(generations, 9)), 10) << "ten deep, ranks 1 to 10";
}

int slow_grandchild(const void *, size_t)
{
    take_time();
    report("grandchild");
    return 0;
}

int parent_of_slow(const void *, size_t)
{
    start(slow_grandchild);
    report("child");
    return 5;
}

PROCESS_TEST(AProcessWaitsForItsChildrenBeforeItEnds)
{
    EXPECT_EQ(join(start(parent_of_slow)), 5);
    EXPECT_EQ(read_file(report_path()), "child\ngrandchild\n");
}

SERRY_RANKS_BODY(leave_a_slow_child)
{
    start(slow_grandchild);
    start(slow_grandchild);
    report("parent");
}

TEST(ProcessTree, FinalizeWaitsForChildren)
{
    for (Lanes lanes : { shm, socket }) {
        for (const char *start : { "fork", "agent" }) {
            RankOptions o;
            o.env["SERRY_START"] = start;
            Ranks r(1, lanes, "leave_a_slow_child", o);
            expect_clean(r.wait(), 1, o);
            EXPECT_EQ(read_file(r.path() + "/report"), "parent\ngrandchild\ngrandchild\n");
        }
    }
}

/* ---- the parent's end, seen by the child ---- */

int watch_parent(const void *, size_t)
{
    serry_process parent = serry_process_parent();
    EXPECT_TRUE(serry_process_is_alive(parent));
    tell(0, 1, getpid());
    int code = 0;
    EXPECT_EQ(serry_process_join(parent, &code, patience(20)), SERRY_OK) << serry_err_detail();
    EXPECT_FALSE(serry_process_is_alive(parent));
    tell(0, 2, code);
    return 0;
}

int sleep_quietly(const void *, size_t)
{
    for (;;)
        pause();
}

int start_and_sleep(const void *arg, size_t len)
{
    serry_process_options o = {};
    o.daemon = argument<bool>(arg, len);
    tell(0, 3, start(o.daemon ? sleep_quietly : watch_parent, nullptr, 0, &o));
    for (;;)
        pause();
}

PROCESS_TEST(AChildHearsOfItsParentsDeath)
{
    serry_process child = start_with(start_and_sleep, false);
    serry_process grandchild = hear<serry_process>(1, 3);
    hear<pid_t>(2, 1);
    EXPECT_EQ(serry_process_kill(child), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(hear<int>(2, 2), -SIGKILL);
    EXPECT_EQ(join(child), -SIGKILL);
    EXPECT_EQ(join(grandchild), 0) << "any process may join any";
}

struct Dead {
    int rank;
    bool send;
};

int ask_the_dead(const void *arg, size_t len)
{
    Dead d = argument<Dead>(arg, len);
    char c = 0;
    return d.send ? (int)serry_send(d.rank, 0, &c, 1)
                  : (int)serry_recv(d.rank, 0, &c, 1, nullptr, patience(5));
}

int leave(const void *, size_t)
{
    return 0;
}

/* They were told to nobody who came later. */
PROCESS_TEST(OneWhoseDeathWasBeforeOnesOwnBirthIsDead)
{
    serry_process died = start(sleeper), left = start(leave);
    hear<pid_t>(1, 1);
    EXPECT_EQ(serry_process_kill(died), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(died), -SIGKILL);
    EXPECT_EQ(join(left), 0);
    for (int rank : { 1, 2 }) {
        for (bool send : { true, false })
            EXPECT_EQ(join(start_with(ask_the_dead, Dead{ rank, send })), (int)SERRY_EDIED)
                << (send ? "sending to" : "receiving from") << " rank " << rank;
    }
}

/* ---- daemons ---- */

int start_daemon_and_end(const void *, size_t)
{
    serry_process_options o = {};
    o.daemon = true;
    serry_process d = start(sleeper, nullptr, 0, &o);
    hear<pid_t>(info_of(d).rank, 1);
    tell(0, 3, d);
    return 6;
}

PROCESS_TEST(DaemonsAreEndedWhenTheirParentEnds)
{
    serry_process p = start(start_daemon_and_end);
    serry_process daemon = hear<serry_process>(1, 3);
    EXPECT_EQ(join(p), 6) << "not waited for: it would never end";
    EXPECT_EQ(join(daemon), -SIGTERM);
}

PROCESS_TEST(DaemonsAreEndedWhenTheirParentIsKilled)
{
    serry_process p = start_with(start_and_sleep, true);
    serry_process daemon = hear<serry_process>(1, 3);
    EXPECT_EQ(serry_process_kill(p), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(p), -SIGKILL);
    EXPECT_EQ(join(daemon), -SIGTERM);
}

/* Checked by run_ranks: no process is left. */
PROCESS_TEST(DaemonsAreEndedByFinalize)
{
    serry_process_options o = {};
    o.daemon = true;
    for (int i = 0; i < 3; i++)
        start(sleeper, nullptr, 0, &o);
    for (int i = 0; i < 3; i++)
        hear<pid_t>(SERRY_ANY, 1);
    start(sleep_quietly, nullptr, 0, &o); /* one may not have come far */
}

int deaf(const void *, size_t)
{
    signal(SIGTERM, SIG_IGN);
    return sleeper(nullptr, 0);
}

PROCESS_TEST(ADaemonDeafToSigtermIsKilledByFinalize, .on(shm))
{
    serry_process_options o = {};
    o.daemon = true;
    start(deaf, nullptr, 0, &o);
    hear<pid_t>(1, 1);
}

int try_to_start(const void *, size_t)
{
    serry_process p = { 77 };
    serry_err e = serry_process_start(&p, try_to_start, nullptr, 0, nullptr);
    EXPECT_EQ(p.id, 77u);
    EXPECT_EQ(children(), 0u);
    return (int)e;
}

PROCESS_TEST(ADaemonMayNotStartProcesses)
{
    serry_process_options o = {};
    o.daemon = true;
    EXPECT_EQ(join(start(try_to_start, nullptr, 0, &o)), (int)SERRY_EPERM);
}

/* ---- handles that travel ---- */

int join_another(const void *arg, size_t len)
{
    serry_process other = argument<serry_process>(arg, len);
    EXPECT_EQ(serry_process_join(other, nullptr, 0.01), SERRY_ETIMEDOUT);
    tell(0, 2, getpid());
    int code = join(other);
    EXPECT_EQ(join(other), code) << "as often as it likes";
    return -code;
}

PROCESS_TEST(AnyProcessMayJoin)
{
    serry_process p = start(sleeper);
    serry_process others[3];
    for (serry_process &o : others)
        o = start_with(join_another, p);
    for (int i = 0; i < 3; i++)
        hear<pid_t>(SERRY_ANY, 2);
    hear<pid_t>(1, 1);
    EXPECT_EQ(serry_process_terminate(p), SERRY_OK) << serry_err_detail();
    for (serry_process o : others)
        EXPECT_EQ(join(o), SIGTERM);
    EXPECT_EQ(join(p), -SIGTERM);
}

SERRY_RANKS_TEST(ProcessHandles, TravelInMessages, .ranks({ 2, 3 }))
{
    if (serry_rank() == 0) {
        serry_process p = start(sleeper);
        hear<pid_t>(SERRY_ANY, 1);
        for (int r = 1; r < serry_size(); r++)
            tell(r, 5, p);
        EXPECT_EQ(join(p), -SIGUSR2) << "ended by another rank";
        return;
    }
    serry_process p = hear<serry_process>(0, 5);
    EXPECT_TRUE(info_of(p).rank >= serry_size());
    EXPECT_EQ(children(), 0u) << "not a child of this rank";
    if (serry_rank() == 1)
        EXPECT_EQ(serry_process_signal(p, SIGUSR2), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(p), -SIGUSR2);
}

SERRY_RANKS_TEST(ProcessHandles, NumbersAreUniqueThoughAllRanksStart,
                 .ranks({ 3, 7 }).in_own_world())
{
    const int each = 4;
    serry_process ps[each];
    std::set<int> seen;
    for (serry_process &p : ps)
        p = start(sleeper);
    for (int i = 0; i < each; i++) {
        int source = -1;
        hear<pid_t>(SERRY_ANY, 1, &source);
        EXPECT_GE(source, serry_size());
        /* Each node gives out its own numbers, so there may be gaps if it has fewer ranks. */
        EXPECT_LT(source, serry_size() + serry_size() * each * serry_nodes());
        EXPECT_TRUE(seen.insert(source).second);
    }
    EXPECT_EQ(children(), (size_t)each) << "of each rank its own";
    for (serry_process p : ps) {
        EXPECT_EQ(seen.count(info_of(p).rank), 1u);
        EXPECT_EQ(serry_process_kill(p), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(join(p), -SIGKILL);
    }
}

SERRY_RANKS_TEST(ProcessHandles, ALaunchedRankMayBeJoined, .ranks({ 2 }))
{
    if (serry_rank() == 0) {
        serry_process other = hear<serry_process>(1, 1);
        EXPECT_EQ(serry_process_join(other, nullptr, 0.01), SERRY_ETIMEDOUT) << "it lives";
        EXPECT_TRUE(serry_process_is_alive(other));
    } else {
        tell(0, 1, serry_process_self());
    }
}

int rank_as_code(const void *, size_t)
{
    return serry_rank() >= serry_size() ? 0 : 1;
}

/* The clean copy of the program is made by rank 0, which here is the last to come. */
SERRY_RANKS_TEST(ProcessHandles, ProcessesMayBeStartedBeforeRankZeroIsThere,
                 .ranks({ 2, 3 }).both_ways().without_init().env("SERRY_START", "agent"))
{
    const char *rank = getenv("SERRY_RANK");
    if (rank && !strcmp(rank, "0"))
        take_time();
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(join(start(rank_as_code)), 0);
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

/* ---- what is passed on ---- */

int put_into(const void *arg, size_t len)
{
    serry_queue q = argument<serry_queue>(arg, len);
    const char item[] = "from below";
    return (int)serry_queue_put(q, item, sizeof item, patience(10));
}

int pass_on(const void *arg, size_t len)
{
    return join(start(put_into, arg, len));
}

int pass_on_without_streams(const void *arg, size_t len)
{
    for (int fd : { 0, 1, 2 })
        close(fd);
    return pass_on(arg, len);
}

PROCESS_TEST(AQueueMayBePassedOnToAChildOfAChild)
{
    serry_queue q;
    ASSERT_EQ(serry_queue_create(&q, nullptr), SERRY_OK) << serry_err_detail();
    for (serry_process_fn fn : { pass_on, pass_on_without_streams }) {
        EXPECT_EQ(join(start_with(fn, q)), 0);
        char item[32] = "";
        size_t n = 0;
        ASSERT_EQ(serry_queue_get(q, item, sizeof item, &n, patience(10)), SERRY_OK)
            << serry_err_detail();
        EXPECT_STREQ(item, "from below");
    }
    EXPECT_EQ(serry_queue_destroy(q), SERRY_OK) << serry_err_detail();
}

} // namespace
