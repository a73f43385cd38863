// ctest: nodes pool slow timeout=300
/* Pools with isolate: the rank, its process at work, or the owner dies, whatever they do. */
#include "fault/pool_deaths.h"

using namespace serry_test;
using namespace pool_test;

namespace {

/* The process at work for that rank; 0: none, or not up yet. */
pid_t process_for(serry_pool *p, int rank)
{
    for (const serry_worker_stats &s : stats_of(p))
        if (s.alive && s.principal == rank && s.pid != 0)
            return s.pid;
    return 0;
}

/* Runs a body in which ranks are to die; survivors come to its end. */
void run_deadly(const char *body, Lanes lanes, int n, size_t survivors,
                const std::string &point = "")
{
    static const char *const names[] = { "shm", "socket", "nodes", "nodes2" };
    SCOPED_TRACE(std::string(body) + " " + names[lanes] + " " + point);
    RankOptions o;
    if (several_nodes(lanes))
        o.launch = direct;
    else
        o.run_flags = { "--keep-going" };
    o.env["SERRY_TEST_POINT"] = point;
    RanksResult r = try_ranks(n, lanes, body, o);
    for (const Record &f : r.of(Record::failure))
        ADD_FAILURE_AT(f.file.c_str(), f.line) << "rank " << f.rank << ":\n" << f.text;
    EXPECT_EQ(r.of(Record::finished).size(), survivors) << r.program;
    EXPECT_FALSE(r.program.timed_out) << r.program;
    EXPECT_TRUE(r.program.left_behind.empty()) << r.program;
}

/* ---- the process at work, while it is idle ---- */

SERRY_RANKS_TEST(PoolIsolateDeaths, AnIdleProcessIsReplaced, .ranks({ 2, 3 }))
{
    with_pool(isolated(), [](serry_pool *p) {
        for (int round = 0; round < 3; round++) {
            pid_t pid = 0;
            EXPECT_TRUE(wait_for([&] { return (pid = process_for(p, 1)) != 0; }));
            EXPECT_EQ(kill(pid, SIGKILL), 0);
            EXPECT_TRUE(wait_for([&] {
                pid_t now = process_for(p, 1);
                return now != 0 && now != pid;
            }));
            expect_works(p); /* no task was charged with it */
        }
    });
}

/* And while it works: with a retry nothing is lost. */
SERRY_RANKS_TEST(PoolIsolateDeaths, AProcessKilledAtWorkIsReplaced, .ranks({ 3 }))
{
    with_pool(isolated(30), [](serry_pool *p) {
        std::vector<int> in = numbers(600), out(600, -1);
        serry_future *f = nullptr;
        ASSERT_EQ(serry_pool_map_async(&f, p, slow, in.data(), sizeof(int), 600, out.data(),
                                       sizeof(int), nullptr),
                  SERRY_OK);
        for (int victim = 1; victim <= 6; victim++) {
            int begun = board().begun;
            EXPECT_TRUE(wait_for([=] { return board().begun > begun + 20; }));
            pid_t pid = process_for(p, 1 + victim % 2);
            if (pid != 0)
                EXPECT_EQ(kill(pid, SIGKILL), 0);
        }
        EXPECT_EQ(serry_future_get(f, nullptr, 0, nullptr, 60), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(out, in);
        serry_future_free(f);
    });
}

/* ---- the rank ---- */

/* At the process of rank 1 it kills that rank and stays; anywhere else it ends. */
int kill_my_rank(serry_task *t, const void *in, size_t len)
{
    serry_process_info up = {};
    if (serry_process_info_of(serry_process_parent(), &up) != SERRY_OK)
        return serry_task_fail(t, "%s", serry_err_detail());
    if (up.rank == 1) {
        board().pid[0] = getpid();
        kill(up.pid, SIGKILL);
        for (;;)
            pause();
    }
    if (!wait_for([] { return board().pid[0] != 0; }, 20))
        return serry_task_fail(t, "rank 1 has none");
    return give(t, in, len);
}

/* No retries: its task had no part in it, and is begun elsewhere. */
SERRY_RANKS_BODY(the_rank_is_killed)
{
    if (serry_rank() == 1) {
        EXPECT_EQ(serry_pool_serve(0, 20), SERRY_OK);
        ADD_FAILURE() << "rank 1 lives";
    }
    if (serry_rank() != 0)
        return; /* and serves in finalize */
    serry_pool *p = make_pool(isolated());
    std::vector<serry_future *> f;
    for (int i = 1; i < serry_size(); i++)
        f.push_back(submit(p, kill_my_rank, i));
    EXPECT_TRUE(wait_for([] { return board().pid[0] != 0; }, 20));
    for (int i = 1; i < serry_size(); i++)
        expect_result(f[(size_t)i - 1], i);
    EXPECT_TRUE(wait_for([] { return !is_alive(board().pid[0]); }));
    EXPECT_EQ(process_for(p, 1), 0);
    expect_works(p, 3000);
    serry_pool_destroy(p);
}

TEST(PoolIsolateDeaths, ARankKilledWhileItsProcessWorksCostsNothing)
{
    for (Lanes lanes : { shm, serry_test::socket, nodes, nodes2 })
        for (int n : { 2, 3 })
            run_deadly("the_rank_is_killed", lanes, n, (size_t)n - 1);
}

/* ---- the owner ---- */

SERRY_RANKS_BODY(the_owner_is_killed)
{
    if (serry_rank() == 1) {
        serry_pool *p = make_pool(isolated());
        for (int i = 1; i < serry_size(); i++)
            serry_future_free(submit(p, stuck, i));
        EXPECT_TRUE(wait_for([] { return board().pid[0] != 0 && board().pid[1] != 0; }, 20));
        kill(getpid(), SIGKILL);
    }
    EXPECT_EQ(serry_pool_serve(1, 20), SERRY_OK) << serry_err_detail();
    EXPECT_TRUE(wait_for([] { return !is_alive(board().pid[0]) && !is_alive(board().pid[1]); }));
}

TEST(PoolIsolateDeaths, TheOwnersDeathEndsAllProcesses)
{
    for (Lanes lanes : { shm, serry_test::socket, nodes, nodes2 })
        run_deadly("the_owner_is_killed", lanes, 3, 2);
}

/* ---- between any two steps ---- */

void choose_point()
{
    int n = 0;
    unsigned count = 1;
    if (sscanf(getenv("SERRY_TEST_POINT"), "%d:%u", &n, &count) == 2)
        sri_point_choose(n, count);
}

/* Rank 1 dies while it has its process started: the others do the work. */
SERRY_RANKS_BODY(rank_1_dies_at_a_point)
{
    if (serry_rank() == 1)
        choose_point();
    if (serry_rank() != 0) {
        EXPECT_EQ(serry_pool_serve(0, 20), SERRY_OK);
        return;
    }
    serry_pool *p = make_pool(isolated());
    expect_works(p, 2000);
    std::vector<int> out;
    EXPECT_EQ(map_ints(p, slow, numbers(20), &out), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(out, numbers(20));
    serry_pool_destroy(p);
}

TEST(PoolIsolateDeaths, ARankMayDieWhileItsProcessIsStarted)
{
    for (Lanes lanes : { shm, serry_test::socket, nodes })
        for (int n : { 2, 3 })
            for (const char *point : { "115:1", "116:1", "117:1" })
                run_deadly("rank_1_dies_at_a_point", lanes, n, (size_t)n - 1, point);
}

SERRY_RANKS_TEST(PoolIsolateDeaths, AProcessMayDieAnywhere, .ranks({ 3 }).timeout(150))
{
    static Death d;
    static int deaths;
    for (int point = 100; point <= 114; point++) {
        for (unsigned count : { 1u, 5u }) {
            d = { point, count };
            serry_pool_options o = with_death(isolated(5), d);
            if (serry_rank() == 0)
                board().inits = 0;
            barrier();
            with_pool(o, [](serry_pool *p) {
                std::vector<int> out;
                EXPECT_EQ(map_ints(p, some_wait, numbers(90), &out), SERRY_OK)
                    << "point " << d.point << ":" << d.count << ": " << serry_err_detail();
                EXPECT_EQ(out, numbers(90)) << "point " << d.point << ":" << d.count;
                deaths += board().inits > 2;
            });
        }
    }
    if (serry_rank() == 0) /* they do die where they are to */
        EXPECT_GE(deaths, 10);
}

} // namespace
