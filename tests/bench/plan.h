/* What is measured, against whom, and what has to come out. The table itself is plan.c. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>

enum peer {
    PEER_NONE, /* ends a list of rivals */
    PEER_SERRY,
    PEER_OPENMPI,
    PEER_OPENMPI_COPY, /* with the kernel's single copy switched off */
    PEER_MPICH,
    PEER_MPICH_COPY,
    PEER_ZMQ,
    PEER_PYTHON,
    PEER_MANAGER,  /* the same of a Python manager, behind a server process */
    PEER_MUTEX,    /* robust, between processes */
    PEER_SEM,      /* sem_t */
    PEER_BARRIER,  /* pthread_barrier, between processes */
    PEER_MESSAGES, /* serry's own, in place of a pipe */
    PEER_RUN,      /* serry itself, under serry run */
    PEER_FUTURES,  /* mpi4py.futures */
    PEER_LIMIT,    /* a fixed number instead of a program */
    PEER_COUNT,
};

enum { MAX_RIVALS = 4 };

struct rival {
    enum peer peer;
    double bound;     /* of serry/peer; at most or at least, as the figure says; 0: only shown */
    double plus;      /* what may come on top, in the figure's unit */
    const char *args; /* instead of the figure's, where counts differ */
    double value;     /* of PEER_LIMIT */
    bool slow;        /* only run with --slow */
};

struct figure {
    const char *group; /* the subcommand */
    const char *name;
    const char *unit;
    bool more_is_better; /* the bounds are lower bounds */
    const char *program; /* bench_PROGRAM_serry, ... */
    const char *args;    /* separated by spaces */
    const char *quick;   /* args with --quick, if others */
    int ranks;           /* under serry run or mpirun; 0: the program starts what it needs */
    int mpi_ranks;       /* for MPI, if other than ranks */
    enum peer over; /* this MPI's launcher starts serry too, each rank as a node of its own, and MPI
                     * runs at the thread level that serry asks for */
    bool one_node;  /* with over: the machine is one node, as it is without a word */
    bool wall;      /* the figure is the wall time of the command, in ms */
    double scale;   /* what the output is multiplied by; 0: by 1 */
    double limit;   /* seconds before a command is ended; 0: 60 */
    struct rival rivals[MAX_RIVALS + 1];
};

extern const struct figure plan[];
extern const size_t plan_len;

/* "Open MPI, single copy off" */
const char *plan_peer_name(enum peer p);

#endif
