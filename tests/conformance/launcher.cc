// ctest: launcher timeout=120
/* `serry run` as its users see it: what ranks get, what is said, and the exit status. The programs
 * know nothing of serry. */
#include "conformance/launcher_test.h"

#include <serry/world.h>

#include <unistd.h>

using namespace serry_test;

namespace {

/* ---- what ranks get ---- */

TEST(Launcher, RunsProgramsThatKnowNothingOfSerry)
{
    auto r = run({ "-n", "3", "echo", "hi" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "hi\nhi\nhi\n");
    EXPECT_EQ(r.err, "");
}

TEST(Launcher, TellsRankAndSize)
{
    auto r = script(3, "echo $SERRY_RANK of $SERRY_SIZE");
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(sorted_lines(r.out), (Words{ "0 of 3", "1 of 3", "2 of 3" }));
}

TEST(Launcher, StartsOneRankForEachProcessorByDefault)
{
    auto r = run({ "echo", "hi" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ((int)lines(r.out).size(), serry_cpu_count());
}

TEST(Launcher, TakesItsOptionsInEverySpelling)
{
    for (const Words &args : { Words{ "-n", "2", "echo", "x" }, Words{ "-np", "2", "echo", "x" },
                               Words{ "--np=2", "--timeout=9", "--", "echo", "x" } }) {
        auto r = run(args);
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(r.out, "x\nx\n");
    }
}

TEST(Launcher, LeavesTheProgramsOwnOptionsAlone)
{
    auto r = run({ "-n", "1", "echo", "-n", "x", "--help" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "x --help");
}

TEST(Launcher, SetsVariables)
{
    ProgramOptions o;
    o.env = { { "KEPT", "as it was" } };
    auto r = script(2, "echo $KEPT, $A, $B", { "-x", "A=1=2", "-x", "B=", "-x", "KEPT" }, o);
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "as it was, 1=2,\nas it was, 1=2,\n");
    EXPECT_EQ(r.err, "");
}

TEST(Launcher, WarnsOfAVariableThatIsNotThere)
{
    auto r = run({ "-x", "NOT_THERE", "-n", "1", "true" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_TRUE(has(r.err, "NOT_THERE")) << r;
}

TEST(Launcher, StartsRanksInTheDirectoryAskedFor)
{
    Scratch dir;
    write_file(dir / "app", "#!/bin/sh\npwd -P; echo $PWD\n");
    ASSERT_EQ(run_program({ "chmod", "+x", dir / "app" }).code, 0);
    auto r = run({ "--wdir", dir.path(), "-n", "1", "./app" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, dir.path() + "\n" + dir.path() + "\n");
}

TEST(Launcher, GivesStandardInputToRankZeroOnly)
{
    ProgramOptions o;
    o.input = "one\ntwo\n";
    auto r = script(3, "sed s/^/$SERRY_RANK:/; echo $SERRY_RANK ends", {}, o);
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(sorted_lines(r.out), (Words{ "0 ends", "0:one", "0:two", "1 ends", "2 ends" }));
}

TEST(Launcher, GivesRanksFourDescriptorsAndNoMore)
{
    for (const Words &flags : { Words{}, Words{ "--tag-output" } }) {
        /* ls has one more for the directory. */
        auto r = script(2, "exec ls /proc/self/fd >&2", flags);
        EXPECT_TRUE(r.ok()) << r;
        for (char fd : { '5', '6', '7', '8', '9' })
            EXPECT_FALSE(has(r.err, std::string(1, fd) + "\n")) << r;
    }
}

TEST(Launcher, GivesEachRankAProcessGroupAndAnEmptySignalMask)
{
    auto r = script(2, "read pid name state parent group rest < /proc/self/stat\n"
                       "test $group = $$ && echo own\n"
                       "grep -c 'SigBlk.*[1-9a-f]' /proc/self/status; true");
    EXPECT_EQ(sorted_lines(r.out), (Words{ "0", "0", "own", "own" })) << r;
}

TEST(Launcher, GivesRanksTheLimitOfDescriptorsThatItHad)
{
    auto r = run_program(
        { "sh", "-c",
          "ulimit -S -n 64; exec " + serry_command() + " run -n 40 sh -c 'ulimit -S -n'" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(lines(r.out), Words(40, "64"));
}

TEST(Launcher, NamesTheLimitThatRanksDoNotFitInto)
{
    auto r =
        run_program({ "sh", "-c", "ulimit -n 64; exec " + serry_command() + " run -n 100 true" });
    EXPECT_EQ(r.code, 1) << r;
    EXPECT_TRUE(has(r.err, "cannot start rank")) << r;
    EXPECT_TRUE(has(r.err, "64 descriptors, see ulimit -n")) << r;
}

TEST(Launcher, NamesTheSpaceThatTheSharedSegmentDoesNotFitInto)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer needs more addresses than any limit allows";
#endif
    auto r = run_program(
        { "sh", "-c", "ulimit -v 1000000; exec " + serry_command() + " run -n 2 true" });
    EXPECT_EQ(r.code, 1) << r;
    EXPECT_TRUE(has(r.err, "this process may have 1024000000: see ulimit -v")) << r;
    EXPECT_TRUE(has(r.err, "SERRY_LANES=socket")) << r;
}

TEST(Launcher, WorksWhenItsParentIgnoresChildren)
{
    auto r = run_program(
        { "sh", "-c", "trap '' CHLD; exec " + serry_command() + " run -n 2 sh -c 'exit 7'" });
    EXPECT_EQ(r.code, 7) << r;
}

TEST(Launcher, WorksWithClosedStandardStreams)
{
    auto r = run_program(
        { "sh", "-c", "exec " + serry_command() + " run -n 2 sh -c 'cat; exit 7' <&- >&- 2>&-" });
    EXPECT_EQ(r.code, 7) << r;
    EXPECT_EQ(r.out + r.err, "");
}

TEST(Launcher, BindsEachRankToAProcessorIfTheySuffice)
{
    const std::string show = "grep Cpus_allowed_list /proc/self/status";
    int n = serry_cpu_count();
    auto r = script(n, show, { "--bind-to", "core" });
    EXPECT_TRUE(r.ok()) << r;
    Words all = sorted_lines(r.out);
    EXPECT_EQ(std::unique(all.begin(), all.end()) - all.begin(), n) << r;

    r = script(1000, "true", { "--bind-to=core" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_TRUE(has(r.err, "not bound")) << r;

    auto none = script(2, show, { "--bind-to", "none" });
    auto plain = script(2, show);
    EXPECT_EQ(none.out, plain.out);
    EXPECT_EQ(none.err, "");
}

TEST(Launcher, StartsAThousandRanks)
{
    auto r = run({ "-n", "1000", "echo", "x" });
    EXPECT_TRUE(r.ok()) << r.err;
    EXPECT_EQ(lines(r.out).size(), 1000u);
}

/* ---- tagged output ---- */

TEST(LauncherOutput, IsTaggedLineByLine)
{
    for (const char *flag : { "-l", "--tag-output" }) {
        auto r = script(2, "echo a; echo; echo b >&2; printf c", { flag });
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(sorted_lines(r.out),
                  (Words{ "[0]<stdout>: ", "[0]<stdout>: a", "[0]<stdout>: c",
                          "[1]<stdout>: ", "[1]<stdout>: a", "[1]<stdout>: c" }));
        EXPECT_EQ(sorted_lines(r.err), (Words{ "[0]<stderr>: b", "[1]<stderr>: b" }));
        EXPECT_EQ(r.out.back(), '\n');
    }
}

TEST(LauncherOutput, NeverMixesLinesAndKeepsTheOrderOfEachRank)
{
    const int ranks = 4;
    const int count = 20000;
    auto r = script(ranks,
                    "seq -f \"$SERRY_RANK %.0f xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" "
                        + std::to_string(count),
                    { "-l" });
    ASSERT_TRUE(r.ok()) << r.err;
    int seen[ranks] = {};
    for (const auto &line : lines(r.out)) {
        int tag, rank, number, end = 0;
        ASSERT_EQ(sscanf(line.c_str(), "[%d]<stdout>: %d %d x%n", &tag, &rank, &number, &end), 3)
            << line;
        ASSERT_EQ(tag, rank) << line;
        ASSERT_LT(rank, ranks);
        ASSERT_EQ(number, ++seen[rank]) << line;
        ASSERT_EQ(line.substr((size_t)end), std::string(34, 'x'));
    }
    for (int n : seen)
        EXPECT_EQ(n, count);
}

TEST(LauncherOutput, CutsALineOfMegabytesAndLosesNothingOfIt)
{
    const size_t len = 3000000;
    auto r =
        script(2, "head -c " + std::to_string(len) + " /dev/zero | tr '\\0' a; echo", { "-l" });
    ASSERT_TRUE(r.ok()) << r.err;
    size_t seen[2] = {};
    for (const auto &line : lines(r.out)) {
        ASSERT_TRUE(line.rfind("[0]<stdout>: a", 0) == 0 || line.rfind("[1]<stdout>: a", 0) == 0)
            << line.substr(0, 40);
        size_t text = line.size() - strlen("[0]<stdout>: ");
        EXPECT_GE(text, 1000u);
        seen[line[1] - '0'] += text;
    }
    EXPECT_EQ(seen[0], len);
    EXPECT_EQ(seen[1], len);
}

TEST(LauncherOutput, ThatCannotBeWrittenFailsTheRun)
{
    auto r = run_program({ "sh", "-c", serry_command() + " run -l -n 2 echo x >/dev/full" });
    EXPECT_EQ(r.code, 1) << r;
    EXPECT_TRUE(has(r.err, "No space left")) << r;
}

TEST(LauncherOutput, ThatNobodyReadsEndsTheRanksAsAPipeDoes)
{
    auto r = run_program({ "sh", "-c",
                           "{ " + serry_command()
                               + " run -l -n 2 yes; echo $? >&2; } "
                                 "| head -n 1" });
    EXPECT_EQ(lines(r.out).size(), 1u) << r;
    EXPECT_TRUE(has(r.err, "141\n")) << r;
}

/* ---- the exit status ---- */

TEST(LauncherStatus, IsThatOfTheFirstRankThatFails)
{
    auto r = script(3, "test $SERRY_RANK = 1 && exit 3; exec sleep 1000");
    EXPECT_EQ(r.code, 3) << r;
    EXPECT_TRUE(has(r.err, "serry run: rank 1 (pid ")) << r;
    EXPECT_TRUE(has(r.err, ") exited with code 3; ending the other ranks\n")) << r;
    EXPECT_EQ(lines(r.err).size(), 1u) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

TEST(LauncherStatus, Is128AndTheSignalThatKilledARank)
{
    auto r = script(3, "test $SERRY_RANK = 2 && kill -9 $$; exec sleep 1000");
    EXPECT_EQ(r.code, 137) << r;
    EXPECT_TRUE(has(r.err, "rank 2 (pid ")) << r;
    EXPECT_TRUE(has(r.err, ") was killed by signal 9 (Killed); ending the other ranks\n")) << r;
}

TEST(LauncherStatus, IsTheFirstFailureAlsoIfTheOthersGoOn)
{
    ProgramOptions o;
    o.keep_input = true;
    Program p({ serry_command(), "run", "--keep-going", "-n", "2", "sh", "-c",
                "test $SERRY_RANK = 1 && exit 3; read x; echo $x; exit 4" },
              o);
    ASSERT_TRUE(p.wait_for([&] { return has(p.err(), "rank 1 "); }));
    p.write("went on\n");
    const auto &r = p.wait();
    EXPECT_EQ(r.code, 3) << r;
    EXPECT_EQ(r.out, "went on\n");
    EXPECT_TRUE(has(r.err, "exited with code 3\n")) << r;
    EXPECT_TRUE(has(r.err, "exited with code 4\n")) << r;
}

TEST(LauncherStatus, IsGivenWithoutAWordIfQuietIsWanted)
{
    for (const char *flag : { "-q", "--quiet" }) {
        auto r = script(2, "exit 5", { flag });
        EXPECT_EQ(r.code, 5) << r;
        EXPECT_EQ(r.err, "");
    }
}

TEST(LauncherStatus, Is110OutOfTime)
{
    auto r = script(4, "test $SERRY_RANK = 1 && exit 0; exec sleep 1000", { "--timeout", "0.3" });
    EXPECT_EQ(r.code, 110) << r;
    EXPECT_TRUE(has(r.err, "still running: ranks 0, 2-3\n")) << r;
    EXPECT_LT(r.seconds, patience(10));
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

TEST(LauncherStatus, ComesAfterTheGraceTimeIfRanksDoNotWantToEnd)
{
    const char stubborn[] = "test $SERRY_RANK = 1 && exit 3; trap '' TERM INT HUP\n"
                            "while :; do sleep 1000; done";
    auto r = script(3, stubborn, { "--grace", "0.5" });
    EXPECT_EQ(r.code, 3) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
    r = script(3, stubborn, { "--grace", "0" });
    EXPECT_EQ(r.code, 3) << r;
    EXPECT_LT(r.seconds, patience(10));
}

TEST(LauncherStatus, LeavesNothingOfWhatRanksHaveStarted)
{
    auto r =
        script(3, "sleep 1000 & sh -c 'trap \"\" TERM INT HUP; sleep 1000; sleep 1000' & exit 0");
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_LT(r.seconds, patience(10));
}

TEST(LauncherStatus, WaitsForARankThatClosesItsDescriptors)
{
    Scratch dir;
    ASSERT_EQ(run_program({ "mkfifo", dir / "fifo" }).code, 0);
    /* It gives up its seat, and then goes on for as long as somebody lets it. */
    Program p({ serry_command(), "run", "--wdir", dir.path(), "-n", "1", "sh", "-c",
                "eval \"exec $SERRY_JOIN_FD>&-\"; echo closed; read x <fifo; exit $x" });
    ASSERT_TRUE(p.wait_for_output("closed\n"));
    write_file(dir / "fifo", "6\n");
    EXPECT_EQ(p.wait().code, 6) << p.wait();
}

/* ---- bad input ---- */

struct BadInput {
    const char *name;
    Words args;
    int code;
    const char *said;
};

class LauncherRefuses : public testing::TestWithParam<BadInput> {};

TEST_P(LauncherRefuses, WithOneSentence)
{
    auto r = run(GetParam().args);
    EXPECT_EQ(r.code, GetParam().code) << r;
    EXPECT_EQ(r.out, "");
    EXPECT_EQ(lines(r.err).size(), 1u) << r;
    EXPECT_EQ(r.err.rfind("serry run: ", 0), 0u) << r;
    EXPECT_TRUE(has(r.err, GetParam().said)) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

const BadInput bad_inputs[] = {
    { "NoProgram", {}, 2, "no program" },
    { "NoProgramAfterOptions", { "-n", "2" }, 2, "no program" },
    { "NoProgramAfterTheDash", { "-n", "2", "--" }, 2, "no program" },
    { "EmptyProgram", { "" }, 2, "no program" },
    { "NoRanks", { "-n", "0", "true" }, 2, "-n is 0" },
    { "FewerRanksThanNone", { "-n", "-1", "true" }, 2, "-n is -1" },
    { "TooManyRanks", { "-n", "5000", "true" }, 2, "1 to 4095" },
    { "FarTooManyRanks", { "-n", "99999999999999999999", "true" }, 2, "-n" },
    { "RanksThatAreNoNumber", { "-n", "x", "true" }, 2, "'x'" },
    { "RanksAndABit", { "-n", "2.5", "true" }, 2, "'2.5'" },
    { "NumberMissing", { "-n" }, 2, "-n needs a value" },
    { "UnknownOption", { "--foo", "true" }, 2, "--foo" },
    { "UnknownLetter", { "-z", "true" }, 2, "-z" },
    { "ValueForNothing", { "--quiet=3", "true" }, 2, "'3'" },
    { "TimeoutOfNothing", { "--timeout", "0", "true" }, 2, "--timeout" },
    { "TimeoutThatIsNoNumber", { "--timeout", "nan", "true" }, 2, "nan" },
    { "NegativeGrace", { "--grace=-1", "true" }, 2, "--grace" },
    { "GraceWithAUnit", { "--grace=2s", "true" }, 2, "2s" },
    { "UnknownBinding", { "--bind-to", "board", "true" }, 2, "'board'" },
    { "VariableWithoutAName", { "-x", "=3", "true" }, 2, "'=3'" },
    { "MissingDirectory", { "--wdir", "/not/there", "true" }, 2, "/not/there" },
    { "MissingProgram", { "-n", "3", "not-a-program" }, 127, "'not-a-program'" },
    { "MissingPath", { "-n", "3", "/not/there" }, 127, "'/not/there'" },
    { "NotExecutable", { "-n", "3", "/etc/passwd" }, 126, "/etc/passwd" },
    { "Directory", { "-n", "3", "/" }, 126, "'/': it is a directory" },
};

INSTANTIATE_TEST_SUITE_P(Launcher, LauncherRefuses, testing::ValuesIn(bad_inputs),
                         [](const auto &i) { return std::string(i.param.name); });

TEST(LauncherRefusesToo, AScriptWithoutItsInterpreter)
{
    Scratch dir;
    write_file(dir / "script", "#!/not/there\n");
    ASSERT_EQ(run_program({ "chmod", "+x", dir / "script" }).code, 0);
    auto r = run({ dir / "script" });
    EXPECT_EQ(r.code, 127) << r;
    EXPECT_TRUE(has(r.err, "interpreter")) << r;
}

TEST(LauncherRefusesToo, WrongOptionsInTheEnvironment)
{
    ProgramOptions o;
    o.env = { { "SERRY_LANES", "paper" } };
    auto r = run({ "true" }, o);
    EXPECT_EQ(r.code, 2) << r;
    EXPECT_TRUE(has(r.err, "SERRY_LANES is 'paper'")) << r;
    o.env = { { "SERRY_MAX_MESSAGE", "0" } };
    r = run({ "true" }, o);
    EXPECT_EQ(r.code, 2) << r;
}

TEST(LauncherRefusesToo, MoreRanksThanDescriptorsAllow)
{
    auto r = run_program(
        { "sh", "-c", "ulimit -n 60; exec " + serry_command() + " run -n 200 sleep 1000" });
    EXPECT_EQ(r.code, 1) << r;
    EXPECT_EQ(lines(r.err).size(), 1u) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

/* ---- the command around it ---- */

TEST(Command, HelpsWithEverything)
{
    for (const Words &args :
         { Words{ "--help" }, Words{ "-h" }, Words{ "help" }, Words{ "run", "--help" },
           Words{ "help", "run" }, Words{ "info", "--help" }, Words{ "bench", "--help" } }) {
        Words argv = args;
        argv.insert(argv.begin(), serry_command());
        auto r = run_program(argv);
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_TRUE(has(r.out, "sage: serry")) << r;
        EXPECT_EQ(r.err, "");
        for (const auto &line : lines(r.out))
            EXPECT_LE(line.size(), 90u) << line;
    }
}

TEST(Command, TellsItsVersion)
{
    EXPECT_EQ(run_program({ serry_command(), "--version" }).out, SERRY_VERSION "\n");
}

TEST(Command, RefusesWhatItDoesNotKnow)
{
    auto r = run_program({ serry_command(), "fly" });
    EXPECT_EQ(r.code, 2) << r;
    EXPECT_TRUE(has(r.err, "'fly'")) << r;
    EXPECT_EQ(run_program({ serry_command() }).code, 2);
    EXPECT_EQ(run_program({ serry_command(), "info", "more" }).code, 2);
    EXPECT_EQ(run_program({ serry_command(), "help", "fly" }).code, 2);
}

TEST(Command, DescribesThisMachine)
{
    auto r = run_program({ serry_command(), "info" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_TRUE(has(r.out, "serry " SERRY_VERSION "\n")) << r;
    for (const char *part : { "shared-memory lanes", "socket lanes", "MPI", "ranks of a run",
                              "message", "descriptors", "usable", "serry run ./app" })
        EXPECT_TRUE(has(r.out, part)) << part << r;
    for (const std::string mpi : { "openmpi", "mpich" }) {
        std::string plugin =
            std::string(SERRY_TEST_PROGRAMS) + "/../../lib/serry/libserry_mpi_" + mpi + ".so";
        if (access(plugin.c_str(), R_OK) == 0)
            EXPECT_TRUE(has(r.out, mpi == "mpich" ? "yes, MPICH" : "yes, Open MPI")) << r;
    }
    ProgramOptions o;
    o.env = { { "SERRY_PLUGIN_DIR", "/nowhere" }, { "SERRY_LANE", "shm" } };
    r = run_program({ serry_command(), "info" }, o);
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_TRUE(has(r.out, "not found")) << r;
    EXPECT_TRUE(has(r.out, "shm (serry has no option of this name)")) << r;
    EXPECT_FALSE(has(r.out, "/nowhere (serry")) << r;
    r = run_program({ serry_command(), "run", "-n", "1", serry_command(), "info" });
    EXPECT_TRUE(has(r.out, "SERRY_JOIN_FD ")) << r;
    for (const char *line : { "SERRY_RANK             0\n", "SERRY_SIZE             1\n" })
        EXPECT_TRUE(has(r.out, line)) << line << r;
    o.env = { { "SERRY_LANES", "paper" } };
    EXPECT_EQ(run_program({ serry_command(), "info" }, o).code, 2);
    EXPECT_EQ(run_program({ "sh", "-c", serry_command() + " info >/dev/full" }).code, 1);
}

} // namespace
