/* core/service.c: requests to homes and their answers: how they get there and back, whatever object
 * they are for (core/object.c).
 *
 * The frames of a run must not be interleaved with those of another, and the lane may be full in
 * the middle of one: runs wait in line on the stacks of the threads that send them, and progress
 * sends what comes next. A home never waits for a member, so the line always moves. With homes on
 * several nodes it also stands still for a moment for the sake of order (core/fence.h). */
#include "core/service.h"

#include "agent/handle.h"
#include "base/fds.h"
#include "base/grow.h"
#include "core/fence.h"
#include "core/wait.h"

#include <stdio.h>
#include <utlist.h>

/* Args that fit here travel in the head of a frame; longer ones get a frame of their own. */
#define SERVICE_ARGS_MAX (SRI_HEAD_MAX - sizeof(sri_request_head))
#define SERVICE_NUMBERS 65535u /* calls under way at once */

typedef struct service_run {
    struct service_run *prev, *next;
    uint64_t object;
    sri_request_head head;
    const uint8_t *args, *body;
    size_t args_len, len;
    int fd;      /* goes with the first frame; -1: none */
    bool urgent; /* no order is to be kept with what else is under way */
    bool begun;  /* the head has gone */
    bool done;
    bool owned; /* nobody waits for it: it is freed once it has gone */
} service_run;

/* A call under way. Its number is generation << 16 | place, never 0. */
typedef struct service_call {
    uint64_t object;
    uint16_t generation;
    bool used;
    bool done;
    bool lost; /* there was no memory for all of the answer: none of it is kept */
    serry_err err;
    sri_reply reply; /* what has arrived of it; bytes is set when it is done */
} service_call;

static struct {
    service_run *line;    /* what is still to be sent */
    service_call **calls; /* each allocated alone: waiters point into it */
    uint32_t count;       /* of calls */
    uint32_t *idle;       /* places of them to use, a stack */
    uint32_t idle_count;
    size_t calls_room, idle_room;
    bool any_lost;            /* of the nodes below */
    bool lost[SRI_NODES_MAX]; /* with their agents */
} service;

uint64_t sri_service_answers;

/* ---- homes ---- */

/* The node where an object lives. What cannot live anywhere is for the own agent to refuse. */
static int service_home(uint64_t object)
{
    int home = (int)sri_handle_home(object);
    return object == SRI_SERVICE_AGENT || home >= sri_world.places.nodes ? sri_world.places.node
                                                                         : home;
}

static const char *service_called(uint64_t object, char text[SRI_CALLED])
{
    return sri_called(object, NULL, sri_world.places.nodes, text);
}

static serry_err service_check_home(uint64_t object)
{
    if (__builtin_expect(!service.any_lost, 1) || !service.lost[service_home(object)])
        return SERRY_OK;
    char of[SRI_CALLED];
    return sri_fail(SERRY_EDIED, "%s: node %d is lost", service_called(object, of),
                    service_home(object));
}

/* What its home would not take, and end the sender for. */
static serry_err service_check(uint64_t object, size_t args_len, size_t len)
{
    uint64_t most = sri_world.max_message + SRI_REQUEST_MORE - sizeof(sri_request_head);
    if (__builtin_expect(args_len > most || len > most - args_len, 0))
        return sri_fail(SERRY_ELIMIT, "a request of %zu and %zu bytes: the limit is %llu together",
                        args_len, len, (unsigned long long)most);
    return service_check_home(object);
}

/* Of a post that is acknowledged. */
static size_t service_post_size(const service_run *r)
{
    return sizeof r->head + r->args_len + r->len;
}

/* There are other nodes: may this run begin? A post that is to be acknowledged gets its number. */
static bool service_admit(service_run *r)
{
    int home = service_home(r->object);
    bool ack = home != sri_world.places.node && r->head.number == 0 && !r->urgent;
    if (ack)
        r->head.flags |= SRI_REQUEST_ACK;
    ack = r->head.flags & SRI_REQUEST_ACK;
    if (!r->urgent && !sri_fence_admits(home, ack ? service_post_size(r) : 0))
        return false;
    if (ack)
        r->head.number = sri_fence_number();
    return true;
}

