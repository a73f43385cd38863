/* wordcount_job.h: all the stretches of all the files, mapped over a pool and merged.
 *
 * The places for the results of a map are all as large as the largest result may be. So that memory
 * stays bounded whatever the files' size, they are mapped in rounds of JOB_ROUND bytes.
 */
#ifndef WORDCOUNT_JOB_H
#define WORDCOUNT_JOB_H

#include "wordcount_words.h"

#include <serry/error.h>

#define JOB_ROUND (UINT64_C(64) << 20)

typedef struct job_options {
    uint32_t stretch; /* bytes of a file that one task counts */
    int workers;      /* 0: as the pool likes */
    bool progress;
} job_options;

/* Counts the words of n files into w. What cannot be read is named on standard error with the
 * reason, and the rest is counted; *unread says how many files that were. Any other failure is
 * returned, with its text in serry_err_detail. */
serry_err job_count(words *w, char **paths, size_t n, const job_options *o, size_t *unread);

#endif
