// ctest: process nodes own
/* Started processes in the world of the program around them: its streams, signals, descriptors,
 * processors, and its own forks. */
#include "conformance/process_test.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <iterator>
#include <sstream>
#include <sys/time.h>
#include <sys/wait.h>

using namespace serry_test;

namespace {

/* ---- streams ---- */

int end_with(const void *arg, size_t len)
{
    return argument<int>(arg, len);
}

int print_into_closed(const void *, size_t)
{
    for (int fd : { 0, 1, 2 })
        close(fd);
    printf("nobody reads this\n");
    fprintf(stderr, "nor this\n");
    return 4;
}

PROCESS_TEST(AChildThatClosesItsStreamsEndsWell)
{
    EXPECT_EQ(join(start(print_into_closed)), 4);
}

int break_streams(const void *, size_t)
{
    fclose(stdin);
    fclose(stdout);
    fclose(stderr);
    return 5;
}

PROCESS_TEST(AChildThatBreaksItsStreamsEndsWell)
{
    EXPECT_EQ(join(start(break_streams)), 5);
}

/* Whatever is opened then has the numbers of the streams. */
SERRY_RANKS_BODY(start_some)
{
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(join(start_with(end_with, 7 + i)), 7 + i);
    int me = serry_rank(), n = serry_size(), got = -1;
    EXPECT_EQ(serry_sendrecv((me + 1) % n, 0, &me, sizeof me, (me + n - 1) % n, 0, &got, sizeof got,
                             nullptr),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(got, (me + n - 1) % n);
}

class Streams : public testing::TestWithParam<Lanes> {};

INSTANTIATE_TEST_SUITE_P(Process, Streams, testing::Values(shm, socket), [](const auto &p) {
    return std::string(p.param == shm ? "shm" : "socket");
});

TEST_P(Streams, MayBeClosedWhenAProgramIsStarted)
{
    for (const char *closing : { "<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-" }) {
        for (int n : { 1, 3 }) {
            for (const char *start : { "fork", "agent" }) {
                SCOPED_TRACE(std::string(closing) + ", " + std::to_string(n) + ", " + start);
                RankOptions o;
                o.launch = direct;
                o.env["SERRY_START"] = start;
                o.wrap = { "sh", "-c", std::string("exec \"$@\" ") + closing, "sh" };
                run_ranks(n, GetParam(), "start_some", o);
            }
        }
    }
}

TEST_P(Streams, MayBeClosedWhenTheLauncherIsStarted)
{
    for (const char *closing : { "<&-", "<&- >&- 2>&-" }) {
        SCOPED_TRACE(closing);
        RankOptions o;
        o.wrap = { "sh", "-c", std::string("exec \"$@\" ") + closing, "sh" };
        run_ranks(2, GetParam(), "start_some", o);
    }
}

/* ---- signals ---- */

volatile sig_atomic_t signals_seen;

void see_signal(int)
{
    signals_seen = signals_seen + 1;
}

/* Without SA_RESTART: whatever waits is interrupted. */
void catch_signal(int number)
{
    struct sigaction a = {};
    a.sa_handler = see_signal;
    sigaction(number, &a, nullptr);
}

int pester(const void *arg, size_t len)
{
    pid_t parent = argument<pid_t>(arg, len);
    hear<int>(0, 1);
    for (int i = 0; i < 200; i++) {
        EXPECT_EQ(kill(parent, SIGUSR1), 0);
        sched_yield();
    }
    return 9;
}

PROCESS_TEST(SignalsDoNotBreakAJoin)
{
    catch_signal(SIGUSR1);
    serry_process p = start_with(pester, getpid());
    tell(info_of(p).rank, 1, 0);
    EXPECT_EQ(join(p), 9);
    EXPECT_GT(signals_seen, 0) << "nothing was tested";
}

/* Everything under a timer that goes off all the time. */
PROCESS_TEST(SignalsDoNotBreakStartingAndTalking)
{
    catch_signal(SIGALRM);
    struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = {};
    setitimer(ITIMER_REAL, &often, nullptr);
    for (int i = 0; i < 10; i++) {
        int code = i;
        EXPECT_EQ(join(start_with(end_with, code)), code);
    }
    int code;
    serry_process p = start(sleeper); /* timers are not inherited */
    hear<pid_t>(info_of(p).rank, 1);
    EXPECT_EQ(serry_process_join(p, &code, 0.1), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_process_kill(p), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(p), -SIGKILL);
    setitimer(ITIMER_REAL, &never, nullptr);
    EXPECT_GT(signals_seen, 50) << "hardly anything was tested";
}

PROCESS_TEST(SigchldMayBeIgnored)
{
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps: nobody can wait for a code */
    for (int code : { 0, 3, 255 })
        EXPECT_EQ(join(start_with(end_with, code)), code);
}

void reap_everything(int)
{
    int saved = errno;
    while (waitpid(-1, nullptr, WNOHANG) > 0)
        ;
    errno = saved;
}

PROCESS_TEST(TheProgramMayReapEverythingItself)
{
    signal(SIGCHLD, reap_everything);
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(join(start_with(end_with, i)), i);
    EXPECT_EQ(children(), 0u);
}

PROCESS_TEST(NoHandlerOfTheProgramIsChanged)
{
    struct sigaction before[32], after;
    for (int s = 1; s < 32; s++)
        sigaction(s, nullptr, &before[s]);
    EXPECT_EQ(join(start_with(end_with, 0)), 0);
    for (int s = 1; s < 32; s++) {
        sigaction(s, nullptr, &after);
        EXPECT_EQ(before[s].sa_handler, after.sa_handler) << "signal " << s;
    }
}

int signal_state(const void *, size_t)
{
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, nullptr, &blocked);
    for (int s = 1; s < 32; s++) {
        if (sigismember(&blocked, s))
            return s;
    }
    struct sigaction a;
    for (int s : { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE, SIGCHLD }) {
        sigaction(s, nullptr, &a);
        if (a.sa_handler != SIG_DFL)
            return 100 + s;
    }
    return 0;
}

PROCESS_TEST(AChildHasTheSignalsOfTheProgram)
{
    EXPECT_EQ(join(start(signal_state)), signal_state(nullptr, 0))
        << "blocked, or 100 + not default";
}

/* The host's own children are the host's. */
PROCESS_TEST(ChildrenOfTheProgramsOwnAreLeftAlone)
{
    pid_t own = fork();
    if (own == 0)
        _exit(17);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(join(start_with(end_with, i)), i);
    int status = 0;
    EXPECT_EQ(waitpid(own, &status, 0), own) << "somebody else has waited for it";
    EXPECT_EQ(WEXITSTATUS(status), 17);
}

PROCESS_TEST(NoChildIsLeftForTheProgramToWaitFor)
{
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(join(start_with(end_with, i)), i);
    /* The end of a process is told a moment before it can be waited for. */
    EXPECT_TRUE(wait_for([] {
        SERRY_IGNORE(serry_probe(SERRY_ANY, 9, nullptr, 0));
        return waitpid(-1, nullptr, WNOHANG | __WNOTHREAD) < 0 && errno == ECHILD;
    }));
}

/* ---- forks and executed programs ---- */

int init_again(const void *, size_t)
{
    EXPECT_TRUE(serry_initialized());
    EXPECT_EQ(serry_init(nullptr, nullptr), SERRY_ESTATE) << "it would start a world of its own";
    EXPECT_EQ(serry_finalize(), SERRY_ESTATE);
    EXPECT_TRUE(serry_initialized());
    return 0;
}

PROCESS_TEST(AStartedProcessNeitherInitsNorFinalizes)
{
    EXPECT_EQ(join(start(init_again)), 0);
}

int copy_of_started(const void *, size_t)
{
    pid_t copy = fork();
    if (copy == 0)
        _exit(serry_initialized() || serry_rank() != -1
              || serry_process_start(nullptr, copy_of_started, nullptr, 0, nullptr)
                     != SERRY_ESTATE);
    int status = 1;
    EXPECT_EQ(waitpid(copy, &status, 0), copy);
    EXPECT_EQ(status, 0) << "a forked copy is no member";
    return 3;
}

PROCESS_TEST(ACopyOfAStartedProcessIsNoMember)
{
    EXPECT_EQ(join(start(copy_of_started)), 3);
}

std::set<std::string> descriptors_of_a_program()
{
    std::set<std::string> all;
    FILE *ls = popen("ls -l /proc/self/fd", "re");
    char line[512];
    while (ls && fgets(line, sizeof line, ls)) {
        std::istringstream words(line);
        std::vector<std::string> w{ std::istream_iterator<std::string>(words), {} };
        if (w.size() > 3 && w.back().find("/proc/") != 0 && w.back().find("pipe:") != 0)
            all.insert(w[w.size() - 3]);
    }
    if (ls)
        pclose(ls);
    return all;
}

int program_in_child(const void *, size_t)
{
    return (int)descriptors_of_a_program().size();
}

SERRY_RANKS_TEST(ProcessHost, ExecutedProgramsInheritNothing,
                 .ranks({ 1 }).without_init().both_ways())
{
    std::set<std::string> before = descriptors_of_a_program();
    bool launched = getenv("SERRY_JOIN_FD") != nullptr;
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(getenv("SERRY_JOIN_FD"), nullptr) << "a program that is executed is not this rank";
    std::set<std::string> after = descriptors_of_a_program();
    /* The launcher's socket was to be inherited once. */
    EXPECT_LE(after.size(), before.size() - (launched ? 1 : 0));
    EXPECT_EQ(join(start(program_in_child)), (int)after.size());
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

/* ---- processors ---- */

int cpus_when_bound(const void *, size_t)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    EXPECT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_SET(cpu, &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    return serry_cpu_count();
}

PROCESS_TEST(TheProcessorsCountedAreThoseItMayUse)
{
    EXPECT_GE(serry_cpu_count(), 1);
    EXPECT_LE(serry_cpu_count(), sysconf(_SC_NPROCESSORS_CONF));
    EXPECT_EQ(join(start(cpus_when_bound)), 1);
}

} // namespace
