/* plan.h: the table of measurements. Each row is a line of the project's goals. */
#include "plan.h"

/* Open MPI and MPICH as they come, and with single copy off. */
#define MPI(b) { { .peer = PEER_OPENMPI, .bound = (b) }, { .peer = PEER_MPICH, .bound = (b) } }
#define MPI_COPY(b, copy)                                                                          \
    { { .peer = PEER_OPENMPI, .bound = (b) },                                                      \
      { .peer = PEER_OPENMPI_COPY, .bound = (copy) },                                              \
      { .peer = PEER_MPICH, .bound = (b) },                                                        \
      { .peer = PEER_MPICH_COPY, .bound = (copy) } }
/* MPICH does not yield: with more ranks than processors a thousand calls take minutes. */
#define CROWD(b) { { .peer = PEER_OPENMPI, .bound = (b) }, { .peer = PEER_MPICH, .slow = true } }
#define PYTHON(bound_, args_) { .peer = PEER_PYTHON, .bound = (bound_), .args = (args_) }

#define LATENCY(name_, size, ...)                                                                  \
    { .group = "p2p", .name = "half round trip, " name_, .unit = "us", .program = "p2p",           \
      .args = "latency " size, .ranks = 2, .rivals = __VA_ARGS__ }
#define BANDWIDTH(name_, size_window, ...)                                                         \
    { .group = "p2p", .name = "bandwidth, " name_, .unit = "GB/s", .program = "p2p",               \
      .args = "bandwidth " size_window, .ranks = 2, .more_is_better = true,                        \
      .rivals = __VA_ARGS__ }
/* Between two nodes, over an MPI, against the same MPI alone. */
#define OVER(mpi, on, what, unit_, args_, more, ...)                                                \
    { .group = "mpi", .name = what ", over " on, .unit = unit_, .program = "p2p", .args = args_,   \
      .ranks = 2, .over = (mpi), .more_is_better = (more),                                         \
      .rivals = { { .peer = (mpi), __VA_ARGS__ } } }
#define OVER_MPI(mpi, on)                                                                          \
    OVER(mpi, on, "half round trip, 8 B", "us", "latency 8", false, .bound = 1.15, .plus = 0.05),  \
        OVER(mpi, on, "half round trip, 1 KiB", "us", "latency 1024", false, .bound = 0),                   \
        OVER(mpi, on, "half round trip, 64 KiB", "us", "latency 65536", false, .bound = 0),                 \
        OVER(mpi, on, "half round trip, 1 MiB", "us", "latency 1048576", false, .bound = 0),                \
        OVER(mpi, on, "bandwidth, 1 MiB", "GB/s", "bandwidth 1048576 16", true, .bound = 0.95),    \
        OVER(mpi, on, "bandwidth, 16 MiB", "GB/s", "bandwidth 16777216 4", true, .bound = 0.95),   \
        OVER(mpi, on, "8-byte messages, window 64", "M/s", "rate 8 64", true, .bound = 0)
/* Sixteen ranks that wait for the seventeenth, which is not counted. */
#define IDLE(mpi, on, what, unit_, args_, quick_, ...)                                             \
    { .group = "mpi", .name = what ", " on, .unit = unit_, .program = "idle", .args = args_,       \
      .quick = quick_, .ranks = 17, .over = (mpi), .limit = 90, __VA_ARGS__ }
#define LIMIT(most) { .peer = PEER_LIMIT, .bound = 1, .value = (most) }
/* MPICH does not yield. */
#define AWAKE(mpi, args_) { .peer = (mpi), .args = args_, .slow = (mpi) == PEER_MPICH }
#define IDLE_MPI(mpi, on)                                                                          \
    IDLE(mpi, on, "16 idle ranks of one node", "% of a core", "use 5", "use 1", .one_node = true,  \
         .rivals = { LIMIT(1) }),                                                                  \
        IDLE(mpi, on, "first message after 1 s, one node", "ms", "first 1", NULL,                  \
             .one_node = true, .rivals = { LIMIT(2) }),                                            \
        IDLE(mpi, on, "16 idle ranks, each a node", "% of a core", "use 5", "use 1",               \
             .rivals = { LIMIT(10), AWAKE(mpi, "use 1") }),                                        \
        IDLE(mpi, on, "first message after 1 s, each a node, mean", "ms", "first 1", NULL,         \
             .rivals = { LIMIT(2), AWAKE(mpi, NULL) }),                                            \
        IDLE(mpi, on, "first message after 1 s, each a node, latest", "ms", "latest 1", NULL,      \
             .rivals = { AWAKE(mpi, NULL) })
