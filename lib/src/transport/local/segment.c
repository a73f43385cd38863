/* transport/local/segment.c: making, opening and handing out pieces of the shared segment. */
#include "transport/local/segment.h"

#include "base/fds.h"
#include "base/point.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_VERSION 3u
#define SEGMENT_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)
#define PAGE 4096u

static size_t segment_place(size_t *at, size_t bytes)
{
    size_t here = *at;
    *at = (here + bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
    return here;
}

/* Where everything is, given the base; with a NULL base only the total. */
static void segment_lay_out(sri_segment *s)
{
    size_t at = 0;
    size_t header = segment_place(&at, sizeof(sri_segment_header));
    size_t slots = segment_place(&at, sizeof(sri_slot) * SRI_SLOTS);
    size_t ranks = segment_place(&at, sizeof(uint64_t) * SRI_RANKS);
    size_t log = segment_place(&at, sizeof(uint64_t) * SRI_LOG_MAX);
    size_t table = segment_place(&at, sizeof(uint32_t) * SRI_SLOTS * SRI_SLOTS);
    size_t cells = segment_place(&at, (size_t)64 * SRI_CELLS);
    size_t lanes = segment_place(&at, sizeof(sri_lane) * SRI_LANES_MAX);
    size_t rings = segment_place(&at, (size_t)SRI_RING_SIZE * SRI_LANES_MAX);
    s->total = at;
    if (!s->base)
        return;
    s->header = (void *)(s->base + header);
    s->slots = (void *)(s->base + slots);
    s->ranks = (void *)(s->base + ranks);
    s->log = (void *)(s->base + log);
    s->table = (void *)(s->base + table);
    s->cells = s->base + cells;
    s->lanes = (void *)(s->base + lanes);
    s->rings = s->base + rings;
}

static serry_err segment_map(sri_segment *s)
{
    void *base = mmap(NULL, s->total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s->fd, 0);
    struct rlimit space;
    if (base == MAP_FAILED && errno == ENOMEM && getrlimit(RLIMIT_AS, &space) == 0
        && space.rlim_cur != RLIM_INFINITY)
        return sri_fail(SERRY_ENOMEM,
                        "the shared segment needs %zu bytes of addresses (not of memory), and this "
                        "process may have %llu: see ulimit -v, or set SERRY_LANES=socket",
                        s->total, (unsigned long long)space.rlim_cur);
    if (base == MAP_FAILED)
        return sri_fail_errno("mapping the shared segment");
    /* A core dump of a member is of itself, not of the node. */
    madvise(base, s->total, MADV_DONTDUMP);
    s->base = base;
    segment_lay_out(s);
    return SERRY_OK;
}

serry_err sri_segment_create(sri_segment *s, int size)
{
    serry_err e;
    *s = (sri_segment){ .fd = -1 };
    segment_lay_out(s);
    struct rlimit files;
    if (getrlimit(RLIMIT_FSIZE, &files) == 0 && files.rlim_cur < s->total)
        return sri_fail(SERRY_ELIMIT,
                        "the shared segment is a file of %zu bytes, none of them on a "
                        "disk, and this process may make files of %llu bytes: see "
                        "ulimit -f, or set SERRY_LANES=socket",
                        s->total, (unsigned long long)files.rlim_cur);
    s->fd = memfd_create("serry", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->fd < 0)
        return sri_fail_errno("memfd_create for the shared segment");
    if (ftruncate(s->fd, (off_t)s->total) != 0) {
        e = sri_fail_errno("sizing the shared segment");
        goto close_segment;
    }
    if (fcntl(s->fd, F_ADD_SEALS, SEGMENT_SEALS) != 0) {
        e = sri_fail_errno("sealing the shared segment");
        goto close_segment;
    }
    e = segment_map(s);
    if (e != SERRY_OK)
        goto close_segment;
    s->header->total = s->total;
    s->header->version = SEGMENT_VERSION;
    s->header->size = size;
    s->header->magic = SRI_SEGMENT_MAGIC;
    return SERRY_OK;

close_segment:
    sri_close(&s->fd);
    return e;
}

serry_err sri_segment_open(sri_segment *s, int fd)
{
    serry_err e;
    struct stat st;
    *s = (sri_segment){ .fd = fd };
    segment_lay_out(s);
    int seals = fcntl(fd, F_GET_SEALS);
    if (fstat(fd, &st) != 0 || (size_t)st.st_size != s->total
        || (seals & SEGMENT_SEALS) != SEGMENT_SEALS) {
        e = sri_fail(SERRY_EINVAL, "the shared segment is not one of this version of serry");
        goto close_segment;
    }
    e = segment_map(s);
    if (e != SERRY_OK)
        goto close_segment;
    if (s->header->magic == SRI_SEGMENT_MAGIC && s->header->version == SEGMENT_VERSION)
        return SERRY_OK;
    e = sri_fail(SERRY_EINVAL, "the shared segment is of version %u, not %u", s->header->version,
                 SEGMENT_VERSION);
    munmap(s->base, s->total);

close_segment:
    sri_close(&s->fd);
    return e;
}

void sri_segment_close(sri_segment *s)
{
    if (s->base)
        munmap(s->base, s->total);
    sri_close(&s->fd);
    *s = (sri_segment){ .fd = -1 };
}

/* The first pages of the ring: afterwards no touch can fail for want of memory. */
static bool segment_reserve(sri_segment *s, uint32_t lane, uint32_t size)
{
    uint32_t have = atomic_load_explicit(&s->lanes[lane].reserved, memory_order_relaxed);
    if (have >= size)
        return true;
    off_t at = (off_t)(sri_segment_ring(s, lane) - s->base);
    while (fallocate(s->fd, 0, at + have, size - have) != 0) {
        if (errno != EINTR)
            return errno == EOPNOTSUPP || errno == ENOSYS;
    }
    atomic_store_explicit(&s->lanes[lane].reserved, size, memory_order_relaxed);
    return true;
}

bool sri_segment_widen_lane(sri_segment *s, uint32_t lane)
{
    return segment_reserve(s, lane, SRI_RING_SIZE);
}

/* Gives the pages of long laps back. */
static void segment_narrow(sri_segment *s, uint32_t lane)
{
    if (atomic_load_explicit(&s->lanes[lane].reserved, memory_order_relaxed) <= SRI_RING_SHORT)
        return;
    off_t at = (off_t)(sri_segment_ring(s, lane) - s->base) + SRI_RING_SHORT;
    atomic_store_explicit(&s->lanes[lane].reserved, SRI_RING_SHORT, memory_order_relaxed);
    (void)fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
                    SRI_RING_SIZE - SRI_RING_SHORT);
}

