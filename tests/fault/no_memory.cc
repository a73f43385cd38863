// ctest: timeout=120
/* Each allocation that a call makes fails once, in the caller or in the agent: the call succeeds
 * all the same or says SERRY_ENOMEM in a sentence, changes nothing then, and works the next time.
 */
#include "fault/fault.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <sys/mman.h>

using namespace serry_test;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0 /* the sanitizer has its own */
#else
#define OWN_ALLOCATOR 1
#endif

namespace {

/* On a page that the agent, a copy of this process, shares. */
struct Trap {
    std::atomic<int> pid;   /* who is to fail */
    std::atomic<long> left; /* allocations until one does; below 0: none will */
};

Trap *trap;

[[maybe_unused]] bool trapped()
{
    if (!trap || trap->left.load(std::memory_order_relaxed) < 0 || trap->pid.load() != getpid())
        return false;
    if (trap->left.fetch_sub(1) != 0)
        return false;
    errno = ENOMEM;
    return true;
}

} // namespace

#if OWN_ALLOCATOR
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t n)
{
    return trapped() ? nullptr : __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    return trapped() ? nullptr : __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    return trapped() ? nullptr : __libc_realloc(p, n);
}
void *aligned_alloc(size_t alignment, size_t n)
{
    return trapped() ? nullptr : __libc_memalign(alignment, n);
}
}
#endif

