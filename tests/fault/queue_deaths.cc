// ctest: queue slow timeout=180
/* Users of a queue that die: what they had taken is gone with them, what they had put is there, and
 * everything else goes on. */
#include "base/point.h"
#include "support/started.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <set>

using namespace serry_test;

namespace {

const int n_items = 60;

struct Job {
    serry_queue q, told; /* told: what the process says it has done */
    int point, count;    /* where it dies, and the how manyeth time */
    int from, n;
};

serry_queue make_queue(size_t capacity = 0)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.capacity = capacity;
    EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    return q;
}

serry_process start(serry_process_fn fn, const Job &job)
{
    return serry_test::start<Job>(fn, job);
}

int join(serry_process p)
{
    return end_of(p, SERRY_FOREVER);
}

serry_err put(serry_queue q, int value, double timeout = SERRY_FOREVER)
{
    return serry_queue_put(q, &value, sizeof value, timeout);
}

serry_err get(serry_queue q, int *value, double timeout = SERRY_FOREVER)
{
    return serry_queue_get(q, value, sizeof *value, nullptr, timeout);
}

/* All that is in it now, in order. */
std::vector<int> drain(serry_queue q)
{
    std::vector<int> all;
    int value;
    while (get(q, &value, SERRY_NOWAIT) == SERRY_OK)
        all.push_back(value);
    return all;
}

void expect_run(const std::vector<int> &values, int from)
{
    for (size_t i = 0; i < values.size(); i++)
        ASSERT_EQ(values[i], from + (int)i);
}

/* No room was lost: it can be filled to its capacity, no further. */
void expect_whole(serry_queue q, size_t capacity)
{
    if (capacity == 0)
        return;
    for (size_t i = 0; i < capacity; i++)
        ASSERT_EQ(put(q, (int)i, SERRY_NOWAIT), SERRY_OK) << i;
    EXPECT_EQ(put(q, 0, SERRY_NOWAIT), SERRY_ETIMEDOUT);
    EXPECT_EQ(drain(q).size(), capacity);
}

int writer(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    sri_point_choose(job.point, (unsigned)job.count);
    for (int i = 0; i < job.n; i++) {
        if (put(job.q, job.from + i) != SERRY_OK || put(job.told, job.from + i) != SERRY_OK)
            return 1;
    }
    return 0;
}

int reader(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value;
    sri_point_choose(job.point, (unsigned)job.count);
    for (int i = 0; i < job.n; i++) {
        if (get(job.q, &value) != SERRY_OK || put(job.told, value) != SERRY_OK)
            return 1;
    }
    return 0;
}

/* Dies at the count-th passing of a point while it puts; returns its exit code. */
int writer_dies(size_t capacity, int point, int count)
{
    serry_queue q = make_queue(capacity), told = make_queue();
    int code = join(start(writer, { q, told, point, count, 0, n_items }));
    std::vector<int> in = drain(q), said = drain(told);
    expect_run(in, 0);
    expect_run(said, 0);
    EXPECT_TRUE(in.size() == said.size() || in.size() == said.size() + 1)
        << in.size() << " items, " << said.size() << " told of";
    expect_whole(q, capacity);
    EXPECT_EQ(serry_queue_destroy(q), SERRY_OK);
    EXPECT_EQ(serry_queue_destroy(told), SERRY_OK);
    return code;
}

int reader_dies(size_t capacity, int point, int count)
{
    serry_queue q = make_queue(capacity), told = make_queue();
    for (int i = 0; i < n_items; i++)
        EXPECT_EQ(put(q, i), SERRY_OK);
    int code = join(start(reader, { q, told, point, count, 0, n_items }));
    std::vector<int> rest = drain(q), said = drain(told);
    expect_run(said, 0);
    int gone = n_items - (int)rest.size();
    expect_run(rest, gone);
    EXPECT_TRUE(gone == (int)said.size() || gone == (int)said.size() + 1)
        << gone << " taken, " << said.size() << " told of";
    expect_whole(q, capacity);
    EXPECT_EQ(serry_queue_destroy(q), SERRY_OK);
    EXPECT_EQ(serry_queue_destroy(told), SERRY_OK);
    return code;
}

/* Between any two steps in shared memory, the lanes' too. Where there is none, few points are
 * passed at all. */
template <class Dies>
void sweep(Dies dies)
{
    bool sockets = getenv("SERRY_LANES") && strcmp(getenv("SERRY_LANES"), "socket") == 0;
    for (size_t capacity : { size_t(0), size_t(n_items) }) {
        for (int point = sockets ? 20 : 1; point <= 24; point++) {
            for (int count : { 1, 2, 7, 40 })
                dies(capacity, point, count);
        }
    }
}

SERRY_RANKS_TEST(QueueDeaths, AWriterMayDieAnywhere, .ranks({ 1 }).timeout(100))
{
    sweep(writer_dies);
}

SERRY_RANKS_TEST(QueueDeaths, AReaderMayDieAnywhere, .ranks({ 1 }).timeout(100))
{
    sweep(reader_dies);
}

