// ctest: launcher timeout=120
/* What those who come from mpirun, mpiexec and srun expect of `serry run`: each option does what it
 * says, and one that is misspelt is named with the one that may be meant. */
#include "conformance/launcher_test.h"

#include <serry/world.h>

#include <csignal>
#include <regex>
#include <unistd.h>

using namespace serry_test;

namespace {

/* ---- the environment ---- */

TEST(LauncherOptions, GenvSetsAVariable)
{
    auto r = script(2, "echo $A, $B", { "-genv", "A", "1=2", "--genv", "B", "" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "1=2,\n1=2,\n");
}

TEST(LauncherOptions, ABeginningWithAStarNamesVariables)
{
    ProgramOptions o;
    o.env = { { "KEPT_ONE", "1" }, { "KEPT_TWO", "2" } };
    auto r = script(1, "echo $KEPT_ONE $KEPT_TWO", { "-x", "KEPT_*" }, o);
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "1 2\n");
    EXPECT_EQ(r.err, "");
    r = script(1, "true", { "-x", "NOT_THERE_*" }, o);
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.err, "serry run: -x NOT_THERE_*: there is no such variable in the environment\n");
}

/* ---- output ---- */

TEST(LauncherOptions, PrependRankIsTagOutput)
{
    for (const char *flag : { "-prepend-rank", "--prepend-rank", "-tag-output" }) {
        auto r = script(2, "echo a; echo b >&2", { flag });
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(sorted_lines(r.out), (Words{ "[0]<stdout>: a", "[1]<stdout>: a" }));
        EXPECT_EQ(sorted_lines(r.err), (Words{ "[0]<stderr>: b", "[1]<stderr>: b" }));
    }
}