namespace {

pid_t agent_pid()
{
    std::string self = std::to_string(getpid());
    std::string children = read_file("/proc/self/task/" + self + "/children");
    for (size_t at = 0, end; at < children.size(); at = end + 1) {
        end = children.find(' ', at);
        if (end == std::string::npos)
            break;
        std::string pid = children.substr(at, end - at);
        if (read_file("/proc/" + pid + "/comm") == "serry-agent\n")
            return atoi(pid.c_str());
    }
    return -1;
}

/* ---- what is tried ---- */

/* Kept from one step to the next; nothing here may allocate by itself. */
serry_queue queue;
serry_process process;
serry_request requests[2];
serry_pool *pool;
char bytes[200000], more[200000];

serry_err queue_create()
{
    serry_queue_options o = {};
    o.name = "a name";
    o.capacity = 3;
    return serry_queue_create(&queue, &o);
}

void queue_destroy()
{
    EXPECT_EQ(serry_queue_destroy(queue), SERRY_OK) << serry_err_detail();
}

serry_err queue_put()
{
    return serry_queue_put(queue, bytes, 5000, SERRY_NOWAIT);
}

serry_err queue_get()
{
    size_t len;
    return serry_queue_get(queue, more, sizeof more, &len, 20);
}

void expect_get()
{
    EXPECT_EQ(queue_get(), SERRY_OK) << serry_err_detail();
}

void expect_put()
{
    EXPECT_EQ(queue_put(), SERRY_OK) << serry_err_detail();
}

serry_err send_to_self()
{
    return serry_send(0, 3, bytes, sizeof bytes);
}

serry_err receive_from_self()
{
    return serry_recv(0, 3, more, sizeof more, nullptr, 20);
}

void expect_receive()
{
    EXPECT_EQ(receive_from_self(), SERRY_OK) << serry_err_detail();
}

serry_err requests_start()
{
    serry_err e = serry_irecv(&requests[0], 0, 4, more, sizeof more);
    if (e != SERRY_OK)
        return e;
    e = serry_isend(&requests[1], 0, 4, bytes, 100);
    if (e != SERRY_OK)
        EXPECT_EQ(serry_cancel(&requests[0]), SERRY_OK) << serry_err_detail();
    return e;
}

void requests_finish()
{
    EXPECT_EQ(serry_wait_all(requests, 2, nullptr, 20), SERRY_OK) << serry_err_detail();
}

int nothing(const void *, size_t)
{
    return 0;
}

serry_err process_start()
{
    return serry_process_start(&process, nothing, bytes, 1000, nullptr);
}

void process_join()
{
    int code = -1;
    EXPECT_EQ(serry_process_join(process, &code, 20), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(code, 0);
}

int same(serry_task *t, const void *in, size_t len)
{
    return serry_task_return(t, in, len) == SERRY_OK ? 0 : 1;
}

serry_err pool_create()
{
    serry_pool_options o = {};
    o.workers = 1;
    return serry_pool_create(&pool, &o);
}

void pool_destroy()
{
    serry_pool_destroy(pool);
    pool = nullptr;
}

serry_err pool_map()
{
    static int in[50], out[50];
    for (int i = 0; i < 50; i++)
        in[i] = i;
    serry_err e = serry_pool_map(pool, same, in, sizeof in[0], 50, out, sizeof out[0], nullptr);
    if (e == SERRY_OK)
        EXPECT_TRUE(memcmp(in, out, sizeof in) == 0);
    return e;
}

/* ---- whole lives of objects: the first error, or SERRY_OK ---- */

serry_err first(serry_err a, serry_err b)
{
    return a != SERRY_OK ? a : b;
}

serry_err lock_life()
{
    serry_lock l;
    serry_condition c;
    serry_err e = serry_lock_create(&l, nullptr);
    if (e != SERRY_OK)
        return e;
    e = serry_lock_acquire(l, 20);
    if (e == SERRY_OK && (e = serry_condition_create(&c, l, nullptr)) == SERRY_OK) {
        e = serry_condition_wait(c, SERRY_NOWAIT);
        e = first(e == SERRY_ETIMEDOUT ? SERRY_OK : e, serry_condition_notify_all(c));
        e = first(e, serry_condition_destroy(c));
    }
    if (e == SERRY_OK)
        e = serry_lock_release(l);
    return first(e, serry_lock_destroy(l));
}

serry_err semaphore_life()
{
    serry_semaphore s;
    int value = -1;
    serry_err e = serry_semaphore_create(&s, 2, nullptr);
    if (e != SERRY_OK)
        return e;
    e = serry_semaphore_acquire(s, 20);
    e = first(e, e == SERRY_OK ? serry_semaphore_value(s, &value) : e);
    if (e == SERRY_OK)
        EXPECT_EQ(value, 1);
    e = first(e, e == SERRY_OK ? serry_semaphore_release(s) : e);
    return first(e, serry_semaphore_destroy(s));
}

serry_err event_life()
{
    serry_event v;
    serry_err e = serry_event_create(&v, nullptr);
    if (e != SERRY_OK)
        return e;
    e = serry_event_set(v);
    if (e == SERRY_OK)
        e = serry_event_wait(v, 1);
    return first(e, serry_event_destroy(v));
}

serry_err barrier_life()
{
    serry_barrier b;
    int index = -1;
    serry_err e = serry_barrier_create(&b, 1, nullptr);
    if (e != SERRY_OK)
        return e;
    e = serry_barrier_wait(b, &index, 20);
    return first(e, serry_barrier_destroy(b));
}

serry_err pipe_life()
{
    serry_conn a, b;
    size_t len = 0;
    serry_err e = serry_pipe_create(&a, &b, true);
    if (e != SERRY_OK)
        return e;
    e = serry_conn_send(b, bytes, 3000, 20);
    e = first(e, e == SERRY_OK ? serry_conn_recv(a, more, sizeof more, &len, 20) : e);
    e = first(e, serry_conn_close(b));
    return first(e, serry_conn_close(a));
}

serry_err list_life()
{
    serry_list l;
    size_t len;
    serry_err e = serry_list_create(&l, nullptr);
    if (e != SERRY_OK)
        return e;
    e = serry_list_append(l, bytes, 5000);
    e = first(e, e == SERRY_OK ? serry_list_pop(l, 0, more, sizeof more, &len) : e);
    return first(e, serry_list_destroy(l));
}

serry_err dict_life()
{
    serry_dict d;
    char **keys;
    size_t n;
    serry_err e = serry_dict_create(&d, nullptr);
    if (e != SERRY_OK)
        return e;
    for (int i = 0; i < 40 && e == SERRY_OK; i++) { /* the table must grow */
        char key[16];
        snprintf(key, sizeof key, "key %d", i);
        e = serry_dict_put(d, key, bytes, 100);
    }
    if (e == SERRY_OK && (e = serry_dict_keys(d, &keys, &n)) == SERRY_OK) {
        EXPECT_EQ(n, 40u);
        serry_strings_free(keys, n);
    }
    return first(e, serry_dict_destroy(d));
}

serry_err array_life()
{
    serry_array a;
    serry_err e = serry_array_create(&a, SERRY_BYTE, 100000, nullptr);
    if (e != SERRY_OK)
        return e;
    e = serry_array_set(a, 5, 50000, bytes);
    e = first(e, e == SERRY_OK ? serry_array_get(a, 0, 100000, more) : e);
    if (e == SERRY_OK)
        EXPECT_TRUE(memcmp(more + 5, bytes, 50000) == 0);
    return first(e, serry_array_destroy(a));
}

serry_err long_value_life()
{
    serry_dict d;
    size_t len = 0;
    serry_err e = serry_dict_create(&d, nullptr);
    if (e != SERRY_OK)
        return e;
    e = serry_dict_put(d, "a long one", bytes, 100000);
    e = first(e, e == SERRY_OK ? serry_dict_get(d, "a long one", more, sizeof more, &len) : e);
    if (e == SERRY_OK)
        EXPECT_TRUE(len == 100000 && memcmp(more, bytes, len) == 0);
    return first(e, serry_dict_destroy(d));
}

struct Step {
    const char *what;
    serry_err (*call)();
    void (*undo)(); /* of a call that has succeeded; may be null */
};

/* A sentence about memory, not bytes of what was being read or sent. */
void expect_told_of_memory(const Step &s)
{
    std::string text = serry_err_detail();
    EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](unsigned char c) { return isprint(c); }))
        << s.what << ": " << testing::PrintToString(text);
    EXPECT_NE(text.find("memory"), std::string::npos)
        << s.what << ": " << testing::PrintToString(text);
}

