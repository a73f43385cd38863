// ctest: slow timeout=180
/* What no library of ours would send: a process of the world gives the homes of all kinds of
 * objects, and the agent itself, requests of any operation, length and content. Each is answered or
 * dropped; the agent lives on, and whoever else uses the objects waits no longer than he said. */
#include "agent/handle.h"
#include "agent/wire.h"
#include "core/service.h"
#include "fault/fault.h"

#include <functional>

using namespace serry_test;

namespace {

const double soon = 20; /* seconds; a call that takes this long hangs */

int square(serry_task *t, const void *in, size_t len)
{
    int x = 0;
    memcpy(&x, in, len < sizeof x ? len : sizeof x);
    x *= x;
    return serry_task_return(t, &x, sizeof x) != SERRY_OK;
}

/* ---- one that is not well ---- */

struct Madness {
    uint64_t object; /* 0: the agent */
    uint64_t other;  /* some handle that is good */
    unsigned seed;
    int requests;
};

uint64_t any_number(const Madness &m, std::mt19937 &random)
{
    const uint64_t ends[] = { 0,
                              1,
                              2,
                              3,
                              4,
                              7,
                              8,
                              64,
                              1023,
                              1 << 20,
                              INT32_MAX,
                              UINT32_MAX,
                              UINT64_MAX,
                              INT64_MAX,
                              UINT64_MAX / 8 + 1,
                              UINT64_MAX - 7,
                              m.object,
                              m.other,
                              (uint64_t)serry_rank(),
                              (uint64_t)serry_rank() << 32,
                              UINT64_C(1) << 32 };
    return random() % 4 ? ends[random() % std::size(ends)] : (uint64_t)random() << 32 | random();
}

/* Those of the agent that end somebody or something if they are well formed: that is nobody's fault
 * then. They are sent cut off. */
size_t harmless_length(const Madness &m, uint16_t op, size_t len)
{
    if (m.object != SRI_SERVICE_AGENT)
        return len;
    switch (op) {
    case SRI_AGENT_ABORT:
    case SRI_AGENT_EXIT:
        return len % 4;
    case SRI_AGENT_SIGNAL:
        return len % sizeof(sri_agent_signal);
    case SRI_AGENT_START:
        return len % sizeof(sri_agent_start);
    default:
        return len;
    }
}

void send_anything(const Madness &m, std::mt19937 &random)
{
    uint64_t bytes[24];
    for (uint64_t &b : bytes)
        b = any_number(m, random);
    const uint16_t own = (uint16_t)(SRI_OP_OWN + random() % 24);
    const uint16_t op = random() % 30  ? own
                        : random() % 2 ? (uint16_t)SRI_OP_CANCEL
                        : random() % 2 ? (uint16_t)SRI_OP_DESCRIBE
                                       : (uint16_t)random();
    if (op == SRI_OP_DESTROY || (m.object == SRI_SERVICE_AGENT && op == SRI_AGENT_ABORT))
        return;
    const size_t len =
        harmless_length(m, op, random() % 3 ? random() % sizeof bytes : 8 * (random() % 8));
    sri_reply reply = {};
    uint32_t number = 0;
    if (sri_enter() != SERRY_OK)
        _exit(9);
    if (random() % 3 == 0) {
        SERRY_IGNORE(sri_service_post(m.object, op, nullptr, 0, bytes, len));
    } else if (sri_service_start(m.object, op, nullptr, 0, bytes, len, &number) == SERRY_OK) {
        /* What makes no sense may be dropped, so nothing is waited for. */
        SERRY_IGNORE(sri_service_finish(number, &reply, sri_now() + SRI_MS(random() % 2), false));
    }
    sri_leave();
    sri_reply_fini(&reply);
}

int mad(const void *arg, size_t)
{
    const Madness &m = *static_cast<const Madness *>(arg);
    std::mt19937 random(m.seed);
    for (int i = 0; i < m.requests; i++)
        send_anything(m, random);
    return 0;
}

/* Lets it loose on an object, and returns when it has ended. */
void madness_of(uint64_t object, uint64_t other, unsigned seed)
{
    const Madness m = { object, other, seed, 1500 };
    serry_process p;
    int code = -1;
    ASSERT_EQ(serry_process_start(&p, mad, &m, sizeof m, nullptr), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_process_join(p, &code, 60), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, 0);
}

/* ---- those that are well ---- */

/* Makes an object and uses it once; uses one that may be in any state; uses a new one up. */
struct Kind {
    const char *name;
    std::function<uint64_t()> make;
    std::function<void(uint64_t)> use; /* whatever comes of it, but in time */
    std::function<serry_err(uint64_t)> destroy;
};

#define MADE(call) EXPECT_EQ(call, SERRY_OK) << serry_err_detail()

const std::vector<Kind> &kinds()
{
    static const std::vector<Kind> all = {
        { "queue",
          [] {
              serry_queue q = {};
              const serry_queue_options o = { nullptr, 4, 0 };
              char c = 0;
              MADE(serry_queue_create(&q, &o));
              MADE(serry_queue_put(q, "a", 1, soon));
              MADE(serry_queue_get(q, &c, 1, nullptr, soon));
              return q.id;
          },
          [](uint64_t id) {
              char c[256];
              size_t n;
              SERRY_IGNORE(serry_queue_put({ id }, "a", 1, SERRY_NOWAIT));
              SERRY_IGNORE(serry_queue_get({ id }, c, sizeof c, &n, SERRY_NOWAIT));
              SERRY_IGNORE(serry_queue_size({ id }, &n));
          },
          [](uint64_t id) { return serry_queue_destroy({ id }); } },
        { "lock",
          [] {
              serry_lock l = {};
              MADE(serry_lock_create(&l, nullptr));
              MADE(serry_lock_acquire(l, soon));
              MADE(serry_lock_release(l));
              return l.id;
          },
          [](uint64_t id) {
              serry_err e = serry_lock_acquire({ id }, 0.1);
              if (e == SERRY_OK || e == SERRY_EOWNERDIED)
                  SERRY_IGNORE(serry_lock_release({ id }));
          },
          [](uint64_t id) { return serry_lock_destroy({ id }); } },
        { "semaphore",
          [] {
              serry_semaphore s = {};
              MADE(serry_semaphore_create(&s, 2, nullptr));
              MADE(serry_semaphore_acquire(s, soon));
              MADE(serry_semaphore_release(s));
              return s.id;
          },
          [](uint64_t id) {
              int value;
              if (serry_semaphore_acquire({ id }, 0.1) == SERRY_OK)
                  SERRY_IGNORE(serry_semaphore_release({ id }));
              SERRY_IGNORE(serry_semaphore_value({ id }, &value));
          },
          [](uint64_t id) { return serry_semaphore_destroy({ id }); } },
        { "event",
          [] {
              serry_event e = {};
              MADE(serry_event_create(&e, nullptr));
              MADE(serry_event_set(e));
              MADE(serry_event_wait(e, soon));
              return e.id;
          },
          [](uint64_t id) {
              SERRY_IGNORE(serry_event_clear({ id }));
              SERRY_IGNORE(serry_event_set({ id }));
              SERRY_IGNORE(serry_event_wait({ id }, 0.1));
          },
          [](uint64_t id) { return serry_event_destroy({ id }); } },
        { "condition",
          [] {
              serry_lock l = {};
              serry_condition c = {};
              MADE(serry_lock_create(&l, nullptr));
              MADE(serry_condition_create(&c, l, nullptr));
              MADE(serry_lock_acquire(l, soon));
              EXPECT_EQ(serry_condition_wait(c, 0.001), SERRY_ETIMEDOUT);
              MADE(serry_condition_notify_all(c));
              MADE(serry_lock_release(l));
              return c.id;
          },
          [](uint64_t id) { SERRY_IGNORE(serry_condition_notify_all({ id })); },
          [](uint64_t id) { return serry_condition_destroy({ id }); } },
        { "barrier",
          [] {
              serry_barrier b = {};
              MADE(serry_barrier_create(&b, 1, nullptr));
              MADE(serry_barrier_wait(b, nullptr, soon));
              return b.id;
          },
          [](uint64_t id) {
              int n;
              SERRY_IGNORE(serry_barrier_wait({ id }, &n, 0.1));
              SERRY_IGNORE(serry_barrier_waiting({ id }, &n));
              SERRY_IGNORE(serry_barrier_reset({ id }));
          },
          [](uint64_t id) { return serry_barrier_destroy({ id }); } },
        { "pipe",
          [] {
              serry_conn a = {}, b = {};
              char c = 0;
              MADE(serry_pipe_create(&a, &b, true));
              MADE(serry_conn_send(a, "a", 1, soon));
              MADE(serry_conn_recv(b, &c, 1, nullptr, soon));
              return b.id;
          },
          [](uint64_t id) {
              char c[256];
              size_t n;
              SERRY_IGNORE(serry_conn_send({ id }, "a", 1, 0.1));
              SERRY_IGNORE(serry_conn_recv({ id }, c, sizeof c, &n, 0.1));
          },
          [](uint64_t id) { return serry_conn_close({ id }); } },
    };
    return all;
}

} // namespace

