/* wordcount_job.c: cuts files into stretches, maps them in rounds, merges in order. */
#include "wordcount_job.h"
#include "wordcount_stretch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct job_file {
    const char *path;
    uint64_t size; /* bytes */
    bool unread;   /* and said so */
} job_file;

typedef struct job {
    const job_options *options;
    job_file *files;
    size_t files_n;
    size_t file; /* where the next stretch begins */
    uint64_t offset;

    /* One round: tasks_n items and as many places and errors. */
    size_t item_size; /* bytes; room for the longest path */
    size_t place_size;
    size_t tasks_n;
    uint8_t *items;
    size_t items_cap; /* items; and errors */
    uint8_t *places;
    size_t places_cap; /* bytes */
    serry_err *errors;

    serry_pool *pool;
    stretch_merger merger;
} job;

static void job_unread(job_file *f, const char *reason)
{
    if (!f->unread)
        fprintf(stderr, "wordcount: %s: %s\n", f->path, reason);
    f->unread = true;
}

/* How long is the file, and may we read it? */
static void job_look(job_file *f)
{
    struct stat st;
    /* Not to wait for the writer of a FIFO. */
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        job_unread(f, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        job_unread(f, strerror(EISDIR));
    else if (!S_ISREG(st.st_mode))
        job_unread(f, "Not a regular file");
    else
        f->size = (uint64_t)st.st_size;
    if (fd >= 0)
        close(fd);
}

static int job_longer_first(const void *a, const void *b)
{
    uint64_t x = ((const job_file *)a)->size, y = ((const job_file *)b)->size;
    return (x < y) - (x > y);
}

/* Sorted by length the stretches of a round are about equal, and fill their places. */
static bool job_open(job *j, char **paths, size_t n)
{
    j->files = calloc(n, sizeof *j->files);
    if (!j->files)
        return false;
    j->files_n = n;
    size_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        j->files[i].path = paths[i];
        job_look(&j->files[i]);
        size_t len = strlen(paths[i]);
        longest = len > longest ? len : longest;
    }
    qsort(j->files, n, sizeof *j->files, job_longer_first);
    size_t align = _Alignof(stretch);
    j->item_size = (sizeof(stretch) + longest + 1 + align - 1) / align * align;
    return true;
}

static stretch *job_item(const job *j, size_t i)
{
    return (stretch *)(void *)(j->items + i * j->item_size);
}

/* Room for one more item. */
static bool job_grow(job *j)
{
    if (j->tasks_n < j->items_cap)
        return true;
    size_t cap = j->items_cap ? 2 * j->items_cap : 64;
    uint8_t *items = realloc(j->items, cap * j->item_size);
    if (items)
        j->items = items;
    serry_err *errors = realloc(j->errors, cap * sizeof *errors);
    if (errors)
        j->errors = errors;
    if (!items || !errors)
        return false;
    j->items_cap = cap;
    return true;
}

/* Cuts the next stretches, as many as a round has room for and at least one; none are left when
 * tasks_n is 0 then. False if there is no memory. */
static bool job_cut(job *j)
{
    size_t align = _Alignof(stretch_result);
    j->tasks_n = 0;
    j->place_size = 0;
    while (j->file < j->files_n) {
        const job_file *f = &j->files[j->file];
        uint64_t left = f->size - j->offset;
        uint32_t len = left < j->options->stretch ? (uint32_t)left : j->options->stretch;
        size_t place = (sizeof(stretch_result) + len + align - 1) / align * align;
        place = place > j->place_size ? place : j->place_size;
        if (j->tasks_n && (j->tasks_n + 1) * (place + j->item_size) > JOB_ROUND)
            break;
        if (len == 0) {
            j->file++;
            j->offset = 0;
            continue;
        }
        if (!job_grow(j))
            return false;
        j->place_size = place;
        stretch *s = job_item(j, j->tasks_n++);
        *s = (stretch){ .offset = j->offset, .len = len, .file = (uint32_t)j->file };
        memset(s->path, 0, j->item_size - sizeof *s);
        memcpy(s->path, f->path, strlen(f->path));
        j->offset += len;
    }
    if (j->tasks_n * j->place_size > j->places_cap) {
        free(j->places);
        j->places_cap = j->tasks_n * j->place_size;
        j->places = malloc(j->places_cap);
    }
    return j->places || j->tasks_n == 0;
}

static void job_task_failed(void *ctx, size_t index, serry_err e, const char *text)
{
    job *j = ctx;
    job_unread(&j->files[job_item(j, index)->file], *text ? text : serry_err_text(e));
}

/* A stretch that failed is left out: the words before and after it end at its borders. */
static void job_merge(job *j)
{
    for (size_t i = 0; i < j->tasks_n; i++) {
        const stretch *s = job_item(j, i);
        job_file *f = &j->files[s->file];
        if (j->errors[i] == SERRY_OK) {
            const void *place = j->places + i * j->place_size;
            const char *wrong = stretch_merge(&j->merger, place, j->place_size);
            if (wrong)
                job_unread(f, wrong);
        }
        if (j->errors[i] != SERRY_OK || s->offset + s->len == f->size)
            stretch_merge_end(&j->merger);
    }
}

static serry_err job_round(job *j)
{
    serry_map_options o = {
        .keep_going = true,
        .progress = j->options->progress,
        .errors = j->errors,
        .on_error = job_task_failed,
        .ctx = j,
    };
    serry_err e = serry_pool_map(j->pool, stretch_count, j->items, j->item_size, j->tasks_n,
                                 j->places, j->place_size, &o);
    /* A task that failed, or took its worker with it, has been reported by job_task_failed. */
    if (e != SERRY_OK && e != SERRY_ETASK && e != SERRY_EDIED)
        return e;
    job_merge(j);
    return SERRY_OK;
}

static serry_err job_run(job *j)
{
    serry_pool_options o = { .name = "wordcount", .workers = j->options->workers, .retries = 1 };
    serry_err e = SERRY_OK;
    while (e == SERRY_OK) {
        if (!job_cut(j))
            e = SERRY_ENOMEM;
        else if (j->tasks_n == 0)
            break;
        else if (!j->pool)
            e = serry_pool_create(&j->pool, &o);
        if (e == SERRY_OK)
            e = job_round(j);
    }
    serry_pool_destroy(j->pool);
    return e;
}

serry_err job_count(words *w, char **paths, size_t n, const job_options *o, size_t *unread)
{
    job j = { .options = o };
    serry_err e = job_open(&j, paths, n) ? job_run(&j) : SERRY_ENOMEM;
    *unread = 0;
    for (size_t i = 0; i < j.files_n; i++)
        *unread += j.files[i].unread;
    if (e == SERRY_OK) {
        *w = j.merger.words;
        j.merger.words = (words){ 0 };
    }
    stretch_merger_fini(&j.merger);
    free(j.errors);
    free(j.places);
    free(j.items);
    free(j.files);
    return e;
}
