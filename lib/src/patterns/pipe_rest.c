/* patterns/pipe_rest.c: what goes on without a thread that waits for it. An end that was given away
 * or closed leaves messages that nobody here will receive: they are forwarded to the home, for the
 * new owner, or dropped, until the last one of the leg has come. And a send whose time was over
 * when its bytes had begun to flow goes on from a copy. */
#include "patterns/pipe_local.h"

#include "base/log.h"
#include "base/point.h"
#include "core/progress.h"
#include "core/service.h"
#include "core/wait.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Usually the last message has come by then, and a give leaves nothing behind. */
#define REST_LINGER SRI_MS(20)

struct pipe_rest {
    struct pipe_rest *prev, *next;
    uint64_t handle;
    bool forward; /* or drop */
    bool failed;  /* something was lost on the way */
    pipe_piece *in;
};

static struct {
    pipe_rest *all;
    pipe_sending *sends;
} rest;

static void rest_run(void);

static void rest_watch(void)
{
    sri_progress_hook = rest.all || rest.sends ? rest_run : NULL;
}

/* ---- messages that nobody here receives ---- */

static void rest_forward(pipe_rest *r, const uint8_t *bytes, size_t len)
{
    pipe_wire_ask ask = { .end = (uint8_t)pipe_side(r->handle) };
    if (!r->forward || r->failed)
        return;
    SRI_POINT(87);
    r->failed =
        sri_service_post_soon(pipe_object(r->handle), PIPE_OP_FORWARD, &ask, sizeof ask, bytes, len)
        != SERRY_OK;
}

/* The next message of a leg; false: it has not come yet. One that was only announced is not asked
 * for: its sender takes it back and sends it another way. */
static bool rest_take(pipe_rest *r, pipe_piece *leg)
{
    sri_incoming *in = pipe_leg_find(leg);
    if (!in || in->state != SRI_INCOMING_WHOLE)
        return false;
    if (in->lost)
        r->failed = true;
    else
        rest_forward(r, in->kept.data ? in->kept.data : in->bytes, in->len);
    sri_incoming_free(in);
    leg->taken++;
    return true;
}

/* False: some of it has not come yet. */
static bool rest_step(pipe_rest *r)
{
    while (r->in) {
        pipe_piece *piece = r->in;
        if (!piece->leg) {
            rest_forward(r, piece->bytes, piece->len);
        } else {
            while (!pipe_leg_is_over(piece) && rest_take(r, piece))
                ;
            if (pipe_leg_is_torn(piece))
                r->failed = true;
            else if (!pipe_leg_is_over(piece))
                return false;
        }
        pipe_piece_out(&r->in, piece);
    }
    return true;
}

static void rest_end(pipe_rest *r)
{
    pipe_wire_ask ask = { .end = (uint8_t)pipe_side(r->handle), .count = r->failed };
    if (r->forward
        && sri_service_post_soon(pipe_object(r->handle), PIPE_OP_FORWARDED, &ask, sizeof ask, NULL,
                                 0)
               != SERRY_OK)
        return; /* tried again with the next movement */
    DL_DELETE(rest.all, r);
    free(r);
}

static void rest_run(void)
{
    pipe_rest *r, *next;
    pipe_sending *s, *next_sending;
    DL_FOREACH_SAFE (rest.all, r, next)
        if (rest_step(r))
            rest_end(r);
    DL_FOREACH_SAFE (rest.sends, s, next_sending) {
        if (!s->request.done)
            continue;
        DL_DELETE(rest.sends, s);
        free(s->copy);
        free(s);
    }
    rest_watch();
}

serry_err pipe_rest_new(uint64_t handle, bool forward, pipe_rest **out)
{
    pipe_rest *r = calloc(1, sizeof *r);
    if (!r)
        return sri_fail(SERRY_ENOMEM, "no memory to leave an end of a pipe");
    r->handle = handle;
    r->forward = forward;
    *out = r;
    return SERRY_OK;
}

void pipe_rest_begin(pipe_rest *r, pipe_piece **in)
{
    r->in = *in;
    *in = NULL;
    DL_APPEND(rest.all, r);
    rest_run();
}

pipe_piece *pipe_rest_leg(uint64_t handle, int tag)
{
    pipe_rest *r;
    pipe_piece *piece;
    DL_FOREACH (rest.all, r) {
        if (r->handle != handle)
            continue;
        DL_FOREACH (r->in, piece)
            if (piece->leg && piece->tag == tag)
                return piece;
    }
    return NULL;
}

static bool rest_is_done(void *ctx)
{
    const uint64_t *handle = ctx;
    const pipe_rest *r;
    DL_FOREACH (rest.all, r)
        if (r->handle == *handle)
            return false;
    return true;
}

void pipe_rest_linger(uint64_t handle)
{
    SERRY_IGNORE(sri_wait_until(rest_is_done, &handle, sri_now() + REST_LINGER, NULL));
}

/* ---- sends ---- */

bool pipe_rest_send(pipe_sending *s)
{
    sri_request *r = &s->request;
    s->copy = malloc(r->len - r->sent + 1);
    if (!s->copy)
        return false;
    memcpy(s->copy, r->buf.from + r->sent, r->len - r->sent);
    /* Only what lies beyond .sent is read from now on. */
    r->buf.from = (const uint8_t *)((uintptr_t)s->copy - r->sent);
    r->gate = NULL;
    DL_APPEND(rest.sends, s);
    rest_watch();
    return true;
}

/* ---- the end ---- */

void pipe_rest_lost(int node)
{
    pipe_rest *r, *next;
    DL_FOREACH_SAFE (rest.all, r, next) {
        if ((int)sri_handle_home(r->handle) == node)
            r->forward = false; /* there is no new owner any more */
    }
}

static bool rest_is_kept(void *ctx)
{
    (void)ctx;
    const pipe_rest *r;
    DL_FOREACH (rest.all, r)
        if (r->forward)
            return false;
    return rest.sends == NULL;
}

void pipe_leaving(void)
{
    if (sri_enter() != SERRY_OK)
        return;
    const sri_waiting why = { .kind = SRI_WAIT_REQUEST, .peer = SERRY_ANY };
    SERRY_IGNORE(sri_wait_until(rest_is_kept, NULL, SRI_NEVER, &why));
    sri_leave();
}

void pipe_rest_forget(void)
{
    pipe_sending *s, *next;
    while (rest.all) {
        pipe_rest *r = rest.all;
        DL_DELETE(rest.all, r);
        while (r->in)
            pipe_piece_out(&r->in, r->in);
        free(r);
    }
    DL_FOREACH_SAFE (rest.sends, s, next) {
        free(s->copy);
        free(s);
    }
    rest.sends = NULL;
    rest_watch();
}
