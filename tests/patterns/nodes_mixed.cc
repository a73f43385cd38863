// ctest: slow timeout=300
/* Near and far members at the same objects: on several nodes some step on what they share with the
 * home, the others ask for each step, and all of them must find the same truth, also when some are
 * killed at arbitrary places. Each test goes through homes on all nodes. */
#include "patterns/sync_test.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <random>
#include <time.h>

using namespace serry_test;

namespace {

constexpr int ITEMS = 400; /* of each producer, in a round */

struct Board {
    std::atomic<int> stop, inside, most, turn;
    std::atomic<long> told, entered;
    volatile long plain; /* changed only under a lock */
    std::atomic<uint8_t> taken[64][ITEMS];
    std::atomic<int> rounds[64];
};

Board &board()
{
    return rank_memory<Board>("mixed");
}

void clear_board()
{
    Board &b = board();
    b.stop = b.inside = b.most = b.turn = 0;
    b.told = b.entered = 0;
    b.plain = 0;
    for (auto &producer : b.taken)
        for (auto &t : producer)
            t = 0;
    for (auto &r : b.rounds)
        r = 0;
}

int rounds(int quick)
{
    const char *text = getenv("SERRY_TEST_ROUNDS");
    return text && atoi(text) > 0 ? atoi(text) : quick;
}

void nap(double least, double most)
{
    static std::mt19937 dice((unsigned)(getpid() * 7919));
    double s = std::uniform_real_distribution<double>(least, most)(dice);
    timespec t = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };
    nanosleep(&t, nullptr);
}

/* The same handle, made by rank 0 with its home on that node, in all ranks. */
template <typename Handle>
Handle shared_by_all(const std::function<Handle()> &make)
{
    Handle h = {};
    if (serry_rank() == 0)
        h = make();
    EXPECT_EQ(serry_world_bcast(&h, sizeof h, 0), SERRY_OK) << serry_err_detail();
    return h;
}

serry_lock make_lock(int node)
{
    return shared_by_all<serry_lock>([=] {
        serry_lock l = {};
        serry_lock_options o = {};
        o.node = SERRY_NODE(node);
        EXPECT_EQ(serry_lock_create(&l, &o), SERRY_OK) << serry_err_detail();
        return l;
    });
}

serry_semaphore make_semaphore(int node, int value)
{
    return shared_by_all<serry_semaphore>([=] {
        serry_semaphore s = {};
        serry_semaphore_options o = {};
        o.node = SERRY_NODE(node);
        EXPECT_EQ(serry_semaphore_create(&s, value, &o), SERRY_OK) << serry_err_detail();
        return s;
    });
}

serry_event make_event(int node)
{
    return shared_by_all<serry_event>([=] {
        serry_event e = {};
        serry_event_options o = {};
        o.node = SERRY_NODE(node);
        EXPECT_EQ(serry_event_create(&e, &o), SERRY_OK) << serry_err_detail();
        return e;
    });
}

serry_queue make_queue(int node, size_t capacity)
{
    return shared_by_all<serry_queue>([=] {
        serry_queue q = {};
        serry_queue_options o = {};
        o.capacity = capacity;
        o.node = SERRY_NODE(node);
        EXPECT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
        return q;
    });
}

serry_barrier make_barrier(int node, int parties)
{
    return shared_by_all<serry_barrier>([=] {
        serry_barrier b = {};
        serry_barrier_options o = {};
        o.node = SERRY_NODE(node);
        EXPECT_EQ(serry_barrier_create(&b, parties, &o), SERRY_OK) << serry_err_detail();
        return b;
    });
}

serry_value make_value(int node)
{
    return shared_by_all<serry_value>([=] {
        serry_value v = {};
        serry_shared_options o = {};
        int64_t zero = 0;
        o.node = SERRY_NODE(node);
        EXPECT_EQ(serry_value_create(&v, SERRY_INT64, &zero, &o), SERRY_OK) << serry_err_detail();
        return v;
    });
}

