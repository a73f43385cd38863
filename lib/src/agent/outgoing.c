/* agent/outgoing.c: sending without ever waiting: what a lane does not take is kept, in order,
 * until it does. */
#include "agent/far.h"
#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

/* A member that does not get what it waits for must not wait for ever. */
static void outgoing_give_up(sri_agent *a, agent_member *m)
{
    sri_log(SRI_LOG_ERROR, "no memory for a frame to rank %d: it is ended", m->rank);
    agent_end_member(a, m, 9);
}

static void outgoing_keep(sri_agent *a, agent_member *m, const sri_frame *f)
{
    size_t len = f->head_len + f->body_len;
    agent_late *late = malloc(sizeof *late + len);
    if (!late) {
        outgoing_give_up(a, m);
        return;
    }
    *late = (agent_late){ .kind = f->kind, .flags = f->flags, .aux = f->aux, .len = len, .fd = -1 };
    if (f->fd >= 0)
        late->fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
    if (f->head_len)
        memcpy(late->bytes, f->head, f->head_len);
    if (f->body_len)
        memcpy(late->bytes + f->head_len, f->body, f->body_len);
    if (!m->late)
        a->late_members++;
    *m->late_end = late;
    m->late_end = &late->next;
    m->late_bytes += len + sizeof *late;
}

void agent_send(sri_agent *a, int rank, const sri_frame *f)
{
    agent_member *m = agent_member_of(a, rank);
    if (!m || m->state == AGENT_GONE)
        return;
    if (__builtin_expect(m->far, 0)) {
        far_member(a, m, f->kind, f->flags, f->aux, f->head, f->head_len, f->body, f->body_len);
        return;
    }
    sri_transport *t = &a->host->transport;
    sri_sent sent = m->late ? SRI_FULL : t->ops->send(t, rank, f);
    if (sent == SRI_FULL)
        outgoing_keep(a, m, f);
    else if (sent == SRI_LIMIT)
        outgoing_give_up(a, m);
}

void agent_send_run(sri_agent *a, int rank, uint8_t kind, uint64_t aux, const void *head,
                    size_t head_len, const void *body, size_t len)
{
    size_t max = a->host->transport.frame_max;
    sri_frame f = { .kind = kind, .aux = aux, .head = head, .head_len = head_len, .fd = -1 };
    const uint8_t *at = body;
    if (kind == SRI_KIND_REPLY) {
        a->answered = true;
        a->owed--;
    }
    if (__builtin_expect(a->links != NULL, 0)) {
        const agent_member *m = agent_member_of(a, rank);
        if (m && m->far) { /* cut where it goes into his lane */
            far_member(a, m, kind, 0, aux, head, head_len, body, len);
            return;
        }
    }
    do {
        size_t room = max - f.head_len;
        f.body = at;
        f.body_len = len < room ? len : room;
        f.flags = len > room ? SRI_FLAG_MORE : 0;
        agent_send(a, rank, &f);
        at = at ? at + f.body_len : NULL;
        len -= f.body_len;
        f.head = NULL;
        f.head_len = 0;
    } while (f.flags & SRI_FLAG_MORE);
}

static bool outgoing_push_member(sri_agent *a, agent_member *m)
{
    sri_transport *t = &a->host->transport;
    bool any = false;
    while (m->late) {
        agent_late *late = m->late;
        sri_frame f = { .kind = late->kind,
                        .flags = late->flags,
                        .aux = late->aux,
                        .body = late->bytes,
                        .body_len = late->len,
                        .fd = late->fd };
        if (t->ops->send(t, m->rank, &f) == SRI_FULL)
            return any;
        any = true;
        m->late = late->next;
        m->late_bytes -= late->len + sizeof *late;
        sri_close(&late->fd);
        free(late);
    }
    m->late_end = &m->late;
    a->late_members--;
    return any;
}

bool agent_push(sri_agent *a)
{
    bool any = false;
    for (int r = 0; r < a->n_ranks && a->late_members > 0; r++) {
        if (a->members[r] && a->members[r]->late)
            any |= outgoing_push_member(a, a->members[r]);
    }
    return any;
}

void agent_drop_late(sri_agent *a, agent_member *m)
{
    if (m->late)
        a->late_members--;
    while (m->late) {
        agent_late *late = m->late;
        m->late = late->next;
        sri_close(&late->fd);
        free(late);
    }
    m->late_end = &m->late;
    m->late_bytes = 0;
}

void agent_answer(sri_agent *a, sri_asker who, serry_err e, const void *bytes, size_t len)
{
    if (who.number)
        agent_send_run(a, who.rank, SRI_KIND_REPLY, (uint64_t)e << 32 | who.number, NULL, 0, bytes,
                       len);
}

void agent_refuse(sri_agent *a, sri_asker who, serry_err e)
{
    agent_answer(a, who, e, serry_err_detail(), strlen(serry_err_detail()));
}
