// ctest: timeout=120
/* Living in a program that has its own ideas of streams, signals, limits and masks: nothing of it
 * is changed, and nothing of it disturbs. */
#include "fault/fault.h"

#include <cerrno>
#include <cfenv>
#include <clocale>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <thread>

using namespace serry_test;

namespace {

/* ---- a bit of everything, checked ---- */

int double_it(const void *arg, size_t)
{
    int parent = *(const int *)arg, x = 0;
    if (serry_recv(parent, 5, &x, sizeof x, nullptr, patience(20)) != SERRY_OK)
        return 1;
    x *= 2;
    return serry_send(parent, 6, &x, sizeof x) == SERRY_OK ? 0 : 2;
}

void talk_to_a_child()
{
    serry_process p;
    serry_process_info info;
    int me = serry_rank(), x = 21, code = -1;
    ASSERT_EQ(serry_process_start(&p, double_it, &me, sizeof me, nullptr), SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_send(info.rank, 5, &x, sizeof x), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_recv(info.rank, 6, &x, sizeof x, nullptr, patience(20)), SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(x, 42);
    ASSERT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(code, 0);
}

void talk_around(size_t len)
{
    int me = serry_rank(), n = serry_size();
    std::vector<char> out(len, (char)('a' + me)), in(len);
    ASSERT_EQ(serry_sendrecv((me + 1) % n, 1, out.data(), len, (me + n - 1) % n, 1, in.data(), len,
                             nullptr),
              SERRY_OK)
        << serry_err_detail();
    ASSERT_EQ(in, std::vector<char>(len, (char)('a' + (me + n - 1) % n)));
}

void do_everything()
{
    serry_queue q;
    int x = 3;
    for (size_t len : { 8, 5000, 300000 })
        ASSERT_NO_FATAL_FAILURE(talk_around(len));
    ASSERT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
    ASSERT_NO_FATAL_FAILURE(talk_to_a_child());
    ASSERT_EQ(serry_queue_create(&q, nullptr), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_queue_put(q, &x, sizeof x, patience(20)), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_queue_get(q, &x, sizeof x, nullptr, patience(20)), SERRY_OK);
    ASSERT_EQ(serry_queue_destroy(q), SERRY_OK);
}

/* ---- what is the program's ---- */

struct HostState {
    struct sigaction actions[65] = {};
    sigset_t blocked = {};
    mode_t mask = 0;
    std::string directory, locale;
    int rounding = 0;
    struct rlimit limits[RLIM_NLIMITS] = {};
    struct itimerval timer = {};
    pid_t group = 0, session = 0;

    HostState()
    {
        for (int s = 1; s <= 64; s++)
            sigaction(s, nullptr, &actions[s]);
        sigprocmask(SIG_SETMASK, nullptr, &blocked);
        mask = umask(0);
        umask(mask);
        char path[4096] = "";
        directory = getcwd(path, sizeof path) ? path : "";
        locale = setlocale(LC_ALL, nullptr);
        rounding = fegetround();
        for (int i = 0; i < RLIM_NLIMITS; i++)
            getrlimit((__rlimit_resource)i, &limits[i]);
        getitimer(ITIMER_REAL, &timer);
        group = getpgrp();
        session = getsid(0);
    }

    void expect_same(const HostState &b, const char *when) const
    {
        SCOPED_TRACE(when);
        for (int s = 1; s <= 64; s++) {
            EXPECT_EQ(actions[s].sa_handler, b.actions[s].sa_handler) << "signal " << s;
            EXPECT_EQ(actions[s].sa_flags, b.actions[s].sa_flags) << "signal " << s;
            EXPECT_EQ(sigismember(&blocked, s), sigismember(&b.blocked, s)) << "signal " << s;
        }
        EXPECT_EQ(mask, b.mask);
        EXPECT_EQ(directory, b.directory);
        EXPECT_EQ(locale, b.locale);
        EXPECT_EQ(rounding, b.rounding);
        EXPECT_EQ(memcmp(limits, b.limits, sizeof limits), 0) << "limits";
        EXPECT_EQ(group, b.group);
        EXPECT_EQ(session, b.session);
    }
};

SERRY_RANKS_TEST(Host, KeepsWhatIsItsOwn, .ranks({ 1, 2 }).both_ways().without_init())
{
    struct sigaction own = {};
    own.sa_handler = [](int) {};
    own.sa_flags = SA_NODEFER;
    for (int s : { SIGUSR2, SIGCHLD, SIGTERM, SIGALRM })
        sigaction(s, &own, nullptr);
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGHUP);
    sigprocmask(SIG_BLOCK, &some, nullptr);
    fesetround(FE_UPWARD);
    HostState before;
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    before.expect_same(HostState(), "after init");
    ASSERT_NO_FATAL_FAILURE(do_everything());
    before.expect_same(HostState(), "in the middle");
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
    before.expect_same(HostState(), "after finalize");
}

int see_the_mask(const void *, size_t)
{
    mode_t mask = umask(0);
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, nullptr, &blocked);
    return mask == 031 && sigismember(&blocked, SIGHUP) && !sigismember(&blocked, SIGTERM) ? 0 : 1;
}