void for_each_home(const std::function<void(int node)> &body)
{
    for (int node = 0; node < serry_nodes() && !testing::Test::HasFailure(); node++) {
        SCOPED_TRACE("home on node " + std::to_string(node));
        if (serry_rank() == 0)
            clear_board();
        all_here();
        body(node);
        all_here();
    }
}

#define CHECKED(call) ASSERT_EQ((call), SERRY_OK) << serry_err_detail()

/* ---- lock ---- */

SERRY_RANKS_TEST(NodesMixed, ALockHasOneHolder, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        serry_value v = make_value(serry_nodes() - 1 - node);
        int n = rounds(300);
        for (int i = 0; i < n; i++) {
            int64_t was = 0;
            CHECKED(serry_lock_acquire(l, patience(20)));
            EXPECT_EQ(board().inside.exchange(serry_rank() + 1), 0);
            board().plain = board().plain + 1;
            if (i % 8 == 0) {
                CHECKED(serry_value_get(v, &was));
                was++;
                CHECKED(serry_value_set(v, &was));
            }
            board().inside = 0;
            CHECKED(serry_lock_release(l));
        }
        all_here();
        int64_t in_all = 0;
        EXPECT_EQ(board().plain, (long)n * serry_size());
        CHECKED(serry_value_get(v, &in_all));
        EXPECT_EQ(in_all, (int64_t)((n + 7) / 8) * serry_size());
        for (int r = 0; r < serry_size(); r++) {
            if (serry_rank() == r) {
                CHECKED(serry_lock_acquire(l, SERRY_NOWAIT));
                CHECKED(serry_lock_release(l));
            }
            all_here();
        }
    });
}

SERRY_RANKS_TEST(NodesMixed, AHeldLockIsRefusedInTime, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        for (int holder = 0; holder < serry_size(); holder++) {
            if (serry_rank() == holder)
                CHECKED(serry_lock_acquire(l, SERRY_FOREVER));
            all_here();
            if (serry_rank() != holder) {
                EXPECT_EQ(serry_lock_acquire(l, SERRY_NOWAIT), SERRY_ETIMEDOUT);
                EXPECT_EQ(serry_lock_acquire(l, 0.02), SERRY_ETIMEDOUT);
                EXPECT_EQ(serry_lock_release(l), SERRY_EPERM);
            }
            all_here();
            if (serry_rank() == holder)
                CHECKED(serry_lock_release(l));
            all_here();
        }
    });
}

struct Hammer {
    serry_lock l;
    serry_semaphore s;
    int me;
};

/* Until it is killed. */
int hammers_a_lock(const void *arg, size_t)
{
    Hammer job = *(const Hammer *)arg;
    for (;;) {
        serry_err e = serry_lock_acquire(job.l, SERRY_FOREVER);
        if (e != SERRY_OK && e != SERRY_EOWNERDIED)
            return 1;
        int was = board().inside.exchange(job.me);
        if (was != 0 && e == SERRY_OK)
            board().most++; /* the other one lives, or nobody was told of his death */
        if (e == SERRY_EOWNERDIED)
            board().told++;
        board().plain = board().plain + 1;
        board().inside = 0;
        if (serry_lock_release(job.l) != SERRY_OK)
            return 2;
        board().entered++;
    }
}

SERRY_RANKS_TEST(NodesMixed, ALockOutlivesHoldersThatAreKilled, .ranks({ 4 }).timeout(120))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        for (int i = 0; i < rounds(10); i++) {
            serry_process p = start(hammers_a_lock, Hammer{ l, {}, serry_rank() + 1 });
            nap(0.0, 0.02);
            end(p);
        }
        all_here();
        EXPECT_EQ(board().most, 0) << "two had the lock at once";
        serry_err e = serry_lock_acquire(l, patience(20));
        EXPECT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << serry_err_detail();
        CHECKED(serry_lock_release(l));
    });
}

/* ---- semaphore ---- */