/* ---- sending ---- */

/* Sends as much of a run as the lane takes. True: all of it. */
static bool service_send(service_run *r)
{
    sri_transport *t = sri_world.transport;
    if (__builtin_expect(sri_world.places.nodes > 1, 0) && !r->begun && !service_admit(r))
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
        if (r->args_len <= SERVICE_ARGS_MAX) {
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
            sri_fence_post(service_home(r->object), service_post_size(r));
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
    while (service.line) {
        service_run *r = service.line;
        size_t before = r->args_len + r->len;
        if (!service_send(r))
            return moved || r->args_len + r->len != before;
        DL_DELETE(service.line, r);
        if (r->owned)
            free(r);
        else
            sri_wait_notify(); /* r belongs to a thread that may wait elsewhere */
        moved = true;
    }
    return moved;
}

/* Sends a run; waits while the lane is full. */
static void service_put_run(service_run *r)
{
    if (!service.line && service_send(r))
        return;
    if (!r->urgent) {
        DL_APPEND(service.line, r);
    } else {
        if (service.line && service.line->begun)
            DL_APPEND_ELEM(service.line, service.line, r);
        else
            DL_PREPEND(service.line, r);
        sri_service_push(); /* what was before it may have to wait for more than room */
    }
    sri_waiting why = {
        .kind = SRI_WAIT_OBJECT, .peer = SRI_AGENT, .object = r->object, .since = sri_now()
    };
    (void)sri_wait(&r->done, SRI_NEVER, &why);
}

static void service_put(uint64_t object, sri_request_head head, const void *args, size_t args_len,
                        const void *body, size_t len, int fd)
{
    service_run r = { .object = object,
                      .head = head,
                      .args = args,
                      .args_len = args_len,
                      .body = body,
                      .len = len,
                      .fd = fd };
    service_put_run(&r);
}

serry_err sri_service_post(uint64_t object, uint16_t op, const void *args, size_t args_len,
                           const void *body, size_t len)
{
    SRI_TRY(service_check(object, args_len, len));
    service_run r = { .object = object,
                      .head.op = op,
                      .args = args,
                      .args_len = args_len,
                      .body = body,
                      .len = len,
                      .fd = -1,
                      .urgent = object == SRI_SERVICE_AGENT }; /* it tells of an abort */
    service_put_run(&r);
    return SERRY_OK;
}

serry_err sri_service_post_soon(uint64_t object, uint16_t op, const void *args, size_t args_len,
                                const void *body, size_t len)
{
    SRI_TRY(service_check(object, args_len, len));
    service_run now = { .object = object,
                        .head = { .op = op },
                        .args = args,
                        .args_len = args_len,
                        .body = body,
                        .len = len,
                        .fd = -1 };
    service_run *r = malloc(sizeof *r + args_len + len); /* before it begins: it goes whole */
    if (!r)
        return sri_fail(SERRY_ENOMEM, "no memory for a post of %zu bytes", len);
    if (!service.line && service_send(&now)) {
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
    DL_APPEND(service.line, r);
    return SERRY_OK;
}

/* ---- calls under way ---- */

static service_call *service_find(uint32_t number)
{
    uint32_t place = number & 0xffff;
    service_call *c = place < service.count ? service.calls[place] : NULL;
    return c && c->used && c->generation == number >> 16 ? c : NULL;
}

/* One more place. */
static serry_err service_grow(void)
{
    size_t n = service.count + 1;
    if (n > SERVICE_NUMBERS)
        return sri_fail(SERRY_ELIMIT, "%u calls are under way at once, the limit", SERVICE_NUMBERS);
    if (n > service.calls_room) {
        service_call **calls = sri_grow(service.calls, &service.calls_room, n, sizeof *calls);
        if (!calls)
            return sri_fail(SERRY_ENOMEM, "no memory for %zu calls under way", n);
        service.calls = calls;
    }
    if (n > service.idle_room) {
        uint32_t *idle = sri_grow(service.idle, &service.idle_room, n, sizeof *idle);
        if (!idle)
            return sri_fail(SERRY_ENOMEM, "no memory for %zu calls under way", n);
        service.idle = idle;
    }
    return SERRY_OK;
}

static serry_err service_open(uint64_t object, uint32_t *number)
{
    if (service.idle_count == 0) {
        SRI_TRY(service_grow());
        service_call *fresh = calloc(1, sizeof *fresh);
        if (!fresh)
            return sri_fail(SERRY_ENOMEM, "no memory for a call");
        service.calls[service.count] = fresh;
        service.idle[service.idle_count++] = service.count++;
    }
    uint32_t place = service.idle[--service.idle_count];
    service_call *c = service.calls[place];
    if (++c->generation == 0)
        c->generation = 1;
    c->object = object;
    c->used = true;
    c->done = c->lost = false;
    c->err = SERRY_OK;
    c->reply.len = 0;
    c->reply.fd = -1;
    *number = (uint32_t)c->generation << 16 | place;
    return SERRY_OK;
}

static void service_close(uint32_t number)
{
    service_call *c = service_find(number);
    sri_buffer_fini(&c->reply.large);
    sri_close(&c->reply.fd);
    c->used = false;
    service.idle[service.idle_count++] = number & 0xffff;
}

/* Hands an answer on, or fails with the home's error and text, and closes the call. */
static serry_err service_take(uint32_t number, sri_reply *reply)
{
    service_call *c = service_find(number);
    serry_err e = c->err;
    if (e != SERRY_OK) {
        char text[SRI_DETAIL];
        size_t n = c->reply.len < sizeof text ? c->reply.len : sizeof text - 1;
        if (n)
            memcpy(text, c->reply.bytes, n);
        text[n] = '\0';
        sri_fail_text(e, n ? text : serry_err_text(e));
    } else if (reply) {
        reply->len = c->reply.len;
        reply->fd = c->reply.fd;
        c->reply.fd = -1;
        if (c->reply.bytes == c->reply.small) {
            memcpy(reply->small, c->reply.small, c->reply.len);
            reply->bytes = reply->small;
        } else {
            sri_buffer_fini(&reply->large);
            reply->large = c->reply.large;
            reply->bytes = reply->large.data;
            c->reply.large = (sri_buffer){ 0 };
        }
    }
    service_close(number);
    return e;
}

static void service_cancel(uint64_t object, uint32_t number)
{
    uint64_t args = number;
    service_run r = { .object = object,
                      .head.op = SRI_OP_CANCEL,
                      .args = (const uint8_t *)&args,
                      .args_len = sizeof args,
                      .fd = -1,
                      .urgent = true };
    service_put_run(&r);
}

static serry_err service_begin(uint64_t object, uint16_t op, uint16_t flags, const void *args,
                               size_t args_len, const void *body, size_t len, int fd,
                               uint32_t *number)
{
    uint32_t n = 0;
    SRI_TRY(service_check(object, args_len, len));
    SRI_TRY(service_open(object, &n));
    sri_request_head head = { .number = n, .op = op, .flags = flags };
    service_put(object, head, args, args_len, body, len, fd);
    *number = n;
    return SERRY_OK;
}

serry_err sri_service_start(uint64_t object, uint16_t op, const void *args, size_t args_len,
                            const void *body, size_t len, uint32_t *number)
{
    return service_begin(object, op, 0, args, args_len, body, len, -1, number);
}

bool sri_service_done(uint32_t number)
{
    service_call *c = service_find(number);
    return !c || c->done;
}

serry_err sri_service_finish(uint32_t number, sri_reply *reply, sri_ns deadline, bool cancel)
{
    service_call *c = service_find(number);
    if (!c)
        return sri_fail(SERRY_EINTERNAL, "no call has the number %u", number);
    if (!c->done) {
        sri_waiting why = { .kind = SRI_WAIT_OBJECT, .peer = SRI_AGENT, .object = c->object };
        if (sri_wait_answer(&c->done, deadline, &why) != SERRY_OK) {
            if (!cancel)
                return sri_fail(SERRY_ETIMEDOUT, "no answer");
            service_cancel(c->object, number);
            (void)sri_wait(&c->done, SRI_NEVER, &why);
        }
    }
    return service_take(number, reply);
}

serry_err sri_service_call(uint64_t object, uint16_t op, const void *args, size_t args_len,
                           const void *body, size_t len, sri_reply *reply, sri_ns deadline)
{
    uint32_t number = 0;
    uint16_t flags = deadline == 0 ? SRI_REQUEST_NOWAIT : 0;
    SRI_TRY(service_begin(object, op, flags, args, args_len, body, len, -1, &number));
    return sri_service_finish(number, reply, deadline == 0 ? SRI_NEVER : deadline, true);
}

serry_err sri_service_call_fd(uint64_t object, uint16_t op, const void *args, size_t args_len,
                              int fd, sri_reply *reply, sri_ns deadline)
{
    uint32_t number = 0;
    SRI_TRY(service_begin(object, op, 0, args, args_len, NULL, 0, fd, &number));
    return sri_service_finish(number, reply, deadline, true);
}

/* ---- what arrives ---- */

bool sri_service_reply(const sri_arrival *a)
{
    if (sri_fence_is_ack((uint32_t)a->aux)) {
        sri_fence_ack((uint32_t)a->aux);
        return sri_service_unsettled != 0; /* else what was held back goes on */
    }
    sri_service_answers++;
    service_call *c = service_find((uint32_t)a->aux);
    int fd = a->fd;
    if (!c || c->done) {
        sri_close(&fd);
        return true;
    }
    sri_reply *r = &c->reply;
    if (fd >= 0)
        r->fd = fd;
    bool more = a->flags & SRI_FLAG_MORE;
    if (c->err == SERRY_OK)
        c->err = (serry_err)(a->aux >> 32);
    if (!more && r->len == 0 && a->len <= sizeof r->small && !c->lost) {
        if (a->len)
            memcpy(r->small, a->bytes, a->len);
        r->bytes = r->small;
        r->len = a->len;
    } else {
        if (!c->lost && sri_buffer_add(&r->large, a->bytes, a->len) != SERRY_OK) {
            sri_buffer_fini(&r->large);
            c->err = SERRY_ENOMEM;
            c->lost = true;
        }
        r->bytes = r->large.data;
        r->len = r->large.len;
    }
    c->done = !more;
    return more;
}

void sri_service_lost(int node)
{
    service.any_lost = service.lost[node] = true;
    sri_fence_lost(node);
    for (uint32_t i = 0; i < service.count; i++) {
        service_call *c = service.calls[i];
        if (!c->used || c->done || service_home(c->object) != node)
            continue;
        sri_buffer_fini(&c->reply.large);
        char of[SRI_CALLED];
        int len = snprintf((char *)c->reply.small, sizeof c->reply.small, "%s: node %d is lost",
                           service_called(c->object, of), node);
        c->reply.bytes = c->reply.small;
        c->reply.len = (size_t)len;
        c->err = SERRY_EDIED;
        c->done = true;
    }
}

/* ---- beginning and end ---- */

void sri_service_fini(void)
{
    for (uint32_t i = 0; i < service.count; i++) {
        sri_buffer_fini(&service.calls[i]->reply.large);
        free(service.calls[i]);
    }
    service_run *r, *next;
    DL_FOREACH_SAFE (service.line, r, next)
        if (r->owned)
            free(r);
    free(service.calls);
    free(service.idle);
    sri_service_feed_reset();
    memset(&service, 0, sizeof service);
    sri_fence_reset();
}

serry_err sri_service_init(void)
{
    sri_service_fini();
    sri_service_forget_all();
    return SERRY_OK;
}
