// ctest: processors=1 timeout=120
/* Subprocesses that are talked to: any amount, in any order, with an end to each wait. */
#include "patterns/subprocess_test.h"

#include <fcntl.h>
#include <thread>

using namespace serry_test;

namespace {

struct Said {
    serry_err e;
    std::string out, err;
};

Said talk(const Sub &sp, const std::string &in, double timeout = 20)
{
    serry_bytes out = {}, err = {};
    Said s;
    s.e = serry_subprocess_communicate(sp.get(), in.empty() ? nullptr : in.data(), in.size(), &out,
                                       &err, patience(timeout));
    s.out = text(out);
    s.err = text(err);
    serry_bytes_free(&out);
    serry_bytes_free(&err);
    return s;
}

/* Bytes of which each place is told from the others. */
std::string numbered(size_t bytes)
{
    std::string s;
    s.reserve(bytes + 16);
    for (unsigned i = 0; s.size() < bytes; i++)
        s += std::to_string(i) + (i % 7 ? " " : std::string(1, '\0'));
    s.resize(bytes);
    return s;
}

bool gone(pid_t pid)
{
    return wait_for([&] { return !is_alive(pid); });
}

/* ---- amounts ---- */

SUBPROCESS_TEST(AnyAmountGoesBothWays)
{
    for (size_t bytes : { (size_t)0, (size_t)1, (size_t)65536, (size_t)65537, (size_t)8 << 20 }) {
        std::string in = numbered(bytes);
        Sub sp = started(Argv({ "cat" }), piped());
        Said s = talk(sp, in);
        EXPECT_EQ(s.e, SERRY_OK) << serry_err_detail();
        EXPECT_TRUE(s.out == in) << bytes << " bytes became " << s.out.size();
        EXPECT_EQ(s.err, "");
        EXPECT_EQ(waited(sp), 0);
    }
}

SUBPROCESS_TEST(BothStreamsMayBeFullerThanAPipe)
{
    std::string in = numbered(3 << 20);
    Sub sp = started(shell("tee /dev/stderr; head -c 500000 /dev/zero >&2"), piped());
    Said s = talk(sp, in);
    EXPECT_EQ(s.e, SERRY_OK) << serry_err_detail();
    EXPECT_TRUE(s.out == in);
    EXPECT_TRUE(s.err == in + std::string(500000, '\0'));
}

SUBPROCESS_TEST(OneThatReadsNothingIsNoError)
{
    std::string in = numbered(1 << 20);
    for (const char *command : { "exit 3", "exec <&-; echo closed; exit 3", "read line; exit 3" }) {
        Sub sp = started(shell(command), piped());
        Said s = talk(sp, in);
        EXPECT_EQ(s.e, SERRY_OK) << command << ": " << serry_err_detail();
        EXPECT_EQ(waited(sp), 3) << command;
        sigset_t pending;
        sigpending(&pending);
        EXPECT_FALSE(sigismember(&pending, SIGPIPE));
    }
}

SUBPROCESS_TEST(ASignalOfABrokenPipeThatWasThereStays)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    raise(SIGPIPE);
    Sub sp = started(Argv({ "true" }), piped());
    EXPECT_EQ(talk(sp, numbered(1 << 20)).e, SERRY_OK);
    sigpending(&pending);
    EXPECT_TRUE(sigismember(&pending, SIGPIPE));
    timespec none = {};
    EXPECT_EQ(sigtimedwait(&pipe_only, nullptr, &none), SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

SUBPROCESS_TEST(StreamsThatAreNoPipesAreNotWaitedFor)
{
    Sub sp = started(shell("exit 3"));
    EXPECT_EQ(talk(sp, "x").e, SERRY_EINVAL);
    Said s = talk(sp, "");
    EXPECT_EQ(s.e, SERRY_OK) << serry_err_detail();
    EXPECT_EQ(s.out + s.err, "");
    EXPECT_EQ(waited(sp), 3);
}

SUBPROCESS_TEST(OutputIsHandedOutOnce)
{
    Sub sp = started(shell("echo a; echo b >&2"), piped());
    EXPECT_EQ(serry_subprocess_communicate(sp.get(), nullptr, 3, nullptr, nullptr, 1),
              SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_communicate(sp.get(), nullptr, 0, nullptr, nullptr, 20), SERRY_OK);
    EXPECT_EQ(talk(sp, "").e, SERRY_ESTATE);
    EXPECT_EQ(waited(sp), 0);
}

SUBPROCESS_TEST(APipeMayBeUsedByHand)
{
    Sub sp = started(Argv({ "cat" }), piped());
    char buf[16] = {};
    EXPECT_EQ(write(serry_subprocess_fd(sp.get(), 0), "ping", 4), 4);
    EXPECT_EQ(read(serry_subprocess_fd(sp.get(), 1), buf, sizeof buf), 4) << "it blocks";
    EXPECT_STREQ(buf, "ping");
    EXPECT_EQ(serry_subprocess_close(sp.get(), 0), SERRY_OK);
    EXPECT_EQ(serry_subprocess_close(sp.get(), 0), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_close(sp.get(), 3), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_fd(sp.get(), 0), -1);
    EXPECT_EQ(waited(sp), 0);
    EXPECT_EQ(talk(sp, "more").e, SERRY_EINVAL) << "its input is closed";
    EXPECT_EQ(talk(sp, "").e, SERRY_OK);
}

/* ---- timeouts ---- */

/* It reads a little, and the rest when it is told to. */
Sub halting(const Scratch &dir)
{
    setenv("SUBPROCESS_GO", (dir / "go").c_str(), 1);
    Sub sp =
        started(shell("head -c 5 ; echo early >&2; while [ ! -e $SUBPROCESS_GO ]; do sleep 0.02; "
                      "done; cat; echo late >&2; exit 4"),
                piped());
    unsetenv("SUBPROCESS_GO");
    return sp;
}

SUBPROCESS_TEST(AfterATimeoutNothingIsLostAndNothingTwice)
{
    for (size_t bytes : { (size_t)1 << 20, (size_t)20 }) {
        for (bool again : { true, false }) {
            Scratch dir;
            std::string in = numbered(bytes), given = in;
            Sub sp = halting(dir);
            for (int i = 0; i < 3; i++) {
                Said s = talk(sp, i == 0 || again ? given : "", 0.1);
                EXPECT_EQ(s.e, SERRY_ETIMEDOUT);
                EXPECT_EQ(s.out + s.err, "") << "handed out by a call that failed";
                if (i == 0)
                    given.assign(bytes, '!'); /* it was lent for one call */
            }
            EXPECT_EQ(talk(sp, "another", 0.1).e, SERRY_EINVAL) << "the input is what it was";
            write_file(dir / "go", "");
            Said s = talk(sp, again ? given : "");
            EXPECT_EQ(s.e, SERRY_OK) << serry_err_detail();
            /* head may have read more than the 5 bytes it prints. */
            ASSERT_GE(s.out.size(), 5u);
            EXPECT_TRUE(s.out.substr(0, 5) == in.substr(0, 5));
            std::string rest = s.out.substr(5);
            ASSERT_LE(rest.size(), in.size());
            EXPECT_TRUE(rest == in.substr(in.size() - rest.size()));
            if (bytes > 100000) {
                EXPECT_GT(rest.size(), bytes - 100000);
            }
            EXPECT_EQ(s.err, "early\nlate\n");
            EXPECT_EQ(waited(sp), 4);
        }
    }
}

SUBPROCESS_TEST(WithoutTimeWhatIsThereIsTaken)
{
    Sub quiet = started(Argv({ "sleep", "60" }), piped());
    double start = now();
    EXPECT_EQ(talk(quiet, "x", 0).e, SERRY_ETIMEDOUT);
    Sub endless = started(Argv({ "yes" }), piped());
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(talk(endless, "", 0).e, SERRY_ETIMEDOUT) << "it never stops";
    EXPECT_LT(now() - start, patience(5));
    Sub quick = started(shell("echo a"), piped());
    EXPECT_EQ(waited(quick), 0);
    EXPECT_EQ(talk(quick, "", 0).out, "a\n");
}

SUBPROCESS_TEST(OneThatNeverStopsTalkingIsNotInTime)
{
    Sub sp = started(Argv({ "yes" }), piped());
    double start = now();
    EXPECT_EQ(talk(sp, "", 0.2).e, SERRY_ETIMEDOUT);
    EXPECT_LT(now() - start, patience(5));
}

SUBPROCESS_TEST(ATimeoutOfRunEndsTheWholeGroup)
{
    Scratch dir;
    setenv("SUBPROCESS_DIR", dir.path().c_str(), 1);
    double start = now();
    Ran r = ran(
        shell("echo half; echo oops >&2; (trap '' TERM; sleep 60) & echo $! > $SUBPROCESS_DIR/p;"
              "trap '' TERM INT HUP; sleep 60; sleep 60"),
        captured(), 0.5);
    unsetenv("SUBPROCESS_DIR");
    EXPECT_EQ(r.e, SERRY_ETIMEDOUT);
    EXPECT_EQ(r.code, -SIGKILL);
    EXPECT_EQ(r.out, "half\n");
    EXPECT_EQ(r.err, "oops\n");
    EXPECT_TRUE(says(r.detail, "/bin/sh")) << r.detail;
    EXPECT_LT(now() - start, patience(10));
    pid_t grandchild = atoi(awaited(dir / "p").c_str());
    ASSERT_GT(grandchild, 1);
    EXPECT_TRUE(gone(grandchild));
}

SUBPROCESS_TEST(ATimeoutMayGiveGrace)
{
    serry_subprocess_options o = captured();
    o.grace = patience(10);
    double start = now();
    Ran r = ran(shell("trap 'echo saved; exit 3' TERM; echo ready; while :; do sleep 0.02; done"),
                o, 0.5);
    EXPECT_EQ(r.e, SERRY_ETIMEDOUT) << "it was late all the same";
    EXPECT_EQ(r.code, 3);
    EXPECT_EQ(r.out, "ready\nsaved\n");
    o.grace = 0.2;
    r = ran(shell("trap '' TERM; echo ready; while :; do sleep 0.02; done"), o, 0.5);
    EXPECT_EQ(r.e, SERRY_ETIMEDOUT);
    EXPECT_EQ(r.code, -SIGKILL);
    EXPECT_EQ(r.out, "ready\n");
    EXPECT_LT(now() - start, patience(10));
}

/* ---- others that hold the pipe ---- */

SUBPROCESS_TEST(AGrandchildThatHoldsThePipeIsEndedByATimeout)
{
    double start = now();
    Ran r = ran(shell("sleep 60 & echo $!"), captured(), 0.5);
    EXPECT_EQ(r.e, SERRY_ETIMEDOUT);
    EXPECT_EQ(r.code, 0) << "it had ended by itself";
    EXPECT_TRUE(gone(atoi(r.out.c_str()))) << r.out;
    EXPECT_LT(now() - start, patience(10));
}

SUBPROCESS_TEST(AGrandchildThatHoldsThePipeIsEndedByKill)
{
    for (bool reaped : { false, true }) {
        Sub sp = started(shell("sleep 60 & echo $!"), piped());
        if (reaped) {
            EXPECT_EQ(waited(sp), 0);
        }
        EXPECT_EQ(talk(sp, "", 0.2).e, SERRY_ETIMEDOUT);
        EXPECT_EQ(serry_subprocess_kill(sp.get()), SERRY_OK) << serry_err_detail();
        Said s = talk(sp, "");
        EXPECT_EQ(s.e, SERRY_OK) << serry_err_detail();
        EXPECT_TRUE(gone(atoi(s.out.c_str()))) << s.out;
    }
}

/* Who has left the group is not reached; nor is it waited for. */
SUBPROCESS_TEST(OneThatLeftTheGroupDoesNotHoldUpATimeout)
{
    double start = now();
    Ran r = ran(shell("setsid sh -c 'echo $$; exec sleep 60' & sleep 60"), captured(), 1);
    EXPECT_EQ(r.e, SERRY_ETIMEDOUT);
    EXPECT_LT(now() - start, patience(10));
    pid_t left = atoi(r.out.c_str());
    ASSERT_GT(left, 1);
    EXPECT_TRUE(is_alive(left));
    kill(left, SIGKILL);
    EXPECT_TRUE(gone(left));
}

/* ---- limits ---- */

SUBPROCESS_TEST(TooMuchOutputIsAnError)
{
    serry_subprocess_options o = captured();
    o.max_output = 100000;
    Ran r = ran(Argv({ "yes" }), o);
    EXPECT_EQ(r.e, SERRY_ELIMIT);
    EXPECT_EQ(r.out.size(), 100000u);
    EXPECT_EQ(r.code, -SIGKILL);
    EXPECT_TRUE(says(r.detail, "100000")) << r.detail;
    for (const char *size : { "99999", "100000", "100001" }) {
        r = ran(Argv({ "head", "-c", size, "/dev/zero" }), o);
        EXPECT_EQ(r.e, atoi(size) > 100000 ? SERRY_ELIMIT : SERRY_OK) << size;
        EXPECT_EQ(r.out.size(), (size_t)std::min(atoi(size), 100000));
    }
    serry_subprocess_options p = piped();
    p.max_output = 10;
    Sub sp = started(Argv({ "yes" }), p);
    EXPECT_EQ(talk(sp, "").e, SERRY_ELIMIT);
    EXPECT_EQ(talk(sp, "").e, SERRY_ELIMIT);
    EXPECT_EQ(serry_subprocess_poll(sp.get(), nullptr), SERRY_ETIMEDOUT) << "it goes on";
}

/* ---- signals ---- */

SUBPROCESS_TEST(ASignalReachesItAlone)
{
    Sub sp =
        started(shell("trap 'echo parent' USR1;"
                      "(trap 'echo child' USR1; echo ready; sleep 0.5; sleep 0.5) & wait; wait"),
                piped());
    char word[7] = {};
    EXPECT_EQ(read(serry_subprocess_fd(sp.get(), 1), word, 6), 6);
    EXPECT_EQ(serry_subprocess_signal(sp.get(), 0), SERRY_OK);
    EXPECT_EQ(serry_subprocess_signal(sp.get(), SIGUSR1), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(talk(sp, "").out, "parent\n");
    EXPECT_EQ(serry_subprocess_signal(sp.get(), 0), SERRY_ESTATE) << "it has ended";
    EXPECT_EQ(serry_subprocess_signal(sp.get(), 65), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_signal(sp.get(), -1), SERRY_EINVAL);
}

SUBPROCESS_TEST(TerminateReachesTheGroup)
{
    for (auto group : { SERRY_GROUP_OWN, SERRY_GROUP_SESSION }) {
        serry_subprocess_options o = piped();
        o.group = group;
        Sub sp =
            started(shell("trap 'wait; exit 7' TERM; (trap 'echo child; exit' TERM; echo ready;"
                          "while :; do sleep 0.02; done) & wait"),
                    o);
        pid_t pid = serry_subprocess_pid(sp.get());
        char word[7] = {};
        EXPECT_EQ(read(serry_subprocess_fd(sp.get(), 1), word, 6), 6);
        EXPECT_EQ(getpgid(pid), pid);
        EXPECT_EQ(getsid(pid), group == SERRY_GROUP_SESSION ? pid : getsid(0));
        EXPECT_EQ(serry_subprocess_terminate(sp.get()), SERRY_OK);
        EXPECT_EQ(talk(sp, "").out, "child\n");
        EXPECT_EQ(waited(sp), 7);
    }
}

SUBPROCESS_TEST(AnEndedOneCannotBeEnded)
{
    Sub sp = started(Argv({ "true" }));
    EXPECT_EQ(waited(sp), 0);
    EXPECT_EQ(serry_subprocess_terminate(sp.get()), SERRY_ESTATE);
    EXPECT_EQ(serry_subprocess_kill(sp.get()), SERRY_ESTATE);
    EXPECT_TRUE(says(serry_err_detail(), "true")) << serry_err_detail();
    EXPECT_EQ(serry_subprocess_signal(sp.get(), SIGTERM), SERRY_ESTATE);
}

SUBPROCESS_TEST(OneInOurGroupIsEndedAlone)
{
    serry_subprocess_options o = captured();
    o.group = SERRY_GROUP_SAME;
    Sub sp = started(Argv({ "sleep", "60" }), o);
    EXPECT_EQ(getpgid(serry_subprocess_pid(sp.get())), getpgrp());
    EXPECT_EQ(serry_subprocess_terminate(sp.get()), SERRY_OK);
    EXPECT_EQ(waited(sp), -SIGTERM);
    EXPECT_EQ(serry_subprocess_terminate(sp.get()), SERRY_ESTATE);
    Ran r = ran(Argv({ "sleep", "60" }), o, 0.2);
    EXPECT_EQ(r.e, SERRY_ETIMEDOUT);
    EXPECT_EQ(r.code, -SIGKILL);
}

/* ---- threads ---- */

SUBPROCESS_TEST(ThreadsMayShareOne)
{
    Sub sp = started(Argv({ "cat" }), piped());
    serry_err talked = SERRY_EINTERNAL;
    std::string out;
    std::thread talker([&] {
        Said s = talk(sp, numbered(200000));
        talked = s.e;
        out = s.out;
    });
    std::vector<std::thread> waiters;
    std::vector<int> codes(3, 12345);
    for (int &code : codes)
        waiters.emplace_back([&] { code = waited(sp); });
    talker.join();
    for (auto &t : waiters)
        t.join();
    EXPECT_EQ(talked, SERRY_OK);
    EXPECT_TRUE(out == numbered(200000));
    EXPECT_EQ(codes, std::vector<int>(3, 0));
}

SUBPROCESS_TEST(TwoThreadsMayNotTalkAtOnce)
{
    Sub sp = started(Argv({ "sleep", "60" }), piped());
    std::thread first([&] { EXPECT_EQ(talk(sp, "").e, SERRY_OK) << serry_err_detail(); });
    /* Its reads are told to the kernel as not blocking when it has begun. */
    EXPECT_TRUE(wait_for(
        [&] { return (fcntl(serry_subprocess_fd(sp.get(), 1), F_GETFL) & O_NONBLOCK) != 0; }));
    EXPECT_EQ(talk(sp, "").e, SERRY_ESTATE);
    EXPECT_EQ(serry_subprocess_kill(sp.get()), SERRY_OK);
    first.join();
    EXPECT_EQ(waited(sp), -SIGKILL);
}

} // namespace