SERRY_RANKS_TEST(NodesMixed, PermitsAreNeverExceeded, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_semaphore s = make_semaphore(node, 2);
        for (int i = 0; i < rounds(300); i++) {
            CHECKED(serry_semaphore_acquire(s, patience(20)));
            int in = ++board().inside;
            EXPECT_LE(in, 2);
            --board().inside;
            CHECKED(serry_semaphore_release(s));
        }
        all_here();
        int value = -1;
        CHECKED(serry_semaphore_value(s, &value));
        EXPECT_EQ(value, 2);
        all_here();
        /* Exactly two of four get one without waiting. */
        serry_err e = serry_semaphore_acquire(s, SERRY_NOWAIT);
        if (e == SERRY_OK)
            board().turn++;
        all_here();
        EXPECT_EQ(board().turn, std::min(2, serry_size()));
        if (e == SERRY_OK)
            CHECKED(serry_semaphore_release(s));
    });
}

int takes_permits(const void *arg, size_t)
{
    Hammer job = *(const Hammer *)arg;
    for (;;) {
        if (serry_semaphore_acquire(job.s, SERRY_FOREVER) != SERRY_OK)
            return 1;
        if (serry_semaphore_release(job.s) != SERRY_OK)
            return 2;
    }
}

SERRY_RANKS_TEST(NodesMixed, PermitsOfTheKilledReturn, .ranks({ 4 }).timeout(120))
{
    for_each_home([](int node) {
        serry_semaphore s = make_semaphore(node, 3);
        for (int i = 0; i < rounds(10); i++) {
            serry_process p = start(takes_permits, Hammer{ {}, s, 0 });
            nap(0.0, 0.02);
            end(p);
        }
        all_here();
        int value = -1;
        CHECKED(serry_semaphore_value(s, &value));
        EXPECT_EQ(value, 3) << described(s.id);
    });
}

/* ---- queue ---- */

struct Item {
    int producer, seq;
};

struct Line {
    serry_queue q;
    int me;
    size_t capacity;
};

void note_item(const Item &item)
{
    ASSERT_TRUE(item.producer >= 0 && item.producer < 64 && item.seq >= 0 && item.seq < ITEMS);
    EXPECT_EQ(board().taken[item.producer][item.seq]++, 0)
        << "item " << item.seq << " of " << item.producer << " twice";
}

/* All put and get at the same time. A reader that would not wait may be given what another, that
 * had not come for it, had been fed before: there is no order to be checked. */
void put_and_get(serry_queue q)
{
    int me = serry_rank(), put = 0, got = 0;
    while (put < ITEMS || got < ITEMS) {
        if (put < ITEMS) {
            Item mine = { me, put };
            serry_err e =
                serry_queue_put(q, &mine, sizeof mine, put < got + 3 ? SERRY_NOWAIT : patience(20));
            ASSERT_TRUE(e == SERRY_OK || e == SERRY_ETIMEDOUT) << serry_err_detail();
            put += e == SERRY_OK;
        }
        if (got < ITEMS) {
            Item item;
            serry_err e = serry_queue_get(q, &item, sizeof item, nullptr,
                                          put < ITEMS ? SERRY_NOWAIT : patience(20));
            ASSERT_TRUE(e == SERRY_OK || e == SERRY_ETIMEDOUT) << serry_err_detail();
            if (e != SERRY_OK)
                continue;
            note_item(item);
            got++;
        }
    }
}

SERRY_RANKS_TEST(NodesMixed, EachItemIsTakenOnce, .ranks({ 4 }).timeout(120))
{
    for (size_t capacity : { size_t{ 0 }, size_t{ 64 } }) {
        for_each_home([=](int node) {
            for (int i = 0; i < rounds(2); i++) {
                serry_queue q = make_queue(node, capacity);
                put_and_get(q);
                all_here();
                size_t left = 77;
                CHECKED(serry_queue_size(q, &left));
                EXPECT_EQ(left, 0u);
                for (int p = 0; p < serry_size() && serry_rank() == 0; p++)
                    for (int k = 0; k < ITEMS; k++)
                        EXPECT_EQ(board().taken[p][k], 1) << p << " " << k;
                all_here();
                if (serry_rank() == 0)
                    clear_board();
                all_here();
            }
        });
    }
}

