// ctest: launcher timeout=120
/* What ranks leave behind in sessions of their own, out of the reach of signals to their groups,
 * ends with the run as well, however it ends. */
#include "conformance/launcher_test.h"

#include <csignal>
#include <fstream>
#include <unistd.h>

using namespace serry_test;

namespace {

/* A process in a session of its own that wants to stay, and says that it is there. */
const std::string stays = "setsid sh -c 'trap \"\" TERM INT HUP; echo $$ >>there\n"
                          "while :; do sleep 1000; done' & until test -s there; do sleep 0.01; "
                          "done\n";

void expect_gone(const ProgramResult &r)
{
    EXPECT_TRUE(r.left_behind.empty()) << r;
    EXPECT_LT(r.seconds, patience(10));
}

struct End {
    const char *name;
    const char *rest; /* of the script */
    Words flags;
    int code;
};

class LauncherOrphans : public testing::TestWithParam<End> {};

TEST_P(LauncherOrphans, EndWithTheRun)
{
    Scratch dir;
    Words flags = GetParam().flags;
    flags.insert(flags.end(), { "--wdir", dir.path() });
    auto r = script(2, stays + GetParam().rest, flags);
    EXPECT_EQ(r.code, GetParam().code) << r;
    expect_gone(r);
}

const End ends[] = {
    { "AllIsFine", "exit 0", {}, 0 },
    { "OneFails", "test $SERRY_RANK = 1 && exit 3; sleep 1000", {}, 3 },
    { "OneIsKilled", "test $SERRY_RANK = 1 && kill -9 $$; sleep 1000", {}, 137 },
    { "TheTimeIsUp", "sleep 1000", { "--timeout", "0.5" }, 110 },
    { "OutputIsTagged", "exit 0", { "-l" }, 0 },
    { "TheyGoOn", "exit 4", { "--keep-going" }, 4 },
};

INSTANTIATE_TEST_SUITE_P(Launcher, LauncherOrphans, testing::ValuesIn(ends),
                         [](const auto &i) { return std::string(i.param.name); });

TEST(LauncherOrphansToo, EndWithASignal)
{
    for (int number : { SIGINT, SIGTERM, SIGHUP }) {
        Scratch dir;
        Program p({ serry_command(), "run", "--wdir", dir.path(), "-n", "2", "sh", "-c",
                    stays + "echo ready; sleep 1000" });
        ASSERT_TRUE(p.wait_for([&] { return p.out() == "ready\nready\n"; }));
        p.signal(number);
        EXPECT_EQ(p.wait().code, 128 + number) << p.wait();
        expect_gone(p.wait());
    }
}

/* Sessions below sessions, each of which has lost its parent or loses it on the way. */
TEST(LauncherOrphansToo, EndWithAllTheirOwn)
{
    Scratch dir;
    auto r = script(2,
                    "nest='setsid sh -c \"setsid sh -c \\\"setsid sleep 1000 & echo >>there; sleep "
                    "1000\\\" & sleep 1000\"'\n"
                    "eval \"$nest &\"; eval \"(eval \\\"$nest &\\\") &\"\n"
                    "until test \"$(wc -l <there)\" -ge 2; do sleep 0.01; done",
                    { "--wdir", dir.path() });
    EXPECT_TRUE(r.ok()) << r;
}

size_t children_that_ended(pid_t pid)
{
    size_t n = 0;
    std::ifstream in("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
    for (std::string child; in >> child;) {
        std::ifstream stat("/proc/" + child + "/stat");
        std::string line;
        std::getline(stat, line);
        n += has(line, ") Z ");
    }
    return n;
}

/* While the run goes on they are left alone, and reaped when they end. */
TEST(LauncherOrphansToo, AreReapedInALongRun)
{
    Scratch dir;
    ProgramOptions o;
    o.keep_input = true;
    Program p({ serry_command(), "run", "--wdir", dir.path(), "-n", "2", "sh", "-c",
                "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sh -c 'exit 0' &); done\n"
                "test $SERRY_RANK = 0 || exit 0\n"
                    + stays + "echo begun; read x; kill -0 $(cat there) && echo lives" },
              o);
    ASSERT_TRUE(p.wait_for_output("begun\n"));
    /* The one zombie is rank 1: its group's number is kept for it. */
    EXPECT_TRUE(p.wait_for([&] { return children_that_ended(p.pid()) == 1; })) << p.err();
    p.write("on\n");
    EXPECT_EQ(p.wait().code, 0) << p.wait();
    EXPECT_TRUE(has(p.out(), "lives\n")) << p.wait();
    expect_gone(p.wait());
}

/* ---- those that are meant to stay ---- */

TEST(LauncherOutlived, ByWhatIsMarkedAsMeantTo)
{
    Scratch dir;
    ProgramOptions o;
    o.grace = 0.2;
    auto r = script(1, "export SERRY_OUTLIVE=1; " + stays + "exit 0", { "--wdir", dir.path() }, o);
    EXPECT_EQ(r.code, 0) << r;
    EXPECT_GE(r.left_behind.size(), 1u) << "it was ended by the test, not by the launcher";
}

/* But what was said of the launcher itself is not for its ranks. */
TEST(LauncherOutlived, ByNobodyBecauseItWasMeantToItself)
{
    Scratch dir;
    ProgramOptions o;
    o.env = { { "SERRY_OUTLIVE", "1" } };
    auto r = script(1, stays + "exit 0", { "--wdir", dir.path() }, o);
    EXPECT_EQ(r.code, 0) << r;
    expect_gone(r);
}

/* A rank may not become one; a program that it has started may. */
TEST(LauncherOutlived, ByADaemonOfSerry)
{
    Scratch dir;
    ProgramOptions o;
    o.grace = 0.2;
    auto r = script(
        1, "unset SERRY_JOIN_FD; '" + program_path("daemon") + "' there || exit 5; test -s there",
        { "--wdir", dir.path() }, o);
    EXPECT_EQ(r.code, 0) << r;
    EXPECT_GE(r.left_behind.size(), 1u) << r;
}

} // namespace
