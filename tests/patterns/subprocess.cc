// ctest: timeout=120
/* Subprocesses: what they are given, what comes back, and what is refused. */
#include "patterns/subprocess_test.h"

#include <fcntl.h>
#include <sys/stat.h>

using namespace serry_test;

namespace {

/* ---- codes ---- */

SUBPROCESS_TEST(ExitCodesAreTold)
{
    for (int code : { 0, 1, 77, 255 })
        EXPECT_EQ(waited(started(shell("exit " + std::to_string(code)))), code);
}

SUBPROCESS_TEST(SignalsAreNegativeCodes)
{
    for (int number : { SIGTERM, SIGKILL, SIGSEGV, SIGPIPE, SIGUSR1 })
        EXPECT_EQ(waited(started(shell("kill -" + std::to_string(number) + " $$; sleep 60"))),
                  -number);
}

SUBPROCESS_TEST(TheCodeMayBeAskedForAgain)
{
    Sub sp = started(shell("exit 5"));
    EXPECT_GT(serry_subprocess_pid(sp.get()), 1);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(waited(sp), 5);
    int code = 0;
    EXPECT_EQ(serry_subprocess_poll(sp.get(), &code), SERRY_OK);
    EXPECT_EQ(code, 5);
    EXPECT_EQ(serry_subprocess_wait(sp.get(), nullptr, SERRY_NOWAIT), SERRY_OK);
}

SUBPROCESS_TEST(OneThatRunsIsNotInTime)
{
    Sub sp = started(Argv({ "sleep", "60" }));
    int code = 77;
    EXPECT_EQ(serry_subprocess_poll(sp.get(), &code), SERRY_ETIMEDOUT);
    EXPECT_EQ(serry_subprocess_wait(sp.get(), &code, -1), SERRY_ETIMEDOUT);
    double start = now();
    EXPECT_EQ(serry_subprocess_wait(sp.get(), &code, 0.2), SERRY_ETIMEDOUT);
    EXPECT_GE(now() - start, 0.19);
    EXPECT_EQ(code, 77) << "set by a call that failed";
    EXPECT_EQ(serry_subprocess_wait(sp.get(), &code, NAN), SERRY_EINVAL);
}

/* ---- argv ---- */

SUBPROCESS_TEST(ArgumentsArriveAsTheyAre)
{
    Ran r =
        ran(Argv({ "printf", "%s|", "a b", "", "$HOME", "*", "'\"\\", "\n", "-n" }), captured());
    EXPECT_EQ(r.e, SERRY_OK) << r.detail;
    EXPECT_EQ(r.out, "a b||$HOME|*|'\"\\|\n|-n|");
}

SUBPROCESS_TEST(WithoutAnArgvNothingIsStarted)
{
    const char *const empty[] = { nullptr };
    const char *const argv[] = { "true", nullptr };
    serry_subprocess *sp = nullptr;
    EXPECT_EQ(serry_subprocess_start(&sp, nullptr, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_start(&sp, empty, nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_start(nullptr, argv, nullptr), SERRY_EINVAL);
    EXPECT_EQ(sp, nullptr);
    EXPECT_EQ(serry_subprocess_run(empty, nullptr, nullptr, SERRY_FOREVER), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_wait(nullptr, nullptr, 0), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_signal(nullptr, SIGTERM), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_kill(nullptr), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_communicate(nullptr, nullptr, 0, nullptr, nullptr, 0), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_pid(nullptr), -1);
    EXPECT_EQ(serry_subprocess_fd(nullptr, 0), -1);
    serry_subprocess_free(nullptr);
    serry_completed_free(nullptr);
    serry_bytes_free(nullptr);
}

SUBPROCESS_TEST(OptionsThatMakeNoSenseAreRefused)
{
    serry_subprocess *sp = nullptr;
    auto refused = [&](const std::function<void(serry_subprocess_options &)> &set,
                       const char *word) {
        serry_subprocess_options o = {};
        set(o);
        EXPECT_EQ(serry_subprocess_start(&sp, Argv({ "true" }), &o), SERRY_EINVAL) << word;
        EXPECT_TRUE(says(serry_err_detail(), word)) << serry_err_detail();
        EXPECT_EQ(sp, nullptr);
    };
    refused([](auto &o) { o.in.kind = SERRY_STREAM_STDOUT; }, "input");
    refused([](auto &o) { o.out.kind = SERRY_STREAM_STDOUT; }, "output");
    refused([](auto &o) { o.out.kind = SERRY_STREAM_FILE; }, "path");
    refused([](auto &o) { o.out.path = "x"; }, "path");
    refused([](auto &o) { o.err.kind = (serry_stream_kind)17; }, "17");
    refused([](auto &o) { o.out.kind = SERRY_STREAM_FD, o.out.fd = 9999; }, "9999");
    refused([](auto &o) { o.out.kind = SERRY_STREAM_PIPE, o.out.append = true; }, "appended");
    refused([](auto &o) { o.group = (serry_subprocess_group)9; }, "9");
    static const char *const nameless[] = { "=x", nullptr };
    refused([](auto &o) { o.env_add = nameless; }, "=x");
    serry_subprocess_options o = {};
    o.grace = NAN;
    EXPECT_EQ(serry_subprocess_run(Argv({ "true" }), nullptr, &o, 5), SERRY_EINVAL);
    o = {};
    o.input_len = 3;
    EXPECT_EQ(serry_subprocess_run(Argv({ "true" }), nullptr, &o, 5), SERRY_EINVAL);
    o.input = "abc";
    o.in.kind = SERRY_STREAM_NULL;
    EXPECT_EQ(serry_subprocess_run(Argv({ "true" }), nullptr, &o, 5), SERRY_EINVAL);
    EXPECT_EQ(serry_subprocess_run(Argv({ "true" }), nullptr, nullptr, NAN), SERRY_EINVAL);
}

/* ---- what cannot be executed ---- */

void fails(const Argv &argv, const serry_subprocess_options &o, int reason, const std::string &name)
{
    Ran r = ran(argv, o);
    EXPECT_EQ(r.e, SERRY_ESYS) << r.detail;
    EXPECT_TRUE(says(r.detail, strerror(reason))) << r.detail;
    EXPECT_TRUE(says(r.detail, name)) << r.detail;
    EXPECT_EQ(r.code, 12345) << "set by a call without a result";
}

SUBPROCESS_TEST(WhatCannotBeExecutedIsAnErrorWithItsReason)
{
    Scratch dir;
    write_file(dir / "text", "no program\n");
    chmod((dir / "text").c_str(), 0644);
    write_file(dir / "garbage", "\1\2\3 this is no format\n");
    chmod((dir / "garbage").c_str(), 0755);
    write_file(dir / "script", "#!/no/such/interpreter\n");
    chmod((dir / "script").c_str(), 0755);
    fails(Argv({ "/no/such/program" }), {}, ENOENT, "/no/such/program");
    fails(Argv({ "no-such-program" }), {}, ENOENT, "no-such-program");
    fails(Argv({ "" }), {}, ENOENT, "starting");
    fails(Argv({ dir / "text" }), {}, EACCES, "text");
    fails(Argv({ dir.path() }), {}, EACCES, dir.path().substr(dir.path().rfind('/')));
    fails(Argv({ (dir / "text") + "/below" }), {}, ENOENT, "below");
    fails(Argv({ dir / "garbage" }), {}, ENOEXEC, "garbage");
    fails(Argv({ dir / "script" }), {}, ENOENT, "interpreter");
}

SUBPROCESS_TEST(AWrongDirectoryIsAnErrorThatNamesIt)
{
    Scratch dir;
    write_file(dir / "file", "");
    serry_subprocess_options o = {};
    o.cwd = "/no/such/directory";
    fails(Argv({ "true" }), o, ENOENT, "/no/such/directory");
    std::string file = dir / "file";
    o.cwd = file.c_str();
    fails(Argv({ "true" }), o, ENOTDIR, "file");
}

SUBPROCESS_TEST(TooManyArgumentsAreAnError)
{
    std::vector<std::string> words = { "true" };
    std::string word(100000, 'x');
    for (int i = 0; i < 50; i++)
        words.push_back(word);
    fails(Argv(words), {}, E2BIG, "true");
    fails(Argv({ "true", std::string(1 << 20, 'y') }), {}, E2BIG, "true");
}

SUBPROCESS_TEST(OfAPathTheFirstReasonThatSaysMoreIsTold)
{
    Scratch dir;
    write_file(dir / "tool", "no program\n");
    chmod((dir / "tool").c_str(), 0644);
    std::string path = "PATH=/nowhere:" + dir.path() + ":/nowhere/else";
    const char *const add[] = { path.c_str(), nullptr };
    serry_subprocess_options o = {};
    o.env_add = add;
    fails(Argv({ "tool" }), o, EACCES, "tool");
}

SUBPROCESS_TEST(AFailedStartIsHeardOfByNobody)
{
    static volatile sig_atomic_t heard;
    struct sigaction a = {}, before;
    a.sa_handler = [](int) { heard = heard + 1; };
    sigaction(SIGCHLD, &a, &before);
    for (int i = 0; i < 20; i++) {
        serry_subprocess *sp;
        EXPECT_EQ(serry_subprocess_start(&sp, Argv({ "/no/such" }), nullptr), SERRY_ESYS);
        EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
    }
    EXPECT_EQ(heard, 0);
    sigaction(SIGCHLD, &before, nullptr);
}

/* ---- what is executed ---- */

void make_tool(const Scratch &dir, const std::string &name, const std::string &word)
{
    write_file(dir / name, "#!/bin/sh\necho " + word + " $0 \"$@\"\n");
    chmod((dir / name).c_str(), 0755);
}

SUBPROCESS_TEST(AProgramIsLookedForInThePathOfItsEnvironment)
{
    Scratch one, two;
    make_tool(one, "tool", "one");
    make_tool(two, "tool", "two");
    make_tool(two, "other", "other");
    std::string path = "PATH=/nowhere:" + one.path() + ":" + two.path() + ":/bin";
    const char *const add[] = { path.c_str(), nullptr };
    serry_subprocess_options o = captured();
    o.env_add = add;
    EXPECT_EQ(ran(Argv({ "tool" }), o).out, "one " + (one / "tool") + "\n");
    EXPECT_EQ(ran(Argv({ "other" }), o).out, "other " + (two / "other") + "\n");
    o.env_add = nullptr;
    o.env = add;
    EXPECT_EQ(ran(Argv({ "tool", "x" }), o).out, "one " + (one / "tool") + " x\n");
    /* An empty place is the directory it runs in. */
    const char *const here[] = { "PATH=:/bin", nullptr };
    std::string cwd = two.path();
    o.env = here;
    o.cwd = cwd.c_str();
    EXPECT_EQ(ran(Argv({ "other" }), o).out, "other other\n");
    /* Without any, there is a usual one. */
    const char *const none[] = { "A=b", nullptr };
    o.env = none;
    EXPECT_EQ(ran(Argv({ "echo", "found" }), o).out, "found\n");
}

SUBPROCESS_TEST(TheProgramMayHaveAnotherNameThanItsFile)
{
    serry_subprocess_options o = captured();
    o.program = "/bin/sh";
    EXPECT_EQ(ran(Argv({ "somebody", "-c", "echo $0" }), o).out, "somebody\n");
    o.program = "sh";
    EXPECT_EQ(ran(Argv({ "-other", "-c", "echo $0" }), o).e, SERRY_OK);
    o.program = "/no/such";
    fails(Argv({ "true" }), o, ENOENT, "/no/such");
}

SUBPROCESS_TEST(TheDirectoryIsWhereItRuns)
{
    Scratch dir;
    make_tool(dir, "tool", "here");
    char before[4096], after[4096], *real = realpath(dir.path().c_str(), nullptr);
    ASSERT_NE(getcwd(before, sizeof before), nullptr);
    std::string path = dir.path();
    serry_subprocess_options o = captured();
    o.cwd = path.c_str();
    EXPECT_EQ(ran(Argv({ "/bin/pwd" }), o).out, std::string(real) + "\n");
    EXPECT_EQ(ran(Argv({ "./tool" }), o).out, "here ./tool\n");
    ASSERT_NE(getcwd(after, sizeof after), nullptr);
    EXPECT_STREQ(before, after);
    free(real);
}

/* ---- environment ---- */

SUBPROCESS_TEST(TheEnvironmentIsTheProgramsOwnByDefault)
{
    setenv("SUBPROCESS_OWN", "mine and yours", 1);
    EXPECT_EQ(ran(shell("echo \"$SUBPROCESS_OWN\""), captured()).out, "mine and yours\n");
    unsetenv("SUBPROCESS_OWN");
}

SUBPROCESS_TEST(TheEnvironmentMayBeAnother)
{
    const char *const env[] = { "A=1", "EMPTY=", "SPACE=a b", nullptr };
    const char *const nothing[] = { nullptr };
    serry_subprocess_options o = captured();
    o.env = env;
    EXPECT_EQ(ran(Argv({ "/usr/bin/env" }), o).out, "A=1\nEMPTY=\nSPACE=a b\n");
    o.env = nothing;
    EXPECT_EQ(ran(Argv({ "/usr/bin/env" }), o).out, "");
}

SUBPROCESS_TEST(VariablesAreAddedReplacedAndTakenAway)
{
    const char *const env[] = { "A=1", "B=2", "C=3", "AB=4", nullptr };
    const char *const add[] = { "B=two", "C", "D=5", "D=6", "X", nullptr };
    serry_subprocess_options o = captured();
    o.env = env;
    o.env_add = add;
    EXPECT_EQ(ran(Argv({ "/usr/bin/env" }), o).out, "A=1\nAB=4\nB=two\nD=6\n");
    setenv("SUBPROCESS_OWN", "old", 1);
    const char *const over[] = { "SUBPROCESS_OWN=new", nullptr };
    o.env = nullptr;
    o.env_add = over;
    EXPECT_EQ(ran(shell("echo $SUBPROCESS_OWN"), o).out, "new\n");
    EXPECT_STREQ(getenv("SUBPROCESS_OWN"), "old");
    unsetenv("SUBPROCESS_OWN");
}

/* A word of a launcher to its rank means nothing to a program that the rank starts. */
SUBPROCESS_TEST(ALaunchersWordDoesNotGoOn)
{
    setenv("SERRY_JOIN_FD", "3", 1);
    EXPECT_EQ(ran(shell("echo \"[$SERRY_JOIN_FD]\""), captured()).out, "[]\n");
    unsetenv("SERRY_JOIN_FD");
}

/* ---- streams ---- */

SUBPROCESS_TEST(StreamsMayBeFiles)
{
    Scratch dir;
    std::string in = dir / "in", out = dir / "out", err = dir / "err";
    write_file(in, "from a file\n");
    write_file(out, "a long text that was here before\n");
    serry_subprocess_options o = {};
    o.in.kind = o.out.kind = o.err.kind = SERRY_STREAM_FILE;
    o.in.path = in.c_str();
    o.out.path = out.c_str();
    o.err.path = err.c_str();
    EXPECT_EQ(ran(shell("cat; echo error >&2"), o).code, 0);
    EXPECT_EQ(read_file(out), "from a file\n");
    EXPECT_EQ(read_file(err), "error\n");
    o.out.append = true;
    EXPECT_EQ(ran(shell("echo more"), o).code, 0);
    EXPECT_EQ(read_file(out), "from a file\nmore\n");
    std::string missing = dir / "missing/file";
    o.in.path = missing.c_str();
    fails(Argv({ "true" }), o, ENOENT, "missing/file");
    o.in.path = in.c_str();
    o.out.append = false;
    o.out.path = "/";
    fails(Argv({ "true" }), o, EISDIR, "output");
}

SUBPROCESS_TEST(StreamsMayBeNull)
{
    serry_subprocess_options o = captured();
    o.in.kind = SERRY_STREAM_NULL;
    EXPECT_EQ(ran(shell("cat; readlink /proc/self/fd/0"), o).out, "/dev/null\n");
    o = {};
    o.out.kind = o.err.kind = SERRY_STREAM_NULL;
    Ran r = ran(shell("echo lost; echo lost >&2"), o);
    EXPECT_EQ(r.code, 0);
    EXPECT_EQ(r.out + r.err, "");
}

SUBPROCESS_TEST(ErrorsMayGoWhereTheOutputGoes)
{
    Scratch dir;
    std::string out = dir / "out";
    serry_subprocess_options o = captured();
    o.err.kind = SERRY_STREAM_STDOUT;
    Ran r = ran(shell("echo one; echo two >&2; echo three"), o);
    EXPECT_EQ(r.out, "one\ntwo\nthree\n");
    EXPECT_EQ(r.err, "");
    o.out.kind = SERRY_STREAM_FILE;
    o.out.path = out.c_str();
    ran(shell("echo one; echo two >&2; echo three"), o);
    EXPECT_EQ(read_file(out), "one\ntwo\nthree\n");
}

SUBPROCESS_TEST(StreamsMayBeDescriptors)
{
    Scratch dir;
    int fd = open((dir / "out").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    serry_subprocess_options o = {};
    o.out.kind = SERRY_STREAM_FD;
    o.out.fd = fd;
    o.err = o.out;
    EXPECT_EQ(ran(shell("echo out; echo err >&2"), o).code, 0);
    EXPECT_EQ(read_file(dir / "out"), "out\nerr\n");
    EXPECT_GE(fcntl(fd, F_GETFD), 0) << "it was only lent";
    close(fd);
}

/* Each stream is where another was. */
SUBPROCESS_TEST(DescriptorsMayChangePlaces)
{
    Scratch dir;
    int kept[3], file[3];
    for (int i = 0; i < 3; i++) {
        kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
        file[i] = open((dir / std::to_string(i)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    fflush(stdout);
    for (int i = 0; i < 3; i++)
        dup2(file[i], i);
    serry_subprocess_options o = {};
    o.in.kind = o.out.kind = o.err.kind = SERRY_STREAM_FD;
    o.in.fd = 2;
    o.out.fd = 0;
    o.err.fd = 1;
    Ran r = ran(shell("readlink /proc/self/fd/0; readlink /proc/$$/fd/1; readlink /proc/$$/fd/2;"
                      "echo error >&2"),
                o);
    for (int i = 0; i < 3; i++) {
        dup2(kept[i], i);
        close(kept[i]);
        close(file[i]);
    }
    EXPECT_EQ(r.code, 0) << r.detail;
    EXPECT_EQ(read_file(dir / "0"), (dir / "2") + "\n" + (dir / "0") + "\n" + (dir / "1") + "\n");
    EXPECT_EQ(read_file(dir / "1"), "error\n");
}

/* ---- in one call ---- */

SUBPROCESS_TEST(RunTellsCodeAndOutput)
{
    serry_subprocess_options o = captured();
    o.input = "some input";
    o.input_len = 10;
    Ran r = ran(shell("cat; echo; echo bad >&2; exit 9"), o);
    EXPECT_EQ(r.e, SERRY_OK) << r.detail;
    EXPECT_EQ(r.code, 9);
    EXPECT_EQ(r.out, "some input\n");
    EXPECT_EQ(r.err, "bad\n");
    /* Zero bytes are bytes like others, and a zero lies behind. */
    serry_bytes out = {};
    EXPECT_EQ(serry_subprocess_check_output(Argv({ "printf", "a\\0b" }), &out, nullptr, 20),
              SERRY_OK);
    ASSERT_EQ(out.len, 3u);
    EXPECT_EQ(memcmp(out.data, "a\0b\0", 4), 0);
    serry_bytes_free(&out);
    EXPECT_EQ(out.data, nullptr);
    EXPECT_EQ(serry_subprocess_check_output(Argv({ "true" }), &out, nullptr, 20), SERRY_OK);
    ASSERT_NE(out.data, nullptr) << "no bytes are a text, too";
    EXPECT_STREQ(out.data, "");
    serry_bytes_free(&out);
}

SUBPROCESS_TEST(CheckMakesACodeAnError)
{
    serry_subprocess_options o = captured();
    o.check = true;
    EXPECT_EQ(ran(Argv({ "true" }), o).e, SERRY_OK);
    Ran r = ran(shell("echo half; echo first >&2; echo 'no such mesh' >&2; exit 3"), o);
    EXPECT_EQ(r.e, SERRY_ETASK);
    EXPECT_EQ(r.code, 3);
    EXPECT_EQ(r.out, "half\n");
    EXPECT_EQ(r.err, "first\nno such mesh\n");
    EXPECT_TRUE(says(r.detail, "exit code 3: no such mesh")) << r.detail;
    r = ran(shell("kill -9 $$"), o);
    EXPECT_EQ(r.e, SERRY_ETASK);
    EXPECT_EQ(r.code, -9);
    EXPECT_TRUE(says(r.detail, "signal 9")) << r.detail;
}

SUBPROCESS_TEST(TheShortFormsDoAsTheyAreCalled)
{
    int code = 77;
    EXPECT_EQ(serry_subprocess_call(shell("exit 4"), &code, nullptr, 20), SERRY_OK);
    EXPECT_EQ(code, 4);
    EXPECT_EQ(serry_subprocess_call(shell("exit 4"), nullptr, nullptr, 20), SERRY_OK);
    EXPECT_EQ(serry_subprocess_call(Argv({ "sleep", "60" }), &code, nullptr, 0.1), SERRY_ETIMEDOUT);
    EXPECT_EQ(code, -9);
    code = 77;
    EXPECT_EQ(serry_subprocess_call(Argv({ "/no/such" }), &code, nullptr, 20), SERRY_ESYS);
    EXPECT_EQ(code, 77);
    EXPECT_EQ(serry_subprocess_check_call(Argv({ "true" }), nullptr, 20), SERRY_OK);
    EXPECT_EQ(serry_subprocess_check_call(Argv({ "false" }), nullptr, 20), SERRY_ETASK);
    serry_bytes out = { nullptr, 99 };
    EXPECT_EQ(serry_subprocess_check_output(Argv({ "/no/such" }), &out, nullptr, 20), SERRY_ESYS);
    EXPECT_EQ(out.len, 99u);
    EXPECT_EQ(serry_subprocess_check_output(shell("echo yes; exit 1"), &out, nullptr, 20),
              SERRY_ETASK);
    EXPECT_EQ(text(out), "yes\n");
    serry_bytes_free(&out);
}

SUBPROCESS_TEST(SystemRunsACommandByAShell)
{
    int code = 77;
    Scratch dir;
    setenv("SUBPROCESS_DIR", dir.path().c_str(), 1);
    EXPECT_EQ(serry_system("echo a b | wc -w > $SUBPROCESS_DIR/n; exit 6", &code), SERRY_OK);
    EXPECT_EQ(code, 6);
    EXPECT_EQ(atoi(read_file(dir / "n").c_str()), 2);
    EXPECT_EQ(serry_system("kill -15 $$", &code), SERRY_OK);
    EXPECT_EQ(code, -15);
    EXPECT_EQ(serry_system("no-such-command 2>/dev/null", &code), SERRY_OK);
    EXPECT_EQ(code, 127);
    EXPECT_EQ(serry_system("-x 2>/dev/null", nullptr), SERRY_OK) << "no option of the shell";
    EXPECT_EQ(serry_system(nullptr, &code), SERRY_EINVAL);
    unsetenv("SUBPROCESS_DIR");
}

} // namespace
