/* What outside programs are compiled against: each public function redeclared with its signature,
 * and each public struct beside a likeness of it, so that a header that says something else does
 * not compile here, as C or as C++; then all functions are called for by name, so that a library
 * without one of them does not link. Whoever changes this file breaks programs that are not here.
 */
#include <assert.h>
#include <serry.h>
#include <serry/mpi_attach.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* world.h */
serry_err serry_init(int *argc, char ***argv);
serry_err serry_finalize(void);
bool serry_initialized(void);
int serry_rank(void);
int serry_size(void);
int serry_node(void);
int serry_nodes(void);
int serry_cpu_count(void);
double serry_time(void);
SERRY_NORETURN void serry_abort(int code);
const char *serry_err_name(serry_err e);
const char *serry_err_text(serry_err e);
const char *serry_err_detail(void);

/* mpi.h: serry_attach is a static inline function over MPI_Comm. */
serry_err serry_prepare(void);

/* message.h */
serry_err serry_send(int dest, int tag, const void *buf, size_t len);
serry_err serry_recv(int source, int tag, void *buf, size_t cap, serry_status *status,
                     double timeout);
serry_err serry_sendrecv(int dest, int send_tag, const void *out, size_t len, int source,
                         int recv_tag, void *in, size_t cap, serry_status *status);
serry_err serry_probe(int source, int tag, serry_status *status, double timeout);
serry_err serry_isend(serry_request *r, int dest, int tag, const void *buf, size_t len);
serry_err serry_irecv(serry_request *r, int source, int tag, void *buf, size_t cap);
serry_err serry_wait(serry_request *r, serry_status *status, double timeout);
serry_err serry_wait_any(serry_request *rs, size_t n, size_t *which, serry_status *status,
                         double timeout);
serry_err serry_wait_all(serry_request *rs, size_t n, serry_status *statuses, double timeout);
serry_err serry_cancel(serry_request *r);

/* collective.h */
serry_err serry_world_barrier(void);
serry_err serry_world_bcast(void *buf, size_t len, int root);
serry_err serry_world_reduce(const void *in, void *out, size_t n, serry_type type, serry_op op,
                             int root);
serry_err serry_world_allreduce(const void *in, void *out, size_t n, serry_type type, serry_op op);
serry_err serry_world_gather(const void *in, size_t len, void *out, int root);
serry_err serry_world_scatter(const void *in, size_t len, void *out, int root);
serry_err serry_world_allgather(const void *in, size_t len, void *out);
serry_err serry_world_alltoall(const void *in, size_t len, void *out);

/* process.h */
typedef int (*serry_process_fn)(const void *arg, size_t len);
serry_err serry_process_start(serry_process *p, serry_process_fn fn, const void *arg, size_t len,
                              const serry_process_options *o);
serry_err serry_process_join(serry_process p, int *code, double timeout);
bool serry_process_is_alive(serry_process p);
serry_err serry_process_info_of(serry_process p, serry_process_info *info);
serry_err serry_process_signal(serry_process p, int signal);
serry_err serry_process_terminate(serry_process p);
serry_err serry_process_kill(serry_process p);
serry_process serry_process_self(void);
serry_process serry_process_parent(void);
size_t serry_process_children(serry_process *out, size_t cap);
serry_err serry_process_wait_any(const serry_process *ps, size_t n, size_t *which, double timeout);

/* pipe.h */
serry_err serry_pipe_create(serry_conn *a, serry_conn *b, bool duplex);
serry_err serry_conn_send(serry_conn c, const void *buf, size_t len, double timeout);
serry_err serry_conn_recv(serry_conn c, void *buf, size_t cap, size_t *len, double timeout);
serry_err serry_conn_poll(serry_conn c, double timeout);
serry_err serry_conn_give(serry_conn c, int rank);
serry_err serry_conn_close(serry_conn c);

/* queue.h */
serry_err serry_queue_create(serry_queue *q, const serry_queue_options *o);
serry_err serry_queue_put(serry_queue q, const void *item, size_t len, double timeout);
serry_err serry_queue_get(serry_queue q, void *item, size_t cap, size_t *len, double timeout);
serry_err serry_queue_size(serry_queue q, size_t *n);
serry_err serry_queue_task_done(serry_queue q);
serry_err serry_queue_join(serry_queue q, double timeout);
serry_err serry_queue_close(serry_queue q);
serry_err serry_queue_destroy(serry_queue q);

