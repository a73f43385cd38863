/* The same words for serry and for MPI, so that one source is the workload of both. With
 * BENCH_MPI it is MPI (compiled by an MPI's own wrapper), otherwise serry's public interface. */
#ifndef BENCH_COMM_H
#define BENCH_COMM_H

#include "bench_util.h"

#include <stdint.h>

#ifdef BENCH_MPI

#include <mpi.h>

typedef MPI_Request comm_request;

/* MPI's default error handler ends the program, so its results need no look. With the thread level
 * that serry asks for, if BENCH_MPI_LEVEL is "serialized". */
static inline void comm_init(int *argc, char ***argv)
{
    const char *level = getenv("BENCH_MPI_LEVEL");
    int got;
    if (level != NULL && strcmp(level, "serialized") == 0)
        MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &got);
    else
        MPI_Init(argc, argv);
}
static inline void comm_finalize(void)
{
    MPI_Finalize();
}
static inline int comm_rank(void)
{
    int r;
    MPI_Comm_rank(MPI_COMM_WORLD, &r);
    return r;
}
static inline int comm_size(void)
{
    int n;
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    return n;
}
static inline void comm_send(int dest, int tag, const void *buf, size_t len)
{
    MPI_Send(buf, (int)len, MPI_BYTE, dest, tag, MPI_COMM_WORLD);
}
static inline void comm_recv(int source, int tag, void *buf, size_t len)
{
    MPI_Recv(buf, (int)len, MPI_BYTE, source, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}
/* Receives from anybody; returns who it was. */
static inline int comm_recv_any(int tag, void *buf, size_t len)
{
    MPI_Status st;
    MPI_Recv(buf, (int)len, MPI_BYTE, MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &st);
    return st.MPI_SOURCE;
}
static inline void comm_isend(comm_request *r, int dest, int tag, const void *buf, size_t len)
{
    MPI_Isend(buf, (int)len, MPI_BYTE, dest, tag, MPI_COMM_WORLD, r);
}
static inline void comm_irecv(comm_request *r, int source, int tag, void *buf, size_t len)
{
    MPI_Irecv(buf, (int)len, MPI_BYTE, source, tag, MPI_COMM_WORLD, r);
}
static inline void comm_wait_all(comm_request *rs, size_t n)
{
    MPI_Waitall((int)n, rs, MPI_STATUSES_IGNORE);
}
static inline void comm_barrier(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}
static inline void comm_bcast(void *buf, size_t len, int root)
{
    MPI_Bcast(buf, (int)len, MPI_BYTE, root, MPI_COMM_WORLD);
}
static inline void comm_sum(const double *in, double *out)
{
    MPI_Allreduce(in, out, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}
static inline void comm_max(const double *in, double *out)
{
    MPI_Allreduce(in, out, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
}

#else

#include <serry.h>

typedef serry_request comm_request;

static inline void comm_init(int *argc, char ***argv)
{
    SERRY_CHECK(serry_init(argc, argv));
}
static inline void comm_finalize(void)
{
    SERRY_CHECK(serry_finalize());
}
static inline int comm_rank(void)
{
    return serry_rank();
}
static inline int comm_size(void)
{
    return serry_size();
}
static inline void comm_send(int dest, int tag, const void *buf, size_t len)
{
    SERRY_CHECK(serry_send(dest, tag, buf, len));
}
static inline void comm_recv(int source, int tag, void *buf, size_t len)
{
    SERRY_CHECK(serry_recv(source, tag, buf, len, NULL, SERRY_FOREVER));
}
static inline int comm_recv_any(int tag, void *buf, size_t len)
{
    serry_status st;
    SERRY_CHECK(serry_recv(SERRY_ANY, tag, buf, len, &st, SERRY_FOREVER));
    return st.source;
}
static inline void comm_isend(comm_request *r, int dest, int tag, const void *buf, size_t len)
{
    SERRY_CHECK(serry_isend(r, dest, tag, buf, len));
}
static inline void comm_irecv(comm_request *r, int source, int tag, void *buf, size_t len)
{
    SERRY_CHECK(serry_irecv(r, source, tag, buf, len));
}
static inline void comm_wait_all(comm_request *rs, size_t n)
{
    SERRY_CHECK(serry_wait_all(rs, n, NULL, SERRY_FOREVER));
}
static inline void comm_barrier(void)
{
    SERRY_CHECK(serry_world_barrier());
}
static inline void comm_bcast(void *buf, size_t len, int root)
{
    SERRY_CHECK(serry_world_bcast(buf, len, root));
}
static inline void comm_sum(const double *in, double *out)
{
    SERRY_CHECK(serry_world_allreduce(in, out, 1, SERRY_DOUBLE, SERRY_SUM));
}
static inline void comm_max(const double *in, double *out)
{
    SERRY_CHECK(serry_world_allreduce(in, out, 1, SERRY_DOUBLE, SERRY_MAX));
}

#endif
#endif