SERRY_RANKS_TEST(Host, PassesWhatIsItsOwnToItsProcesses, .ranks({ 1 }).both_ways().without_init())
{
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGHUP);
    umask(031);
    sigprocmask(SIG_BLOCK, &some, nullptr);
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    for (int i = 0; i < 2; i++) {
        serry_process p;
        int code = -1;
        /* With a second thread it is the agent who starts it. */
        std::thread busy;
        if (i == 1)
            busy = std::thread([] { usleep(1000); });
        ASSERT_EQ(serry_process_start(&p, see_the_mask, nullptr, 0, nullptr), SERRY_OK);
        if (busy.joinable())
            busy.join();
        ASSERT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK);
        EXPECT_EQ(code, 0);
    }
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

SERRY_RANKS_TEST(Host, HasOnlyDescriptorsThatEndWithAnExec, .ranks({ 1, 2 }).both_ways())
{
    ASSERT_NO_FATAL_FAILURE(do_everything());
    for (const std::string &fd : open_fds()) {
        int n = atoi(fd.c_str());
        bool of_serry = has(fd, "memfd:") || has(fd, "anon_inode:") || has(fd, "socket:");
        if (n > 2 && of_serry)
            EXPECT_TRUE(fcntl(n, F_GETFD) & FD_CLOEXEC) << fd;
    }
}

/* Neither named nor open to others, whatever the mask. */
SERRY_RANKS_BODY(works_under_a_mask)
{
    umask((mode_t)strtol(getenv("TEST_UMASK"), nullptr, 8));
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    ASSERT_NO_FATAL_FAILURE(do_everything());
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

TEST(HostUmask, MayBeAnything)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        for (const char *mask : { "0", "077", "0777" }) {
            RankOptions o;
            o.init = false;
            o.launch = direct;
            o.env["TEST_UMASK"] = mask;
            o.env["SERRY_START"] = "agent";
            run_ranks(2, lanes, "works_under_a_mask", o);
        }
    }
}

/* ---- streams ---- */

/* Which of 0, 1 and 2 are closed says TEST_CLOSED. Printing then goes nowhere, and above all not
 * into something of ours. */
SERRY_RANKS_BODY(works_with_closed_streams)
{
    int closed = atoi(getenv("TEST_CLOSED"));
    int saved[3];
    for (int fd = 0; fd < 3; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        if (closed & 1 << fd)
            close(fd);
    }
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    for (int i = 0; i < 3; i++) {
        fputs("to standard output\n", stdout);
        fputs("to standard error\n", stderr);
        fflush(nullptr);
        ASSERT_NO_FATAL_FAILURE(do_everything());
    }
    for (int fd = 0; fd < 3; fd++) {
        if (closed & 1 << fd)
            EXPECT_EQ(fcntl(fd, F_GETFD), -1) << fd << " is no longer closed";
    }
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
    for (int fd = 0; fd < 3; fd++) {
        dup2(saved[fd], fd);
        close(saved[fd]);
    }
}

TEST(HostStreams, MayBeClosed)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        for (int closed = 1; closed < 8; closed++) {
            for (const char *start : { "fork", "agent" }) {
                SCOPED_TRACE(std::to_string(closed) + " " + start);
                RankOptions o;
                o.init = false;
                o.launch = direct;
                o.env["TEST_CLOSED"] = std::to_string(closed);
                o.env["SERRY_START"] = start;
                RanksResult r = try_ranks(2, lanes, "works_with_closed_streams", o);
                ASSERT_TRUE(hand_on(r) && r.program.ok()) << r.program;
                ASSERT_EQ(r.of(Record::finished).size(), 2u) << r.program;
            }
        }
    }
}

/* ---- signals at every moment ---- */

volatile sig_atomic_t storms;

void start_storm()
{
    struct sigaction a = {};
    a.sa_handler = [](int) { storms = storms + 1; }; /* no SA_RESTART */
    sigaction(SIGALRM, &a, nullptr);
    struct itimerval t = { { 0, 1000 }, { 0, 1000 } };
    setitimer(ITIMER_REAL, &t, nullptr);
}

void end_storm()
{
    struct itimerval t = {};
    setitimer(ITIMER_REAL, &t, nullptr);
}

