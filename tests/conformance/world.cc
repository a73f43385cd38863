// ctest: world
/* Joining the world and leaving it: all ways of starting, sizes, options, and misuse. */
#include "conformance/process_test.h"

#include <sys/resource.h>
#include <sys/wait.h>

using namespace serry_test;

namespace {

/* ---- ways and sizes ---- */

SERRY_RANKS_TEST(World, EveryRankKnowsItsPlace, .ranks({ 1, 2, 3, 7 }).both_ways())
{
    EXPECT_TRUE(serry_initialized());
    EXPECT_GE(serry_rank(), 0);
    EXPECT_LT(serry_rank(), serry_size());
    EXPECT_EQ(serry_node(), 0);
    EXPECT_EQ(serry_nodes(), 1);
    /* Once round: everybody is there, once. */
    int me = serry_rank(), n = serry_size(), sum = me;
    if (n == 1)
        return;
    if (me > 0)
        sum += hear<int>(me - 1, 0);
    tell((me + 1) % n, 0, sum);
    if (me == 0)
        EXPECT_EQ(hear<int>(n - 1, 0), n * (n - 1) / 2);
}

SERRY_RANKS_TEST(World, ThirtyThree, .ranks({ 33 }).both_ways())
{
    int me = serry_rank(), n = serry_size();
    for (int r = 0; r < n; r++) {
        if (r != me)
            tell(r, 1, me);
    }
    for (int r = 0; r < n; r++) {
        if (r != me)
            ASSERT_EQ(hear<int>(r, 1), r);
    }
}

SERRY_RANKS_TEST(World, TwoHundredStartAndEnd, .ranks({ 200 }).both_ways().timeout(50))
{
    EXPECT_EQ(serry_size(), 200);
}

SERRY_RANKS_TEST(World, ClocksOfOneNodeAgree, .ranks({ 2 }))
{
    double before = serry_time();
    if (serry_rank() == 0) {
        tell(1, 0, before);
        double theirs = hear<double>(1, 0);
        EXPECT_GE(theirs, before);
        EXPECT_LE(theirs, serry_time());
    } else {
        double theirs = hear<double>(0, 0);
        EXPECT_LE(theirs, serry_time());
        tell(0, 0, serry_time());
    }
}

SERRY_RANKS_TEST(World, RanksMayLeaveAtAnyTime, .ranks({ 3, 7 }).both_ways())
{
    /* Each leaves when the one above it has: in the order of their numbers, from the top. */
    int me = serry_rank(), above = me + 1;
    char c;
    if (above < serry_size())
        EXPECT_EQ(serry_recv(above, 0, &c, 1, nullptr, patience(20)), SERRY_EDIED)
            << "it has left, and sends nothing";
}

/* ---- out of order ---- */

SERRY_RANKS_TEST(World, CallsBeforeAndAfterAreRefused, .ranks({ 1, 2 }).both_ways().without_init())
{
    char c = 0;
    int n = -1;
    serry_process p = {};
    serry_request r = { 5 };
    serry_queue q;
    auto refused = [&] {
        EXPECT_FALSE(serry_initialized());
        EXPECT_EQ(serry_rank(), -1);
        EXPECT_EQ(serry_size(), -1);
        EXPECT_EQ(serry_node(), -1);
        EXPECT_EQ(serry_nodes(), -1);
        EXPECT_GE(serry_cpu_count(), 1) << "needs no world";
        EXPECT_EQ(serry_send(0, 0, &c, 1), SERRY_ESTATE);
        EXPECT_EQ(serry_recv(0, 0, &c, 1, nullptr, 0), SERRY_ESTATE);
        EXPECT_EQ(serry_probe(0, 0, nullptr, 0), SERRY_ESTATE);
        EXPECT_EQ(serry_isend(&r, 0, 0, &c, 1), SERRY_ESTATE);
        EXPECT_EQ(serry_irecv(&r, 0, 0, &c, 1), SERRY_ESTATE);
        EXPECT_EQ(serry_process_start(&p, sleeper, nullptr, 0, nullptr), SERRY_ESTATE);
        EXPECT_EQ(serry_process_join(p, &n, 0), SERRY_ESTATE);
        EXPECT_EQ(serry_queue_create(&q, nullptr), SERRY_ESTATE);
        EXPECT_EQ(serry_finalize(), SERRY_ESTATE);
        EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
        EXPECT_FALSE(serry_process_is_alive(p));
        EXPECT_EQ(serry_process_self().id, 0u);
    };
    refused();
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_init(nullptr, nullptr), SERRY_ESTATE) << "twice";
    EXPECT_TRUE(serry_initialized()) << "and is what it was";
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
    refused();
    EXPECT_EQ(serry_init(nullptr, nullptr), SERRY_ESTATE) << "a process joins once";
}