/* One reader, near or far, gets the items of each writer in their order. */
SERRY_RANKS_TEST(NodesMixed, ItemsOfEachWriterKeepTheirOrder, .ranks({ 4 }).timeout(60))
{
    for_each_home([](int node) {
        for (int reader = 0; reader < serry_size(); reader++) {
            serry_queue q = make_queue(node, reader % 2 ? 32 : 0);
            for (int i = 0; i < 100 && serry_rank() != reader; i++) {
                Item mine = { serry_rank(), i };
                CHECKED(serry_queue_put(q, &mine, sizeof mine, patience(20)));
            }
            std::vector<int> next((size_t)serry_size());
            for (int i = 0; i < 100 * (serry_size() - 1) && serry_rank() == reader; i++) {
                Item item;
                CHECKED(serry_queue_get(q, &item, sizeof item, nullptr, patience(20)));
                EXPECT_EQ(item.seq, next[(size_t)item.producer]++);
            }
            all_here();
        }
    });
}

/* What it says of a queue is exact, wherever those are who have changed it. */
SERRY_RANKS_TEST(NodesMixed, FullAndEmptyAreExact, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_queue q = make_queue(node, 8);
        for (int i = 0; i < rounds(20); i++) {
            int x = i;
            for (int k = 0; k < 8 / serry_size(); k++)
                CHECKED(serry_queue_put(q, &x, sizeof x, SERRY_NOWAIT));
            all_here();
            EXPECT_EQ(serry_queue_put(q, &x, sizeof x, SERRY_NOWAIT), SERRY_ETIMEDOUT);
            all_here();
            for (int k = 0; k < 8 / serry_size(); k++)
                CHECKED(serry_queue_get(q, &x, sizeof x, nullptr, SERRY_NOWAIT));
            all_here();
            EXPECT_EQ(serry_queue_get(q, &x, sizeof x, nullptr, SERRY_NOWAIT), SERRY_ETIMEDOUT);
            all_here();
        }
    });
}

int takes_items(const void *arg, size_t)
{
    Line job = *(const Line *)arg;
    Item item;
    for (;;) {
        if (serry_queue_get(job.q, &item, sizeof item, nullptr, SERRY_FOREVER) != SERRY_OK)
            return 1;
        board().taken[item.producer][item.seq]++;
    }
}

int puts_items(const void *arg, size_t)
{
    Line job = *(const Line *)arg;
    for (int i = 0; i < ITEMS; i++) {
        Item item = { job.me, i };
        if (serry_queue_put(job.q, &item, sizeof item, SERRY_FOREVER) != SERRY_OK)
            return 1;
        board().rounds[job.me] = i + 1;
    }
    return 0;
}

/* Of each rank a reader that is killed again and again, while all put; the rest is then taken by
 * the ranks. With each killed reader at most the one item is lost that it had and had not noted. */
SERRY_RANKS_TEST(NodesMixed, KilledReadersLoseNothingElse, .ranks({ 4 }).timeout(120))
{
    for_each_home([](int node) {
        for (int i = 0; i < rounds(2); i++) {
            serry_queue q = make_queue(node, i % 2 ? 16 : 0);
            int kills = 4;
            serry_process writer = start(puts_items, Line{ q, serry_rank(), 0 });
            for (int k = 0; k < kills; k++) {
                serry_process p = start(takes_items, Line{ q, 0, 0 });
                nap(0.0, 0.02);
                end(p);
            }
            auto all_is_put = [] {
                for (int r = 0; r < serry_size(); r++)
                    if (board().rounds[r] < ITEMS)
                        return false;
                return true;
            };
            Item item;
            for (bool last = false;; last = all_is_put()) {
                while (serry_queue_get(q, &item, sizeof item, nullptr, 0.02) == SERRY_OK)
                    note_item(item);
                if (last)
                    break;
            }
            EXPECT_EQ(join(writer), 0);
            all_here();
            int lost = 0;
            for (int p = 0; p < serry_size(); p++)
                for (int k = 0; k < ITEMS; k++) {
                    EXPECT_LE(board().taken[p][k], 1);
                    lost += board().taken[p][k] == 0;
                }
            EXPECT_LE(lost, kills * serry_size());
            size_t left = 77;
            CHECKED(serry_queue_size(q, &left));
            EXPECT_EQ(left, 0u);
            all_here();
            if (serry_rank() == 0)
                clear_board();
            all_here();
        }
    });
}

