// ctest: slow processors=1 timeout=120
/* tutorials.cc: each program of apps/tutorials, started in each way, prints what its comment
 * promises. With SERRY_TEST_LAUNCH (words to which a program is added, that start four ranks of it)
 * the programs are started by that alone. */
#include "patterns/tutorials_checks.h"

#include <map>
#include <unistd.h>

using namespace serry_test;
using namespace tutorials_test;

namespace {

std::string tutorial_path(const std::string &name)
{
    return SERRY_TEST_PROGRAMS "/../../bin/tutorials/" + name;
}

bool was_built(const std::string &path)
{
    return access(path.c_str(), X_OK) == 0;
}

class TutorialTest : public testing::Test {
public:
    TutorialTest(const Tutorial &tutorial, Way way) : tutorial_(tutorial), way_(way) {}

    void TestBody() override
    {
        const std::string path = tutorial_path(tutorial_.name);
        if (!was_built(path))
            GTEST_SKIP() << tutorial_.name << " was not built";

        std::vector<std::string> argv;
        ProgramOptions options;
        if (way_ == run4)
            argv = { serry_command(), "run", "-n", "4" };
        if (way_ == launched) {
            std::istringstream launch(getenv("SERRY_TEST_LAUNCH"));
            for (std::string word; launch >> word;)
                argv.push_back(word);
            options.env["SERRY_COMMAND"] = serry_command();
        }
        if (way_ == np4)
            options.env["SERRY_NP"] = "4";
        if (way_ == clean_copy)
            options.env = { { "SERRY_START", "agent" }, { "SERRY_LANES", "socket" } };
        argv.push_back(path);
        argv.insert(argv.end(), tutorial_.arguments.begin(), tutorial_.arguments.end());

        const ProgramResult result = run_program(argv, options);
        EXPECT_TRUE(result.ok());
        EXPECT_EQ(result.err, "");
        const bool one = way_ == directly || way_ == clean_copy;
        tutorial_.check(Output(result, one ? 1 : 4, way_ == launched));
        if (HasFailure())
            ADD_FAILURE() << result;
    }

private:
    const Tutorial tutorial_;
    const Way way_;
};

/* What other ranks of the world may look on at is launched, too. */
std::vector<Way> launched_ways(const Tutorial &t)
{
    const bool too = std::count(t.ways.begin(), t.ways.end(), run4)
                     + std::count(t.ways.begin(), t.ways.end(), launched);
    return too ? std::vector<Way>{ launched } : std::vector<Way>{};
}

const bool added = [] {
    static const char *const names[] = { "Directly", "FromTheCleanCopyOverSockets", "AsFourRanks",
                                         "UnderTheLauncher", "Launched" };
    const bool launch = getenv("SERRY_TEST_LAUNCH") != nullptr;
    for (const Tutorial &each : tutorials)
        for (Way way : launch ? launched_ways(each) : each.ways)
            if (launch == (way == launched))
                testing::RegisterTest(
                    "Tutorial", (each.name + "/" + names[way]).c_str(), nullptr, nullptr, __FILE__,
                    __LINE__,
                    [each, way]() -> testing::Test * { return new TutorialTest(each, way); });
    return true;
}();

/* ---- daemonize ---- */

/* The program is gone at once; what it promises stands in a file, later. */
void expect_daemon(const std::map<std::string, std::string> &env)
{
    const std::string path = tutorial_path("daemonize");
    if (!was_built(path))
        GTEST_SKIP() << "daemonize was not built";
    Scratch dir;
    const std::string file = dir / "log";
    ProgramOptions options;
    options.env = env;
    options.grace = 10; /* the daemon is left behind, for a while */
    Program program({ path, file }, options);
    EXPECT_TRUE(wait_for([&] {
        return read_file(file).find("daemon ends\n") != std::string::npos;
    })) << read_file(file);
    const ProgramResult result = program.wait();
    EXPECT_TRUE(result.ok()) << result;
    EXPECT_EQ(result.out, "the daemon writes to " + file + "\n");

    ProgramResult log;
    log.out = read_file(file);
    const Output o(log, 1);
    EXPECT_EQ(o.first("daemon [0-9]+ begins, in session [0-9]+"), 0);
    EXPECT_EQ(o.all("tick ([0-9])"), (Lines{ "1", "2", "3", "4", "5" }));
    EXPECT_EQ(o.first("daemon ends"), 6);
    EXPECT_NE(o.all("daemon ([0-9]+) begins.*"), Lines{ std::to_string(program.pid()) });
}

TEST(Daemonize, WritesItsLinesAfterTheProgramHasEnded)
{
    expect_daemon({});
}

TEST(Daemonize, WritesThemOnceAsFourRanks)
{
    expect_daemon({ { "SERRY_NP", "4" } });
}

/* They would wait for ranks that have ended, and their ranks for MPI. */
TEST(Daemonize, IsRefusedUnderAnyLauncher)
{
    using Env = std::map<std::string, std::string>;
    const std::string path = tutorial_path("daemonize");
    if (!was_built(path))
        GTEST_SKIP() << "daemonize was not built";
    Scratch dir;
    for (const Env &env :
         { Env{ { "OMPI_COMM_WORLD_SIZE", "4" }, { "OMPI_COMM_WORLD_RANK", "1" } },
           Env{ { "PMI_SIZE", "4" }, { "PMI_RANK", "1" } }, Env{ { "SERRY_JOIN_FD", "3" } } }) {
        ProgramOptions options;
        options.env = env;
        const ProgramResult result = run_program({ path, dir / "log" }, options);
        EXPECT_NE(result.code, 0) << result;
        EXPECT_NE(result.err.find("SERRY_ESTATE"), std::string::npos) << result;
        EXPECT_NE(result.err.find("under a launcher"), std::string::npos) << result;
        EXPECT_TRUE(result.left_behind.empty()) << result;
        EXPECT_EQ(read_file(dir / "log"), "");
    }
}

} // namespace
