// ctest: processors=1 timeout=180 alone
/* Subprocesses in the world of the program around them: its descriptors, signals, threads, limits,
 * forks, and its end. */
#include "patterns/subprocess_test.h"

#include <atomic>
#include <cfenv>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

using namespace serry_test;

namespace {

/* ---- descriptors ---- */

SUBPROCESS_TEST(OnlyTheStreamsAreHandedOn)
{
    std::vector<int> open_ones;
    for (int at : { 3, 20, 500, 1000 }) {
        int fd = fcntl(2, F_DUPFD, at); /* without close-on-exec */
        ASSERT_GE(fd, 3);
        open_ones.push_back(fd);
    }
    for (serry_subprocess_options o : { captured(), piped() })
        EXPECT_EQ(ran(shell("ls /proc/$$/fd; :"), o).out, "0\n1\n2\n");
    for (int fd : open_ones)
        close(fd);
}

/* Whatever is opened then has the numbers of the streams. */
SUBPROCESS_TEST(StreamsMayBeClosedInTheProgram)
{
    for (int closed = 0; closed < 8; closed++) {
        int kept[3];
        fflush(stdout);
        for (int i = 0; i < 3; i++)
            kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
        for (int i = 0; i < 3; i++) {
            if (closed & 1 << i)
                close(i);
        }
        auto fds = open_fds();
        Ran r = ran(shell("ls /proc/$$/fd; echo error >&2; :"), captured());
        Ran null = ran(
            shell("for i in 0 1 2; do echo x >&$i || exit 1; done; read line && exit 2; :"), {});
        auto after = open_fds();
        for (int i = 0; i < 3; i++) {
            dup2(kept[i], i);
            close(kept[i]);
        }
        EXPECT_EQ(r.out, "0\n1\n2\n") << r.detail << r.err;
        EXPECT_EQ(r.err, "error\n");
        if (closed == 7) {
            EXPECT_EQ(null.code, 0) << "what is closed is /dev/null there";
        }
        EXPECT_EQ(after, fds) << closed;
    }
}

SUBPROCESS_TEST(AStreamThatWouldCloseOnExecIsHandedOn)
{
    int flags = fcntl(2, F_GETFD);
    fcntl(2, F_SETFD, FD_CLOEXEC);
    EXPECT_EQ(ran(shell("[ -e /proc/$$/fd/2 ]")).code, 0);
    EXPECT_EQ(fcntl(2, F_GETFD), FD_CLOEXEC);
    fcntl(2, F_SETFD, flags);
}

/* With every limit on descriptors it works, or says how many it needs. */
SUBPROCESS_TEST(TooFewDescriptorsAreAnError)
{
    struct rlimit before, low;
    getrlimit(RLIMIT_NOFILE, &before);
    auto fds = open_fds();
    int worked = 0, failed = 0;
    for (rlim_t limit = 0; limit < 64; limit++) {
        serry_completed done = {};
        serry_subprocess_options o = captured();
        o.input = "text";
        o.input_len = 4;
        low = { limit, before.rlim_max };
        setrlimit(RLIMIT_NOFILE, &low);
        serry_err e = serry_subprocess_run(Argv({ "cat" }), &done, &o, patience(20));
        std::string detail = e == SERRY_OK ? "" : serry_err_detail();
        setrlimit(RLIMIT_NOFILE, &before);
        EXPECT_EQ(open_fds(), fds) << limit;
        if (e == SERRY_OK) {
            worked++;
            /* cat itself may have too few to start with. */
            EXPECT_TRUE(done.code != 0 || text(done.out) == "text") << limit;
        } else {
            failed++;
            EXPECT_TRUE(e == SERRY_ELIMIT || e == SERRY_ESYS) << limit << ": " << detail;
            if (limit >= 3) {
                EXPECT_EQ(e, SERRY_ELIMIT) << limit << ": " << detail;
                EXPECT_TRUE(says(detail, "9 descriptors")) << limit << ": " << detail;
            }
        }
        serry_completed_free(&done);
    }
    EXPECT_GT(failed, 5);
    EXPECT_GT(worked, 20);
}

/* ---- signals ---- */

void nothing(int)
{
}

SUBPROCESS_TEST(SignalsAreAtTheirDefaultsAndTheProgramsStay)
{
    struct sigaction before[65], after;
    sigset_t mask, blocked, again;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGUSR1, nothing);
    signal(SIGRTMIN + 3, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    for (int s = 1; s < 65; s++)
        sigaction(s, nullptr, &before[s]);
    std::string status = ran(Argv({ "cat", "/proc/self/status" }), captured()).out;
    for (const char *set : { "SigBlk", "SigIgn", "SigCgt" })
        EXPECT_TRUE(says(status, std::string(set) + ":\t0000000000000000\n")) << set << status;
    EXPECT_EQ(ran(Argv({ "/no/such" })).e, SERRY_ESYS);
    for (int s = 1; s < 65; s++) {
        if (sigaction(s, nullptr, &after) != 0)
            continue; /* one of libc's own */
        EXPECT_EQ(before[s].sa_handler, after.sa_handler) << "signal " << s;
        EXPECT_EQ(before[s].sa_flags, after.sa_flags) << "signal " << s;
    }
    pthread_sigmask(SIG_BLOCK, nullptr, &again);
    for (int s = 1; s < 65; s++)
        EXPECT_EQ(sigismember(&blocked, s), sigismember(&again, s)) << "signal " << s;
}

void codes_are_told()
{
    for (int code : { 0, 3, 255 })
        EXPECT_EQ(waited(started(shell("exit " + std::to_string(code)))), code);
    EXPECT_EQ(waited(started(shell("kill -9 $$"))), -9);
    EXPECT_EQ(ran(Argv({ "/no/such" })).e, SERRY_ESYS);
    EXPECT_EQ(ran(shell("echo a; exit 5"), captured()).code, 5);
    EXPECT_EQ(ran(Argv({ "sleep", "60" }), {}, 0.1).code, -9);
    Sub sp = started(Argv({ "sleep", "60" }));
    EXPECT_EQ(serry_subprocess_terminate(sp.get()), SERRY_OK);
    EXPECT_EQ(waited(sp), -15);
}

SUBPROCESS_TEST(SigchldMayBeIgnored)
{
    signal(SIGCHLD, SIG_IGN);
    codes_are_told();
    struct sigaction a = {};
    a.sa_handler = nothing;
    a.sa_flags = SA_NOCLDWAIT;
    sigaction(SIGCHLD, &a, nullptr);
    codes_are_told();
}

void reap_everything(int)
{
    int saved = errno;
    while (waitpid(-1, nullptr, WNOHANG) > 0)
        ;
    errno = saved;
}

SUBPROCESS_TEST(TheProgramMayReapEverythingItself)
{
    signal(SIGCHLD, reap_everything);
    for (int i = 0; i < 10; i++)
        codes_are_told();
}

/* In another thread, so that it is a race each time. */
SUBPROCESS_TEST(AThreadMayReapEverything)
{
    std::atomic<bool> stop{ false };
    std::thread reaper([&] {
        while (!stop) {
            if (waitpid(-1, nullptr, WNOHANG) <= 0)
                sched_yield();
        }
    });
    for (int i = 0; i < 10; i++)
        codes_are_told();
    stop = true;
    reaper.join();
}

SUBPROCESS_TEST(ChildrenOfTheProgramsOwnAreLeftAlone)
{
    pid_t own = fork();
    if (own == 0)
        _exit(17);
    codes_are_told();
    int status = 0;
    EXPECT_EQ(waitpid(own, &status, 0), own) << "somebody else has waited for it";
    EXPECT_EQ(WEXITSTATUS(status), 17);
}

/* ---- what else belongs to the program ---- */

SUBPROCESS_TEST(TheProgramsStateIsHandedOnAndStays)
{
    struct rlimit before, after;
    mode_t mask = umask(0123);
    getrlimit(RLIMIT_STACK, &before);
    fesetround(FE_UPWARD);
    EXPECT_EQ(ran(shell("umask"), captured()).out, "0123\n");
    EXPECT_EQ(ran(shell("ulimit -s"), captured()).out,
              before.rlim_cur == RLIM_INFINITY ? "unlimited\n"
                                               : std::to_string(before.rlim_cur / 1024) + "\n");
    serry_subprocess_options o = {};
    Scratch dir;
    std::string path = dir / "file";
    o.out.kind = SERRY_STREAM_FILE;
    o.out.path = path.c_str();
    EXPECT_EQ(ran(shell("echo x"), o).code, 0);
    struct stat st = {};
    stat(path.c_str(), &st);
    EXPECT_EQ(st.st_mode & 0777, 0666u & ~0123u);
    EXPECT_EQ(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    getrlimit(RLIMIT_STACK, &after);
    EXPECT_EQ(before.rlim_cur, after.rlim_cur);
    EXPECT_EQ(umask(mask), 0123u);
}

/* ---- threads ---- */

SUBPROCESS_TEST(ManyThreadsMayStartManyAtOnce)
{
    std::atomic<bool> stop{ false };
    std::atomic<int> right{ 0 };
    /* Others hold the locks of malloc and of stdio now and then. */
    std::thread busy([&] {
        while (!stop) {
            std::vector<std::string> v;
            for (int i = 0; i < 100; i++)
                v.push_back(std::string((size_t)i * 50, 'x'));
            fprintf(stderr, "%s", "");
        }
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 25; i++) {
                std::string word = std::to_string(t) + "." + std::to_string(i) + "\n";
                serry_subprocess_options o = captured();
                o.input = word.data();
                o.input_len = word.size();
                Ran r = ran(i % 5 == 4 ? Argv({ "/no/such" }) : Argv({ "cat" }), o);
                right += i % 5 == 4 ? r.e == SERRY_ESYS : r.out == word && r.code == 0;
            }
        });
    }
    for (auto &t : threads)
        t.join();
    stop = true;
    busy.join();
    EXPECT_EQ(right, 100);
}