/* What a killed writer had put is there, whole and in order, and nothing else. */
SERRY_RANKS_TEST(NodesMixed, KilledWritersLeaveWhatTheyHadPut, .ranks({ 4 }).timeout(120))
{
    for_each_home([](int node) {
        for (int i = 0; i < rounds(3); i++) {
            serry_queue q = make_queue(node, i % 2 ? 16 : 0);
            serry_process p = start(puts_items, Line{ q, serry_rank(), 0 });
            nap(0.0, 0.01);
            SERRY_IGNORE(serry_process_kill(p)); /* it may have come to its end */
            Item item;
            while (serry_queue_get(q, &item, sizeof item, nullptr, 0.2) == SERRY_OK)
                note_item(item);
            join(p);
            all_here();
            for (int w = 0; w < serry_size(); w++) {
                int there = 0;
                while (there < ITEMS && board().taken[w][there] == 1)
                    there++;
                EXPECT_GE(there, board().rounds[w]) << "its put had returned";
                EXPECT_LE(there, board().rounds[w] + 1);
                for (int k = there; k < ITEMS; k++)
                    EXPECT_EQ(board().taken[w][k], 0) << w << " " << k << " behind " << there;
            }
            all_here();
            if (serry_rank() == 0)
                clear_board();
            all_here();
        }
    });
}

/* ---- barrier ---- */

SERRY_RANKS_TEST(NodesMixed, ABarrierLetsAllGoTogether, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_barrier b = make_barrier(node, serry_size());
        for (int i = 1; i <= rounds(100); i++) {
            int index = -1;
            board().rounds[serry_rank()] = i;
            CHECKED(serry_barrier_wait(b, &index, patience(20)));
            EXPECT_TRUE(index >= 0 && index < serry_size());
            for (int r = 0; r < serry_size(); r++)
                EXPECT_GE(board().rounds[r], i);
        }
    });
}

struct Party {
    serry_barrier b;
};

int comes_and_waits(const void *arg, size_t)
{
    Party job = *(const Party *)arg;
    board().turn++;
    return (int)serry_barrier_wait(job.b, nullptr, SERRY_FOREVER);
}

SERRY_RANKS_TEST(NodesMixed, ABarrierBreaksWithAPartyThatIsKilled, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_barrier b = make_barrier(node, serry_size() + 2);
        for (int victim = 0; victim < serry_size(); victim++) {
            serry_process p = {};
            if (serry_rank() == victim) {
                p = start(comes_and_waits, Party{ b });
                int n = 0;
                EXPECT_TRUE(wait_for(
                    [&] { return serry_barrier_waiting(b, &n) == SERRY_OK && n == serry_size(); },
                    patience(20)));
                end(p);
            } else {
                EXPECT_EQ(serry_barrier_wait(b, nullptr, patience(20)), SERRY_EBROKEN);
            }
            all_here();
            EXPECT_TRUE(serry_barrier_is_broken(b));
            all_here();
            if (serry_rank() == victim)
                CHECKED(serry_barrier_reset(b));
            all_here();
        }
    });
}

/* ---- event ---- */

SERRY_RANKS_TEST(NodesMixed, AnEventIsSeenByAll, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_event e = make_event(node);
        for (int i = 0; i < rounds(40); i++) {
            int who = i % serry_size();
            if (serry_rank() == who) {
                nap(0, 0.0005);
                CHECKED(serry_event_set(e));
            } else {
                CHECKED(serry_event_wait(e, patience(20)));
            }
            EXPECT_TRUE(serry_event_is_set(e));
            all_here();
            if (serry_rank() == who)
                CHECKED(serry_event_clear(e));
            all_here();
            EXPECT_FALSE(serry_event_is_set(e));
            EXPECT_EQ(serry_event_wait(e, SERRY_NOWAIT), SERRY_ETIMEDOUT);
            all_here();
        }
        EXPECT_EQ(serry_event_wait(e, 0.01), SERRY_ETIMEDOUT);
    });
}

