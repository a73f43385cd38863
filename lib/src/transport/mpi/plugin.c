/* transport/mpi/plugin.c: the table the core sees, what joining needs, and the communicators. The
 * same source is compiled against each MPI. */
#include "transport/mpi/private.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#define PLUGIN_TRANSPORTS 2 /* among ranks, among agents */

static struct {
    MPI_Comm all;  /* everybody who joined: errors are returned */
    MPI_Comm node; /* of this machine */
    bool started;  /* MPI_Init was called here */
    bool over;     /* MPI was finalized */
    int keyval;
    int rank, size;
    far_transport *open[PLUGIN_TRANSPORTS];
} plugin = { .all = MPI_COMM_NULL, .node = MPI_COMM_NULL, .keyval = MPI_KEYVAL_INVALID };

#if defined(OPEN_MPI)
#define PLUGIN_MPI "Open MPI"
#elif defined(MPICH_VERSION)
#define PLUGIN_MPI "MPICH"
#else
#define PLUGIN_MPI "MPI"
#endif

__attribute__((format(printf, 2, 3))) static int plugin_fail(sri_mpi_text *why, const char *form,
                                                             ...)
{
    va_list args;
    va_start(args, form);
    vsnprintf(why->text, sizeof why->text, form, args);
    va_end(args);
    return -1;
}

static int plugin_check(int error, const char *call, sri_mpi_text *why)
{
    if (error == MPI_SUCCESS)
        return 0;
    char text[MPI_MAX_ERROR_STRING] = "";
    int len = 0;
    MPI_Error_string(error, text, &len);
    return plugin_fail(why, "%s failed: %.200s", call, text);
}

#define PLUGIN_TRY(call, name, why)                                                                \
    do {                                                                                           \
        if (plugin_check(call, name, why) != 0)                                                    \
            return -1;                                                                             \
    } while (0)

/* ---- starting ---- */

static const char *plugin_level(int level)
{
    switch (level) {
    case MPI_THREAD_SINGLE:
        return "MPI_THREAD_SINGLE";
    case MPI_THREAD_FUNNELED:
        return "MPI_THREAD_FUNNELED";
    default:
        return "an unknown level";
    }
}

static int plugin_check_level(int level, const char *how, sri_mpi_text *why)
{
    if (level >= MPI_THREAD_SERIALIZED)
        return 0;
    return plugin_fail(
        why,
        "%s %s %s: serry needs MPI_THREAD_SERIALIZED, since several threads may call "
        "it, one at a time; ask MPI_Init_thread for that",
        PLUGIN_MPI, how, plugin_level(level));
}

/* MPI is about to be finalized by the program: MPI calls this first of all. */
static int plugin_finalizing(MPI_Comm comm, int keyval, void *value, void *extra)
{
    (void)comm, (void)keyval, (void)value, (void)extra;
    for (int i = 0; i < PLUGIN_TRANSPORTS; i++)
        if (plugin.open[i])
            far_stop(plugin.open[i]);
    plugin.over = true;
    return MPI_SUCCESS;
}

static int plugin_take(MPI_Comm comm, sri_mpi_text *why)
{
    PLUGIN_TRY(MPI_Comm_dup(comm, &plugin.all), "MPI_Comm_dup", why);
    PLUGIN_TRY(MPI_Comm_set_errhandler(plugin.all, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler",
               why);
    MPI_Comm_rank(plugin.all, &plugin.rank);
    MPI_Comm_size(plugin.all, &plugin.size);
    PLUGIN_TRY(
        MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, plugin_finalizing, &plugin.keyval, NULL),
        "MPI_Comm_create_keyval", why);
    PLUGIN_TRY(MPI_Comm_set_attr(MPI_COMM_SELF, plugin.keyval, NULL), "MPI_Comm_set_attr", why);
    return 0;
}

/* Is MPI up, and in what state? */
static int plugin_state(bool *up, sri_mpi_text *why)
{
    int initialized = 0, finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (finalized)
        return plugin_fail(why, "MPI_Finalize has been called: %s cannot be used any more",
                           PLUGIN_MPI);
    if (plugin.all != MPI_COMM_NULL)
        return plugin_fail(why, "serry has joined over %s already", PLUGIN_MPI);
    *up = initialized;
    return 0;
}

