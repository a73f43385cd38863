// ctest: timeout=180
/* Environments that lie, and processes that die while a world is made: a sentence that says what is
 * wrong, an exit code that is not 0, no hang, and nothing left behind. */
#include "fault/fault.h"

#include <sys/wait.h>

using namespace serry_test;

namespace {

using Env = std::map<std::string, std::string>;

ProgramResult launched(const Env &env, const std::vector<std::string> &what = {})
{
    std::vector<std::string> argv = { program_path("launched") };
    argv.insert(argv.end(), what.begin(), what.end());
    ProgramOptions o;
    o.env = env;
    o.timeout = 20;
    return run_program(argv, o);
}

struct Lie {
    const char *name;
    Env env;
    std::vector<std::string> says;
};

void PrintTo(const Lie &l, std::ostream *out)
{
    *out << l.name;
}

class Lies : public testing::TestWithParam<Lie> {};

} // namespace

TEST_P(Lies, AreRefusedWithASentence)
{
    ProgramResult r = launched(GetParam().env);
    EXPECT_EQ(r.code, 3) << r;
    EXPECT_FALSE(r.timed_out) << r;
    EXPECT_EQ(r.out, "");
    EXPECT_TRUE(r.left_behind.empty()) << r;
    for (const std::string &part : GetParam().says)
        EXPECT_NE(r.err.find(part), std::string::npos) << part << "\n" << r;
}

static const char nowhere[] = "/nowhere/at/all";

INSTANTIATE_TEST_SUITE_P(
    LaunchEnv, Lies,
    testing::Values(
        Lie{ "MoreNodesThanRanks",
             { { "SERRY_NODES", "3" }, { "SERRY_NP", "2" } },
             { "SERRY_EINVAL", "SERRY_NODES", "3 nodes", "2 ranks" } },
        Lie{ "NodesWithoutRanks", { { "SERRY_NODES", "2" } }, { "2 nodes", "1 rank:" } },
        Lie{ "NodesThatAreAWord", { { "SERRY_NODES", "all" } }, { "'all'", "'rank'" } },
        Lie{ "NoNodes", { { "SERRY_NODES", "0" } }, { "'0'" } },
        Lie{ "ATransportThatIsNone",
             { { "SERRY_TRANSPORT", "pvm" } },
             { "'pvm'", "local, openmpi, mpich" } },
        Lie{ "AHeartbeatThatIsAWord",
             { { "SERRY_HEARTBEAT", "often" }, { "SERRY_NODES", "2" }, { "SERRY_NP", "2" } },
             { "SERRY_HEARTBEAT", "'often'" } },
        Lie{ "ARankBeyondTheSize",
             { { "PMI_SIZE", "4" }, { "PMI_RANK", "9" } },
             { "contradicts itself", "9", "4" } },
        Lie{ "ASizeThatIsAWord",
             { { "OMPI_COMM_WORLD_SIZE", "many" } },
             { "OMPI_COMM_WORLD_SIZE", "'many'" } },
        Lie{ "SrunWithoutMpi",
             { { "SLURM_STEP_NUM_TASKS", "3" }, { "SLURM_PROCID", "1" } },
             { "srun", "3 processes", "--mpi=pmix", "--mpi=pmi2" } },
        Lie{ "NoPlugin",
             { { "PMI_SIZE", "2" }, { "PMI_RANK", "0" }, { "SERRY_PLUGIN_DIR", nowhere } },
             { "libserry_mpi_mpich.so", nowhere, "SERRY_PLUGIN_DIR" } },
        Lie{ "ANumberOfNodesUnderMpi",
             { { "OMPI_COMM_WORLD_SIZE", "2" }, { "SERRY_NODES", "2" } },
             { "SERRY_NODES", "'2'", "'rank'" } },
        Lie{ "AgentsThatAreNone",
             { { "PMI_SIZE", "2" }, { "SERRY_AGENTS", "udp" } },
             { "SERRY_AGENTS", "'udp'", "tcp, mpi" } }),
    [](const testing::TestParamInfo<Lie> &i) { return i.param.name; });

