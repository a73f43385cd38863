// ctest: timeout=240 processors=2 lock=launchers
/* Worlds that an MPI launches: every way to have nodes and agents, what a rank does to the others
 * by its end, launchers that do not fit, and programs that use MPI themselves. */
#include "fault/fault.h"

#include <algorithm>

using namespace serry_test;

namespace {

using Env = std::map<std::string, std::string>;
using Words = std::vector<std::string>;

/* How processes are made ranks. */
struct Way {
    std::string mpi;   /* openmpi, mpich */
    std::string nodes; /* one, rank: SERRY_NODES; agents: SERRY_AGENTS=mpi besides */
    int processes(int ranks) const { return nodes == "agents" ? 2 * ranks : ranks; }
};

void PrintTo(const Way &w, std::ostream *out)
{
    *out << w.mpi << " " << w.nodes;
}

bool there_is(const std::string &command)
{
    return run_program({ "/bin/sh", "-c", "command -v " + command }).code == 0;
}

Words mpirun(const std::string &mpi, int n, const Words &flags = {})
{
    Words argv = { "mpirun." + mpi };
    if (mpi == "openmpi")
        argv.insert(argv.end(), { "--oversubscribe", "--bind-to", "none" });
    argv.insert(argv.end(), flags.begin(), flags.end());
    argv.insert(argv.end(), { "-n", std::to_string(n) });
    return argv;
}

ProgramOptions options(const Way &w, const Env &env = {})
{
    ProgramOptions o;
    o.env = env;
    o.env["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
    o.env["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
    if (w.nodes != "one")
        o.env["SERRY_NODES"] = "rank";
    if (w.nodes == "agents")
        o.env["SERRY_AGENTS"] = "mpi";
    o.timeout = 40;
    o.grace = 10;
    return o;
}

Words command(const Way &w, int ranks, const Words &what, const Words &flags = {})
{
    Words argv = mpirun(w.mpi, w.processes(ranks), flags);
    argv.push_back(program_path("launched"));
    argv.insert(argv.end(), what.begin(), what.end());
    return argv;
}

ProgramResult launched(const Way &w, int ranks, const Words &what, const Words &flags = {})
{
    return run_program(command(w, ranks, what, flags), options(w));
}

class MpiWorld : public testing::TestWithParam<Way> {
    void SetUp() override
    {
        if (!there_is("mpirun." + GetParam().mpi) || !there_is("mpicc." + GetParam().mpi))
            GTEST_SKIP() << "there is no " << GetParam().mpi;
    }
};

} // namespace

TEST_P(MpiWorld, AllRanksComeTogetherAndPartInPeace)
{
    const Way w = GetParam();
    for (int n : { 1, 2, 3 }) {
        if (w.processes(n) < 2)
            continue;
        ProgramResult r = launched(w, n, { "fine" });
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(r.err, "") << r; /* nor does MPI complain of what is left in it */
        int sum = n * (n + 1) / 2;
        int nodes = w.nodes == "one" ? 1 : n;
        for (int rank = 0; rank < n; rank++) {
            std::string line = "rank " + std::to_string(rank) + " of " + std::to_string(n)
                               + ", node " + std::to_string(nodes == 1 ? 0 : rank) + " of "
                               + std::to_string(nodes) + ": sum " + std::to_string(sum)
                               + ", child 1, queue " + std::to_string(sum) + "\n";
            EXPECT_NE(r.out.find(line), std::string::npos) << line << r;
        }
    }
}

TEST_P(MpiWorld, MessagesThatNobodyReceivesAreNotLeftInMpi)
{
    for (int i = 0; i < rounds(3); i++) {
        ProgramResult r = launched(GetParam(), 3, { "unread" });
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(r.err, "") << r;
    }
}

TEST_P(MpiWorld, AnAbortEndsAllWithItsCode)
{
    ProgramResult r = launched(GetParam(), 3, { "abort", "1" });
    EXPECT_EQ(r.code, 5) << r;
    EXPECT_FALSE(r.timed_out);
    EXPECT_TRUE(r.left_behind.empty()) << r;
}

TEST_P(MpiWorld, RanksThatEndWithoutFinalizingEndTheJobWithinSeconds)
{
    for (const Words &what :
         { Words{ "kill", "1" }, Words{ "exit", "1" }, Words{ "leave", "1" }, Words{ "forget" } }) {
        ProgramResult r = launched(GetParam(), 3, what);
        EXPECT_FALSE(r.timed_out) << what[0] << r;
        EXPECT_TRUE(r.left_behind.empty()) << what[0] << r;
        /* Hydra 4.0 forgets all codes when a second rank ends badly before it has ended the others
         * (MPICH's issue 7057), and whoever misses the lost rank does so. */
        if (GetParam().mpi != "mpich" && (what[0] == "kill" || what[0] == "exit"))
            EXPECT_NE(r.code, 0) << what[0] << r;
    }
}

TEST_P(MpiWorld, WithRecoveryTheOthersGoOnAndSayWhoWasLost)
{
    if (GetParam().mpi != "openmpi")
        GTEST_SKIP() << "only Open MPI has --enable-recovery";
    ProgramResult r = launched(GetParam(), 3, { "kill", "1" }, { "--enable-recovery" });
    EXPECT_FALSE(r.timed_out) << r;
    EXPECT_TRUE(r.left_behind.empty()) << r;
    for (int rank : { 0, 2 })
        EXPECT_NE(r.out.find("rank " + std::to_string(rank)
                             + ": SERRY_EDIED: rank 1 was killed by signal 9\n"),
                  std::string::npos)
            << r;
    EXPECT_NE(r.err.find("rank 1 was lost"), std::string::npos) << r;
}

/* The ranks, agents and nurseries that live. What becomes of a job whose launcher loses its own
 * helpers is the launcher's affair: Hydra's ranks then wait inside of MPI_Init. */
static std::vector<pid_t> ours(const Program &p)
{
    std::vector<pid_t> all = p.processes();
    all.erase(std::remove_if(all.begin(), all.end(),
                             [](pid_t pid) {
                                 std::string name =
                                     read_file("/proc/" + std::to_string(pid) + "/comm");
                                 return name != "launched\n" && name.rfind("serry-", 0) != 0;
                             }),
              all.end());
    return all;
}

/* Ranks, agents, nurseries, at any time. A rank that dies while it introduces itself to Open MPI's
 * mpirun can leave a mutex of libpmix locked there, for which mpirun waits at its own end, for
 * ever, with all its children dead (seen with Open MPI 4.1 and PMIx 4.2). So an mpirun that is
 * alone is ended here, and only what is not its own is judged. */
TEST_P(MpiWorld, WhoeverDiesWhileTheWorldIsMadeLeavesNothing)
{
    for (int i = 0; i < rounds(3); i++) {
        Program p(command(GetParam(), 3, { "fine" }), options(GetParam()));
        p.wait_for([&] { return !ours(p).empty(); });
        nap(0.001, 0.4);
        std::vector<pid_t> all = ours(p);
        if (!all.empty()) {
            pid_t victim = all[std::uniform_int_distribution<size_t>(0, all.size() - 1)(dice())];
            kill(victim, SIGKILL);
        }
        EXPECT_TRUE(wait_for([&] { return ours(p).empty(); }, 20));
        p.wait_for([] { return false; }, 3);
        if (is_alive(p.pid()) && GetParam().mpi == "openmpi" && ours(p).empty())
            p.signal(SIGKILL);
        const ProgramResult &r = p.wait();
        EXPECT_FALSE(r.timed_out) << r;
        for (const std::string &left : r.left_behind)
            EXPECT_EQ(left.find("launched"), std::string::npos) << left;
    }
}

TEST_P(MpiWorld, ALauncherThatIsTerminatedLeavesNothing)
{
    Program p(command(GetParam(), 3, { "wait" }), options(GetParam()));
    ASSERT_TRUE(p.wait_for_output("here\n", 20)) << p.wait();
    p.signal(SIGTERM);
    const ProgramResult &r = p.wait();
    EXPECT_FALSE(r.timed_out) << r;
    for (const std::string &left : r.left_behind)
        EXPECT_EQ(left.find("launched"), std::string::npos) << left;
}

INSTANTIATE_TEST_SUITE_P(Launched, MpiWorld,
                         testing::Values(Way{ "openmpi", "one" }, Way{ "openmpi", "rank" },
                                         Way{ "openmpi", "agents" }, Way{ "mpich", "one" },
                                         Way{ "mpich", "rank" }, Way{ "mpich", "agents" }),
                         [](const testing::TestParamInfo<Way> &i) {
                             return i.param.mpi + "_" + i.param.nodes;
                         });

/* ---- launchers that do not fit ---- */

namespace {

class MpiMisfit : public testing::TestWithParam<std::string> {
    void SetUp() override
    {
        if (!there_is("mpirun.openmpi") || !there_is("mpirun.mpich") || !there_is("mpicc.openmpi")
            || !there_is("mpicc.mpich"))
            GTEST_SKIP() << "both MPIs are needed";
    }

protected:
    ProgramResult with(int n, const Env &env, const Words &before = {})
    {
        Way w = { GetParam(), "one" };
        Words argv = mpirun(w.mpi, n);
        argv.insert(argv.end(), before.begin(), before.end());
        argv.push_back(program_path("launched"));
        return run_program(argv, options(w, env));
    }

    void refused(const ProgramResult &r, const Words &says)
    {
        EXPECT_NE(r.code, 0) << r;
        EXPECT_FALSE(r.timed_out) << r;
        EXPECT_TRUE(r.left_behind.empty()) << r;
        EXPECT_EQ(r.out.find("rank 0 of 1"), std::string::npos) << r;
        for (const std::string &part : says)
            EXPECT_NE(r.err.find(part), std::string::npos) << part << "\n" << r;
    }
};

} // namespace

TEST_P(MpiMisfit, TheOtherMpiIsRefusedAsManyWorldsOfOne)
{
    std::string other = GetParam() == "openmpi" ? "mpich" : "openmpi";
    refused(with(2, { { "SERRY_TRANSPORT", other } }),
            { "has launched 2 processes", "knows of 1", "SERRY_TRANSPORT" });
}

TEST_P(MpiMisfit, VariablesLeftOverFromALauncherAreRefused)
{
    Env env = GetParam() == "openmpi"
                  ? Env{ { "OMPI_COMM_WORLD_SIZE", "4" }, { "OMPI_COMM_WORLD_RANK", "0" } }
                  : Env{ { "PMI_SIZE", "4" }, { "PMI_RANK", "0" } };
    ProgramResult r =
        run_program({ program_path("launched") }, options({ GetParam(), "one" }, env));
    refused(r, { "has launched 4 processes", "knows of 1", "SERRY_TRANSPORT=local" });
}

TEST_P(MpiMisfit, NoFirstProcessOfAMachineMeansNoAgent)
{
    const char *name =
        GetParam() == "openmpi" ? "OMPI_COMM_WORLD_LOCAL_RANK=1" : "MPI_LOCALRANKID=1";
    refused(with(2, {}, { "env", name }), { "node 0 has no agent" });
}

TEST_P(MpiMisfit, SeveralFirstProcessesOfAMachineDoNoHarm)
{
    const char *name =
        GetParam() == "openmpi" ? "OMPI_COMM_WORLD_LOCAL_RANK=0" : "MPI_LOCALRANKID=0";
    ProgramResult r = with(3, {}, { "env", name });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_NE(r.out.find("rank 2 of 3, node 0 of 1"), std::string::npos) << r;
}

TEST_P(MpiMisfit, AgentsNeedAProcessEach)
{
    refused(with(3, { { "SERRY_NODES", "rank" }, { "SERRY_AGENTS", "mpi" } }),
            { "sets the last process of each node aside", "even" });
}

TEST_P(MpiMisfit, AllMustHaveTheSameNodes)
{
    refused(with(2, {},
                 { "/bin/sh", "-c",
                   "case ${OMPI_COMM_WORLD_RANK-$PMI_RANK} in 1) export SERRY_NODES=rank;; esac; "
                   "exec \"$0\"" }),
            { "process 1 of this job has another SERRY_NODES" });
}

INSTANTIATE_TEST_SUITE_P(Launched, MpiMisfit, testing::Values("openmpi", "mpich"),
                         [](const testing::TestParamInfo<std::string> &i) { return i.param; });

/* ---- programs that use MPI themselves ---- */

namespace {

class MpiAttach : public testing::TestWithParam<Way> {
protected:
    std::string program() { return program_path("attach_" + GetParam().mpi); }
    void SetUp() override
    {
        if (!there_is("mpirun." + GetParam().mpi) || access(program().c_str(), X_OK) != 0)
            GTEST_SKIP() << "there is no " << GetParam().mpi;
    }

    ProgramResult attach(const Words &what, int n = 3)
    {
        Words argv = mpirun(GetParam().mpi, n);
        argv.push_back(program());
        argv.insert(argv.end(), what.begin(), what.end());
        ProgramResult r = run_program(argv, options(GetParam()));
        EXPECT_FALSE(r.timed_out) << r;
        EXPECT_EQ(r.code, 0) << r;
        EXPECT_TRUE(r.left_behind.empty()) << r;
        return r;
    }

    /* How many of its lines are just that. */
    static long lines(const ProgramResult &r, const std::string &line)
    {
        std::istringstream in(r.out);
        long n = 0;
        for (std::string s; std::getline(in, s);)
            n += s == line;
        return n;
    }

    int nodes() { return GetParam().nodes == "one" ? 1 : 3; }
    std::string joined(int process, int rank, int size)
    {
        std::string node = std::to_string(nodes() == 1 ? 0 : rank);
        return "process " + std::to_string(process) + ": rank " + std::to_string(rank) + " of "
               + std::to_string(size) + ", node " + node;
    }
};

} // namespace

TEST_P(MpiAttach, MpiAndSerrySideBySide)
{
    ProgramResult r = attach({ "prepare" });
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(lines(r, joined(i, i, 3)), 1) << r;
    EXPECT_EQ(lines(r, "sums agree"), 3) << r;
    EXPECT_EQ(lines(r, "child 9"), 3) << r;
    EXPECT_EQ(lines(r, "finalize SERRY_OK"), 3) << r;
}

TEST_P(MpiAttach, WithoutPrepareNothingIsStarted)
{
    ProgramResult r = attach({});
    EXPECT_EQ(lines(r, "sums agree"), 3) << r;
    EXPECT_EQ(lines(r, "start SERRY_ESTATE"), 3) << r;
    EXPECT_EQ(lines(r, "finalize SERRY_OK"), 3) << r;
}

TEST_P(MpiAttach, FinalizeMayComeBehindThatOfMpi)
{
    ProgramResult r = attach({ "prepare", "after" });
    EXPECT_EQ(lines(r, "finalize SERRY_OK"), 3) << r;
}

TEST_P(MpiAttach, WhoForgetsFinalizeEndsAllTheSame)
{
    ProgramResult r = attach({ "prepare", "forget" });
    EXPECT_EQ(lines(r, "sums agree"), 3) << r;
}

TEST_P(MpiAttach, ASubsetHasRanksOfItsOwn)
{
    ProgramResult r = attach({ "prepare", "last" });
    EXPECT_EQ(lines(r, "attach SERRY_EINVAL"), 1)
        << r; /* the communicator is MPI_COMM_NULL there */
    EXPECT_EQ(lines(r, joined(2, 0, 2)), 1) << r;
    EXPECT_EQ(lines(r, joined(1, 1, 2)), 1) << r;
    EXPECT_EQ(lines(r, "sums agree"), 2) << r;
    EXPECT_EQ(lines(r, "finalize SERRY_OK"), 2) << r;
}

TEST_P(MpiAttach, CallsOutOfPlaceAreRefused)
{
    ProgramResult r = attach({ "early", "prepare", "late" });
    EXPECT_EQ(lines(r, "early SERRY_ESTATE"), 3) << r;
    EXPECT_EQ(lines(r, "prepare SERRY_ESTATE"), 3) << r;
    EXPECT_EQ(lines(r, "again SERRY_ESTATE"), 3) << r;
    EXPECT_EQ(lines(r, "finalize SERRY_OK"), 3) << r;
    r = attach({ "late" });
    EXPECT_EQ(lines(r, "prepare SERRY_ESTATE"), 3) << r;
}

TEST_P(MpiAttach, TooLowAThreadLevelIsRefused)
{
    ProgramResult r = attach({ "prepare", "funneled" });
    EXPECT_EQ(lines(r, "attach SERRY_ESTATE"), 3) << r;
    EXPECT_NE(r.err.find("MPI_THREAD_SERIALIZED"), std::string::npos) << r;
}

INSTANTIATE_TEST_SUITE_P(Attached, MpiAttach,
                         testing::Values(Way{ "openmpi", "one" }, Way{ "openmpi", "rank" },
                                         Way{ "mpich", "one" }, Way{ "mpich", "rank" }),
                         [](const testing::TestParamInfo<Way> &i) {
                             return i.param.mpi + "_" + i.param.nodes;
                         });
