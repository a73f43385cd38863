// ctest: pool slow timeout=300
/* A worker dies between any two of its steps: no result is lost or told twice, and with no retries
 * only the task that it was at is. */
#include "fault/pool_deaths.h"

using namespace serry_test;
using namespace pool_test;

namespace {

serry_pool *pool_with(const Death &d, int retries)
{
    serry_pool_options o = with_death(options(2, retries), d);
    board().inits = 0;
    return make_pool(o);
}

/* With retries nothing is lost. Returns whether the worker died. */
bool all_is_done(const Death &d, size_t chunk)
{
    serry_pool *p = pool_with(d, 5);
    std::vector<int> out;
    serry_map_options o = {};
    o.chunk = chunk;
    EXPECT_EQ(map_ints(p, some_wait, numbers(90), &out, o), SERRY_OK)
        << "point " << d.point << ":" << d.count << ": " << serry_err_detail();
    EXPECT_EQ(out, numbers(90)) << "point " << d.point << ":" << d.count;
    std::vector<serry_future *> f;
    for (int i = 0; i < 20; i++)
        f.push_back(submit(p, some_wait, i));
    for (int i = 0; i < 20; i++)
        expect_result(f[(size_t)i], i);
    end_pool(p);
    return board().inits > 2;
}

/* Without retries at most one task is, or two: the one it was at, and the one that waited for it.
 */
void little_is_lost(const Death &d)
{
    serry_pool *p = pool_with(d, 0);
    std::vector<int> out;
    std::vector<serry_err> errors(90);
    serry_err e = map_ints(p, some_wait, numbers(90), &out, all_noted(errors));
    int lost = 0;
    for (size_t i = 0; i < 90; i++) {
        if (errors[i] == SERRY_OK)
            EXPECT_EQ(out[i], (int)i);
        else
            lost++;
        EXPECT_TRUE(errors[i] == SERRY_OK || errors[i] == SERRY_EDIED || errors[i] == SERRY_ETASK)
            << serry_err_name(errors[i]);
    }
    EXPECT_LE(lost, 2) << "point " << d.point << ":" << d.count;
    EXPECT_EQ(e == SERRY_OK, lost == 0);
    end_pool(p);
}

const int first_point = 100, last_point = 114;

SERRY_RANKS_TEST(PoolDeaths, AWorkerMayDieAnywhere, .ranks({ 1 }).timeout(150))
{
    int deaths = 0;
    for (int point = first_point; point <= last_point; point++)
        for (unsigned count : { 1u, 2u, 9u })
            for (size_t chunk : { size_t(0), size_t(5) })
                deaths += all_is_done({ point, count }, chunk);
    /* They do die where they are to. */
    EXPECT_GE(deaths, 30);
}

SERRY_RANKS_TEST(PoolDeaths, AWorkerTakesLittleWithIt, .ranks({ 1 }).timeout(150))
{
    for (int point = first_point; point <= last_point; point++)
        for (unsigned count : { 1u, 4u })
            little_is_lost({ point, count });
}

} // namespace