SERRY_RANKS_TEST(AnyBytes, ToTheHomeOfAnObjectAreAnswered, .ranks({ 1 }).timeout(120))
{
    serry_queue other = {};
    ASSERT_EQ(serry_queue_create(&other, nullptr), SERRY_OK);
    for (const Kind &kind : kinds()) {
        SCOPED_TRACE(kind.name);
        for (unsigned seed = 0; seed < 3; seed++) {
            uint64_t id = kind.make();
            ASSERT_NO_FATAL_FAILURE(madness_of(id, other.id, 100 * seed + 1));
            double before = serry_time();
            char text[256];
            kind.use(id);
            SERRY_IGNORE(serry_describe(id, text, sizeof text));
            serry_err e = kind.destroy(id);
            EXPECT_TRUE(e == SERRY_OK || e == SERRY_EHANDLE || e == SERRY_EPERM
                        || e == SERRY_ECLOSED)
                << serry_err_name(e) << ": " << serry_err_detail();
            EXPECT_LT(serry_time() - before, soon);
            id = kind.make();
            e = kind.destroy(id);
            EXPECT_EQ(e, SERRY_OK) << serry_err_detail();
        }
    }
    EXPECT_EQ(serry_queue_destroy(other), SERRY_OK);
}

SERRY_RANKS_TEST(AnyBytes, ToTheAgentAreAnswered, .ranks({ 1 }).in_own_world().timeout(120))
{
    serry_queue other = {};
    ASSERT_EQ(serry_queue_create(&other, nullptr), SERRY_OK);
    for (unsigned seed = 0; seed < 4; seed++) {
        ASSERT_NO_FATAL_FAILURE(madness_of(SRI_SERVICE_AGENT, other.id, seed));
        EXPECT_EQ(serry_queue_put(other, "a", 1, soon), SERRY_OK) << serry_err_detail();
        EXPECT_EQ(serry_process_children(nullptr, 0), 0u);
    }
    size_t n = 0;
    EXPECT_EQ(serry_queue_size(other, &n), SERRY_OK);
    EXPECT_EQ(n, 4u);
}