/* On one machine: under mpirun as under serry run. */
#define UNDER(mpi, on, what, unit_, args_, more, bound_)                                           \
    { .group = "mpi", .name = what ", one node, " on, .unit = unit_, .program = "p2p",             \
      .args = args_, .ranks = 2, .over = (mpi), .one_node = true, .more_is_better = (more),        \
      .rivals = { { .peer = PEER_RUN, .bound = (bound_) } } }
#define UNDER_MPI(mpi, on)                                                                         \
    UNDER(mpi, on, "half round trip, 8 B", "us", "latency 8", false, 1.1),                         \
        UNDER(mpi, on, "half round trip, 64 KiB", "us", "latency 65536", false, 1.1),              \
        UNDER(mpi, on, "half round trip, 1 MiB", "us", "latency 1048576", false, 1.1),             \
        UNDER(mpi, on, "bandwidth, 64 KiB", "GB/s", "bandwidth 65536 64", true, 0.9),              \
        UNDER(mpi, on, "bandwidth, 1 MiB", "GB/s", "bandwidth 1048576 16", true, 0.9)
/* Ranks that have come to their end are the workers. */
#define MPI_POOL(mpi, on)                                                                          \
    { .group = "mpi", .name = "no-op tasks by ranks 1 and 2, " on, .unit = "M tasks/s",            \
      .program = "pool", .args = "nop 200000 1", .quick = "nop 50000 1", .ranks = 3,               \
      .over = (mpi), .one_node = true, .scale = 1e-6, .more_is_better = true,                      \
      .rivals = { { .peer = PEER_FUTURES, .bound = 10, .args = "nop 5000 1" } } }
#define RING(n, ...)                                                                               \
    { .group = "p2p", .name = "ring of " #n ", per hop", .unit = "us", .program = "ring",          \
      .args = "", .ranks = (n), .rivals = __VA_ARGS__ }
#define COLLECTIVE(what, n, ...)                                                                   \
    { .group = "collectives", .name = what ", " #n " ranks", .unit = "us",                         \
      .program = "collectives", .args = what, .ranks = (n), .limit = 200, .rivals = __VA_ARGS__ }
#define COLLECTIVES(what)                                                                          \
    COLLECTIVE(what, 2, MPI(1)), COLLECTIVE(what, 4, CROWD(1)), COLLECTIVE(what, 8, CROWD(1)),     \
        COLLECTIVE(what, 16, CROWD(1))
#define QUEUE(name_, args_, quick_, ...)                                                           \
    { .group = "queue", .name = name_, .unit = "M items/s", .program = "queue", .args = args_,     \
      .quick = quick_, .more_is_better = true, .rivals = __VA_ARGS__ }
#define POOL(name_, unit_, scale_, args_, ...)                                                     \
    { .group = "pool", .name = name_, .unit = unit_, .program = "pool", .args = args_,             \
      .mpi_ranks = 3, .scale = (scale_), .more_is_better = true, .rivals = __VA_ARGS__ }
#define PATTERN(name_, unit_, program_, args_)                                                     \
    .group = "patterns", .name = name_, .unit = unit_, .program = program_, .args = args_
