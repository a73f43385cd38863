// ctest: timeout=120 alone
/* serry_daemonize: what a daemon is, and that whoever starts it hears of every failure. */
#include "support/ranks.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace serry_test;

namespace {

/* The bodies run in a process of their own, which enters no world. */
#define DAEMON_TEST(name)                                                                          \
    SERRY_RANKS_TEST(Daemonize, name, .ranks({ 1 }).on(shm).directly().without_init())

/* Each in a fork of the body: serry_daemonize ends the process that calls it. */
constexpr int refused = 100; /* and the error */

int start(const serry_daemon_options *o, const std::function<void()> &inside)
{
    fflush(nullptr);
    pid_t pid = fork();
    if (pid == 0) {
        serry_err e = serry_daemonize(o);
        if (e != SERRY_OK) {
            write_file(rank_dir() + "/detail", serry_err_detail());
            _exit(refused + (int)e);
        }
        inside();
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string detail()
{
    return read_file(rank_dir() + "/detail");
}

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

/* Lives until the body says stop. */
void stay()
{
    while (access((rank_dir() + "/stop").c_str(), F_OK) != 0)
        usleep(10000);
}

std::string awaited(const std::string &name)
{
    std::string path = rank_dir() + "/" + name;
    EXPECT_TRUE(wait_for([&] { return has(read_file(path), "\n"); })) << path;
    return read_file(path);
}

/* Whole, by its name: a reader sees all of it or nothing. */
void tell(const std::string &name, const std::string &text)
{
    std::string path = rank_dir() + "/" + name;
    write_file(path + ".new", text + "\n");
    rename((path + ".new").c_str(), path.c_str());
}

std::string target(int fd)
{
    char path[64], to[4096] = {};
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, to, sizeof to - 1) > 0 ? to : "closed";
}

std::string facts()
{
    char cwd[4096] = {};
    mode_t mask = umask(0);
    umask(mask);
    std::string s = getcwd(cwd, sizeof cwd);
    char more[64];
    snprintf(more, sizeof more, " %03o", (unsigned)mask);
    s += more;
    for (int i = 0; i < 3; i++)
        s += " " + target(i);
    int tty = open("/dev/tty", O_RDWR);
    s += tty < 0 ? " no terminal" : " a terminal";
    s += getsid(0) != getpid() && getpgrp() != getpid() ? " no leader" : " a leader";
    return s + " " + std::to_string(count_fds());
}

DAEMON_TEST(ADaemonIsOnItsOwn)
{
    pid_t session = getsid(0);
    int extra = open("/dev/zero", O_RDONLY);
    EXPECT_EQ(start(nullptr,
                    [&] {
                        tell("session", std::to_string(getsid(0)));
                        tell("facts", facts());
                    }),
              0);
    EXPECT_EQ(awaited("facts"), "/ 022 /dev/null /dev/null /dev/null no terminal no leader 3\n");
    EXPECT_NE(atoi(awaited("session").c_str()), session);
    close(extra);
}

DAEMON_TEST(AllOfItMayBeChosen)
{
    std::string dir = rank_dir(), out = dir + "/out", err = dir + "/err";
    write_file(out, "before\n");
    serry_daemon_options o = {};
    o.umask = 077;
    o.directory = dir.c_str();
    o.out = out.c_str();
    o.err = err.c_str();
    o.keep_open = true;
    int extra = open("/dev/zero", O_RDONLY);
    EXPECT_EQ(start(&o,
                    [&] {
                        tell("extra", target(extra));
                        tell("facts", facts());
                        printf("to out\n");
                        fprintf(stderr, "to err\n");
                        fflush(nullptr);
                        tell("done", "");
                    }),
              0);
    awaited("done");
    char *real = realpath(dir.c_str(), nullptr);
    std::string expected = std::string(real) + " 077 /dev/null " + real + "/out " + real + "/err ";
    EXPECT_EQ(awaited("facts").substr(0, expected.size()), expected);
    EXPECT_EQ(awaited("extra"), "/dev/zero\n");
    EXPECT_EQ(read_file(out), "before\nto out\n");
    EXPECT_EQ(read_file(err), "to err\n");
    /* Errors go where the output goes, if nothing else is said. */
    o.err = nullptr;
    o.directory = nullptr;
    EXPECT_EQ(start(&o, [&] { tell("both", target(2)); }), 0);
    EXPECT_EQ(awaited("both"), std::string(real) + "/out\n");
    free(real);
    close(extra);
}

DAEMON_TEST(WhatIsBufferedIsPrintedOnce)
{
    std::string path = rank_dir() + "/out";
    int kept = dup(1), fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    fflush(stdout);
    dup2(fd, 1);
    pid_t pid = fork();
    if (pid == 0) {
        printf("once");
        if (serry_daemonize(nullptr) != SERRY_OK)
            _exit(1);
        fflush(nullptr);
        tell("done", "");
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    dup2(kept, 1);
    close(kept);
    close(fd);
    EXPECT_EQ(status, 0);
    awaited("done");
    EXPECT_EQ(read_file(path), "once");
}

/* ---- the pid file ---- */

DAEMON_TEST(ASecondOneIsToldOfTheFirst)
{
    std::string file = rank_dir() + "/daemon.pid";
    char before[4096], after[4096];
    serry_daemon_options o = {};
    o.pid_file = file.c_str();
    EXPECT_EQ(start(&o,
                    [] {
                        tell("pid", std::to_string(getpid()));
                        stay();
                        exit(0);
                    }),
              0);
    std::string pid = awaited("pid");
    EXPECT_EQ(read_file(file), pid) << "it is there when the caller's process has ended";
    ASSERT_NE(getcwd(before, sizeof before), nullptr);
    EXPECT_EQ(start(&o, [] {}), refused + SERRY_ESTATE);
    EXPECT_TRUE(has(detail(), "process " + pid.substr(0, pid.size() - 1) + ",")) << detail();
    EXPECT_TRUE(has(detail(), "daemon.pid")) << detail();
    EXPECT_EQ(read_file(file), pid) << "the second has changed it";
    ASSERT_NE(getcwd(after, sizeof after), nullptr);
    EXPECT_STREQ(before, after);
    tell("stop", "");
    EXPECT_TRUE(wait_for([&] { return !is_alive(atoi(pid.c_str())); }));
    EXPECT_NE(access(file.c_str(), F_OK), 0) << "the file outlived the daemon";
    EXPECT_EQ(start(&o, [] {}), 0) << detail();
}

DAEMON_TEST(TheFileOfAKilledOneIsNoHindrance)
{
    std::string file = rank_dir() + "/daemon.pid";
    serry_daemon_options o = {};
    o.pid_file = file.c_str();
    EXPECT_EQ(start(&o,
                    [] {
                        tell("pid", std::to_string(getpid()));
                        pause();
                    }),
              0);
    pid_t pid = atoi(awaited("pid").c_str());
    ASSERT_GT(pid, 1);
    kill(pid, SIGKILL);
    EXPECT_TRUE(wait_for([&] { return !is_alive(pid); }));
    EXPECT_EQ(read_file(file), std::to_string(pid) + "\n");
    EXPECT_EQ(start(&o, [] { tell("next", std::to_string(getpid())); }), 0) << detail();
    EXPECT_EQ(read_file(file), awaited("next"));
}

DAEMON_TEST(OfManyAtOnceOneWins)
{
    std::string file = rank_dir() + "/daemon.pid";
    serry_daemon_options o = {};
    o.pid_file = file.c_str();
    for (int round = 0; round < 5; round++) {
        std::vector<pid_t> starters;
        for (int i = 0; i < 8; i++) {
            starters.push_back(fork());
            if (starters.back() == 0) {
                serry_err e = serry_daemonize(&o);
                if (e != SERRY_OK)
                    _exit(refused + (int)e);
                tell("winner" + std::to_string(round), std::to_string(getpid()));
                pause();
            }
        }
        int won = 0, lost = 0;
        for (pid_t pid : starters) {
            int status = -1;
            waitpid(pid, &status, 0);
            won += status == 0;
            lost += WIFEXITED(status) && WEXITSTATUS(status) == refused + SERRY_ESTATE;
        }
        EXPECT_EQ(won, 1);
        EXPECT_EQ(lost, 7);
        pid_t winner = atoi(awaited("winner" + std::to_string(round)).c_str());
        ASSERT_GT(winner, 1);
        kill(winner, SIGKILL);
        EXPECT_TRUE(wait_for([&] { return !is_alive(winner); }));
    }
}

/* ---- errors ---- */

DAEMON_TEST(ErrorsReachWhoeverStartsIt)
{
    std::string file = rank_dir() + "/daemon.pid";
    serry_daemon_options o = {};
    o.pid_file = file.c_str();
    o.directory = "/no/such/directory";
    EXPECT_EQ(start(&o, [] {}), refused + SERRY_ESYS);
    EXPECT_TRUE(has(detail(), "/no/such/directory") && has(detail(), strerror(ENOENT))) << detail();
    EXPECT_NE(access(file.c_str(), F_OK), 0) << "a pid file of nobody";
    o.directory = nullptr;
    o.out = "/no/such/file";
    EXPECT_EQ(start(&o, [] {}), refused + SERRY_ESYS);
    EXPECT_TRUE(has(detail(), "/no/such/file")) << detail();
    o.out = nullptr;
    o.err = "/";
    EXPECT_EQ(start(&o, [] {}), refused + SERRY_ESYS);
    o.err = nullptr;
    o.pid_file = "/no/such/pid";
    EXPECT_EQ(start(&o, [] {}), refused + SERRY_ESYS);
    EXPECT_TRUE(has(detail(), "/no/such/pid")) << detail();
    o.pid_file = nullptr;
    o.umask = 01000;
    EXPECT_EQ(start(&o, [] {}), refused + SERRY_EINVAL);
    EXPECT_TRUE(children_of(getpid()).empty());
}

DAEMON_TEST(NotWithThreadsNorUnderALauncher)
{
    bool stop = false;
    std::thread([&] { stop = true; }).join();
    EXPECT_EQ(start(nullptr, [] {}), 0) << "a thread that has ended is none";
    pid_t pid = fork();
    if (pid == 0) {
        std::thread other([] { pause(); });
        serry_err e = serry_daemonize(nullptr);
        _exit(e == SERRY_ESTATE && has(serry_err_detail(), "2 threads") ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
    setenv("SERRY_JOIN_FD", "3", 1);
    EXPECT_EQ(start(nullptr, [] {}), refused + SERRY_ESTATE);
    unsetenv("SERRY_JOIN_FD");
}

SERRY_RANKS_TEST(Daemonize, NotInAWorld, .ranks({ 1, 2 }).on(shm).both_ways())
{
    EXPECT_EQ(serry_daemonize(nullptr), SERRY_ESTATE);
    EXPECT_TRUE(serry_initialized());
}

/* ---- a daemon with a world ---- */

int seven(const void *, size_t)
{
    return 7;
}

DAEMON_TEST(ADaemonMayHaveAWorldAndSubprocesses)
{
    EXPECT_EQ(start(nullptr,
                    [] {
                        int code = 0, sub = 0;
                        serry_process p = {};
                        const char *const argv[] = { "sh", "-c", "exit 9", nullptr };
                        bool ok = serry_init(nullptr, nullptr) == SERRY_OK
                                  && serry_process_start(&p, seven, nullptr, 0, nullptr) == SERRY_OK
                                  && serry_process_join(p, &code, 20) == SERRY_OK
                                  && serry_subprocess_call(argv, &sub, nullptr, 20) == SERRY_OK
                                  && serry_finalize() == SERRY_OK;
                        tell("world", ok ? std::to_string(code) + " " + std::to_string(sub)
                                         : serry_err_detail());
                    }),
              0);
    EXPECT_EQ(awaited("world"), "7 9\n");
}

} // namespace