/* The handle of this world's only pool, which its owner does not tell. */
uint64_t pool_handle()
{
    char text[256];
    for (uint32_t index = 0; index < 64; index++) {
        for (uint32_t generation = 1; generation < 64; generation++) {
            uint64_t id = sri_handle_make(SRI_TYPE_POOL, 0, index, generation);
            if (serry_describe(id, text, sizeof text) == SERRY_OK)
                return id;
        }
    }
    return 0;
}

void map_squares(serry_pool *pool, bool all_is_well)
{
    int items[50], results[50] = {};
    serry_map_options m = {};
    m.timeout = soon;
    for (int i = 0; i < 50; i++)
        items[i] = i;
    double before = serry_time();
    serry_err e =
        serry_pool_map(pool, square, items, sizeof *items, 50, results, sizeof *results, &m);
    EXPECT_LT(serry_time() - before, 2 * soon);
    if (!all_is_well)
        return;
    EXPECT_EQ(e, SERRY_OK) << serry_err_detail();
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(results[i], i * i);
}

/* Who says that it is a worker is taken for one, and may break a pool; it breaks no other. */
SERRY_RANKS_TEST(AnyBytes, ToTheHomeOfAPoolEndNoOther, .ranks({ 1 }).in_own_world().timeout(120))
{
    serry_queue other = {};
    ASSERT_EQ(serry_queue_create(&other, nullptr), SERRY_OK);
    for (unsigned seed = 0; seed < 4; seed++) {
        serry_pool *pool = nullptr;
        serry_pool_options o = {};
        o.workers = 2;
        ASSERT_EQ(serry_pool_create(&pool, &o), SERRY_OK) << serry_err_detail();
        map_squares(pool, true);
        const uint64_t id = pool_handle();
        ASSERT_NE(id, 0u);
        ASSERT_NO_FATAL_FAILURE(madness_of(id, other.id, seed));
        map_squares(pool, false);
        serry_pool_destroy(pool);
    }
}
