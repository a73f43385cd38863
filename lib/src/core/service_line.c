/* core/service_line.c: requests on their way to homes.
 *
 * The frames of a run must not be interleaved with those of another, and the lane may be full in
 * the middle of one: runs wait in line on the stacks of the threads that send them, and progress
 * sends what comes next. A home never waits for a member, so the line always moves. With homes on
 * several nodes it also stands still for a moment for the sake of order (core/fence.h). */
#include "core/service_line.h"

#include "agent/handle.h"
#include "core/fence.h"
#include "core/wait.h"

#include <utlist.h>

/* Args that fit here travel in the head of a frame; longer ones get a frame of their own. */
#define LINE_ARGS_MAX (SRI_HEAD_MAX - sizeof(sri_request_head))

static struct {
    sri_service_run *runs;    /* what is still to be sent */
    bool any_lost;            /* of the nodes below */
    bool lost[SRI_NODES_MAX]; /* with their agents */
} line;

/* ---- homes ---- */

int sri_service_home(uint64_t object)
{
    int home = (int)sri_handle_home(object);
    return object == SRI_SERVICE_AGENT || home >= sri_world.places.nodes ? sri_world.places.node
                                                                         : home;
}

const char *sri_service_called(uint64_t object, char text[SRI_CALLED])
{
    return sri_called(object, NULL, sri_world.places.nodes, text);
}

static serry_err line_check_home(uint64_t object)
{
    if (__builtin_expect(!line.any_lost, 1) || !line.lost[sri_service_home(object)])
        return SERRY_OK;
    char of[SRI_CALLED];
    return sri_fail(SERRY_EDIED, "%s: node %d is lost", sri_service_called(object, of),
                    sri_service_home(object));
}

serry_err sri_service_allowed(uint64_t object, size_t args_len, size_t len)
{
    uint64_t most = sri_world.max_message + SRI_REQUEST_MORE - sizeof(sri_request_head);
    if (__builtin_expect(args_len > most || len > most - args_len, 0))
        return sri_fail(SERRY_ELIMIT, "a request of %zu and %zu bytes: the limit is %llu together",
                        args_len, len, (unsigned long long)most);
    return line_check_home(object);
}

/* Of a post that is acknowledged. */
static size_t line_post_size(const sri_service_run *r)
{
    return sizeof r->head + r->args_len + r->len;
}

/* There are other nodes: may this run begin? A post that is to be acknowledged gets its number. */
static bool line_admit(sri_service_run *r)
{
    int home = sri_service_home(r->object);
    bool ack = home != sri_world.places.node && r->head.number == 0 && !r->urgent;
    if (ack)
        r->head.flags |= SRI_REQUEST_ACK;
    ack = r->head.flags & SRI_REQUEST_ACK;
    if (!r->urgent && !sri_fence_admits(home, ack ? line_post_size(r) : 0))
        return false;
    if (ack)
        r->head.number = sri_fence_number();
    return true;
}

/* ---- sending ---- */

/* Sends as much of a run as the lane takes. True: all of it. */
static bool line_send(sri_service_run *r)
{
    sri_transport *t = sri_world.transport;
    if (__builtin_expect(sri_world.places.nodes > 1, 0) && !r->begun && !line_admit(r))
        return false;
    while (!r->done) {
        uint8_t head[SRI_HEAD_MAX];
        sri_frame f = {
            .kind = SRI_KIND_REQUEST, .aux = r->object, .head = head, .fd = r->begun ? -1 : r->fd
        };
        size_t args = 0, body = 0;
        if (!r->begun) {
            memcpy(head, &r->head, sizeof r->head);
            f.head_len = sizeof r->head;
        }
        if (r->args_len <= LINE_ARGS_MAX) {
            args = r->args_len;
            if (args)
                memcpy(head + f.head_len, r->args, args);
            f.head_len += args;
            body = t->frame_max - f.head_len < r->len ? t->frame_max - f.head_len : r->len;
            f.body = r->body;
            f.body_len = body;
        } else {
            args =
                t->frame_max - f.head_len < r->args_len ? t->frame_max - f.head_len : r->args_len;
            f.body = r->args;
            f.body_len = args;
        }
        bool last = args == r->args_len && body == r->len;
        f.flags = last ? 0 : (uint8_t)SRI_FLAG_MORE;
        switch (t->ops->send(t, SRI_AGENT, &f)) {
        case SRI_SENT:
            break;
        case SRI_FULL:
            return false;
        case SRI_LIMIT: /* the lane to the agent is made when a member joins */
        case SRI_GONE:
            sri_agent_lost();
        }
        if (!r->begun && r->head.flags & SRI_REQUEST_ACK)
            sri_fence_post(sri_service_home(r->object), line_post_size(r));
        r->begun = true;
        r->args += args;
        r->args_len -= args;
        r->body += body;
        r->len -= body;
        r->done = last;
    }
    return true;
}