/* The sweeps above do reach what they are for. */
SERRY_RANKS_TEST(QueueDeaths, HappenWhereTheyAreWanted, .ranks({ 1 }).on(shm))
{
    EXPECT_EQ(writer_dies(n_items, 20, 3), -SIGKILL);
    EXPECT_EQ(writer_dies(n_items, 21, 3), -SIGKILL);
    EXPECT_EQ(writer_dies(0, 21, 3), -SIGKILL);
    EXPECT_EQ(writer_dies(0, 22, 3), -SIGKILL);
    EXPECT_EQ(reader_dies(0, 23, 3), -SIGKILL);
    EXPECT_EQ(reader_dies(0, 23, 40), -SIGKILL);
    EXPECT_EQ(reader_dies(0, 24, 3), -SIGKILL);
    EXPECT_EQ(reader_dies(0, 24, 40), -SIGKILL);
}

/* ---- those that wait ---- */

int tell_and_get(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value;
    return put(job.told, 1) == SERRY_OK && get(job.q, &value) == SERRY_OK ? 0 : 1;
}

int tell_and_put(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    return put(job.told, 1) == SERRY_OK && put(job.q, 77) == SERRY_OK ? 0 : 1;
}

SERRY_RANKS_TEST(QueueDeaths, TheDeadDoNotStandInLine, .ranks({ 1 }))
{
    for (int round = 0; round < 10; round++) {
        serry_queue q = make_queue(1), told = make_queue();
        int value = 0;
        serry_process p = start(tell_and_get, { q, told, 0, 0, 0, 0 });
        EXPECT_EQ(get(told, &value), SERRY_OK);
        EXPECT_EQ(serry_process_kill(p), SERRY_OK);
        EXPECT_EQ(join(p), -SIGKILL);
        EXPECT_EQ(put(q, 5, SERRY_NOWAIT), SERRY_OK);
        p = start(tell_and_put, { q, told, 0, 0, 0, 0 });
        EXPECT_EQ(get(told, &value), SERRY_OK);
        EXPECT_EQ(serry_process_kill(p), SERRY_OK);
        EXPECT_EQ(join(p), -SIGKILL);
        EXPECT_EQ(get(q, &value, SERRY_NOWAIT), SERRY_OK);
        EXPECT_EQ(value, 5);
        EXPECT_EQ(get(q, &value, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        EXPECT_EQ(put(q, 6, SERRY_NOWAIT), SERRY_OK);
    }
}

/* A stopped reader holds up nobody else, whatever it was fed. */
int keep_reading(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value;
    while (get(job.q, &value) == SERRY_OK && put(job.told, value) == SERRY_OK)
        ;
    return 0;
}

SERRY_RANKS_TEST(QueueDeaths, AStoppedReaderHoldsUpNobody, .ranks({ 1 }))
{
    const int n = 3000;
    serry_queue q = make_queue(), told = make_queue();
    for (int i = 0; i < n; i++)
        EXPECT_EQ(put(q, i), SERRY_OK);
    serry_process p = start(keep_reading, { q, told, 0, 0, 0, 0 });
    int value = 0;
    for (int i = 0; i < 300; i++)
        EXPECT_EQ(get(told, &value), SERRY_OK);
    EXPECT_EQ(serry_process_signal(p, SIGSTOP), SERRY_OK);
    /* It may have one item in its hands that it was about to tell of. */
    std::set<int> seen;
    while (get(q, &value, SERRY_NOWAIT) == SERRY_OK)
        EXPECT_TRUE(seen.insert(value).second);
    EXPECT_EQ(serry_process_signal(p, SIGCONT), SERRY_OK);
    EXPECT_EQ(serry_queue_close(q), SERRY_OK);
    EXPECT_EQ(join(p), 0);
    for (int v : drain(told))
        EXPECT_TRUE(v < 300 || seen.insert(v).second) << v;
    for (int i = 300; i < n; i++)
        EXPECT_EQ(seen.count(i), 1u) << i;
}

/* ---- at any time ---- */

int pass_on(const void *arg, size_t)
{
    Job job = *(const Job *)arg;
    int value;
    serry_err e;
    while ((e = get(job.q, &value)) == SERRY_OK) {
        if (put(job.told, value) != SERRY_OK)
            return 1;
    }
    return e == SERRY_ECLOSED ? 0 : 2;
}

/* Three readers; two are killed in full swing. An item is passed on at most once, and of each of
 * the dead at most one is missing. */
SERRY_RANKS_TEST(QueueDeaths, LoseAtMostWhatWasInHand, .ranks({ 1 }).timeout(100))
{
    const int n = 2000;
    for (int round = 0; round < 8; round++) {
        serry_queue q = make_queue(round % 2 ? 50 : 0), told = make_queue();
        serry_process w = start(writer, { q, make_queue(), 0, 0, 0, n });
        serry_process readers[3];
        for (serry_process &r : readers)
            r = start(pass_on, { q, told, 0, 0, 0, 0 });
        std::set<int> seen;
        int value = 0, killed = 0;
        for (int i = 0; i < n - 2; i++) {
            ASSERT_EQ(get(told, &value, 20), SERRY_OK) << "after " << i;
            EXPECT_TRUE(seen.insert(value).second) << value;
            if (i == 200 + 111 * round || i == 600 + 77 * round) {
                EXPECT_EQ(serry_process_kill(readers[killed]), SERRY_OK);
                EXPECT_EQ(join(readers[killed++]), -SIGKILL);
            }
        }
        EXPECT_EQ(join(w), 0);
        EXPECT_EQ(serry_queue_close(q), SERRY_OK);
        EXPECT_EQ(join(readers[2]), 0);
        for (int v : drain(told))
            EXPECT_TRUE(seen.insert(v).second) << v;
        EXPECT_GE((int)seen.size(), n - 2);
    }
}

} // namespace