/* ---- condition ---- */

struct Counter {
    serry_condition c;
    serry_lock l;
};

serry_condition make_condition(serry_lock l)
{
    return shared_by_all<serry_condition>([=] {
        serry_condition c = {};
        EXPECT_EQ(serry_condition_create(&c, l, nullptr), SERRY_OK) << serry_err_detail();
        return c;
    });
}

/* The turn goes round; each one waits for his own. */
SERRY_RANKS_TEST(NodesMixed, ANotifyIsNotLost, .ranks({ 4 }).timeout(60))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        serry_condition c = make_condition(l);
        for (int i = 0; i < rounds(50); i++) {
            CHECKED(serry_lock_acquire(l, patience(20)));
            while (board().turn != i * serry_size() + serry_rank())
                CHECKED(serry_condition_wait(c, patience(20)));
            board().turn++;
            CHECKED(serry_condition_notify_all(c));
            CHECKED(serry_lock_release(l));
        }
    });
}

/* A token is handed on by one notify each; those that wait are killed now and then. */
int waits_for_tokens(const void *arg, size_t)
{
    Counter job = *(const Counter *)arg;
    for (;;) {
        serry_err e = serry_lock_acquire(job.l, SERRY_FOREVER);
        if (e != SERRY_OK && e != SERRY_EOWNERDIED)
            return 1;
        while (board().plain == 0) {
            e = serry_condition_wait(job.c, SERRY_FOREVER);
            if (e != SERRY_OK && e != SERRY_EOWNERDIED)
                return 2;
        }
        board().plain = board().plain - 1;
        board().entered++;
        if (serry_lock_release(job.l) != SERRY_OK)
            return 3;
    }
}

SERRY_RANKS_TEST(NodesMixed, ANotifyOfAKilledWaiterGoesToTheNext, .ranks({ 4 }).timeout(120))
{
    for_each_home([](int node) {
        serry_lock l = make_lock(node);
        serry_condition c = make_condition(l);
        serry_process lasting = start(waits_for_tokens, Counter{ c, l });
        for (int i = 0; i < rounds(5); i++) {
            serry_process p = start(waits_for_tokens, Counter{ c, l });
            for (int k = 0; k < 10; k++) {
                serry_err e = serry_lock_acquire(l, patience(20));
                ASSERT_TRUE(e == SERRY_OK || e == SERRY_EOWNERDIED) << serry_err_detail();
                board().plain = board().plain + 1;
                CHECKED(serry_condition_notify(c, 1));
                CHECKED(serry_lock_release(l));
                nap(0, 0.001);
            }
            end(p);
        }
        EXPECT_TRUE(wait_for([] { return board().plain == 0; }, patience(20)))
            << board().plain << " tokens are left; " << described(c.id) << "; " << described(l.id);
        all_here();
        end(lasting);
    });
}

/* ---- order: what was posted is there when a message that was sent after it has come ---- */

enum Way { SEND, ISEND, SENDRECV, PIPE, COLLECTIVE, OTHER_HOME, WAYS };

struct Ways {
    serry_conn in, out;
    serry_queue bell[64];
};

void tell(Way way, int to, const Ways &w)
{
    int x = 1;
    serry_request r;
    switch (way) {
    case SEND:
        CHECKED(serry_send(to, 3, &x, sizeof x));
        break;
    case ISEND:
        CHECKED(serry_isend(&r, to, 3, &x, sizeof x));
        CHECKED(serry_wait(&r, nullptr, patience(20)));
        break;
    case SENDRECV:
        CHECKED(serry_sendrecv(to, 3, &x, sizeof x, SERRY_NONE, 0, nullptr, 0, nullptr));
        break;
    case PIPE:
        CHECKED(serry_conn_send(w.out, &x, sizeof x, SERRY_NOWAIT));
        break;
    case OTHER_HOME:
        CHECKED(serry_queue_put(w.bell[to], &x, sizeof x, SERRY_FOREVER));
        break;
    default:
        break;
    }
}

