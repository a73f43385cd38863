/* support/home.h: the homes of objects in this process, without a world: an agent of which there is
 * nothing but its objects, and members that the test plays. What members say is handed to it, what
 * it sends goes to the test; grant cells and words are memory of this process. So a home and its
 * members can be threads, and ThreadSanitizer sees both ends of what they share. One thread is the
 * agent: all but home_cell is called by it alone. */
#ifndef SERRY_TEST_HOME_H
#define SERRY_TEST_HOME_H

#include "agent/object.h"
#include "agent/protocol.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct test_home test_home;

/* Ranks 0 to members - 1. sent: false if the frame cannot be taken now; it is offered again by
 * home_round. */
test_home *home_create(int members, bool (*sent)(void *ctx, int rank, const sri_frame *f),
                       void *ctx);
void home_destroy(test_home *h); /* and all objects */

/* A new object; args are what its create sends. 0: it could not be made. */
uint64_t home_object(test_home *h, unsigned type, const void *args, size_t len);
/* A request or post as it travels, request head first, aligned to 8. */
void home_request(test_home *h, int rank, uint64_t object, const uint8_t *bytes, size_t len);
/* The member has died; it may then come again as another. */
void home_gone(test_home *h, int rank);
/* Timers, and frames kept back. */
void home_round(test_home *h);

/* Of that number, as the answer to an open tells it. Any thread. */
sri_atomic_u64 *home_cell(test_home *h, uint32_t number);

#ifdef __cplusplus
}
#endif
#endif
