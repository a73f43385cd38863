/* core/fence.c: which posts are under way, and who waits for them. */
#include "core/fence.h"

#include "core/wait.h"

#include <string.h>

/* So much is under way at most: it lies with agents, which must not pile it up. */
#define FENCE_POSTS 1024u
#define FENCE_BYTES (4u << 20)

/* The lower half of the number of an acknowledgement; no call has it (core/service.c). */
#define FENCE_MARK 0xffffu

uint32_t sri_service_unsettled;
uint64_t sri_service_posted;

static struct {
    int home;     /* of those under way */
    size_t bytes; /* in all */
    size_t sizes[FENCE_POSTS];
} fence;

bool sri_fence_admits(int home, size_t bytes)
{
    if (!sri_service_unsettled)
        return true;
    if (home != fence.home)
        return false;
    return bytes == 0
           || (sri_service_unsettled < FENCE_POSTS
               && (fence.bytes < FENCE_BYTES && bytes <= FENCE_BYTES));
}

uint32_t sri_fence_number(void)
{
    return (uint32_t)(sri_service_posted + 1) << 16 | FENCE_MARK;
}

void sri_fence_post(int home, size_t bytes)
{
    fence.home = home;
    fence.sizes[++sri_service_posted % FENCE_POSTS] = bytes;
    fence.bytes += bytes;
    sri_service_unsettled++;
}

bool sri_fence_is_ack(uint32_t number)
{
    return (number & FENCE_MARK) == FENCE_MARK;
}

void sri_fence_ack(uint32_t number)
{
    uint64_t settled = sri_service_posted - sri_service_unsettled;
    uint16_t n = (uint16_t)((number >> 16) - settled);
    if (n > sri_service_unsettled) /* late: its home had been given up */
        return;
    for (; n > 0; n--) {
        fence.bytes -= fence.sizes[++settled % FENCE_POSTS];
        sri_service_unsettled--;
    }
}

void sri_fence_lost(int home)
{
    if (home != fence.home)
        return;
    sri_service_unsettled = 0;
    fence.bytes = 0;
}

void sri_fence_reset(void)
{
    sri_service_posted = 0;
    sri_service_unsettled = 0;
    memset(&fence, 0, sizeof fence);
}

static bool fence_is_open(void *ctx)
{
    return sri_fence_open(*(uint64_t *)ctx);
}

void sri_fence_wait(sri_ns deadline)
{
    uint64_t mark = sri_service_posted;
    const sri_waiting why = { .kind = SRI_WAIT_OBJECT, .peer = SRI_AGENT, .since = sri_now() };
    if (sri_service_unsettled)
        (void)sri_wait_until(fence_is_open, &mark, deadline ? deadline : SRI_NEVER, &why);
}
