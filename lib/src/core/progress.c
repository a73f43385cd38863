/* core/progress.c: one round of progress, and who gets what the transport delivers. */
#include "core/progress.h"

#include "base/log.h"
#include "core/match.h"
#include "core/service.h"
#include "core/wait.h"

void (*sri_fate_hook)(int rank, sri_fate fate, int code);
void (*sri_progress_hook)(void);

/* False: a waiting thread got what it waits for. */
static bool progress_message(const sri_arrival *a)
{
    sri_peer *p = a->source >= 0 ? sri_peer_of(a->source) : NULL;
    if (__builtin_expect(!p, 0)) {
        sri_log(SRI_LOG_ERROR, "a message of %d is dropped", a->source);
        return true;
    }
    switch (a->kind) {
    case SRI_KIND_MESSAGE:
        return !sri_match_message(p, a);
    case SRI_KIND_DATA:
        return !sri_match_data(p, a);
    case SRI_KIND_ANNOUNCE:
        return !sri_match_announce(p, a);
    case SRI_KIND_CLEAR:
        return !sri_output_clear(p, a);
    case SRI_KIND_WITHDRAW:
        return !sri_match_withdraw(p, a);
    default:
        sri_match_bad(p, "a frame of an unknown kind");
        return true;
    }
}

static bool progress_deliver(void *ctx, const sri_arrival *a)
{
    (void)ctx;
    bool go_on;
    if (__builtin_expect(a->kind <= SRI_KIND_WITHDRAW, 1)) {
        go_on = progress_message(a);
    } else if (a->kind == SRI_KIND_REPLY) {
        go_on = sri_service_reply(a);
    } else if (a->kind == SRI_KIND_FEED) {
        go_on = sri_service_feed(a);
    } else {
        sri_log(SRI_LOG_ERROR, "a frame of kind %u of rank %d is dropped", a->kind, a->source);
        return true;
    }
    if (!go_on)
        sri_wait_notify();
    return go_on;
}

static void progress_fate(void *ctx, int rank, sri_fate fate, int code)
{
    (void)ctx;
    if (rank == SRI_AGENT)
        sri_agent_lost();
    sri_message_fate(rank, fate, code);
    if (sri_fate_hook)
        sri_fate_hook(rank, fate, code);
    sri_wait_notify();
}

static void progress_bulk_done(void *ctx, int peer, uint64_t token, bool sending, bool ok)
{
    (void)ctx;
    if (sri_bulk_done(peer, token, sending, ok))
        sri_wait_notify();
}

const sri_sink sri_progress_sink = { .deliver = progress_deliver,
                                     .fate = progress_fate,
                                     .bulk_done = progress_bulk_done };

bool sri_progress(void)
{
    sri_transport *t = sri_world.transport;
    bool moved = t->ops->poll(t);
    /* What a full lane did not take is tried again only after news. */
    if (__builtin_expect(sri_match.output != NULL, 0) && (moved || sri_match.output_again))
        moved |= sri_message_push();
    if (moved) {
        sri_service_push();
        if (__builtin_expect(sri_progress_hook != NULL, 0))
            sri_progress_hook();
        sri_wait_moved();
    }
    return moved;
}