/* lock.h */
serry_err serry_lock_create(serry_lock *l, const serry_lock_options *o);
serry_err serry_lock_destroy(serry_lock l);
serry_err serry_lock_acquire(serry_lock l, double timeout);
serry_err serry_lock_release(serry_lock l);

/* semaphore.h */
serry_err serry_semaphore_create(serry_semaphore *s, int value, const serry_semaphore_options *o);
serry_err serry_semaphore_destroy(serry_semaphore s);
serry_err serry_semaphore_acquire(serry_semaphore s, double timeout);
serry_err serry_semaphore_release(serry_semaphore s);
serry_err serry_semaphore_value(serry_semaphore s, int *value);

/* event.h */
serry_err serry_event_create(serry_event *e, const serry_event_options *o);
serry_err serry_event_destroy(serry_event e);
serry_err serry_event_set(serry_event e);
serry_err serry_event_clear(serry_event e);
bool serry_event_is_set(serry_event e);
serry_err serry_event_wait(serry_event e, double timeout);

/* condition.h */
serry_err serry_condition_create(serry_condition *c, serry_lock l,
                                 const serry_condition_options *o);
serry_err serry_condition_destroy(serry_condition c);
serry_err serry_condition_wait(serry_condition c, double timeout);
serry_err serry_condition_wait_for(serry_condition c, bool (*predicate)(void *), void *ctx,
                                   double timeout);
serry_err serry_condition_notify(serry_condition c, int n);
serry_err serry_condition_notify_all(serry_condition c);

/* barrier.h */
serry_err serry_barrier_create(serry_barrier *b, int parties, const serry_barrier_options *o);
serry_err serry_barrier_destroy(serry_barrier b);
serry_err serry_barrier_wait(serry_barrier b, int *index, double timeout);
serry_err serry_barrier_reset(serry_barrier b);
serry_err serry_barrier_abort(serry_barrier b);
serry_err serry_barrier_waiting(serry_barrier b, int *n);
bool serry_barrier_is_broken(serry_barrier b);

/* shared.h */
serry_err serry_value_create(serry_value *v, serry_type type, const void *initial,
                             const serry_shared_options *o);
serry_err serry_value_destroy(serry_value v);
serry_err serry_value_get(serry_value v, void *out);
serry_err serry_value_set(serry_value v, const void *in);
serry_err serry_value_add(serry_value v, const void *delta, void *before);
serry_err serry_value_compare_set(serry_value v, const void *expected, const void *desired,
                                  bool *done);
serry_err serry_array_create(serry_array *a, serry_type type, size_t n,
                             const serry_shared_options *o);
serry_err serry_array_destroy(serry_array a);
serry_err serry_array_len(serry_array a, size_t *n);
serry_err serry_array_get(serry_array a, size_t first, size_t n, void *out);
serry_err serry_array_set(serry_array a, size_t first, size_t n, const void *in);
serry_err serry_array_add(serry_array a, size_t first, size_t n, const void *in);
serry_err serry_list_create(serry_list *l, const serry_shared_options *o);
serry_err serry_list_destroy(serry_list l);
serry_err serry_list_len(serry_list l, size_t *n);
serry_err serry_list_clear(serry_list l);
serry_err serry_list_append(serry_list l, const void *item, size_t len);
serry_err serry_list_insert(serry_list l, size_t at, const void *item, size_t len);
serry_err serry_list_set(serry_list l, size_t at, const void *item, size_t len);
serry_err serry_list_get(serry_list l, size_t at, void *item, size_t cap, size_t *len);
serry_err serry_list_pop(serry_list l, size_t at, void *item, size_t cap, size_t *len);
serry_err serry_dict_create(serry_dict *d, const serry_shared_options *o);
serry_err serry_dict_destroy(serry_dict d);
serry_err serry_dict_len(serry_dict d, size_t *n);
serry_err serry_dict_clear(serry_dict d);
serry_err serry_dict_put(serry_dict d, const char *key, const void *val, size_t len);
serry_err serry_dict_get(serry_dict d, const char *key, void *val, size_t cap, size_t *len);
serry_err serry_dict_del(serry_dict d, const char *key);
serry_err serry_dict_compare_put(serry_dict d, const char *key, const void *expected,
                                 size_t expected_len, const void *val, size_t len, bool *done);