/* A lane nobody has: one that was freed, if there are said to be any, else a new one. A process
 * that dies in here leaves at worst a free lane that is found by the next full search. */
static uint32_t segment_claim(sri_segment *s, uint64_t owner)
{
    sri_segment_header *h = s->header;
    uint32_t top = atomic_load(&h->lanes_top);
    if (atomic_load(&h->lanes_freed) == 0 && top < SRI_LANES_MAX - 1) {
        uint32_t n = 1 + atomic_fetch_add(&h->lanes_top, 1); /* 0 names no lane */
        uint64_t none = 0;
        if (n < SRI_LANES_MAX && atomic_compare_exchange_strong(&s->lanes[n].owner, &none, owner))
            return n;
    }
    top = atomic_load(&h->lanes_top);
    for (uint32_t n = 1; n <= top && n < SRI_LANES_MAX; n++) {
        uint64_t none = 0;
        if (atomic_load_explicit(&s->lanes[n].owner, memory_order_relaxed) != 0
            || !atomic_compare_exchange_strong(&s->lanes[n].owner, &none, owner))
            continue;
        uint32_t freed = atomic_load(&h->lanes_freed);
        if (freed > 0)
            atomic_compare_exchange_strong(&h->lanes_freed, &freed, freed - 1);
        return n;
    }
    atomic_store(&h->lanes_freed, 0);
    uint32_t n = 1 + atomic_fetch_add(&h->lanes_top, 1);
    uint64_t none = 0;
    if (n < SRI_LANES_MAX && atomic_compare_exchange_strong(&s->lanes[n].owner, &none, owner))
        return n;
    atomic_store(&h->lanes_top, SRI_LANES_MAX - 1);
    return 0;
}

uint32_t sri_segment_take_lane(sri_segment *s, uint32_t from, uint32_t to, int rank)
{
    uint32_t n = segment_claim(s, sri_lane_owner(from, to));
    if (n == 0)
        return 0;
    SRI_POINT(1);
    sri_lane *lane = &s->lanes[n];
    if (!segment_reserve(s, n, SRI_RING_SHORT)) {
        sri_segment_free_lane(s, n);
        return 0;
    }
    atomic_store_explicit(&lane->rank, rank, memory_order_relaxed);
    atomic_store_explicit(&lane->head, 0, memory_order_relaxed);
    atomic_store_explicit(&lane->polled, 0, memory_order_relaxed);
    atomic_store_explicit(&lane->want, 0, memory_order_relaxed);
    atomic_store_explicit((_Atomic uint64_t *)(void *)sri_segment_ring(s, n), 0,
                          memory_order_relaxed);
    SRI_POINT(2);
    atomic_store_explicit(sri_segment_table(s, to, from), n, memory_order_release);
    return n;
}

void sri_segment_free_lane(sri_segment *s, uint32_t lane)
{
    uint64_t owner = atomic_load(&s->lanes[lane].owner);
    uint32_t from = sri_lane_owner_from(owner);
    uint32_t to = sri_lane_owner_to(owner);
    if (from < SRI_SLOTS && to < SRI_SLOTS && atomic_load(sri_segment_table(s, to, from)) == lane)
        atomic_store(sri_segment_table(s, to, from), 0);
    segment_narrow(s, lane);
    SRI_POINT(8);
    atomic_store(&s->lanes[lane].owner, 0);
    atomic_fetch_add(&s->header->lanes_freed, 1);
}