SERRY_RANKS_TEST(HostSignals, AreNotSeenByCallers, .ranks({ 1, 3 }).both_ways().without_init())
{
    start_storm(); /* over init, too */
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    start_storm(); /* the timer is not inherited by ranks that were forked in init */
    double until = serry_time() + 0.15;
    int more = 1, any = 1;
    while (any) {
        ASSERT_NO_FATAL_FAILURE(do_everything());
        more = serry_time() < until;
        ASSERT_EQ(serry_world_allreduce(&more, &any, 1, SERRY_INT32, SERRY_MAX), SERRY_OK);
    }
    /* A time limit keeps its end, however often it is interrupted. */
    char c;
    double start = serry_time();
    EXPECT_EQ(serry_recv(serry_rank(), 9, &c, 1, nullptr, 0.05), SERRY_ETIMEDOUT);
    EXPECT_GE(serry_time() - start, 0.05);
    EXPECT_LT(serry_time() - start, patience(2));
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
    end_storm();
    EXPECT_GT(storms, 50) << "hardly anything was tested";
}

/* Writing to one that has gone raises no SIGPIPE. */
int leave_at_once(const void *, size_t)
{
    _exit(3);
}

SERRY_RANKS_TEST(HostSignals, NoSigpipeComesOfADeadPeer, .ranks({ 1 }))
{
    signal(SIGPIPE, SIG_DFL);
    std::vector<char> bytes(200000);
    for (int i = 0; i < 10; i++) {
        serry_process p;
        serry_process_info info;
        ASSERT_EQ(serry_process_start(&p, leave_at_once, nullptr, 0, nullptr), SERRY_OK);
        ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK);
        serry_err e;
        while ((e = serry_send(info.rank, 1, bytes.data(), (size_t)i * 1000)) == SERRY_OK)
            ;
        ASSERT_EQ(e, SERRY_EDIED) << serry_err_detail();
        int code = -1;
        ASSERT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK);
        ASSERT_TRUE(code == 3 || code == -SIGKILL) << code;
    }
}

/* ---- threads that come and go ---- */

int wait_for_word(const void *arg, size_t)
{
    int parent = *(const int *)arg, x;
    return serry_recv(parent, 8, &x, sizeof x, nullptr, patience(20)) == SERRY_OK ? 0 : 1;
}

SERRY_RANKS_TEST(Host, MayStartProcessesFromAThreadThatEnds, .ranks({ 1 }))
{
    serry_process p = {};
    int me = serry_rank(), x = 0, code = -1;
    std::thread([&] {
        EXPECT_EQ(serry_process_start(&p, wait_for_word, &me, sizeof me, nullptr), SERRY_OK)
            << serry_err_detail();
    }).join();
    serry_process_info info;
    ASSERT_EQ(serry_process_info_of(p, &info), SERRY_OK);
    EXPECT_EQ(serry_process_join(p, nullptr, 0.05), SERRY_ETIMEDOUT) << "it ends with the thread";
    ASSERT_EQ(serry_send(info.rank, 8, &x, sizeof x), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK);
    EXPECT_EQ(code, 0);
}

/* ---- limits ---- */

int do_nothing(const void *, size_t)
{
    return 0;
}

/* With one descriptor more each time: an error that says so, or success; then all is well again. */
SERRY_RANKS_TEST(HostLimits, OfDescriptorsAreNamed, .ranks({ 1 }).both_ways())
{
    ASSERT_NO_FATAL_FAILURE(do_everything());
    struct rlimit old;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    int refused = 0;
    size_t before = open_fds().size();
    for (rlim_t limit = 3; limit < before + 10; limit++) {
        struct rlimit few = { limit, old.rlim_max };
        setrlimit(RLIMIT_NOFILE, &few);
        serry_process p;
        serry_err e = serry_process_start(&p, do_nothing, nullptr, 0, nullptr);
        std::string detail = serry_err_detail();
        setrlimit(RLIMIT_NOFILE, &old);
        if (e == SERRY_OK) {
            int code = -1;
            ASSERT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK);
            ASSERT_TRUE(code == 0 || code == 70) << code; /* 70: it could not join, and said so */
            continue;
        }
        refused++;
        ASSERT_EQ(e, SERRY_ELIMIT) << serry_err_name(e) << ": " << detail;
        ASSERT_TRUE(has(detail, "descriptor") || has(detail, "open files")) << detail;
    }
    EXPECT_GT(refused, 0);
    EXPECT_EQ(open_fds().size(), before);
    ASSERT_NO_FATAL_FAILURE(do_everything());
}