bool sri_service_push(void)
{
    bool moved = false;
    while (line.runs) {
        sri_service_run *r = line.runs;
        size_t before = r->args_len + r->len;
        if (!line_send(r))
            return moved || r->args_len + r->len != before;
        DL_DELETE(line.runs, r);
        if (r->owned)
            free(r);
        else
            sri_wait_notify(); /* r belongs to a thread that may wait elsewhere */
        moved = true;
    }
    return moved;
}

void sri_service_put(sri_service_run *r)
{
    if (!line.runs && line_send(r))
        return;
    if (!r->urgent) {
        DL_APPEND(line.runs, r);
    } else {
        if (line.runs && line.runs->begun)
            DL_APPEND_ELEM(line.runs, line.runs, r);
        else
            DL_PREPEND(line.runs, r);
        sri_service_push(); /* what was before it may have to wait for more than room */
    }
    sri_waiting why = {
        .kind = SRI_WAIT_OBJECT, .peer = SRI_AGENT, .object = r->object, .since = sri_now()
    };
    (void)sri_wait(&r->done, SRI_NEVER, &why);
}

serry_err sri_service_post(uint64_t object, uint16_t op, const void *args, size_t args_len,
                           const void *body, size_t len)
{
    SRI_TRY(sri_service_allowed(object, args_len, len));
    sri_service_run r = { .object = object,
                          .head.op = op,
                          .args = args,
                          .args_len = args_len,
                          .body = body,
                          .len = len,
                          .fd = -1,
                          .urgent = object == SRI_SERVICE_AGENT }; /* it tells of an abort */
    sri_service_put(&r);
    return SERRY_OK;
}

serry_err sri_service_post_soon(uint64_t object, uint16_t op, const void *args, size_t args_len,
                                const void *body, size_t len)
{
    SRI_TRY(sri_service_allowed(object, args_len, len));
    sri_service_run now = { .object = object,
                            .head = { .op = op },
                            .args = args,
                            .args_len = args_len,
                            .body = body,
                            .len = len,
                            .fd = -1 };
    sri_service_run *r = malloc(sizeof *r + args_len + len); /* before it begins: it goes whole */
    if (!r)
        return sri_fail(SERRY_ENOMEM, "no memory for a post of %zu bytes", len);
    if (!line.runs && line_send(&now)) {
        free(r);
        return SERRY_OK;
    }
    uint8_t *copy = (uint8_t *)(r + 1);
    *r = now;
    r->owned = true;
    r->args = copy;
    r->body = copy + r->args_len;
    if (r->args_len)
        memcpy(copy, now.args, r->args_len);
    if (r->len)
        memcpy(copy + r->args_len, now.body, r->len);
    DL_APPEND(line.runs, r);
    return SERRY_OK;
}

/* ---- nodes that are lost, and the end ---- */

void sri_service_line_lost(int node)
{
    line.any_lost = line.lost[node] = true;
}

void sri_service_line_fini(void)
{
    sri_service_run *r, *next;
    DL_FOREACH_SAFE (line.runs, r, next)
        if (r->owned)
            free(r);
    memset(&line, 0, sizeof line);
}