TEST(LaunchEnv, OneProcessNeedsNoMpi)
{
    const Env alone[] = {
        { { "OMPI_COMM_WORLD_SIZE", "1" }, { "OMPI_COMM_WORLD_RANK", "0" } },
        { { "PMI_SIZE", "1" }, { "PMI_RANK", "0" } },
        { { "SLURM_STEP_NUM_TASKS", "1" }, { "SLURM_PROCID", "0" } },
        /* A batch script: one process, whatever the job has. */
        { { "SLURM_NTASKS", "16" }, { "SLURM_PROCID", "0" }, { "SLURM_LOCALID", "0" } },
        { { "PMI_SIZE", "8" }, { "PMI_RANK", "3" }, { "SERRY_TRANSPORT", "local" } },
    };
    for (Env env : alone) {
        env["SERRY_PLUGIN_DIR"] = nowhere;
        ProgramResult r = launched(env);
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(r.out, "rank 0 of 1, node 0 of 1: sum 1, child 1, queue 1\n");
    }
}

TEST(LaunchEnv, UnderSerryRunThereIsOneNode)
{
    ProgramOptions o;
    o.env["SERRY_NODES"] = "rank";
    ProgramResult r =
        run_program({ serry_command(), "run", "-n", "2", program_path("launched") }, o);
    EXPECT_NE(r.code, 0) << r;
    EXPECT_NE(r.err.find("under serry run all ranks are on one node"), std::string::npos) << r;
    o.env["SERRY_NODES"] = "1";
    EXPECT_TRUE(
        run_program({ serry_command(), "run", "-n", "2", program_path("launched") }, o).ok());
}

/* ---- plugins that are none ---- */

static bool make_plugin(const Scratch &dir, const std::string &source)
{
    write_file(dir / "p.c", source);
    ProgramResult r =
        run_program({ "cc", "-shared", "-fPIC", "-o", dir / "libserry_mpi_mpich.so", dir / "p.c" });
    return r.code == 0;
}

static std::string init_with(const Scratch &dir)
{
    ProgramResult r =
        launched({ { "PMI_SIZE", "2" }, { "PMI_RANK", "0" }, { "SERRY_PLUGIN_DIR", dir.path() } });
    EXPECT_EQ(r.code, 3) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
    return r.err;
}

TEST(LaunchEnv, APluginOfAnotherVersionIsRefused)
{
    Scratch dir;
    if (!make_plugin(dir, "const unsigned sri_mpi_plugin[64] = { 77, 88 };\n"))
        GTEST_SKIP() << "there is no compiler to make a plugin with";
    std::string err = init_with(dir);
    EXPECT_NE(err.find("another version of serry"), std::string::npos) << err;
    EXPECT_NE(err.find("77"), std::string::npos) << err;
}

TEST(LaunchEnv, WhatIsNoPluginIsRefused)
{
    Scratch dir;
    if (!make_plugin(dir, "int nothing;\n"))
        GTEST_SKIP() << "there is no compiler to make a plugin with";
    std::string err = init_with(dir);
    EXPECT_NE(err.find("is not a plugin of serry"), std::string::npos) << err;
    write_file(dir / "libserry_mpi_mpich.so", "no library at all");
    err = init_with(dir);
    EXPECT_NE(err.find("cannot be loaded"), std::string::npos) << err;
}

/* ---- direct nodes ---- */

TEST(LaunchEnv, NodesAreBlocksOfRanks)
{
    ProgramResult r = launched({ { "SERRY_NP", "5" }, { "SERRY_NODES", "2" } });
    EXPECT_TRUE(r.ok()) << r;
    for (int rank = 0; rank < 5; rank++) {
        std::string line = "rank " + std::to_string(rank) + " of 5, node "
                           + std::to_string(rank < 3 ? 0 : 1)
                           + " of 2: sum 15, child 1, queue 15\n";
        EXPECT_NE(r.out.find(line), std::string::npos) << line << r;
    }
}