#define MUTEX(bound_, n) { .peer = PEER_MUTEX, .bound = (bound_), .args = "mutex " n }
#define SEM(n) { .peer = PEER_SEM, .args = "semaphore " n }
/* slow_: MPICH's ranks wait for each other without giving up the processor. */
#define LOCK(n, mutex_bound, slow_)                                                                \
    { PATTERN("lock by " #n, "M pairs/s", "lock", "lock " #n), .mpi_ranks = (n),                   \
      .more_is_better = true,                                                                      \
      .rivals = { { .peer = PEER_PYTHON, .bound = 1 },                                             \
                  MUTEX(mutex_bound, #n),                                                          \
                  { .peer = PEER_OPENMPI },                                                        \
                  { .peer = PEER_MPICH, .slow = (slow_) } } }
#define SEMAPHORE(n, ...)                                                                          \
    { PATTERN("semaphore by " #n, "M pairs/s", "lock", "semaphore " #n),                           \
      .more_is_better = true, .rivals = __VA_ARGS__ }
#define SHARED(what, name_, n)                                                                     \
    { PATTERN(name_ " by " #n, "k operations/s", "shared", what " " #n),                           \
      .more_is_better = true, .rivals = { { .peer = PEER_MANAGER, .bound = 20 } } }
#define PIPE(what, name_, unit_, size, more_, bound_)                                              \
    { PATTERN("pipe, " name_, unit_, "pipe", "pipe " what " " size), .more_is_better = (more_),    \
      .rivals = { { .peer = PEER_MESSAGES, .bound = (bound_), .args = "messages " what " " size }, \
                  PYTHON(0, what " " size) } }
#define PIPE_LATENCY(name_, size)                                                                  \
    PIPE("latency", "half round trip, " name_, "us", size, false, 1.1)
#define PIPE_BANDWIDTH(name_, size) PIPE("bandwidth", "bandwidth, " name_, "GB/s", size, true, 0.9)

const struct figure plan[] = {
    LATENCY("8 B", "8", MPI(1)),
    LATENCY("1 KiB", "1024", MPI(1)),
    LATENCY("64 KiB", "65536", MPI_COPY(0.5, 1.1)),
    LATENCY("1 MiB", "1048576", MPI_COPY(0.5, 1.1)),
    LATENCY("16 MiB", "16777216", MPI_COPY(0.5, 1.2)),
    BANDWIDTH("64 KiB", "65536 64", MPI_COPY(2, 0.9)),
    BANDWIDTH("1 MiB", "1048576 16", MPI_COPY(2, 0.9)),
    BANDWIDTH("16 MiB", "16777216 4", MPI_COPY(2, 0.8)),
    { .group = "p2p", .name = "8-byte messages, window 64", .unit = "M/s", .program = "p2p",
      .args = "rate 8 64", .ranks = 2, .more_is_better = true, .rivals = MPI(1) },
    RING(8, { { .peer = PEER_OPENMPI, .bound = 1 }, { .peer = PEER_MPICH, .bound = 0.01 } }),
    RING(32, { { .peer = PEER_OPENMPI, .bound = 1 }, { .peer = PEER_MPICH, .bound = 0.01 } }),

    OVER_MPI(PEER_OPENMPI, "Open MPI"),
    OVER_MPI(PEER_MPICH, "MPICH"),
    UNDER_MPI(PEER_OPENMPI, "mpirun of Open MPI"),
    UNDER_MPI(PEER_MPICH, "mpirun of MPICH"),
    IDLE_MPI(PEER_OPENMPI, "Open MPI"),
    IDLE_MPI(PEER_MPICH, "MPICH"),
    MPI_POOL(PEER_OPENMPI, "mpirun of Open MPI"),
    MPI_POOL(PEER_MPICH, "mpirun of MPICH"),

    COLLECTIVES("barrier"),
    COLLECTIVES("bcast"),
    COLLECTIVES("allreduce"),

    { .group = "idle", .name = "processor time of a blocked receive", .unit = "ms",
      .program = "idle", .args = "blocked 5", .quick = "blocked 1", .ranks = 2,
      .rivals = { { .peer = PEER_LIMIT, .bound = 1, .value = 10 },
                  { .peer = PEER_OPENMPI },
                  { .peer = PEER_MPICH } } },

    { .group = "start", .name = "32 ranks start and end", .unit = "ms", .program = "start",
      .args = "", .ranks = 32, .wall = true, .rivals = MPI(0.1) },
    { .group = "start", .name = "1,000 ranks, a barrier", .unit = "ms", .program = "start",
      .args = "barrier", .ranks = 1000, .wall = true, .limit = 120, .rivals = { { PEER_NONE } } },

    { .group = "memory", .name = "PSS of each of 32 ranks", .unit = "MiB", .program = "memory",
      .args = "", .ranks = 32,
      .rivals = { { .peer = PEER_LIMIT, .bound = 1, .value = 1 },
                  { .peer = PEER_OPENMPI },
                  { .peer = PEER_MPICH } } },

    QUEUE("1 to 1, unbounded", "1 1 0 1000000", "1 1 0 200000",
          { PYTHON(5, "1 1 0 100000"), { .peer = PEER_ZMQ, .bound = 1 } }),
    QUEUE("4 to 4, unbounded", "4 4 0 1000000", "4 4 0 200000",
          { PYTHON(5, "4 4 0 100000"), { .peer = PEER_ZMQ, .bound = 1 } }),
    QUEUE("1 to 1, capacity 10,000", "1 1 10000 1000000", "1 1 10000 200000",
          { PYTHON(5, "1 1 10000 100000") }),
    QUEUE("4 to 4, capacity 10,000", "4 4 10000 1000000", "4 4 10000 200000",
          { PYTHON(5, "4 4 10000 100000") }),
    QUEUE("1 to 1, capacity 10", "1 1 10 300000", "1 1 10 100000", { PYTHON(5, "1 1 10 30000") }),
    QUEUE("4 to 4, capacity 10", "4 4 10 300000", "4 4 10 100000", { PYTHON(5, "4 4 10 30000") }),

    POOL("no-op tasks, chunk 1", "M tasks/s", 1e-6, "nop 200000 1",
         { PYTHON(5, "nop 40000 1"),
           { .peer = PEER_OPENMPI, .bound = 1, .args = "nop 200000" },
           { .peer = PEER_MPICH, .args = "nop 200000" } }),
    POOL("no-op tasks, default chunk", "M tasks/s", 1e-6, "nop 5000000",
         { PYTHON(1, "nop 2000000") }),
    POOL("1 ms tasks, default chunk", "% of ideal", 100.0 / 2000, "spin 2000",
         { PYTHON(1, "spin 2000"),
           { .peer = PEER_OPENMPI, .args = "spin 2000" },
           { .peer = PEER_MPICH, .args = "spin 2000" } }),
    POOL("1 ms tasks, their owner computes", "% of ideal", 100, "burn 5000",
         { PYTHON(1, "burn 5000") }),

    LOCK(1, 0.5, false),
    LOCK(2, 0, false),
    LOCK(8, 0, true),
    SEMAPHORE(1, { { .peer = PEER_PYTHON, .bound = 1 }, MUTEX(0.5, "1"), SEM("1") }),
    SEMAPHORE(2, { { .peer = PEER_PYTHON, .bound = 1 }, SEM("2") }),
    SEMAPHORE(8, { { .peer = PEER_PYTHON, .bound = 1 }, SEM("8") }),
    { PATTERN("event, set until 8 are awake", "us", "event", "8"),
      .rivals = { { .peer = PEER_MANAGER, .bound = 0.2, .args = "manager 8" },
                  PYTHON(0, "event 8") } },
    { PATTERN("barrier of 8, each round", "us", "barrier", "8 3000"), .quick = "8 500",
      .rivals = { { .peer = PEER_BARRIER, .bound = 2, .args = "barrier 8 3000" },
                  PYTHON(0, "8 300") } },
    SHARED("value", "value", 1),
    SHARED("value", "value", 4),
    SHARED("array", "array of 100 doubles", 1),
    SHARED("array", "array of 100 doubles", 4),
    SHARED("list", "list", 1),
    SHARED("list", "list", 4),
    SHARED("dict", "dict", 1),
    SHARED("dict", "dict", 4),
    PIPE_LATENCY("8 B", "8"),
    PIPE_LATENCY("1 KiB", "1024"),
    PIPE_LATENCY("64 KiB", "65536"),
    PIPE_LATENCY("1 MiB", "1048576"),
    PIPE_BANDWIDTH("64 KiB", "65536"),
    PIPE_BANDWIDTH("1 MiB", "1048576"),
};

const size_t plan_len = sizeof plan / sizeof *plan;

const char *plan_peer_name(enum peer p)
{
    static const char *const names[PEER_COUNT] = {
        [PEER_NONE] = "nobody",
        [PEER_SERRY] = "serry",
        [PEER_OPENMPI] = "Open MPI",
        [PEER_OPENMPI_COPY] = "Open MPI, single copy off",
        [PEER_MPICH] = "MPICH",
        [PEER_MPICH_COPY] = "MPICH, single copy off",
        [PEER_ZMQ] = "ZeroMQ",
        [PEER_PYTHON] = "Python",
        [PEER_MANAGER] = "Python, manager",
        [PEER_MUTEX] = "robust mutex",
        [PEER_SEM] = "sem_t",
        [PEER_BARRIER] = "pthread_barrier",
        [PEER_MESSAGES] = "serry's messages",
        [PEER_RUN] = "under serry run",
        [PEER_FUTURES] = "mpi4py.futures",
        [PEER_LIMIT] = "the limit",
    };
    return names[p];
}