serry_err serry_dict_keys(serry_dict d, char ***keys, size_t *n);
void serry_strings_free(char **keys, size_t n);

/* pool.h */
typedef int (*serry_task_fn)(serry_task *t, const void *in, size_t len);
serry_err serry_task_return(serry_task *t, const void *out, size_t len);
int serry_task_fail(serry_task *t, const char *fmt, ...);
size_t serry_task_index(const serry_task *t);
int serry_task_worker(const serry_task *t);
int serry_task_attempt(const serry_task *t);
serry_pool *serry_task_pool(serry_task *t);
serry_err serry_pool_create(serry_pool **pool, const serry_pool_options *o);
serry_err serry_pool_map(serry_pool *pool, serry_task_fn fn, const void *items, size_t item_size,
                         size_t n, void *results, size_t result_size, const serry_map_options *o);
serry_err serry_pool_map_async(serry_future **f, serry_pool *pool, serry_task_fn fn,
                               const void *items, size_t item_size, size_t n, void *results,
                               size_t result_size, const serry_map_options *o);
serry_err serry_pool_apply(serry_pool *pool, serry_task_fn fn, const void *in, size_t len,
                           void *out, size_t cap, size_t *out_len, double timeout);
serry_err serry_pool_submit(serry_future **f, serry_pool *pool, serry_task_fn fn, const void *in,
                            size_t len);
typedef bool (*serry_source_fn)(void *ctx, size_t index, void *item, size_t cap, size_t *len);
serry_err serry_pool_imap(serry_results **it, serry_pool *pool, serry_task_fn fn,
                          serry_source_fn next, void *ctx, const serry_imap_options *o);
serry_err serry_results_next(serry_results *it, void *out, size_t cap, size_t *len, size_t *index,
                             double timeout);
void serry_results_free(serry_results *it);
serry_err serry_pool_serve(int owner, double timeout);
serry_err serry_pool_stats(serry_pool *pool, serry_worker_stats *out, size_t cap, size_t *n);
serry_err serry_pool_close(serry_pool *pool);
serry_err serry_pool_join(serry_pool *pool, double timeout);
serry_err serry_pool_terminate(serry_pool *pool);
void serry_pool_destroy(serry_pool *pool);

/* future.h */
serry_err serry_future_get(serry_future *f, void *out, size_t cap, size_t *len, double timeout);
bool serry_future_done(const serry_future *f);
bool serry_future_running(const serry_future *f);
bool serry_future_cancelled(const serry_future *f);
serry_err serry_future_cancel(serry_future *f);
typedef void (*serry_future_fn)(void *ctx, serry_future *f);
serry_err serry_future_on_done(serry_future *f, serry_future_fn fn, void *ctx);
serry_err serry_future_wait(serry_future *const *fs, size_t n, serry_wait_for mode, size_t *which,
                            double timeout);
const char *serry_future_error(const serry_future *f);
void serry_future_free(serry_future *f);

/* subprocess.h */
serry_err serry_subprocess_start(serry_subprocess **sp, const char *const argv[],
                                 const serry_subprocess_options *o);
serry_err serry_subprocess_communicate(serry_subprocess *sp, const void *in, size_t len,
                                       serry_bytes *out, serry_bytes *err, double timeout);
serry_err serry_subprocess_wait(serry_subprocess *sp, int *code, double timeout);
serry_err serry_subprocess_signal(serry_subprocess *sp, int signal);
void serry_subprocess_free(serry_subprocess *sp);
serry_err serry_subprocess_run(const char *const argv[], serry_completed *done,
                               const serry_subprocess_options *o, double timeout);
serry_err serry_system(const char *command, int *code);
serry_err serry_daemonize(const serry_daemon_options *o);
void serry_bytes_free(serry_bytes *b);
void serry_completed_free(serry_completed *c);

/* describe.h */
serry_err serry_describe(uint64_t handle_id, char *text, size_t cap);

/* Beyond the patterns: what the headers add to them. */
serry_err serry_attach_f(int comm, serry_attach_state state);
void serry_check_failed(const char *file, int line, const char *call, serry_err e);
double serry_stats_imbalance(const serry_worker_stats *s, size_t n);
pid_t serry_subprocess_pid(const serry_subprocess *sp);
int serry_subprocess_fd(const serry_subprocess *sp, int stream);
serry_err serry_subprocess_close(serry_subprocess *sp, int stream);
serry_err serry_subprocess_poll(serry_subprocess *sp, int *code);
serry_err serry_subprocess_terminate(serry_subprocess *sp);
serry_err serry_subprocess_kill(serry_subprocess *sp);
serry_err serry_subprocess_call(const char *const argv[], int *code,
                                const serry_subprocess_options *o, double timeout);