SERRY_RANKS_TEST(World, AForkedCopyIsNoMember, .ranks({ 1, 2 }).both_ways())
{
    pid_t copy = fork();
    if (copy == 0) {
        char c = 0;
        bool ok = !serry_initialized() && serry_rank() == -1 && serry_size() == -1
                  && serry_send(0, 0, &c, 1) == SERRY_ESTATE && serry_finalize() == SERRY_ESTATE
                  && serry_init(nullptr, nullptr) == SERRY_ESTATE;
        _exit(ok ? 0 : 1);
    }
    int status = 1;
    EXPECT_EQ(waitpid(copy, &status, 0), copy);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(serry_initialized());
    /* And its end is not taken for this rank's. */
    int me = serry_rank(), got = -1, other = serry_size() - 1 - me;
    EXPECT_EQ(serry_sendrecv(other, 0, &me, sizeof me, other, 0, &got, sizeof got, nullptr),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(got, other);
}

/* ---- options ---- */

struct Option {
    const char *name, *value;
};

std::ostream &operator<<(std::ostream &out, const Option &o)
{
    return out << o.name << "=" << o.value;
}

const std::vector<Option> bad_options = {
    { "SERRY_LANES", "pigeon" },
    { "SERRY_LANES", "shm,socket" },
    { "SERRY_LOG", "loud" },
    { "SERRY_START", "spoon" },
    { "SERRY_MAX_MESSAGE", "x" },
    { "SERRY_MAX_MESSAGE", "0" },
    { "SERRY_MAX_MESSAGE", "-5" },
    { "SERRY_MAX_MESSAGE", "12monkeys" },
    { "SERRY_MAX_MESSAGE", "99999999999999999999" },
    { "SERRY_NP", "0" },
    { "SERRY_NP", "-1" },
    { "SERRY_NP", "x" },
    { "SERRY_NP", "2 3" },
    { "SERRY_NP", "1000000" },
};

/* The option is refused by name and value, nothing is left, and without it init succeeds. */
SERRY_RANKS_BODY(init_refuses)
{
    const char *name = getenv("TEST_OPTION"), *value = getenv(name);
    std::set<std::string> before = open_fds();
    EXPECT_EQ(serry_init(nullptr, nullptr), SERRY_EINVAL);
    std::string detail = serry_err_detail();
    EXPECT_NE(detail.find(name), std::string::npos) << detail;
    EXPECT_NE(detail.find(value), std::string::npos) << detail;
    EXPECT_FALSE(serry_initialized());
    EXPECT_EQ(open_fds(), before);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a process is left to wait for";
    unsetenv(name);
    EXPECT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

TEST(WorldOptions, BadOnesAreRefusedByNameAndValue)
{
    for (const Option &option : bad_options) {
        SCOPED_TRACE(option);
        RankOptions o;
        o.launch = direct;
        o.init = false;
        o.env = { { "TEST_OPTION", option.name }, { option.name, option.value } };
        /* run_ranks sets SERRY_LANES itself: so the rank sets it back. */
        o.wrap = { "env", std::string(option.name) + "=" + option.value };
        run_ranks(1, shm, "init_refuses", o);
    }
}

SERRY_RANKS_BODY(all_refuse)
{
    EXPECT_EQ(serry_init(nullptr, nullptr), SERRY_EINVAL);
    note(serry_err_detail());
}

TEST(WorldOptions, AllRanksOfSerryNpAreTold)
{
    RankOptions o;
    o.launch = direct;
    o.init = false;
    o.wrap = { "env", "SERRY_LANES=pigeon" };
    RanksResult r = try_ranks(3, shm, "all_refuse", o);
    expect_clean(r, 1, o);
    ASSERT_FALSE(r.notes().empty());
    for (const std::string &text : r.notes())
        EXPECT_NE(text.find("pigeon"), std::string::npos) << text;
}

TEST(WorldOptions, TheLauncherRefusesTheirWorldAtOnce)
{
    for (const Option &option : bad_options) {
        std::string name = option.name;
        if (name != "SERRY_LANES" && name != "SERRY_MAX_MESSAGE")
            continue; /* the ranks' own */
        ProgramOptions o;
        o.env[name] = option.value;
        ProgramResult r = run_program({ serry_command(), "run", "-n", "2", "true" }, o);
        EXPECT_NE(r.code, 0) << option;
        EXPECT_FALSE(r.timed_out);
        EXPECT_TRUE(r.left_behind.empty()) << r;
        EXPECT_NE(r.err.find(name), std::string::npos) << r.err;
        EXPECT_NE(r.err.find(option.value), std::string::npos) << r.err;
    }
}

SERRY_RANKS_TEST(WorldOptions, EmptyOnesCountAsNotSet,
                 .ranks({ 1 })
                     .both_ways()
                     .env("SERRY_LOG", "")
                     .env("SERRY_START", "")
                     .env("SERRY_MAX_MESSAGE", ""))
{
    EXPECT_TRUE(serry_initialized());
}

SERRY_RANKS_TEST(WorldOptions, TheLimitOfMessagesIsKept,
                 .ranks({ 2 }).both_ways().env("SERRY_MAX_MESSAGE", "1000"))
{
    std::vector<char> bytes(1001);
    int other = 1 - serry_rank();
    EXPECT_NE(serry_send(other, 0, bytes.data(), 1001), SERRY_OK);
    EXPECT_NE(std::string(serry_err_detail()).find("1000"), std::string::npos)
        << serry_err_detail();
    std::vector<char> in(1000);
    EXPECT_EQ(serry_sendrecv(other, 0, bytes.data(), 1000, other, 0, in.data(), 1000, nullptr),
              SERRY_OK)
        << serry_err_detail();
    serry_process p;
    EXPECT_EQ(serry_process_start(&p, sleeper, bytes.data(), 1001, nullptr), SERRY_ELIMIT);
}

/* ---- a machine that refuses ---- */

SERRY_RANKS_TEST(World, TooFewDescriptorsAreNamed, .ranks({ 1 }).directly().without_init())
{
    std::set<std::string> before = open_fds();
    struct rlimit old, few;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    /* From nothing to enough: an error that is one, or success; never half of it. */
    bool joined = false;
    for (rlim_t more = 0; more < 40 && !joined; more++) {
        few = { before.size() + more, old.rlim_max };
        setrlimit(RLIMIT_NOFILE, &few);
        serry_err e = serry_init(nullptr, nullptr);
        std::string detail = serry_err_detail();
        setrlimit(RLIMIT_NOFILE, &old);
        joined = e == SERRY_OK;
        if (joined)
            break;
        EXPECT_TRUE(e == SERRY_ELIMIT || e == SERRY_ESYS || e == SERRY_EDIED)
            << serry_err_name(e) << ": " << detail;
        EXPECT_FALSE(detail.empty());
        EXPECT_EQ(open_fds(), before) << "with " << more << " more";
        EXPECT_FALSE(serry_initialized());
    }
    EXPECT_TRUE(joined);
    EXPECT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

} // namespace