void hear(Way way, int from, const Ways &w)
{
    int x = 0;
    if (way == PIPE)
        CHECKED(serry_conn_recv(w.in, &x, sizeof x, nullptr, patience(20)));
    else if (way == OTHER_HOME)
        CHECKED(serry_queue_get(w.bell[serry_rank()], &x, sizeof x, nullptr, patience(20)));
    else if (way != COLLECTIVE)
        CHECKED(serry_recv(from, 3, &x, sizeof x, nullptr, patience(20)));
}

SERRY_RANKS_TEST(NodesMixed, WhatIsPostedComesBeforeWhatIsSentAfterIt, .ranks({ 4 }).timeout(120))
{
    Ways w = {};
    int me = serry_rank(), n = serry_size(), next = (me + 1) % n, before = (me + n - 1) % n;
    for (int r = 0; r < n; r++)
        w.bell[r] = make_queue((r + 1) % serry_nodes(), 0);
    /* A pipe from each rank to the next: its reading end is sent there. */
    serry_conn mine = {};
    CHECKED(serry_pipe_create(&mine, &w.out, false));
    CHECKED(serry_sendrecv(next, 1, &mine, sizeof mine, before, 1, &w.in, sizeof w.in, nullptr));
    EXPECT_EQ(serry_conn_poll(w.in, 0.001), SERRY_ETIMEDOUT);
    for_each_home([&](int node) {
        serry_queue q = make_queue(node, 0);
        for (int i = 0; i < rounds(30) * WAYS; i++) {
            Way way = (Way)(i % WAYS);
            int from = i / WAYS % n, to = (from + 1) % n, x = i;
            if (me == from) {
                for (int k = 0; k < 3; k++)
                    CHECKED(serry_queue_put(q, &x, sizeof x, SERRY_FOREVER));
                tell(way, to, w);
            }
            if (me == to && way != COLLECTIVE)
                hear(way, from, w);
            if (way == COLLECTIVE)
                all_here();
            if (me == to) {
                for (int k = 0; k < 3; k++) {
                    x = -1;
                    ASSERT_EQ(serry_queue_get(q, &x, sizeof x, nullptr, SERRY_NOWAIT), SERRY_OK)
                        << "told by way " << way << ", item " << k << ": " << serry_err_detail();
                    EXPECT_EQ(x, i);
                }
            }
            all_here();
        }
    });
}

/* ---- handles ---- */

/* An end of a pipe goes round all ranks, near and far, and each sends and receives something. */
SERRY_RANKS_TEST(NodesMixed, AnEndOfAPipeGoesRound, .ranks({ 4 }).timeout(60))
{
    serry_conn a = {}, b = {};
    int me = serry_rank(), n = serry_size();
    if (me == 0) {
        CHECKED(serry_pipe_create(&a, &b, true));
        int x = 1000; /* before anybody has the other end */
        CHECKED(serry_conn_send(b, &x, sizeof x, patience(20)));
    }
    CHECKED(serry_world_bcast(&a, sizeof a, 0));
    for (int i = 1; i < rounds(10) * n; i++) {
        int holder = i % n, x = -1;
        if (holder == 0)
            continue;
        if (me == 0) {
            int question = 1000 + i;
            CHECKED(serry_conn_send(b, &question, sizeof question, patience(20)));
            CHECKED(serry_conn_recv(b, &x, sizeof x, nullptr, patience(20)));
            EXPECT_EQ(x, 2000 + i);
        }
        if (me == holder) {
            int first = i == 1;
            if (first) {
                CHECKED(serry_conn_recv(a, &x, sizeof x, nullptr, patience(20)));
                EXPECT_EQ(x, 1000);
            }
            CHECKED(serry_conn_recv(a, &x, sizeof x, nullptr, patience(20)));
            EXPECT_EQ(x, 1000 + i);
            x = 2000 + i;
            CHECKED(serry_conn_send(a, &x, sizeof x, patience(20)));
            int to = (holder + 1) % n == 0 ? 1 : (holder + 1) % n;
            CHECKED(serry_conn_give(a, to));
        }
        all_here();
    }
}

