// ctest: support serial
/* The harness itself: a harness that misses things makes every other test worthless. */
#include "support/program.h"

#include <csignal>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace serry_test;

namespace {

ProgramResult sh(const std::string &script, ProgramOptions options = {})
{
    return run_program({ "/bin/sh", "-c", script }, std::move(options));
}

TEST(RunProgram, ReturnsCodeOutputAndErrors)
{
    auto r = sh("echo out; echo err >&2; exit 3");
    EXPECT_EQ(r.code, 3);
    EXPECT_EQ(r.signal, 0);
    EXPECT_EQ(r.out, "out\n");
    EXPECT_EQ(r.err, "err\n");
    EXPECT_FALSE(r.ok());
    EXPECT_TRUE(sh("true").ok());
}

TEST(RunProgram, ReturnsTheSignal)
{
    auto r = sh("kill -TERM $$");
    EXPECT_EQ(r.signal, SIGTERM);
    EXPECT_EQ(r.code, -1);
}

TEST(RunProgram, SaysWhatCannotBeStarted)
{
    auto r = run_program({ "/nonexistent/program" });
    EXPECT_EQ(r.code, 127);
    EXPECT_NE(r.err.find("/nonexistent/program"), std::string::npos);
}

TEST(RunProgram, PassesInputAndOutputLargerThanAnyPipe)
{
    ProgramOptions o;
    o.input = std::string(3000000, 'x');
    auto r = run_program({ "/bin/cat" }, o);
    EXPECT_TRUE(r.ok());
    EXPECT_TRUE(r.out == o.input);
}

TEST(RunProgram, SurvivesAProgramThatDoesNotReadItsInput)
{
    ProgramOptions o;
    o.input = std::string(3000000, 'x');
    EXPECT_TRUE(sh("exit 0", o).ok());
}

TEST(RunProgram, SetsTheEnvironmentAndDropsOurs)
{
    setenv("SERRY_LANES", "from outside", 1);
    ProgramOptions o;
    o.env["GIVEN"] = "given";
    auto r = sh("echo \"$GIVEN $SERRY_LANES\"", o);
    unsetenv("SERRY_LANES");
    EXPECT_EQ(r.out, "given \n");
}

TEST(RunProgram, EndsWhatIsNotInTimeAndSaysWhatItDid)
{
    ProgramOptions o;
    o.timeout = 0.2;
    auto r = sh("echo begun; sleep 1000 & wait", o);
    EXPECT_TRUE(r.timed_out);
    EXPECT_EQ(r.signal, SIGKILL);
    EXPECT_EQ(r.out, "begun\n");
    EXPECT_NE(r.err.find("sleep 1000"), std::string::npos) << r.err;
    EXPECT_LT(r.seconds, patience(30));
}

TEST(RunProgram, FindsAndEndsAProcessLeftInAnotherSession)
{
    ProgramOptions o;
    o.grace = 0.2;
    auto r = sh("setsid sleep 1001 >/dev/null 2>&1 & echo $!", o);
    EXPECT_EQ(r.code, 0);
    EXPECT_FALSE(r.ok());
    ASSERT_EQ(r.left_behind.size(), 1u);
    EXPECT_NE(r.left_behind[0].find("sleep 1001"), std::string::npos) << r.left_behind[0];
    EXPECT_TRUE(wait_for([] { return children_of(getpid()).empty(); }));
}

TEST(RunProgram, WaitsForWhatEndsSoonAfter)
{
    auto r = sh("setsid sh -c 'read line' <&0 >/dev/null 2>&1 & exit 0");
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_TRUE(children_of(getpid()).empty());
}

TEST(RunProgram, FindsFilesLeftInTheTemporaryDirectory)
{
    auto r = sh("echo x >\"$TMPDIR/left\"");
    ASSERT_EQ(r.left_behind.size(), 1u);
    EXPECT_EQ(r.left_behind[0], "$TMPDIR/left");
}

TEST(RunProgram, FindsNamesLeftInSharedMemory)
{
    /* Not in the true one, where all tests look that run beside this. */
    ProgramOptions o;
    EXPECT_EQ(o.shm, "/dev/shm");
    Scratch shm;
    o.shm = shm.path();
    write_file(shm / "serry-before", "");
    auto r = sh("echo x >" + shm / "another" + " >" + shm / "a-serry-name", o);
    ASSERT_EQ(r.left_behind.size(), 1u);
    EXPECT_EQ(r.left_behind[0], shm / "a-serry-name");
}

TEST(Program, IsTalkedToWhileItRuns)
{
    ProgramOptions o;
    o.keep_input = true;
    Program p({ "/bin/sh", "-c", "while read line; do echo \"got $line\"; done; echo end" }, o);
    p.write("one\n");
    EXPECT_TRUE(p.wait_for_output("got one\n"));
    p.write("two\n");
    EXPECT_TRUE(p.wait_for_output("got two\n"));
    EXPECT_FALSE(p.wait_for_output("got three\n", 0.05));
    p.close_input();
    EXPECT_TRUE(p.wait().ok()) << p.wait();
    EXPECT_EQ(p.out(), "got one\ngot two\nend\n");
}

TEST(Program, IsSignalled)
{
    Program p({ "/bin/sh", "-c", "trap 'echo caught; exit 5' USR1; echo ready; read x" }, [] {
        ProgramOptions o;
        o.keep_input = true;
        return o;
    }());
    ASSERT_TRUE(p.wait_for_output("ready"));
    p.signal_group(SIGUSR1);
    EXPECT_EQ(p.wait().code, 5) << p.wait();
}

TEST(Program, EndsWithItsObject)
{
    pid_t pid;
    {
        Program p({ "/bin/sleep", "1002" });
        pid = p.pid();
        EXPECT_TRUE(is_alive(pid));
    }
    EXPECT_FALSE(is_alive(pid));
    EXPECT_TRUE(children_of(getpid()).empty());
}

TEST(Harness, LeaksNoDescriptors)
{
    sh("true");
    int before = count_fds();
    for (int i = 0; i < 5; i++)
        sh("echo x; cat >/dev/null");
    EXPECT_EQ(count_fds(), before) << describe_fds();
}

TEST(Scratch, IsRemovedWithItsContent)
{
    std::string path;
    {
        Scratch dir;
        path = dir.path();
        write_file(dir / "file", "text");
        EXPECT_EQ(read_file(dir / "file"), "text");
    }
    EXPECT_NE(access(path.c_str(), F_OK), 0);
    EXPECT_EQ(read_file(path + "/file"), "");
}

} // namespace
