/* mpi/attach.c: a program that uses MPI itself and serry beside it. Its arguments say what it does
 * out of the ordinary:
 *
 * early     attaches before MPI_Init, too          prepare   calls serry_prepare
 * funneled  asks MPI for less than serry needs     late      calls serry_prepare and attaches
 * again, last      attaches all but process 0, in the               when it is too late opposite
 * order                         after     finalizes behind MPI forget    does not finalize serry */
#include <serry.h>
#include <serry/mpi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int arguments;
static char **words;

static int told_to(const char *word)
{
    for (int i = 1; i < arguments; i++) {
        if (strcmp(words[i], word) == 0)
            return 1;
    }
    return 0;
}

static void say(const char *what, serry_err e)
{
    printf("%s %s\n", what, serry_err_name(e));
    fflush(stdout);
    if (e != SERRY_OK)
        fprintf(stderr, "%s: %s\n", what, serry_err_detail());
}

static int nine(const void *arg, size_t len)
{
    (void)arg;
    (void)len;
    return 9;
}

static void start_one(void)
{
    serry_process p;
    int code = 0;
    serry_err e = serry_process_start(&p, nine, NULL, 0, NULL);
    if (e != SERRY_OK) {
        say("start", e);
        return;
    }
    SERRY_CHECK(serry_process_join(p, &code, SERRY_FOREVER));
    printf("child %d\n", code);
}

/* Both talk at the same time, and neither notices. */
static void side_by_side(MPI_Comm comm)
{
    int mine = serry_rank() + 1;
    int theirs = 0;
    int ours = 0;
    for (int i = 0; i < 100; i++) {
        MPI_Request r;
        int next = 0;
        int size;
        MPI_Comm_size(comm, &size);
        MPI_Irecv(&next, 1, MPI_INT, (serry_rank() + 1) % size, 0, comm, &r);
        SERRY_CHECK(serry_world_allreduce(&mine, &ours, 1, SERRY_INT32, SERRY_SUM));
        MPI_Send(&mine, 1, MPI_INT, (serry_rank() + size - 1) % size, 0, comm);
        MPI_Wait(&r, MPI_STATUS_IGNORE);
        MPI_Allreduce(&mine, &theirs, 1, MPI_INT, MPI_SUM, comm);
    }
    printf(ours == theirs ? "sums agree\n" : "sums differ\n");
}

static void together(MPI_Comm comm, int process)
{
    printf("process %d: rank %d of %d, node %d\n", process, serry_rank(), serry_size(),
           serry_node());
    side_by_side(comm);
    if (!told_to("last"))
        start_one();
    fflush(stdout);
    if (told_to("late"))
        say("again", serry_attach(comm));
    if (told_to("after"))
        MPI_Finalize();
    if (!told_to("forget"))
        say("finalize", serry_finalize());
    if (!told_to("after"))
        MPI_Finalize();
}

int main(int argc, char **argv)
{
    int level;
    int process;
    MPI_Comm comm = MPI_COMM_WORLD;
    arguments = argc;
    words = argv;
    if (told_to("early"))
        say("early", serry_attach(MPI_COMM_WORLD));
    if (told_to("prepare"))
        SERRY_CHECK(serry_prepare());
    MPI_Init_thread(&argc, &argv, told_to("funneled") ? MPI_THREAD_FUNNELED : MPI_THREAD_SERIALIZED,
                    &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &process);
    if (told_to("late"))
        say("prepare", serry_prepare());
    if (told_to("last"))
        MPI_Comm_split(MPI_COMM_WORLD, process > 0 ? 1 : MPI_UNDEFINED, -process, &comm);
    serry_err e = serry_attach(comm);
    if (e == SERRY_OK) {
        together(comm, process);
        return 0;
    }
    say("attach", e);
    MPI_Finalize();
    return 0;
}