TEST(LauncherOptions, TimestampOutputPutsTheTimeBeforeEachLine)
{
    const std::string time = "[0-9]{4}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
                             "\\.[0-9]{3} ";
    auto r = script(2, "echo a; printf b; echo c >&2", { "--timestamp-output" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(lines(r.out).size(), 4u) << r;
    for (const auto &line : lines(r.out))
        EXPECT_TRUE(std::regex_match(line, std::regex(time + "[ab]"))) << line;
    for (const auto &line : lines(r.err))
        EXPECT_TRUE(std::regex_match(line, std::regex(time + "c"))) << line;
    r = script(1, "echo a", { "--timestamp-output", "-l" });
    EXPECT_TRUE(std::regex_match(r.out, std::regex(time + "\\[0\\]<stdout>: a\n"))) << r;
}

TEST(LauncherOptions, TimestampsAreOfTheMomentALineBegins)
{
    Program p({ serry_command(), "run", "-n", "1", "--timestamp-output", "sh", "-c",
                "echo first; read x; echo second" },
              [] {
                  ProgramOptions o;
                  o.keep_input = true;
                  return o;
              }());
    ASSERT_TRUE(p.wait_for_output("first\n"));
    usleep(20000);
    p.write("on\n");
    Words all = lines(p.wait().out);
    ASSERT_EQ(all.size(), 2u) << p.wait();
    EXPECT_LT(all[0].substr(0, 23), all[1].substr(0, 23));
}

TEST(LauncherOptions, OutputFilenameGivesEachRankFilesOfItsOwn)
{
    Scratch here, there;
    ProgramOptions o;
    o.directory = here.path();
    /* Twice: what was there is written over. Where the ranks are does not matter. */
    for (const char *word : { "a longer word", "word" }) {
        auto r = script(3, std::string("echo ") + word + " $SERRY_RANK; echo no >&2; pwd -P >&2",
                        { "--output-filename", "all/of it", "--wdir", there.path() }, o);
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(r.out + r.err, "");
        for (int rank = 0; rank < 3; rank++) {
            std::string dir = here / ("all/of it/rank." + std::to_string(rank));
            EXPECT_EQ(read_file(dir + "/stdout"),
                      std::string(word) + " " + std::to_string(rank) + "\n");
            EXPECT_EQ(read_file(dir + "/stderr"), "no\n" + there.path() + "\n");
        }
    }
}

TEST(LauncherOptions, OutputFilenameIsRefusedWhereThereCanBeNoFiles)
{
    Scratch dir;
    write_file(dir / "file", "");
    auto r = run({ "--output-filename", dir / "file", "-n", "2", "echo", "x" });
    EXPECT_EQ(r.code, 1) << r;
    EXPECT_EQ(lines(r.err).size(), 1u) << r;
    EXPECT_TRUE(has(r.err, "'" + (dir / "file") + "'")) << r;
    r = run({ "--output-filename", dir / "file/below", "-n", "2", "echo", "x" });
    EXPECT_EQ(r.code, 1) << r;
    EXPECT_TRUE(has(r.err, "file")) << r;
    write_file(dir / "rank.1", "");
    r = run({ "--output-filename", dir.path(), "-n", "2", "echo", "x" });
    EXPECT_EQ(r.code, 1) << r;
    EXPECT_TRUE(has(r.err, "rank.1")) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

/* ---- input ---- */

TEST(LauncherOptions, StdinGoesToTheRankAskedFor)
{
    ProgramOptions o;
    o.input = "one\ntwo\n";
    const char show[] = "sed s/^/$SERRY_RANK:/; echo $SERRY_RANK ends";
    auto r = script(3, show, { "--stdin", "2" }, o);
    EXPECT_EQ(sorted_lines(r.out), (Words{ "0 ends", "1 ends", "2 ends", "2:one", "2:two" })) << r;
    r = script(2, show, { "--stdin=none" }, o);
    EXPECT_EQ(sorted_lines(r.out), (Words{ "0 ends", "1 ends" })) << r;
}

TEST(LauncherOptions, StdinGoesToAllWhole)
{
    ProgramOptions o;
    for (int i = 0; i < 60000; i++)
        o.input += std::to_string(i) + "\n";
    auto expect_all = [](const ProgramResult &r) {
        EXPECT_TRUE(r.ok()) << r.err;
        Words all = sorted_lines(r.out);
        EXPECT_EQ(all.size(), 4u);
        EXPECT_EQ(std::unique(all.begin(), all.end()) - all.begin(), 1) << r;
        EXPECT_TRUE(has(r.out, " 348890\n")) << r;
    };
    /* By a pipe, read at different speeds. */
    expect_all(script(4, "test $SERRY_RANK = 1 && sleep 0.2; cksum", { "--stdin", "all" }, o));
    /* By a file, from where it is read. */
    Scratch dir;
    write_file(dir / "in", "skipped\n" + o.input);
    expect_all(run_program({ "sh", "-c",
                             "exec <'" + (dir / "in") + "'; read x; exec " + serry_command()
                                 + " run -n 4 --stdin all cksum" }));
}

TEST(LauncherOptions, StdinGoesOnWithoutThoseWhoDoNotRead)
{
    ProgramOptions o;
    for (int i = 0; i < 60000; i++)
        o.input += std::to_string(i) + "\n";
    auto r = script(3, "test $SERRY_RANK = 1 || wc -l", { "--stdin", "all" }, o);
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "60000\n60000\n");
    r = script(2, "exec <&-", { "--stdin", "all" }, o);
    EXPECT_TRUE(r.ok()) << r;
    for (const char *from : { "/dev/null", "/dev/zero" }) {
        auto s = run_program(
            { "sh", "-c",
              serry_command() + " run -n 3 --stdin all head -c 3 <" + from + " | wc -c" });
        EXPECT_EQ(atoi(s.out.c_str()), std::string(from) == "/dev/zero" ? 9 : 0) << s;
    }
}

/* ---- processors ---- */

TEST(LauncherOptions, BindingsAreReportedAsTheyAre)
{
    int n = serry_cpu_count();
    const std::string show = "echo $SERRY_RANK $(grep Cpus_allowed_list /proc/self/status)";
    for (const char *what : { "core", "hwthread", "socket", "none" }) {
        auto r = script(n, show, { "--bind-to", what, "--report-bindings" });
        EXPECT_TRUE(r.ok()) << r;
        Words said = sorted_lines(r.err), seen = sorted_lines(r.out);
        ASSERT_EQ(said.size(), (size_t)n) << r;
        ASSERT_EQ(seen.size(), (size_t)n) << r;
        for (size_t i = 0; i < said.size() && n < 10; i++) {
            std::string cpus = seen[i].substr(seen[i].find(": ") + 2);
            cpus = std::regex_replace(cpus, std::regex(","), ", ");
            EXPECT_EQ(said[i].find("serry run: rank " + std::to_string(i) + " is "
                                   + (what == std::string("none") ? "not bound" : "bound to")),
                      0u)
                << r;
            EXPECT_EQ(said[i].substr(said[i].find("processor")).find_first_of("0123456789"),
                      said[i].substr(said[i].find("processor")).find(cpus))
                << r;
        }
    }
}

TEST(LauncherOptions, HwthreadsAreOnePerRankAndSocketsAreShared)
{
    const std::string show = "grep Cpus_allowed_list /proc/self/status";
    int n = serry_cpu_count();
    auto r = script(n, show, { "--bind-to", "hwthread" });
    Words all = sorted_lines(r.out);
    EXPECT_EQ(std::unique(all.begin(), all.end()) - all.begin(), n) << r;
    r = script(n + 1, show, { "--bind-to", "hwthread" });
    EXPECT_TRUE(has(r.err, "not bound")) << r;
    r = script(4 * n, show, { "--bind-to", "socket" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.err, "");
}

/* ---- whose exit status ---- */

bool is_zombie(const std::string &pid)
{
    return has(read_file("/proc/" + pid + "/stat"), ") Z ");
}

TEST(LauncherExit, IsOfTheFirstTheLowestOrTheGreatestIfTheOthersGoOn)
{
    for (const auto &[which, code] :
         std::map<std::string, int>{ { "first", 5 }, { "lowest", 3 }, { "max", 9 } }) {
        ProgramOptions o;
        o.keep_input = true;
        Program p({ serry_command(), "run", "--keep-going", "--exit", which, "--stdin", "all", "-n",
                    "3", "sh", "-c",
                    "test $SERRY_RANK = 2 && exit 5; read x; test $SERRY_RANK = 1 && exit 9\n"
                    "read x; exit 3" },
                  o);
        ASSERT_TRUE(p.wait_for([&] { return has(p.err(), "rank 2 "); }));
        p.write("x\n");
        ASSERT_TRUE(p.wait_for([&] { return has(p.err(), "rank 1 "); }));
        p.write("x\n");
        EXPECT_EQ(p.wait().code, code) << which << p.wait();
    }
}

/* Rank 0 is ended by the launcher: what that gives is nobody's. */
TEST(LauncherExit, CountsThoseThatFailedByThemselves)
{
    for (const auto &[which, code] : std::map<std::string, int>{ { "lowest", 4 }, { "max", 7 } }) {
        Scratch dir;
        Program p({ serry_command(), "run", "--exit", which, "--wdir", dir.path(), "-n", "3", "sh",
                    "-c",
                    "echo $SERRY_RANK $$; until test -e go; do sleep 0.01; done\n"
                    "case $SERRY_RANK in 0) sleep 1000;; 1) exit 4;; 2) exit 7;; esac" });
        ASSERT_TRUE(p.wait_for([&] { return lines(p.out()).size() == 3; }));
        Words said = sorted_lines(p.out());
        p.signal(SIGSTOP);
        write_file(dir / "go", "");
        ASSERT_TRUE(p.wait_for(
            [&] { return is_zombie(said[1].substr(2)) && is_zombie(said[2].substr(2)); }));
        p.signal(SIGCONT);
        EXPECT_EQ(p.wait().code, code) << which << p.wait();
        EXPECT_TRUE(has(p.wait().err, "rank 1 ")) << p.wait();
        EXPECT_TRUE(has(p.wait().err, "rank 2 ")) << p.wait();
        EXPECT_TRUE(p.wait().left_behind.empty()) << p.wait();
    }
}

/* ---- several programs ---- */

TEST(LauncherPrograms, AreRanksOfOneWorldNumberedThrough)
{
    auto r = run({ "-n", "2", "sh", "-c", "echo a $SERRY_RANK $SERRY_SIZE $0", "x", ":", "-np=3",
                   "sh", "-c", "echo b $SERRY_RANK $SERRY_SIZE", ":", "echo", "c" });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(sorted_lines(r.out), (Words{ "a 0 6 x", "a 1 6 x", "b 2 6", "b 3 6", "b 4 6", "c" }));
    r = run({ "echo", "a", ":", "echo", "b" });
    EXPECT_EQ(sorted_lines(r.out), (Words{ "a", "b" })) << "one of each unless it is said";
    r = run({ "-n", "1", "--", "echo", "a", ":", "b" });
    EXPECT_EQ(r.out, "a : b\n");
}

TEST(LauncherPrograms, TalkToEachOther)
{
    std::string other = program_path("launched");
    for (const char *lanes : { "shm", "socket" }) {
        Scratch dir;
        ASSERT_EQ(run_program({ "cp", other, dir / "copy" }).code, 0);
        ProgramOptions o;
        o.env = { { "SERRY_LANES", lanes } };
        auto r = run({ "-n", "2", other, "fine", ":", "-n", "1", dir / "copy" }, o);
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(sorted_lines(r.out),
                  (Words{ "rank 0 of 3, node 0 of 1: sum 6, child 1, queue 6",
                          "rank 1 of 3, node 0 of 1: sum 6, child 1, queue 6",
                          "rank 2 of 3, node 0 of 1: sum 6, child 1, queue 6" }))
            << r;
    }
}

TEST(LauncherPrograms, AreNamedIfTheyCannotBeStarted)
{
    auto r = run({ "-n", "2", "sleep", "1000", ":", "not-a-program" });
    EXPECT_EQ(r.code, 127) << r;
    EXPECT_TRUE(has(r.err, "'not-a-program'")) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

/* ---- wrong use ---- */

struct BadOption {
    const char *name;
    Words args;
    const char *said;
};

class LauncherOptionsRefuse : public testing::TestWithParam<BadOption> {};

TEST_P(LauncherOptionsRefuse, WithOneSentence)
{
    auto r = run(GetParam().args);
    EXPECT_EQ(r.code, 2) << r;
    EXPECT_EQ(r.out, "");
    EXPECT_EQ(lines(r.err).size(), 1u) << r;
    EXPECT_EQ(r.err.rfind("serry run: ", 0), 0u) << r;
    EXPECT_TRUE(has(r.err, GetParam().said)) << r;
}

const BadOption bad_options[] = {
    { "Misspelt", { "--tiemout", "3", "true" }, "no option '--tiemout'; is --timeout meant?" },
    { "MisspeltWithAValue", { "--wdri=/", "true" }, "is --wdir meant?" },
    { "MisspeltInTheMiddle", { "--kepp-going", "true" }, "is --keep-going meant?" },
    { "Beginning", { "--report", "true" }, "is --report-bindings meant?" },
    { "OneDashTooMany", { "---quiet", "true" }, "is --quiet meant?" },
    { "LikeNothing", { "--frobnicate", "true" }, "no option '--frobnicate' (" },
    { "TooLongToBeLikeAnything",
      { "--xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "true" },
      "no option" },
    { "Hostfile", { "--hostfile", "hosts", "true" }, "mpirun or srun" },
    { "Host", { "-host", "a,b", "true" }, "mpirun or srun" },
    { "GenvWithoutAValue", { "-genv", "A" }, "-genv needs a name and a value" },
    { "GenvWithAnEquals", { "-genv", "A=1", "true" }, "'A=1'" },
    { "StarInTheMiddle", { "-x", "A*B", "true" }, "'A*B'" },
    { "StdinToNobody", { "--stdin", "some", "true" }, "a rank, none or all" },
    { "StdinToARankThatIsNot", { "--stdin", "2", "-n", "2", "true" }, "ranks 0 to 1" },
    { "StdinToLessThanNone", { "--stdin", "-1", "true" }, "'-1'" },
    { "ExitOfNobody", { "--exit", "last", "true" }, "first, lowest or max" },
    { "FilesWithTags", { "--output-filename", "x", "-l", "true" }, "neither tags nor times" },
    { "FilesWithoutAName", { "--output-filename", "", "true" }, "name of a directory" },
    { "NothingBehindTheColon", { "true", ":" }, "behind a :" },
    { "ColonAtOnce", { ":", "true" }, "no program is named" },
    { "TwoColons", { "true", ":", ":", "true" }, "behind a :" },
    { "OptionOfTheRunBehindTheColon", { "true", ":", "-l", "true" }, "before the first program" },
    { "TooManyInAll", { "-n", "4000", "true", ":", "-n", "4000", "true" }, "limit is 4095" },
};

INSTANTIATE_TEST_SUITE_P(Launcher, LauncherOptionsRefuse, testing::ValuesIn(bad_options),
                         [](const auto &i) { return std::string(i.param.name); });

TEST(LauncherOptions, VersionIsToldHereToo)
{
    for (const char *flag : { "--version", "-V" })
        EXPECT_EQ(run({ "-n", "3", flag }).out, SERRY_VERSION "\n");
}

/* What --help lists is taken, and what is taken is listed. */
TEST(LauncherOptions, AreAllInTheHelp)
{
    std::string help = run({ "--help" }).out;
    for (const char *option : { "-n,",
                                "-np",
                                "-x NAME",
                                "-genv",
                                "--wdir",
                                "--stdin",
                                "-l,",
                                "--tag-output",
                                "--prepend-rank",
                                "--timestamp-output",
                                "--output-filename",
                                "--timeout",
                                "--grace",
                                "--keep-going",
                                "--exit",
                                "--bind-to",
                                "--report-bindings",
                                "-q,",
                                "--quiet",
                                "-h,",
                                "--help",
                                "-V,",
                                "--version" })
        EXPECT_TRUE(has(help, option)) << option;
    const std::regex word("[ ,](--[a-z-]+)");
    size_t n = 0;
    for (std::sregex_iterator at(help.begin(), help.end(), word), end; at != end; ++at, n++) {
        auto r = run({ (*at)[1] });
        EXPECT_FALSE(has(r.err, "no option")) << r;
    }
    EXPECT_GE(n, 10u);
}

} // namespace