serry_err serry_subprocess_check_call(const char *const argv[], const serry_subprocess_options *o,
                                      double timeout);
serry_err serry_subprocess_check_output(const char *const argv[], serry_bytes *out,
                                        const serry_subprocess_options *o, double timeout);

#ifdef __cplusplus
}
#endif

/* ---- structs ---- */

/* A field has this type and place in the struct and in its likeness. */
#define FIELD(name, field)                                                                         \
    static_assert(offsetof(serry_##name, field) == offsetof(struct name, field),                   \
                  #name "." #field);                                                               \
    (void)(&((serry_##name *)0)->field == &((struct name *)0)->field)
#define WHOLE(name) static_assert(sizeof(serry_##name) == sizeof(struct name), #name)

struct status {
    int source;
    int tag;
    size_t len;
};

struct process_options {
    const char *name;
    bool daemon;
    int node;
};

struct process_info {
    pid_t pid;
    int rank;
    bool alive;
    bool daemon;
    char name[64];
};

struct queue_options {
    const char *name;
    size_t capacity;
    int node;
};

struct lock_options {
    const char *name;
    bool recursive;
    int node;
};

struct semaphore_options {
    const char *name;
    bool bounded;
    int node;
};

struct barrier_options {
    const char *name;
    int node;
    serry_process_fn action;
    const void *arg;
    size_t arg_len;
    double timeout;
};

struct pool_options {
    const char *name;
    int workers;
    serry_process_fn initializer;
    const void *init_arg;
    size_t init_len;
    int max_tasks_per_worker;
    int retries;
    double retry_delay;
    double task_timeout;
    bool isolate;
};

struct map_options {
    size_t chunk;
    bool keep_going;
    bool progress;
    double timeout;
    serry_err *errors;
    void (*on_error)(void *ctx, size_t index, serry_err e, const char *text);
    void *ctx;
};

struct imap_options {
    bool unordered;
    size_t in_flight;
    size_t chunk;
    size_t item_cap;
};

/* A handle is one word. */
struct handle {
    uint64_t id;
};
#define HANDLE(name)                                                                               \
    static_assert(sizeof(serry_##name) == sizeof(struct handle), #name);                           \
    (void)(&((serry_##name *)0)->id == &((struct handle *)0)->id)

static void structs(void)
{
    HANDLE(conn);
    HANDLE(queue);
    HANDLE(lock);
    HANDLE(semaphore);
    HANDLE(event);
    HANDLE(condition);
    HANDLE(barrier);
    HANDLE(value);
    HANDLE(array);
    HANDLE(list);
    HANDLE(dict);
    HANDLE(process);
    HANDLE(request);
    FIELD(status, source);
    FIELD(status, tag);
    FIELD(status, len);
    WHOLE(status);
    FIELD(process_options, name);
    FIELD(process_options, daemon);
    FIELD(process_options, node);
    WHOLE(process_options);
    FIELD(process_info, pid);
    FIELD(process_info, rank);
    FIELD(process_info, alive);
    FIELD(process_info, daemon);
    FIELD(process_info, name);
    WHOLE(process_info);
    FIELD(queue_options, name);
    FIELD(queue_options, capacity);
    FIELD(queue_options, node);
    WHOLE(queue_options);
    FIELD(lock_options, name);
    FIELD(lock_options, recursive);
    FIELD(lock_options, node);
    WHOLE(lock_options);
    FIELD(semaphore_options, name);
    FIELD(semaphore_options, bounded);
    FIELD(semaphore_options, node);
    WHOLE(semaphore_options);
    FIELD(barrier_options, name);
    FIELD(barrier_options, node);
    FIELD(barrier_options, action);
    FIELD(barrier_options, arg);
    FIELD(barrier_options, arg_len);
    FIELD(barrier_options, timeout);
    WHOLE(barrier_options);
    FIELD(pool_options, name);
    FIELD(pool_options, workers);
    FIELD(pool_options, initializer);
    FIELD(pool_options, init_arg);
    FIELD(pool_options, init_len);
    FIELD(pool_options, max_tasks_per_worker);
    FIELD(pool_options, retries);
    FIELD(pool_options, retry_delay);
    FIELD(pool_options, task_timeout);
    FIELD(pool_options, isolate);
    WHOLE(pool_options);
    FIELD(map_options, chunk);
    FIELD(map_options, keep_going);
    FIELD(map_options, progress);
    FIELD(map_options, timeout);
    FIELD(map_options, errors);
    FIELD(map_options, on_error);
    FIELD(map_options, ctx);
    WHOLE(map_options);
    FIELD(imap_options, unordered);
    FIELD(imap_options, in_flight);
    FIELD(imap_options, chunk);
    FIELD(imap_options, item_cap);
    WHOLE(imap_options);
}

/* ---- constants ---- */

static void constants(void)
{
    static const serry_err errors[] = {
        SERRY_OK,         SERRY_ETIMEDOUT, SERRY_ECLOSED,    SERRY_ETRUNC,    SERRY_EDIED,
        SERRY_EOWNERDIED, SERRY_EBROKEN,   SERRY_ECANCELLED, SERRY_EDEADLOCK, SERRY_ETASK,
        SERRY_ENOKEY,     SERRY_EINVAL,    SERRY_EHANDLE,    SERRY_ESTATE,    SERRY_EPERM,
        SERRY_ENOMEM,     SERRY_ELIMIT,    SERRY_ESYS,       SERRY_EINTERNAL
    };
    static const serry_type types[] = { SERRY_BYTE,  SERRY_INT32,  SERRY_INT64,
                                        SERRY_FLOAT, SERRY_DOUBLE, SERRY_DOUBLE_INT };
    static const serry_op ops[] = { SERRY_SUM, SERRY_PROD, SERRY_MIN,    SERRY_MAX,   SERRY_AND,
                                    SERRY_OR,  SERRY_XOR,  SERRY_MINLOC, SERRY_MAXLOC };
    static const serry_wait_for modes[] = { SERRY_FIRST, SERRY_FIRST_ERROR, SERRY_ALL };
    const char *const name = serry_err_name(SERRY_OK);
    static_assert(SERRY_OK == 0, "no error is 0");
    static_assert(SERRY_NODE(0) != 0 && SERRY_ANY < 0 && SERRY_NONE < 0 && SERRY_ANY != SERRY_NONE,
                  "0 is here");
    const double times[] = { SERRY_FOREVER, SERRY_NOWAIT };
    SERRY_IGNORE(SERRY_OK);
    SERRY_CHECK(SERRY_OK);
    (void)errors, (void)types, (void)ops, (void)modes, (void)name, (void)times;
}

/* ---- functions ---- */

typedef void (*function)(void);

static const function functions[] = {
    (function)serry_init,
    (function)serry_finalize,
    (function)serry_initialized,
    (function)serry_rank,
    (function)serry_size,
    (function)serry_node,
    (function)serry_nodes,
    (function)serry_cpu_count,
    (function)serry_time,
    (function)serry_abort,
    (function)serry_err_name,
    (function)serry_err_text,
    (function)serry_err_detail,
    (function)serry_prepare,
    (function)serry_send,
    (function)serry_recv,
    (function)serry_sendrecv,
    (function)serry_probe,
    (function)serry_isend,
    (function)serry_irecv,
    (function)serry_wait,
    (function)serry_wait_any,
    (function)serry_wait_all,
    (function)serry_cancel,
    (function)serry_world_barrier,
    (function)serry_world_bcast,
    (function)serry_world_reduce,
    (function)serry_world_allreduce,
    (function)serry_world_gather,
    (function)serry_world_scatter,
    (function)serry_world_allgather,
    (function)serry_world_alltoall,
    (function)serry_process_start,
    (function)serry_process_join,
    (function)serry_process_is_alive,
    (function)serry_process_info_of,
    (function)serry_process_signal,
    (function)serry_process_terminate,
    (function)serry_process_kill,
    (function)serry_process_self,
    (function)serry_process_parent,
    (function)serry_process_children,
    (function)serry_process_wait_any,
    (function)serry_pipe_create,
    (function)serry_conn_send,
    (function)serry_conn_recv,
    (function)serry_conn_poll,
    (function)serry_conn_give,
    (function)serry_conn_close,
    (function)serry_queue_create,
    (function)serry_queue_put,
    (function)serry_queue_get,
    (function)serry_queue_size,
    (function)serry_queue_task_done,
    (function)serry_queue_join,
    (function)serry_queue_close,
    (function)serry_queue_destroy,
    (function)serry_lock_create,
    (function)serry_lock_destroy,
    (function)serry_lock_acquire,
    (function)serry_lock_release,
    (function)serry_semaphore_create,
    (function)serry_semaphore_destroy,
    (function)serry_semaphore_acquire,
    (function)serry_semaphore_release,
    (function)serry_semaphore_value,
    (function)serry_event_create,
    (function)serry_event_destroy,
    (function)serry_event_set,
    (function)serry_event_clear,
    (function)serry_event_is_set,
    (function)serry_event_wait,
    (function)serry_condition_create,
    (function)serry_condition_destroy,
    (function)serry_condition_wait,
    (function)serry_condition_wait_for,
    (function)serry_condition_notify,
    (function)serry_condition_notify_all,
    (function)serry_barrier_create,
    (function)serry_barrier_destroy,
    (function)serry_barrier_wait,
    (function)serry_barrier_reset,
    (function)serry_barrier_abort,
    (function)serry_barrier_waiting,
    (function)serry_barrier_is_broken,
    (function)serry_value_create,
    (function)serry_value_destroy,
    (function)serry_value_get,
    (function)serry_value_set,
    (function)serry_value_add,
    (function)serry_value_compare_set,
    (function)serry_array_create,
    (function)serry_array_destroy,
    (function)serry_array_len,
    (function)serry_array_get,
    (function)serry_array_set,
    (function)serry_array_add,
    (function)serry_list_create,
    (function)serry_list_destroy,
    (function)serry_list_len,
    (function)serry_list_clear,
    (function)serry_list_append,
    (function)serry_list_insert,
    (function)serry_list_set,
    (function)serry_list_get,
    (function)serry_list_pop,
    (function)serry_dict_create,
    (function)serry_dict_destroy,
    (function)serry_dict_len,
    (function)serry_dict_clear,
    (function)serry_dict_put,
    (function)serry_dict_get,
    (function)serry_dict_del,
    (function)serry_dict_compare_put,
    (function)serry_dict_keys,
    (function)serry_strings_free,
    (function)serry_task_return,
    (function)serry_task_fail,
    (function)serry_task_index,
    (function)serry_task_worker,
    (function)serry_task_attempt,
    (function)serry_task_pool,
    (function)serry_pool_create,
    (function)serry_pool_map,
    (function)serry_pool_map_async,
    (function)serry_pool_apply,
    (function)serry_pool_submit,
    (function)serry_pool_imap,
    (function)serry_results_next,
    (function)serry_results_free,
    (function)serry_pool_serve,
    (function)serry_pool_stats,
    (function)serry_pool_close,
    (function)serry_pool_join,
    (function)serry_pool_terminate,
    (function)serry_pool_destroy,
    (function)serry_future_get,
    (function)serry_future_done,
    (function)serry_future_running,
    (function)serry_future_cancelled,
    (function)serry_future_cancel,
    (function)serry_future_on_done,
    (function)serry_future_wait,
    (function)serry_future_error,
    (function)serry_future_free,
    (function)serry_subprocess_start,
    (function)serry_subprocess_communicate,
    (function)serry_subprocess_wait,
    (function)serry_subprocess_signal,
    (function)serry_subprocess_free,
    (function)serry_subprocess_run,
    (function)serry_system,
    (function)serry_daemonize,
    (function)serry_bytes_free,
    (function)serry_completed_free,
    (function)serry_describe,
    (function)serry_attach_f,
    (function)serry_check_failed,
    (function)serry_stats_imbalance,
    (function)serry_subprocess_pid,
    (function)serry_subprocess_fd,
    (function)serry_subprocess_close,
    (function)serry_subprocess_poll,
    (function)serry_subprocess_terminate,
    (function)serry_subprocess_kill,
    (function)serry_subprocess_call,
    (function)serry_subprocess_check_call,
    (function)serry_subprocess_check_output,
};

int main(void)
{
    size_t n = 0;
    structs();
    constants();
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        n += functions[i] != NULL;
    printf("%zu functions\n", n);
    return 0;
}