/* The end of the thread that started it means nothing. */
SUBPROCESS_TEST(OneOutlivesTheThreadThatStartedIt)
{
    Sub sp;
    std::thread([&] { sp = started(Argv({ "cat" }), piped()); }).join();
    EXPECT_EQ(serry_subprocess_wait(sp.get(), nullptr, 0.2), SERRY_ETIMEDOUT);
    serry_bytes out = {};
    EXPECT_EQ(serry_subprocess_communicate(sp.get(), "alive", 5, &out, nullptr, patience(20)),
              SERRY_OK);
    EXPECT_EQ(text(out), "alive");
    serry_bytes_free(&out);
}

/* ---- forks of the program ---- */

SUBPROCESS_TEST(ACopyOfTheProgramHasNoPartInIt)
{
    Sub sp = started(Argv({ "cat" }), piped());
    pid_t copy = fork();
    if (copy == 0) {
        serry_subprocess *other = nullptr;
        bool right = serry_subprocess_wait(sp.get(), nullptr, 0) == SERRY_ESTATE
                     && serry_subprocess_kill(sp.get()) == SERRY_ESTATE
                     && serry_subprocess_signal(sp.get(), SIGKILL) == SERRY_ESTATE
                     && serry_subprocess_communicate(sp.get(), nullptr, 0, nullptr, nullptr, 0)
                            == SERRY_ESTATE
                     && serry_subprocess_fd(sp.get(), 0) == -1;
        serry_subprocess_free(sp.release());
        /* It may start its own. */
        right = right && serry_subprocess_start(&other, Argv({ "true" }), nullptr) == SERRY_OK
                && serry_subprocess_wait(other, nullptr, 20) == SERRY_OK;
        serry_subprocess_free(other);
        if (!right)
            _exit(1);
        pause();
    }
    /* The copy lives while this waits for the end of its input. */
    serry_bytes out = {};
    EXPECT_EQ(serry_subprocess_communicate(sp.get(), "text", 4, &out, nullptr, patience(20)),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(text(out), "text");
    serry_bytes_free(&out);
    int status = 0;
    EXPECT_EQ(waitpid(copy, &status, WNOHANG), 0) << "it failed: " << status;
    kill(copy, SIGKILL);
    EXPECT_EQ(waitpid(copy, &status, 0), copy);
}

/* ---- free ---- */

SUBPROCESS_TEST(FreeEndsOneThatRuns)
{
    Sub sp = started(shell("sleep 60 & echo $!; wait"), piped());
    pid_t pid = serry_subprocess_pid(sp.get());
    char text[32] = {};
    ASSERT_GT(read(serry_subprocess_fd(sp.get(), 1), text, sizeof text - 1), 0);
    sp.reset();
    EXPECT_FALSE(is_alive(pid));
    EXPECT_TRUE(wait_for([&] { return !is_alive(atoi(text)); }));
}

SUBPROCESS_TEST(ADetachedOneLivesOnWhenItIsFreed)
{
    serry_subprocess_options o = {};
    o.detach = true;
    Sub sp = started(Argv({ "sleep", "60" }), o);
    pid_t pid = serry_subprocess_pid(sp.get());
    sp.reset();
    EXPECT_EQ(ran(Argv({ "true" })).code, 0);
    EXPECT_TRUE(is_alive(pid));
    kill(pid, SIGKILL);
    EXPECT_TRUE(wait_for([&] { return !is_alive(pid); }));
    /* The next call finds its end. */
    EXPECT_EQ(ran(Argv({ "true" })).code, 0);
    EXPECT_NE(kill(pid, 0), 0) << "a zombie is left";
}

/* ---- the end of the program ---- */

const char *const family = "sleep 1000 & echo $$ $! >> $SUBPROCESS_DIR/pids; sleep 1001";

/* Starts one with a child of its own and waits until both are there. */
Sub start_family(const serry_subprocess_options &o = {})
{
    setenv("SUBPROCESS_DIR", rank_dir().c_str(), 1);
    Sub sp = started(shell(family), o);
    EXPECT_FALSE(awaited(rank_dir() + "/pids").empty());
    return sp;
}

enum End { killed, exits, quick_exit, returns, in_thread, detached, with_copy };

void end_with(End how)
{
    serry_subprocess_options o = {};
    o.detach = how == detached;
    serry_subprocess *sp = nullptr;
    if (how == in_thread)
        std::thread([&] { sp = start_family(o).release(); }).join();
    else
        sp = start_family(o).release();
    EXPECT_EQ(serry_subprocess_poll(sp, nullptr), SERRY_ETIMEDOUT);
    if (how == with_copy && fork() == 0) { /* which lives on for a while, with what it got */
        sleep(5);
        _exit(0);
    }
    if (how == exits)
        exit(0);
    if (how == quick_exit)
        _exit(0);
    if (how != returns)
        kill(getpid(), SIGKILL);
}

SERRY_RANKS_BODY(is_killed)
{
    end_with(killed);
}
SERRY_RANKS_BODY(calls_exit)
{
    end_with(exits);
}
SERRY_RANKS_BODY(calls_quick_exit)
{
    end_with(quick_exit);
}
SERRY_RANKS_BODY(comes_to_its_end)
{
    end_with(returns);
}
SERRY_RANKS_BODY(is_killed_after_a_thread)
{
    end_with(in_thread);
}
SERRY_RANKS_BODY(detaches)
{
    end_with(detached);
}
SERRY_RANKS_BODY(leaves_a_copy)
{
    end_with(with_copy);
}

struct Place {
    const char *name;
    Launch launch;
    bool init;
};

class EndOfTheProgram : public testing::TestWithParam<Place> {};

INSTANTIATE_TEST_SUITE_P(Subprocess, EndOfTheProgram,
                         testing::Values(Place{ "outside", direct, false },
                                         Place{ "direct", direct, true },
                                         Place{ "run", run, true }),
                         [](const auto &p) { return std::string(p.param.name); });

void ends(const Place &place, const std::string &body)
{
    RankOptions o;
    o.launch = place.launch;
    o.init = place.init;
    o.grace = 10;
    RanksResult r = try_ranks(1, shm, body, o);
    for (const Record &f : r.of(Record::failure)) {
        if (!says(f.text, "descriptor left open")) /* those of the subprocess, at a return */
            ADD_FAILURE() << body << ": " << f.text;
    }
    EXPECT_FALSE(r.program.timed_out) << r.program;
    EXPECT_TRUE(r.program.left_behind.empty()) << body << r.program;
}

TEST_P(EndOfTheProgram, EndsItsSubprocesses)
{
    for (const char *body : { "is_killed", "calls_exit", "calls_quick_exit", "comes_to_its_end",
                              "is_killed_after_a_thread" })
        ends(GetParam(), body);
}

/* Long before the copy ends, which holds what it got at its fork. */
TEST_P(EndOfTheProgram, EndsThemThoughACopyLives)
{
    RankOptions o;
    o.launch = GetParam().launch;
    o.init = GetParam().init;
    o.grace = patience(20);
    Ranks r(1, shm, "leaves_a_copy", o);
    int parent = 0, child = 0;
    std::string pids = awaited(r.path() + "/pids");
    ASSERT_EQ(sscanf(pids.c_str(), "%d %d", &parent, &child), 2) << pids;
    EXPECT_TRUE(wait_for([&] { return !is_alive(parent) && !is_alive(child); }, 3));
    r.wait();
}

/* That the above can fail. */
TEST_P(EndOfTheProgram, LetsADetachedOneLive)
{
    RankOptions o;
    o.launch = GetParam().launch;
    o.init = GetParam().init;
    o.grace = 0.5;
    RanksResult r = try_ranks(1, shm, "detaches", o);
    EXPECT_GE(r.program.left_behind.size(), 2u) << r.program;
}

/* ---- in a world ---- */

int stay(const void *, size_t)
{
    int word = 0;
    return serry_recv(SERRY_ANY, 1, &word, sizeof word, nullptr, SERRY_FOREVER);
}

/* A started process is a copy of its parent, and stays while the parent talks. */
SERRY_RANKS_TEST(SubprocessInWorld, StartedProcessesHoldNoPipes, .ranks({ 1, 2 }).both_ways())
{
    Sub sp = started(Argv({ "cat" }), piped());
    serry_process p = {};
    ASSERT_EQ(serry_process_start(&p, stay, nullptr, 0, nullptr), SERRY_OK) << serry_err_detail();
    serry_bytes out = {};
    EXPECT_EQ(serry_subprocess_communicate(sp.get(), "text", 4, &out, nullptr, patience(20)),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(text(out), "text");
    serry_bytes_free(&out);
    serry_process_info info = {};
    ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK);
    int word = 0;
    ASSERT_EQ(serry_send(info.rank, 1, &word, sizeof word), SERRY_OK);
    EXPECT_EQ(serry_process_join(p, nullptr, patience(20)), SERRY_OK);
}

/* What serry_init forks is no copy that matters. */
SERRY_RANKS_TEST(SubprocessInWorld, MayBeStartedBeforeInit,
                 .ranks({ 1 }).both_ways().without_init())
{
    Sub sp = started(Argv({ "cat" }), piped());
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    serry_bytes out = {};
    EXPECT_EQ(serry_subprocess_communicate(sp.get(), "text", 4, &out, nullptr, patience(20)),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(text(out), "text");
    serry_bytes_free(&out);
    EXPECT_EQ(serry_finalize(), SERRY_OK);
    codes_are_told();
}

int runs_some(const void *, size_t)
{
    codes_are_told();
    return 0;
}

SERRY_RANKS_TEST(SubprocessInWorld, AllRanksAndTheirProcessesRunSome, .ranks({ 3 }).both_ways())
{
    codes_are_told();
    serry_process p = {};
    ASSERT_EQ(serry_process_start(&p, runs_some, nullptr, 0, nullptr), SERRY_OK)
        << serry_err_detail();
    int code = 12345;
    EXPECT_EQ(serry_process_join(p, &code, patience(30)), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, 0);
    std::thread([] { codes_are_told(); }).join();
    EXPECT_EQ(serry_world_barrier(), SERRY_OK);
}

} // namespace
