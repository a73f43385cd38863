// ctest: slow timeout=300
/* As nodes_mixed.cc: queues and their items, the order of what is posted and sent, and handles that
 * go round. */
#include "patterns/nodes_mixed_test.h"

using namespace nodes_mixed_test;

namespace {

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
        auto o = at_node<serry_shared_options>(node);
        serry_dict d = shared_by_all<serry_dict>(
            [&](serry_dict *dict) { return serry_dict_create(dict, &o); });
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
