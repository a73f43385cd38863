/* patterns/parked.h: requests parked at a home, in the order they came. Written once for all
 * patterns whose waiters are served first come first served. */
#ifndef SRI_PATTERNS_PARKED_H
#define SRI_PATTERNS_PARKED_H

#include "agent/object.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_parked {
    struct sri_parked *prev, *next;
    sri_asker who;
    sri_ns since;
    uint64_t note; /* the pattern's own */
} sri_parked;

/* Parks a request at the end of the line. If it may not wait (nowait) or there is no memory it is
 * refused instead, with SERRY_ETIMEDOUT or SERRY_ENOMEM, and NULL is returned. what says what was
 * waited for: "held by rank 3". */
sri_parked *sri_park(sri_object *o, sri_parked **line, sri_asker who, uint64_t note,
                     const char *what);

/* Takes one out of its line and frees it, without an answer. */
void sri_unpark(sri_parked **line, sri_parked *p);

/* Answers it with an empty SERRY_OK and takes it out. */
void sri_parked_grant(sri_object *o, sri_parked **line, sri_parked *p);

/* Refuses it and takes it out; all: the whole line. */
void sri_parked_refuse(sri_object *o, sri_parked **line, sri_parked *p, serry_err e,
                       const char *text);
void sri_parked_refuse_all(sri_object *o, sri_parked **line, serry_err e, const char *text);

/* The one of that asker, or NULL: it was answered already. */
sri_parked *sri_parked_find(sri_parked *line, sri_asker who);

/* Refuses the one of that asker with SERRY_ETIMEDOUT: what .cancel has to do. False: none. what as
 * above. */
bool sri_parked_cancel(sri_object *o, sri_parked **line, sri_asker who, const char *what);

/* Takes out all of a member that is gone. Returns how many. */
size_t sri_parked_drop(sri_parked **line, int rank);

size_t sri_parked_count(const sri_parked *line);

/* For describe: "rank 3", "ranks 3, 4 and 7", with the longest wait: ", for 0.25 s"; at most the
 * first eight, then "and 5 more". "nobody" for an empty line. Always ends text. */
void sri_parked_text(const sri_parked *line, char *text, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
