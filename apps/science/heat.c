/* heat.c: a plate cools down, computed in plain MPI; serry lends a hand where MPI has none.
 *
 * The computation is MPI's: each rank has a strip of rows and exchanges its outermost ones with its
 * neighbours. serry, attached to the same communicator, gives the rest: a semaphore, so that not
 * more than a few ranks write their results at a time; an event, by which one rank tells all that
 * the plate is cold; and a pool, which repeats the whole for other materials.
 *
 * Exit status: 0 if all is as the exact solution says, 1 if not or something failed, 2 wrong usage.
 */
#include "heat_plate.h"

#include <mpi.h>
#include <serry.h>
#include <serry/mpi.h>

#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define R 0.2           /* D dt / h^2 */
#define COLD 0.5        /* the middle of the plate, at the end */
#define LOOK_EVERY 20   /* steps between looks at whether it is cold */
#define WRITE_EVERY 100 /* steps between outputs */
#define TOLERANCE 1e-3
#define MATERIALS 12

typedef struct job {
    int rank;
    int ranks;
    int n;       /* points of a side */
    int writers; /* at a time */
    const char *path;
    plate strip;
    serry_semaphore may_write;
    serry_value writing; /* ranks that write now, */
    int64_t most;        /* and the most that this one has seen */
    serry_event cold;
} job;

/* ---- the computation: MPI ---- */

