/* wordcount_stretch.h: the task: the words of one stretch of a file.
 *
 * A border between two stretches may fall inside a word. So a task counts the words that lie wholly
 * inside its stretch, and hands back the letters at the two ends as they are; whoever merges puts
 * them together in the order of the stretches. Each byte is read once, and a word may be longer
 * than any stretch.
 */
#ifndef WORDCOUNT_STRETCH_H
#define WORDCOUNT_STRETCH_H

#include "wordcount_words.h"

#include <serry/pool.h>

/* What a task is given. The path ends with a NUL; everything a task needs is in here, because it
 * may run in a process that has never seen the command line. */
typedef struct stretch {
    uint64_t offset; /* bytes */
    uint32_t len;    /* bytes, 1 to STRETCH_MAX */
    uint32_t file;   /* for the caller */
    char path[];
} stretch;

#define STRETCH_MAX (UINT32_C(1) << 30)

/* What it returns; in bytes: head letters, tail letters, a packed table. By the rule of words_pack
 * all of it never takes more than sizeof(stretch_result) + the stretch's own length. */
typedef struct stretch_result {
    uint32_t head;  /* letters before the first byte that is none */
    uint32_t tail;  /* letters after the last byte that is none */
    uint32_t table; /* bytes of the packed table of the words between them */
    uint32_t whole; /* 1: the stretch is nothing but letters, all of them in head */
    uint8_t bytes[];
} stretch_result;

/* A serry_task_fn. Fails with the reason when the stretch cannot be read. */
int stretch_count(serry_task *t, const void *in, size_t len);

/* Puts results together: the words so far, and the word that the last stretch left unfinished. Zero
 * it first. */
typedef struct stretch_merger {
    words words;
    char *open;
    size_t open_len;
    size_t open_cap;
} stretch_merger;

/* Adds the result of the next stretch of a file, a place of cap bytes. NULL, or what is wrong. */
const char *stretch_merge(stretch_merger *m, const stretch_result *r, size_t cap);

/* The file, or what is known of it, ends here: so does the open word. */
void stretch_merge_end(stretch_merger *m);
void stretch_merger_fini(stretch_merger *m);

#endif