/* Fails the caller's or the agent's allocations one after the other. Returns how many there are. */
int sweep(const Step &s, pid_t victim)
{
    const char *whose = victim == getpid() ? "caller" : "agent";
    for (int n = 0; n < 1000; n++) {
        serry_process_children(nullptr, 0); /* the agent has done all that was posted before */
        trap->pid = victim;
        trap->left = n;
        serry_err e = s.call();
        bool failed = trap->left.exchange(-1) < 0;
        EXPECT_TRUE(e == SERRY_OK || (failed && e == SERRY_ENOMEM))
            << s.what << ", allocation " << n << " of the " << whose << ": " << serry_err_name(e)
            << ", " << serry_err_detail();
        if (e == SERRY_ENOMEM)
            expect_told_of_memory(s);
        if (e == SERRY_OK && s.undo)
            s.undo();
        if (!failed)
            return n;
        e = s.call();
        EXPECT_EQ(e, SERRY_OK) << s.what << " after allocation " << n
                               << " had failed: " << serry_err_detail();
        if (e == SERRY_OK && s.undo)
            s.undo();
    }
    ADD_FAILURE() << s.what << ": there is no end of allocations";
    return 0;
}

void sweep_all(bool in_agent, std::initializer_list<Step> steps)
{
    pid_t victim = in_agent ? agent_pid() : getpid();
    ASSERT_GT(victim, 0);
    int all = 0;
    for (const Step &s : steps)
        all += sweep(s, victim);
    EXPECT_GT(all, 0) << "no allocation was seen";
}

const std::initializer_list<Step> lives = {
    { "a lock and a condition", lock_life, nullptr },
    { "a semaphore", semaphore_life, nullptr },
    { "an event", event_life, nullptr },
    { "a barrier", barrier_life, nullptr },
    { "a pipe", pipe_life, nullptr },
    { "a list", list_life, nullptr },
    { "a dict", dict_life, nullptr },
    { "an array", array_life, nullptr },
    { "a long value", long_value_life, nullptr },
};

void join_with_a_trap()
{
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    trap = new (page) Trap;
    trap->left = -1;
    memset(bytes, 0xa5, sizeof bytes); /* no text */
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
}

SERRY_RANKS_TEST(NoMemory, InTheCallerIsAnError, .ranks({ 1 }).directly().without_init())
{
    if (!OWN_ALLOCATOR)
        GTEST_SKIP() << "the sanitizer has an allocator of its own";
    join_with_a_trap();
    sweep_all(false, { { "queue_create", queue_create, queue_destroy },
                       { "process_start", process_start, process_join },
                       { "send", send_to_self, expect_receive },
                       { "isend and irecv", requests_start, requests_finish },
                       { "pool_create", pool_create, pool_destroy } });
    ASSERT_EQ(queue_create(), SERRY_OK);
    sweep_all(false, { { "queue_put", queue_put, expect_get } });
    for (int i = 0; i < 3; i++)
        expect_put();
    sweep(Step{ "queue_get", queue_get, expect_put }, getpid());
    queue_destroy();
    ASSERT_EQ(pool_create(), SERRY_OK);
    sweep_all(false, { { "pool_map", pool_map, nullptr } });
    pool_destroy();
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

SERRY_RANKS_TEST(NoMemory, ForAnObjectIsAnErrorThatLeavesNothing,
                 .ranks({ 1 }).directly().without_init().timeout(60))
{
    if (!OWN_ALLOCATOR)
        GTEST_SKIP() << "the sanitizer has an allocator of its own";
    join_with_a_trap();
    sweep_all(false, lives);
    sweep_all(true, lives);
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

SERRY_RANKS_TEST(NoMemory, InTheAgentIsAnErrorOfTheCaller, .ranks({ 1 }).directly().without_init())
{
    if (!OWN_ALLOCATOR)
        GTEST_SKIP() << "the sanitizer has an allocator of its own";
    join_with_a_trap();
    sweep_all(true, { { "queue_create", queue_create, queue_destroy },
                      { "process_start", process_start, process_join } });
    ASSERT_EQ(queue_create(), SERRY_OK);
    for (int i = 0; i < 3; i++)
        expect_put();
    sweep(Step{ "queue_get", queue_get, expect_put }, agent_pid());
    queue_destroy();
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
}

} // namespace