static int plugin_start(sri_mpi_text *why)
{
    bool up = false;
    int level = MPI_THREAD_SINGLE;
    if (plugin_state(&up, why) != 0)
        return -1;
    if (up) {
        MPI_Query_thread(&level);
        if (plugin_check_level(level, "was initialized by the program at", why) != 0)
            return -1;
        return plugin_take(MPI_COMM_WORLD, why);
    }
    static char
        buffer[BUFSIZ]; /* setvbuf finds none by itself once it has been told to have none */
    bool lines = __flbf(stdout);
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level) != MPI_SUCCESS)
        return plugin_fail(why, "MPI_Init_thread of %s failed", PLUGIN_MPI);
    plugin.started = true;
    /* MPICH takes the buffer away: lines would come in pieces, between those of other processes. */
    if (lines && !__flbf(stdout))
        setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    if (plugin_check_level(level, "gives no more than", why) != 0)
        return -1;
    return plugin_take(MPI_COMM_WORLD, why);
}

static int plugin_attach(int fortran_comm, sri_mpi_text *why)
{
    bool up = false;
    int level = MPI_THREAD_SINGLE;
    if (plugin_state(&up, why) != 0)
        return -1;
    if (!up)
        return plugin_fail(why, "MPI has not been initialized: call MPI_Init_thread first");
    MPI_Query_thread(&level);
    if (plugin_check_level(level, "was initialized by the program at", why) != 0)
        return -1;
    MPI_Comm comm = MPI_Comm_f2c((MPI_Fint)fortran_comm);
    if (comm == MPI_COMM_NULL)
        return plugin_fail(why, "the communicator is MPI_COMM_NULL");
    int inter = 0;
    MPI_Comm_test_inter(comm, &inter);
    if (inter)
        return plugin_fail(why, "the communicator is an inter-communicator: merge it first");
    return plugin_take(comm, why);
}

static int plugin_rank(void)
{
    return plugin.rank;
}

static int plugin_size(void)
{
    return plugin.size;
}

/* ---- joining ---- */

static int plugin_split(bool alone, int *node_rank, int *node_size, sri_mpi_text *why)
{
    int e = alone ? MPI_Comm_split(plugin.all, plugin.rank, 0, &plugin.node)
                  : MPI_Comm_split_type(plugin.all, MPI_COMM_TYPE_SHARED, plugin.rank,
                                        MPI_INFO_NULL, &plugin.node);
    PLUGIN_TRY(e, "splitting the communicator by machines", why);
    MPI_Comm_set_errhandler(plugin.node, MPI_ERRORS_RETURN);
    MPI_Comm_rank(plugin.node, node_rank);
    MPI_Comm_size(plugin.node, node_size);
    return 0;
}

static int plugin_count(size_t len, int *n, sri_mpi_text *why)
{
    if (len > INT_MAX)
        return plugin_fail(why, "%zu bytes are too many to be told to all", len);
    *n = (int)len;
    return 0;
}

static int plugin_bcast_in(MPI_Comm comm, void *bytes, size_t len, int root, sri_mpi_text *why)
{
    int n = 0;
    if (comm == MPI_COMM_NULL)
        return plugin_fail(why, "the processes of this machine are not known yet");
    if (plugin_count(len, &n, why) != 0)
        return -1;
    return plugin_check(MPI_Bcast(bytes, n, MPI_BYTE, root, comm), "MPI_Bcast", why);
}

static int plugin_bcast(void *bytes, size_t len, int root, sri_mpi_text *why)
{
    return plugin_bcast_in(plugin.all, bytes, len, root, why);
}

static int plugin_node_bcast(void *bytes, size_t len, int root, sri_mpi_text *why)
{
    return plugin_bcast_in(plugin.node, bytes, len, root, why);
}

static int plugin_allgather(const void *in, size_t len, void *out, sri_mpi_text *why)
{
    int n = 0;
    if (plugin_count(len, &n, why) != 0)
        return -1;
    return plugin_check(MPI_Allgather(in, n, MPI_BYTE, out, n, MPI_BYTE, plugin.all),
                        "MPI_Allgather", why);
}

static int plugin_barrier(sri_mpi_text *why)
{
    return plugin_check(MPI_Barrier(plugin.all), "MPI_Barrier", why);
}

/* ---- transports ---- */

/* The processes that have a number, in its order: their communicator's ranks are the numbers. Only
 * they take part. */
