// ctest: process nodes own
/* Started processes: who they are, how they live and end, and what can be asked of them. */
#include "conformance/process_test.h"

#include <cmath>
#include <cstddef>
#include <sys/resource.h>

using namespace serry_test;

namespace {

/* ---- who they are ---- */

struct Who {
    serry_process self, parent;
    serry_process_info self_info, parent_info;
    int rank, size;
    pid_t pid, ppid;
};

int say_who(const void *, size_t)
{
    Who w = {};
    w.self = serry_process_self();
    w.parent = serry_process_parent();
    w.self_info = info_of(w.self);
    w.parent_info = info_of(w.parent);
    w.rank = serry_rank();
    w.size = serry_size();
    w.pid = getpid();
    w.ppid = getppid();
    tell(0, 2, w);
    return 0;
}

PROCESS_TEST(ChildAndParentKnowEachOther)
{
    serry_process p = start(say_who);
    Who w = hear<Who>(1, 2);
    EXPECT_EQ(w.self.id, p.id);
    EXPECT_EQ(w.parent.id, serry_process_self().id);
    EXPECT_EQ(w.rank, 1) << "the next free number";
    EXPECT_EQ(w.size, 1) << "started processes do not count";
    EXPECT_EQ(w.self_info.rank, 1);
    EXPECT_EQ(w.self_info.pid, w.pid);
    EXPECT_TRUE(w.self_info.alive);
    EXPECT_FALSE(w.self_info.daemon);
    EXPECT_STREQ(w.self_info.name, "Process-1");
    EXPECT_EQ(w.parent_info.rank, 0);
    EXPECT_EQ(w.parent_info.pid, getpid());
    EXPECT_TRUE(w.parent_info.alive);
    if (!by_agent())
        EXPECT_EQ(w.ppid, getpid());
    EXPECT_EQ(join(p), 0);
}

PROCESS_TEST(ALaunchedRankIsAProcessToo)
{
    serry_process_info me = info_of(serry_process_self());
    EXPECT_EQ(me.pid, getpid());
    EXPECT_EQ(me.rank, 0);
    EXPECT_TRUE(me.alive);
    EXPECT_FALSE(me.daemon);
    EXPECT_NE(me.name[0], 0);
    EXPECT_TRUE(serry_process_is_alive(serry_process_self()));
    EXPECT_EQ(serry_process_parent().id, 0u) << "nobody started it";
}

int start_two(const void *, size_t)
{
    EXPECT_STREQ(info_of(start(say_who)).name, "Process-1:1");
    EXPECT_STREQ(info_of(start(say_who)).name, "Process-1:2");
    return 0;
}

PROCESS_TEST(NamesAreNumberedUnlessGiven)
{
    serry_process first = start(start_two);
    EXPECT_STREQ(info_of(first).name, "Process-1");
    std::string longest(63, 'x');
    serry_process_options o = {};
    o.name = "worker";
    serry_process named = start(say_who, nullptr, 0, &o);
    o.name = longest.c_str();
    serry_process long_named = start(say_who, nullptr, 0, &o);
    EXPECT_STREQ(info_of(named).name, "worker");
    EXPECT_EQ(info_of(long_named).name, longest);
    for (serry_process p : { first, named, long_named })
        EXPECT_EQ(join(p), 0);
    EXPECT_STREQ(info_of(named).name, "worker") << "its name outlives it";
    for (int i = 0; i < 4; i++)
        hear<Who>(SERRY_ANY, 2);
}

int daemon_flag(const void *, size_t)
{
    return info_of(serry_process_self()).daemon ? 1 : 0;
}

PROCESS_TEST(TheDaemonFlagIsAsAsked)
{
    serry_process_options o = {};
    EXPECT_EQ(join(start(daemon_flag, nullptr, 0, &o)), 0);
    o.daemon = true;
    serry_process p = start(daemon_flag, nullptr, 0, &o);
    EXPECT_TRUE(info_of(p).daemon);
    EXPECT_EQ(join(p), 1);
}

/* ---- life ---- */

int wait_for_word(const void *, size_t)
{
    return hear<int>(0, 3);
}

PROCESS_TEST(AliveAndListedBetweenStartAndEnd)
{
    serry_process p = start(wait_for_word), listed = {};
    EXPECT_TRUE(serry_process_is_alive(p));
    EXPECT_EQ(serry_process_children(&listed, 1), 1u);
    EXPECT_EQ(listed.id, p.id);
    serry_process_info before = info_of(p);
    EXPECT_TRUE(before.alive);
    tell(before.rank, 3, 9);
    EXPECT_EQ(join(p), 9);
    EXPECT_FALSE(serry_process_is_alive(p));
    EXPECT_EQ(children(), 0u);
    serry_process_info after = info_of(p);
    EXPECT_FALSE(after.alive);
    EXPECT_EQ(after.rank, before.rank);
    EXPECT_GT(after.pid, 0);
    EXPECT_STREQ(after.name, before.name);
}

PROCESS_TEST(ChildrenAreThoseAliveAndOnesOwn)
{
    serry_process ps[3], out[5];
    for (serry_process &p : ps)
        p = start(wait_for_word);
    EXPECT_EQ(serry_process_children(out, 5), 3u);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(out[i].id, ps[i].id);
    serry_process two[3] = { {}, {}, { 77 } };
    EXPECT_EQ(serry_process_children(two, 2), 3u) << "how many there are, not how many fit";
    EXPECT_EQ(two[1].id, ps[1].id);
    EXPECT_EQ(two[2].id, 77u) << "written beyond the end";
    tell(info_of(ps[1]).rank, 3, 0);
    EXPECT_EQ(join(ps[1]), 0);
    EXPECT_EQ(serry_process_children(out, 5), 2u);
    EXPECT_EQ(out[0].id, ps[0].id);
    EXPECT_EQ(out[1].id, ps[2].id);
    for (int i : { 0, 2 }) {
        tell(info_of(ps[i]).rank, 3, 0);
        EXPECT_EQ(join(ps[i]), 0);
    }
    EXPECT_EQ(children(), 0u);
}

PROCESS_TEST(JoiningEarlyIsATimeoutAndChangesNothing)
{
    serry_process p = start(wait_for_word);
    int code = 77;
    for (double timeout : { 0.0, -1.0, 0.05, -SERRY_FOREVER }) {
        double begin = serry_time();
        EXPECT_EQ(serry_process_join(p, &code, timeout), SERRY_ETIMEDOUT) << timeout;
        EXPECT_LT(serry_time() - begin, patience(2));
        EXPECT_GE(serry_time() - begin, timeout - 0.001);
    }
    EXPECT_EQ(code, 77) << "set without success";
    EXPECT_EQ(serry_process_join(p, &code, NAN), SERRY_EINVAL);
    EXPECT_TRUE(serry_process_is_alive(p));
    tell(info_of(p).rank, 3, 4);
    EXPECT_EQ(join(p), 4);
}

PROCESS_TEST(JoiningTwiceGivesTheSame)
{
    serry_process p = start(wait_for_word);
    tell(info_of(p).rank, 3, 33);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(join(p), 33);
    EXPECT_EQ(serry_process_join(p, nullptr, 0), SERRY_OK) << serry_err_detail();
}

/* ---- signals ---- */

PROCESS_TEST(TheCodeOfOneEndedByASignalIsItsNegative)
{
    for (int signal : { SIGTERM, SIGKILL, SIGUSR1, SIGALRM }) {
        serry_process p = start(sleeper);
        hear<pid_t>(SERRY_ANY, 1);
        EXPECT_EQ(serry_process_join(p, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        EXPECT_EQ(serry_process_signal(p, signal), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(join(p), -signal);
        EXPECT_EQ(children(), 0u);
        EXPECT_FALSE(serry_process_is_alive(p));
        EXPECT_EQ(serry_process_signal(p, signal), SERRY_ESTATE) << "it has ended";
    }
}

PROCESS_TEST(TerminateAndKillAreTheirSignals)
{
    serry_process p = start(sleeper), q = start(sleeper);
    for (int i = 0; i < 2; i++)
        hear<pid_t>(SERRY_ANY, 1);
    EXPECT_EQ(serry_process_terminate(p), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_process_kill(q), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(join(p), -SIGTERM);
    EXPECT_EQ(join(q), -SIGKILL);
    EXPECT_EQ(serry_process_terminate(p), SERRY_ESTATE);
    EXPECT_EQ(serry_process_kill(q), SERRY_ESTATE);
}

int sleep_quietly(const void *, size_t)
{
    for (;;)
        pause();
}

/* It may not even have joined. */
PROCESS_TEST(OneMayBeEndedAtAnyMoment)
{
    for (int i = 0; i < 20; i++) {
        serry_process p = start(sleep_quietly);
        int signal = i % 2 ? SIGTERM : SIGKILL;
        EXPECT_EQ(serry_process_signal(p, signal), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(join(p), -signal) << "round " << i;
    }
}

int abort_quietly(const void *, size_t)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    abort();
}

PROCESS_TEST(ACrashIsACodeToo)
{
    EXPECT_EQ(join(start(abort_quietly)), -SIGABRT);
}

/* ---- exit codes ---- */

int return_it(const void *arg, size_t len)
{
    return argument<int>(arg, len);
}

int exit_with_it(const void *arg, size_t len)
{
    _exit(argument<int>(arg, len));
}

PROCESS_TEST(AllExitCodesComeBack)
{
    for (int first = 0; first < 256; first += 32) {
        serry_process ps[32];
        for (int i = 0; i < 32; i++)
            ps[i] = start_with(return_it, first + i);
        for (int i = 0; i < 32; i++)
            EXPECT_EQ(join(ps[i]), first + i);
    }
}

PROCESS_TEST(OfACodeTheLowestEightBitsCount)
{
    EXPECT_EQ(join(start_with(return_it, 256)), 0);
    EXPECT_EQ(join(start_with(return_it, -1)), 255);
    EXPECT_EQ(join(start_with(return_it, 1000)), 1000 % 256);
}

PROCESS_TEST(LeavingInTheMiddleGivesItsCode)
{
    for (int code : { 0, 3, 255 })
        EXPECT_EQ(join(start_with(exit_with_it, code)), code);
}

void leave_a_mark()
{
    write_file(rank_dir() + "/exit-handler-" + std::to_string(getpid()), "was here");
}

int end_at_once(const void *, size_t)
{
    return 0;
}

PROCESS_TEST(ExitHandlersOfTheProgramDoNotRunInIt)
{
    atexit(leave_a_mark);
    serry_process p = start(end_at_once);
    pid_t pid = info_of(p).pid;
    EXPECT_EQ(join(p), 0);
    EXPECT_EQ(read_file(rank_dir() + "/exit-handler-" + std::to_string(pid)), "");
}

int print(const void *, size_t)
{
    printf("buffered in the child\n");
    return 0;
}

SERRY_RANKS_BODY(print_and_start)
{
    printf("buffered in the parent\n");
    EXPECT_EQ(join(start(print)), 0);
}

TEST(ProcessOutput, IsPrintedOnceAndNotLost)
{
    const std::string parent = "buffered in the parent\n", child = "buffered in the child\n";
    for (const char *by : { "auto", "agent" }) {
        RankOptions o;
        if (std::string(by) == "agent")
            o.env["SERRY_START"] = by;
        RanksResult r = try_ranks(1, shm, "print_and_start", o);
        expect_clean(r, 1, o);
        EXPECT_EQ(r.program.out, parent + child) << by; /* in this order, whoever forks */
    }
}

/* ---- arguments ---- */

struct Argument {
    int a;
    double b;
    char text[24];
    short list[5];
};

int return_argument(const void *arg, size_t len)
{
    tell(0, 4, argument<Argument>(arg, len));
    return 0;
}

PROCESS_TEST(AnArgumentArrivesUnchangedThoughItsOriginalChanges)
{
    Argument a = { -7, 0.1, "any text", { 1, 2, 3, 4, 5 } }, sent = a;
    serry_process p = start_with(return_argument, a);
    memset((void *)&a, 0xff, sizeof a); /* a copy was taken */
    Argument got = hear<Argument>(1, 4);
    EXPECT_EQ(got.a, sent.a);
    EXPECT_EQ(got.b, sent.b);
    EXPECT_STREQ(got.text, sent.text);
    EXPECT_EQ(memcmp(got.list, sent.list, sizeof sent.list), 0);
    EXPECT_EQ(join(p), 0);
}

uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 8) * 3 + (i >> 16));
}

/* 0: as byte_at says, aligned, and writable by nobody else. */
int check_bytes(const void *arg, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)arg;
    if (len > 0 && (uintptr_t)arg % alignof(std::max_align_t) != 0)
        return 2;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != byte_at(i))
            return 1;
    }
    return len == 0 && arg ? 3 : 0;
}