static void exchange(job *j)
{
    plate *p = &j->strip;
    int up = j->rank > 0 ? j->rank - 1 : MPI_PROC_NULL;
    int down = j->rank < j->ranks - 1 ? j->rank + 1 : MPI_PROC_NULL;
    int len = (int)p->width;
    MPI_Sendrecv(plate_row(p, 0), len, MPI_DOUBLE, up, 0, plate_row(p, p->rows), len, MPI_DOUBLE,
                 down, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(plate_row(p, p->rows - 1), len, MPI_DOUBLE, down, 1, plate_row(p, -1), len,
                 MPI_DOUBLE, up, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

/* ---- the stop condition: an event ---- */

/* The rank that has the middle of the plate says when it is cold. Others may hear of it earlier or
 * later, so all agree on whether anybody has: they stop at the same step. */
static bool is_over(job *j)
{
    const plate *p = &j->strip;
    int middle = p->n / 2 - p->first;
    if (middle >= 0 && middle < p->rows && plate_row(p, middle)[p->n / 2 + 1] < COLD)
        SERRY_CHECK(serry_event_set(j->cold));
    int over = serry_event_is_set(j->cold);
    MPI_Allreduce(MPI_IN_PLACE, &over, 1, MPI_INT, MPI_LOR, MPI_COMM_WORLD);
    return over;
}

/* ---- the output: at most so many writers at a time, by a semaphore ---- */

static void write_strip(job *j)
{
    static const int64_t one = 1, less = -1;
    const plate *p = &j->strip;
    size_t len = (size_t)p->n * sizeof(double);
    int64_t others;
    SERRY_CHECK(serry_semaphore_acquire(j->may_write, SERRY_FOREVER));
    SERRY_CHECK(serry_value_add(j->writing, &one, &others));
    j->most = others + 1 > j->most ? others + 1 : j->most;
    int file = open(j->path, O_WRONLY | O_CREAT, 0666);
    bool done = file >= 0;
    for (int i = 0; i < p->rows && done; i++)
        done = pwrite(file, plate_row(p, i) + 1, len, (off_t)(len * (size_t)(p->first + i)))
               == (ssize_t)len;
    if (file >= 0)
        done = close(file) == 0 && done;
    SERRY_CHECK(serry_value_add(j->writing, &less, NULL));
    SERRY_CHECK(serry_semaphore_release(j->may_write));
    if (!done) {
        perror(j->path);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

/* Returns whether the end is what it must be. */
static bool cool_down(job *j)
{
    long steps = 0;
    while (!is_over(j)) {
        for (int i = 0; i < LOOK_EVERY; i++, steps++) {
            exchange(j);
            plate_step(&j->strip, R);
        }
        if (steps % WRITE_EVERY == 0)
            write_strip(j);
    }
    write_strip(j);
    double exact = plate_decay(j->n, R, steps), error = plate_error(&j->strip, exact);
    MPI_Allreduce(MPI_IN_PLACE, &error, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, &j->most, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    if (j->rank == 0)
        printf("cold after %ld steps: %.6f, error %.1e; at most %d of %d ranks wrote at a time\n",
               steps, exact, error, (int)j->most, j->ranks);
    return error < TOLERANCE && j->most <= j->writers;
}

/* ---- the sweep: a pool ---- */

typedef struct sample {
    double left;  /* of the heat, in the middle */
    double error; /* anywhere */
} sample;

/* A small plate of a material with that diffusivity, for 0.05 s, in this process alone. */
static int cool_material(serry_task *t, const void *in, size_t len)
{
    double diffusivity = *(const double *)in;
    int n = 63;
    long steps = lround(0.05 * diffusivity / R * (n + 1) * (n + 1));
    plate p;
    (void)len;
    if (!plate_make(&p, n, 0, n))
        return serry_task_fail(t, "no memory for a plate of %d x %d points", n, n);
    for (long i = 0; i < steps; i++)
        plate_step(&p, R);
    sample s = { plate_row(&p, n / 2)[n / 2 + 1], plate_error(&p, plate_decay(n, R, steps)) };
    plate_free(&p);
    return serry_task_return(t, &s, sizeof s) != SERRY_OK;
}

static bool sweep(void)
{
    double materials[MATERIALS];
    sample samples[MATERIALS];
    serry_pool *pool;
    bool good = true;
    for (int i = 0; i < MATERIALS; i++)
        materials[i] = 0.1 * (i + 1);
    SERRY_CHECK(serry_pool_create(&pool, NULL));
    SERRY_CHECK(serry_pool_map(pool, cool_material, materials, sizeof *materials, MATERIALS,
                               samples, sizeof *samples, NULL));
    serry_pool_destroy(pool);
    for (int i = 0; i < MATERIALS; i++) {
        printf("diffusivity %.1f: %.6f left, error %.1e\n", materials[i], samples[i].left,
               samples[i].error);
        good &= samples[i].error < TOLERANCE;
    }
    return good;
}

/* ---- all of it ---- */

/* Every rank makes these by name, and all get the same. */
static void make_objects(job *j)
{
    static const int64_t none;
    SERRY_CHECK(serry_semaphore_create(&j->may_write, j->writers,
                                       &(serry_semaphore_options){ .name = "may write" }));
    SERRY_CHECK(serry_value_create(&j->writing, SERRY_INT64, &none,
                                   &(serry_shared_options){ .name = "writing" }));
    SERRY_CHECK(serry_event_create(&j->cold, &(serry_event_options){ .name = "cold" }));
}

static const char help[] =
    "Usage: mpirun -n RANKS heat [OPTION]...\n"
    "Cools a square plate down, in MPI, until its middle is half as warm; then does the same\n"
    "for twelve materials, in a pool. Compares all with the exact solution.\n"
    "\n"
    "  -n, --points=N    points of a side, at least one for each rank; 63 by default\n"
    "  -k, --writers=K   so many ranks write at a time; 2 by default\n"
    "  -o, --output=FILE where the plate goes every 100 steps, N x N doubles; heat.dat by default\n"
    "  -h, --help        print this and end\n"
    "\n"
    "Exit status: 0 all is well, 1 a failure, or another result, 2 wrong usage.\n";

/* -1, or the exit status. Rank 0 says what is wrong. */
static int parse(int argc, char **argv, job *j)
{
    static const struct option names[] = { { "points", required_argument, NULL, 'n' },
                                           { "writers", required_argument, NULL, 'k' },
                                           { "output", required_argument, NULL, 'o' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    opterr = j->rank == 0;
    for (int c; (c = getopt_long(argc, argv, "n:k:o:h", names, NULL)) != -1;) {
        if (c == 'n')
            j->n = atoi(optarg);
        else if (c == 'k')
            j->writers = atoi(optarg);
        else if (c == 'o')
            j->path = optarg;
        else if (c == 'h' && (j->rank > 0 || fputs(help, stdout) >= 0))
            return 0;
        else
            return 2;
    }
    if (optind == argc && j->n >= j->ranks && j->n < 100000 && j->writers > 0)
        return -1;
    if (j->rank == 0)
        fprintf(stderr,
                "%s: --points must be %d (one for each rank) to 99999, --writers 1 or more, and "
                "there are no other arguments (see --help)\n",
                argv[0], j->ranks);
    return 2;
}

int main(int argc, char **argv)
{
    job j = { .n = 63, .writers = 2, .path = "heat.dat" };
    int level;
    SERRY_CHECK(serry_prepare());
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &j.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &j.ranks);
    int status = parse(argc, argv, &j);
    if (status >= 0) {
        MPI_Finalize();
        return status;
    }
    SERRY_CHECK(serry_attach(MPI_COMM_WORLD)); /* refuses a thread level that is too low */

    int first = j.n * j.rank / j.ranks, end = j.n * (j.rank + 1) / j.ranks;
    if (!plate_make(&j.strip, j.n, first, end - first))
        MPI_Abort(MPI_COMM_WORLD, 1);
    make_objects(&j);
    bool good = cool_down(&j);
    plate_free(&j.strip);
    if (j.rank == 0)
        good &= sweep();
    SERRY_CHECK(serry_finalize()); /* the other ranks work for the pool here */
    MPI_Finalize();
    return good ? 0 : 1;
}