/* A user that has no process left. Root has no such limit, so another user it is. */
void become_a_user()
{
    if (getuid() == 0) {
        /* Who goes on writing its records there. */
        std::string records = rank_dir() + "/.records";
        note("becomes another user");
        if (chmod(rank_dir().c_str(), 0777) != 0 || chmod(records.c_str(), 0666) != 0)
            GTEST_SKIP() << "cannot hand over the records";
        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
            GTEST_SKIP() << "cannot become another user";
    }
}

void allow_processes(rlim_t n)
{
    struct rlimit r;
    getrlimit(RLIMIT_NPROC, &r);
    r.rlim_cur = n < r.rlim_max ? n : r.rlim_max;
    setrlimit(RLIMIT_NPROC, &r);
}

SERRY_RANKS_BODY(starts_with_no_process_left)
{
    become_a_user();
    if (testing::Test::IsSkipped())
        return;
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    ASSERT_NO_FATAL_FAILURE(do_everything());
    for (int i = 0; i < 3; i++) {
        allow_processes(0);
        serry_process p;
        serry_err e = serry_process_start(&p, do_nothing, nullptr, 0, nullptr);
        EXPECT_TRUE(e == SERRY_ELIMIT || e == SERRY_ESYS) << serry_err_name(e);
        EXPECT_TRUE(has(serry_err_detail(), "fork")) << serry_err_detail();
        allow_processes(RLIM_INFINITY);
        ASSERT_NO_FATAL_FAILURE(do_everything());
    }
    EXPECT_TRUE(serry_test::wait_for([] { return serry_process_children(nullptr, 0) == 0; }));
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

SERRY_RANKS_BODY(inits_with_no_process_left)
{
    become_a_user();
    if (testing::Test::IsSkipped())
        return;
    std::set<std::string> before = open_fds();
    allow_processes(0);
    serry_err e = serry_init(nullptr, nullptr);
    EXPECT_TRUE(e == SERRY_ELIMIT || e == SERRY_ESYS) << serry_err_name(e);
    EXPECT_STRNE(serry_err_detail(), "");
    EXPECT_EQ(open_fds(), before);
    allow_processes(RLIM_INFINITY);
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    ASSERT_NO_FATAL_FAILURE(do_everything());
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

TEST(HostLimits, OfProcessesAreNamed)
{
    for (Lanes lanes : { shm, serry_test::socket }) {
        for (const char *body : { "starts_with_no_process_left", "inits_with_no_process_left" }) {
            SCOPED_TRACE(body);
            RankOptions o;
            o.init = false;
            o.launch = direct;
            RanksResult r = try_ranks(1, lanes, body, o);
            ASSERT_TRUE(hand_on(r) && r.program.ok()) << r.program;
            for (const Record &skipped : r.of(Record::skipped))
                GTEST_SKIP() << skipped.text;
            ASSERT_EQ(r.of(Record::finished).size(), 1u) << r.program;
        }
    }
}

/* Memory that may be mapped, and files that may be made: the shared segment wants more; sockets do.
 */
SERRY_RANKS_BODY(inits_with_a_small_limit)
{
    int which = atoi(getenv("TEST_LIMIT"));
    bool sockets = !strcmp(getenv("SERRY_LANES"), "socket");
    struct rlimit old, small;
    getrlimit((__rlimit_resource)which, &old);
    small = { rlim_t(1) << 30, old.rlim_max };
    std::set<std::string> before = open_fds();
    setrlimit((__rlimit_resource)which, &small);
    serry_err e = serry_init(nullptr, nullptr);
    std::string detail = serry_err_detail();
    if (sockets) {
        ASSERT_EQ(e, SERRY_OK) << detail;
        ASSERT_NO_FATAL_FAILURE(do_everything());
    } else {
        setrlimit((__rlimit_resource)which, &old);
        EXPECT_TRUE(e == SERRY_ENOMEM || e == SERRY_ELIMIT) << serry_err_name(e) << ": " << detail;
        EXPECT_TRUE(has(detail, "shared segment")) << detail;
        EXPECT_EQ(open_fds(), before);
        ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    }
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

TEST(HostLimits, OfMemoryAndFilesAreNamed)
{
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "AddressSanitizer maps more than any limit";
#endif
    for (Lanes lanes : { shm, serry_test::socket }) {
        for (int which : { RLIMIT_AS, RLIMIT_FSIZE }) {
            SCOPED_TRACE(which == RLIMIT_AS ? "ulimit -v" : "ulimit -f");
            RankOptions o;
            o.init = false;
            o.launch = direct;
            o.env["TEST_LIMIT"] = std::to_string(which);
            RanksResult r = try_ranks(1, lanes, "inits_with_a_small_limit", o);
            ASSERT_TRUE(hand_on(r) && r.program.ok()) << r.program;
            ASSERT_EQ(r.of(Record::finished).size(), 1u) << r.program;
        }
    }
}

} // namespace