static int plugin_numbered(const int *number_of, int n, int mine, int tag, MPI_Comm *comm,
                           int *size, sri_mpi_text *why)
{
    if (n != plugin.size)
        return plugin_fail(why, "%d numbers for %d processes", n, plugin.size);
    int *process_of = malloc((size_t)n * sizeof *process_of);
    if (!process_of)
        return plugin_fail(why, "no memory for %d processes", n);
    int e = -1, m = 0;
    for (int i = 0; i < n; i++)
        process_of[i] = -1;
    for (int i = 0; i < n; i++) {
        int k = number_of[i];
        if (k < 0)
            continue;
        if (k >= n || process_of[k] >= 0) {
            plugin_fail(why, "process %d has the number %d, which is not its own", i, k);
            goto out;
        }
        process_of[k] = i;
        m++;
    }
    if (m == 0 || process_of[m - 1] < 0 || mine < 0 || mine >= m
        || process_of[mine] != plugin.rank) {
        plugin_fail(why, "the numbers of processes have gaps, or this one has none");
        goto out;
    }
    MPI_Group all, some;
    MPI_Comm_group(plugin.all, &all);
    MPI_Group_incl(all, m, process_of, &some);
    e = plugin_check(MPI_Comm_create_group(plugin.all, some, tag, comm), "MPI_Comm_create_group",
                     why);
    MPI_Group_free(&all);
    MPI_Group_free(&some);
    *size = m;
out:
    free(process_of);
    return e;
}

static int plugin_open_one(int which, sri_transport **t, const int *number_of, int n, int mine,
                           size_t frame_max, const sri_sink *sink, sri_mpi_text *why)
{
    if (plugin.all == MPI_COMM_NULL)
        return plugin_fail(why, "%s has not been started", PLUGIN_MPI);
    if (plugin.open[which])
        return plugin_fail(why, "this transport is open already");
    if (frame_max == 0 || frame_max > INT_MAX / 2)
        return plugin_fail(why, "frames of %zu bytes cannot be sent over MPI", frame_max);
    MPI_Comm comm = MPI_COMM_NULL;
    int size = 0;
    if (plugin_numbered(number_of, n, mine, which, &comm, &size, why) != 0)
        return -1;
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    far_transport *m = NULL;
    int e = far_open(&m, comm, mine, size, frame_max, sink);
    MPI_Comm_free(&comm);
    PLUGIN_TRY(e, "duplicating the communicator", why);
    if (!m)
        return plugin_fail(why, "no memory for a transport");
    plugin.open[which] = m;
    m->opened = &plugin.open[which];
    *t = &m->base;
    return 0;
}

static int plugin_open_ranks(sri_transport **t, const int *rank_of, int n, int rank,
                             size_t frame_max, const sri_sink *sink, sri_mpi_text *why)
{
    return plugin_open_one(0, t, rank_of, n, rank, frame_max, sink, why);
}

static int plugin_open_links(sri_transport **t, const int *node_of, int n, int node,
                             size_t frame_max, const sri_sink *sink, sri_mpi_text *why)
{
    return plugin_open_one(1, t, node_of, n, node, frame_max, sink, why);
}

/* ---- the end ---- */

static void plugin_part(sri_transport *t)
{
    far_part((far_transport *)t);
}

static void plugin_end(bool orderly)
{
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (plugin.all == MPI_COMM_NULL)
        return;
    if (!finalized && !plugin.over && orderly) {
        MPI_Comm_delete_attr(MPI_COMM_SELF, plugin.keyval);
        MPI_Comm_free_keyval(&plugin.keyval);
        if (plugin.node != MPI_COMM_NULL)
            MPI_Comm_free(&plugin.node);
        MPI_Comm_free(&plugin.all);
        if (plugin.started)
            MPI_Finalize();
    }
    plugin.all = plugin.node = MPI_COMM_NULL;
}

static void plugin_abort(int code)
{
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (!finalized)
        MPI_Abort(MPI_COMM_WORLD, code);
    _Exit(code);
}

/* The type has the name already: the linker's name for it is given here. */
extern const sri_mpi_plugin plugin_table __asm__(SRI_MPI_PLUGIN_SYMBOL)
    __attribute__((visibility("default")));

const sri_mpi_plugin plugin_table = {
    .version = SRI_MPI_PLUGIN_VERSION,
    .size = sizeof(sri_mpi_plugin),
    .mpi = PLUGIN_MPI,
    .start = plugin_start,
    .attach = plugin_attach,
    .rank = plugin_rank,
    .size_of = plugin_size,
    .split = plugin_split,
    .bcast = plugin_bcast,
    .node_bcast = plugin_node_bcast,
    .allgather = plugin_allgather,
    .barrier = plugin_barrier,
    .open = plugin_open_ranks,
    .open_links = plugin_open_links,
    .part = plugin_part,
    .end = plugin_end,
    .abort = plugin_abort,
};