PROCESS_TEST(ArgumentsMayBeOfAnySize)
{
    for (size_t size : { (size_t)0, (size_t)1, (size_t)4097, (size_t)1 << 20, (size_t)64 << 20 }) {
        std::vector<uint8_t> bytes(size);
        for (size_t i = 0; i < size; i++)
            bytes[i] = byte_at(i);
        EXPECT_EQ(join(start(check_bytes, size ? bytes.data() : nullptr, size)), 0) << size;
    }
}

PROCESS_TEST(ArgumentsAreAlignedForAnyType)
{
    std::vector<uint8_t> bytes(1000);
    for (size_t off = 1; off < 16; off += 2) {
        for (size_t i = 0; i < 500; i++)
            bytes[off + i] = byte_at(i);
        EXPECT_EQ(join(start(check_bytes, bytes.data() + off, 500)), 0) << "off by " << off;
    }
}

/* ---- bad input ---- */

PROCESS_TEST(BadArgumentsAreRefusedAndChangeNothing)
{
    serry_process p = { 77 };
    serry_process_options o = {};
    std::string too_long(64, 'x');
    EXPECT_EQ(serry_process_start(nullptr, end_at_once, nullptr, 0, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_process_start(&p, nullptr, nullptr, 0, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_process_start(&p, end_at_once, nullptr, 1, nullptr), SERRY_EINVAL);
    o.name = too_long.c_str();
    EXPECT_EQ(serry_process_start(&p, end_at_once, nullptr, 0, &o), SERRY_EINVAL);
    o.name = "";
    EXPECT_EQ(serry_process_start(&p, end_at_once, nullptr, 0, &o), SERRY_EINVAL);
    o.name = nullptr;
    o.node = 99;
    EXPECT_EQ(serry_process_start(&p, end_at_once, nullptr, 0, &o), SERRY_EINVAL);
    EXPECT_EQ(p.id, 77u);
    EXPECT_EQ(children(), 0u);
    for (int node : { 0, SERRY_NODE(0), SERRY_ANY }) {
        o.node = node;
        EXPECT_EQ(join(start(end_at_once, nullptr, 0, &o)), 0) << "node " << node;
    }
    EXPECT_STREQ(info_of(start(end_at_once)).name, "Process-4") << "what was refused has no number";
}

PROCESS_TEST(HandlesThatNameNothingAreErrors)
{
    serry_process real = start(end_at_once);
    EXPECT_EQ(join(real), 0);
    serry_process_info info = {};
    info.pid = 77;
    int code = 77;
    size_t which = 77;
    for (uint64_t id : { UINT64_C(0), UINT64_C(1), UINT64_MAX, real.id + 1,
                         real.id ^ UINT64_C(1) << 58, real.id ^ UINT64_C(1) << 50 }) {
        serry_process p = { id }, list[] = { real, p };
        EXPECT_FALSE(serry_process_is_alive(p)) << std::hex << id;
        EXPECT_EQ(serry_process_join(p, &code, 0), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_process_info_of(p, &info), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_process_signal(p, SIGTERM), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_process_terminate(p), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_process_kill(p), SERRY_EHANDLE) << std::hex << id;
        EXPECT_EQ(serry_process_wait_any(list + 1, 1, &which, 0), SERRY_EHANDLE) << std::hex << id;
    }
    EXPECT_EQ(info.pid, 77);
    EXPECT_EQ(code, 77);
    EXPECT_EQ(which, 77u);
}

PROCESS_TEST(WhatMakesNoSenseIsRefused)
{
    serry_process self = serry_process_self();
    size_t which;
    EXPECT_EQ(serry_process_join(self, nullptr, 0), SERRY_EINVAL) << "one's own end";
    EXPECT_EQ(serry_process_wait_any(&self, 1, &which, 0), SERRY_EINVAL);
    EXPECT_EQ(serry_process_wait_any(&self, 0, &which, 0), SERRY_EINVAL);
    EXPECT_EQ(serry_process_wait_any(nullptr, 1, &which, 0), SERRY_EINVAL);
    EXPECT_EQ(serry_process_info_of(self, nullptr), SERRY_EINVAL);
    serry_process p = start(sleeper);
    hear<pid_t>(1, 1);
    EXPECT_EQ(serry_process_signal(p, 65), SERRY_EINVAL);
    EXPECT_EQ(serry_process_signal(p, -1), SERRY_EINVAL);
    EXPECT_EQ(serry_process_wait_any(&p, 1, &which, NAN), SERRY_EINVAL);
    EXPECT_TRUE(serry_process_is_alive(p));
    EXPECT_EQ(serry_process_kill(p), SERRY_OK);
    EXPECT_EQ(join(p), -SIGKILL);
}

} // namespace