/* A dict on each node, in which the others leave handles of what they have made. */
SERRY_RANKS_TEST(NodesMixed, HandlesCanBeKeptInDictsAndQueues, .ranks({ 4 }))
{
    for_each_home([](int node) {
        serry_dict d = shared_by_all<serry_dict>([=] {
            serry_dict dict = {};
            serry_shared_options o = {};
            o.node = SERRY_NODE(node);
            EXPECT_EQ(serry_dict_create(&dict, &o), SERRY_OK) << serry_err_detail();
            return dict;
        });
        serry_queue q = {}, other = {};
        serry_event e = {};
        std::string mine = "of " + std::to_string(serry_rank());
        std::string next = "of " + std::to_string((serry_rank() + 1) % serry_size());
        CHECKED(serry_queue_create(&q, nullptr));
        CHECKED(serry_dict_put(d, mine.c_str(), &q, sizeof q));
        all_here();
        size_t n = 0;
        CHECKED(serry_dict_len(d, &n));
        EXPECT_EQ(n, (size_t)serry_size());
        CHECKED(serry_dict_get(d, next.c_str(), &other, sizeof other, nullptr));
        CHECKED(serry_event_create(&e, nullptr));
        CHECKED(serry_queue_put(other, &e, sizeof e, SERRY_FOREVER));
        serry_event got = {};
        CHECKED(serry_queue_get(q, &got, sizeof got, nullptr, patience(20)));
        CHECKED(serry_event_set(got));
        CHECKED(serry_event_wait(e, patience(20)));
        EXPECT_NE(described(got.id).find("event"), std::string::npos);
    });
}

SERRY_RANKS_TEST(NodesMixed, WhoeverNamesTheSameGetsTheSame, .ranks({ 4 }))
{
    for (int i = 0; i < rounds(10); i++) {
        serry_semaphore s = {};
        serry_semaphore_options o = {};
        std::string name = "named " + std::to_string(i);
        o.name = own_name(name.c_str());
        CHECKED(serry_semaphore_create(&s, serry_size(), &o));
        std::vector<serry_semaphore> all((size_t)serry_size());
        CHECKED(serry_world_allgather(&s, sizeof s, all.data()));
        for (const serry_semaphore &other : all)
            EXPECT_EQ(other.id, s.id);
        CHECKED(serry_semaphore_acquire(s, SERRY_NOWAIT));
        all_here();
        EXPECT_EQ(serry_semaphore_acquire(s, SERRY_NOWAIT), SERRY_ETIMEDOUT);
        all_here();
    }
}

/* The end of an object is its end for all. */
SERRY_RANKS_TEST(NodesMixed, WhoWaitsIsToldOfTheEndOfAnObject, .ranks({ 4 }))
{
    for_each_home([](int node) {
        for (int who = 0; who < serry_size(); who++) {
            serry_event e = make_event(node);
            serry_queue q = make_queue(node, 1);
            EXPECT_EQ(serry_event_wait(e, SERRY_NOWAIT), SERRY_ETIMEDOUT);
            all_here();
            int x;
            if (serry_rank() == who) {
                EXPECT_TRUE(come_to_wait(e.id, (size_t)serry_size() - 1)) << described(e.id);
                CHECKED(serry_event_destroy(e));
                CHECKED(serry_queue_close(q));
            } else {
                EXPECT_EQ(serry_event_wait(e, patience(20)), SERRY_EHANDLE);
                EXPECT_EQ(serry_queue_get(q, &x, sizeof x, nullptr, patience(20)), SERRY_ECLOSED);
            }
            EXPECT_EQ(serry_event_set(e), SERRY_EHANDLE);
            all_here();
        }
    });
}

} // namespace
