/* core/service.c: calls to homes and their answers, whatever object they are for (core/object.c).
 * How they get there is in core/service_line.c. */
#include "core/service.h"

#include "base/fds.h"
#include "base/grow.h"
#include "core/fence.h"
#include "core/service_line.h"
#include "core/wait.h"

#include <stdio.h>

#define SERVICE_NUMBERS 65535u /* calls under way at once */

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
    service_call **calls; /* each allocated alone: waiters point into it */
    uint32_t count;       /* of calls */
    uint32_t *idle;       /* places of them to use, a stack */
    uint32_t idle_count;
    size_t calls_room, idle_room;
} service;

uint64_t sri_service_answers;

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
    sri_service_run r = { .object = object,
                          .head.op = SRI_OP_CANCEL,
                          .args = (const uint8_t *)&args,
                          .args_len = sizeof args,
                          .fd = -1,
                          .urgent = true };
    sri_service_put(&r);
}

static serry_err service_begin(uint64_t object, uint16_t op, uint16_t flags, const void *args,
                               size_t args_len, const void *body, size_t len, int fd,
                               uint32_t *number)
{
    uint32_t n = 0;
    SRI_TRY(sri_service_allowed(object, args_len, len));
    SRI_TRY(service_open(object, &n));
    sri_service_run r = { .object = object,
                          .head = { .number = n, .op = op, .flags = flags },
                          .args = args,
                          .args_len = args_len,
                          .body = body,
                          .len = len,
                          .fd = fd };
    sri_service_put(&r);
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
    sri_service_line_lost(node);
    sri_fence_lost(node);
    for (uint32_t i = 0; i < service.count; i++) {
        service_call *c = service.calls[i];
        if (!c->used || c->done || sri_service_home(c->object) != node)
            continue;
        sri_buffer_fini(&c->reply.large);
        char of[SRI_CALLED];
        int len = snprintf((char *)c->reply.small, sizeof c->reply.small, "%s: node %d is lost",
                           sri_service_called(c->object, of), node);
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
    free(service.calls);
    free(service.idle);
    sri_service_feed_reset();
    memset(&service, 0, sizeof service);
    sri_service_line_fini();
    sri_fence_reset();
}

serry_err sri_service_init(void)
{
    sri_service_fini();
    sri_service_forget_all();
    return SERRY_OK;
}