TEST(LaunchEnv, WhatRanksDoToTheWorldOfSeveralNodesLeavesNothing)
{
    for (const char *nodes : { "2", "rank" }) {
        Env env = { { "SERRY_NP", "4" }, { "SERRY_NODES", nodes } };
        ProgramResult r = launched(env, { "kill", "3" });
        EXPECT_TRUE(r.ok()) << r;
        for (int rank = 0; rank < 3; rank++)
            EXPECT_NE(r.out.find("rank " + std::to_string(rank)
                                 + ": SERRY_EDIED: rank 3 was killed by signal 9\n"),
                      std::string::npos)
                << r;
        r = launched(env, { "kill", "0" });
        EXPECT_EQ(r.signal, SIGKILL) << r;
        EXPECT_TRUE(r.left_behind.empty()) << r;
        for (const char *what : { "abort", "leave", "exit", "forget" }) {
            r = launched(env, { what, "2" });
            EXPECT_FALSE(r.timed_out) << what << r;
            EXPECT_TRUE(r.left_behind.empty()) << what << r;
        }
    }
}

/* Rank 0, an agent, a nursery or another rank, at any time from the first fork on. */
TEST(LaunchEnv, WhoeverDiesWhileAWorldOfNodesIsMadeLeavesNothing)
{
    for (int i = 0; i < rounds(20); i++) {
        ProgramOptions o;
        o.env = { { "SERRY_NP", "4" }, { "SERRY_NODES", i % 2 ? "rank" : "2" } };
        /* The process in which a sanitizer looks for leaks would be a victim like any other. */
        o.env["ASAN_OPTIONS"] = "detect_leaks=0";
        o.timeout = 30; /* agents that miss another one wait for it */
        o.grace = 15;
        Program p({ program_path("launched"), "fine" }, o);
        nap(0, 0.03);
        std::vector<pid_t> all = p.processes();
        if (!all.empty()) {
            pid_t victim = all[std::uniform_int_distribution<size_t>(0, all.size() - 1)(dice())];
            kill(victim, SIGKILL);
        }
        const ProgramResult &r = p.wait();
        EXPECT_FALSE(r.timed_out) << r;
        EXPECT_TRUE(r.left_behind.empty()) << r;
        if (testing::Test::HasFailure())
            return;
    }
}

/* It has died, for the others, whatever its exit code; without a launcher rank 0 says so. */
TEST(LaunchEnv, ARankThatLeavesWithoutFinalizeIsNamed)
{
    for (const char *nodes : { "1", "3" }) {
        ProgramResult r =
            launched({ { "SERRY_NP", "3" }, { "SERRY_NODES", nodes } }, { "skip", "2" });
        EXPECT_EQ(r.code, 0) << r;
        EXPECT_NE(r.err.find("rank 0: rank 2 (pid "), std::string::npos) << r;
        EXPECT_NE(r.err.find("exited with code 0, but without serry_finalize"), std::string::npos)
            << r;
        EXPECT_TRUE(r.left_behind.empty()) << r;
    }
}

/* A rank's lifeline, by which the kernel ends it with its agent, is no danger to it any more once
 * the world has ended, though a copy of the rank still holds all that the rank held. */
SERRY_RANKS_BODY(leaves_a_copy_behind)
{
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    int hold[2];
    ASSERT_EQ(pipe(hold), 0);
    pid_t copy = fork();
    if (copy == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(hold[0]);
    double before = serry_time();
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
    EXPECT_LT(serry_time() - before, patience(3));
    timespec a_moment = { 0, 300000000 }; /* in which the agent is gone */
    nanosleep(&a_moment, nullptr);
    close(hold[1]);
    ASSERT_EQ(waitpid(copy, nullptr, 0), copy);
    note("came to its end");
}

TEST(LaunchEnv, ACopyThatOutlivesTheWorldIsNoDangerToItsRank)
{
    for (Lanes lanes : { shm, socket }) {
        RankOptions o;
        o.launch = direct;
        o.init = false;
        RanksResult r = try_ranks(3, lanes, "leaves_a_copy_behind", o);
        EXPECT_EQ(r.program.code, 0) << r.program;
        EXPECT_EQ(r.notes().size(), 3u) << r.program;
    }
}
