/* agent/process.c: the agent's own operations: naming, signalling and joining processes, finalize
 * and abort. */
#include "agent/far.h"
#include "base/fate.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROCESS_GRACE SRI_MS(1000) /* from SIGTERM to SIGKILL, when the world ends */

uint64_t agent_process_id(const sri_agent *a, int rank)
{
    unsigned node = (unsigned)sri_places_node(&a->options.places, rank);
    return sri_handle_make(SRI_TYPE_PROCESS, node, (uint32_t)rank, 1);
}

static agent_member *process_of(sri_agent *a, uint64_t id)
{
    int rank = (int)sri_handle_index(id);
    return id == agent_process_id(a, rank) ? agent_member_of(a, rank) : NULL;
}

/* ---- waiting for ends ---- */

static void process_joined(sri_agent *a, sri_asker who, uint32_t which, const agent_member *m)
{
    sri_agent_joined joined = { which, sri_code_is_lost(m->code) ? -SIGKILL : m->code };
    agent_answer(a, who, SERRY_OK, &joined, sizeof joined);
}

/* The end of the world: everybody launched has arrived or died. Processes that are still there are
 * daemons, or have lost their parents: they are ended, and then everybody is let go. */
static void process_end_strays(sri_agent *a, int signal)
{
    for (int r = 0; r < a->n_ranks; r++) {
        agent_member *m = a->members[r];
        if (m && !m->far && !m->launched && m->state != AGENT_GONE)
            agent_end_member(a, m, signal);
    }
}

static void process_kill_strays(void *ctx)
{
    process_end_strays(ctx, SIGKILL);
}

static bool process_strays(const sri_agent *a)
{
    for (int r = 0; r < a->n_ranks; r++) {
        const agent_member *m = a->members[r];
        if (m && !m->far && !m->launched && m->state != AGENT_GONE)
            return true;
    }
    return false;
}

static void process_release(sri_agent *a)
{
    if (a->launched_in > 0)
        return;
    bool strays = process_strays(a);
    if (strays && !a->releasing) {
        process_end_strays(a, SIGTERM);
        sri_agent_at(a, sri_now() + PROCESS_GRACE, process_kill_strays, a);
    }
    a->releasing = true;
    if (strays || !far_quiet(a))
        return;
    a->over = true;
    sri_agent_at(a, SRI_NEVER, process_kill_strays, a);
    sri_close(&a->nursery); /* nobody starts anything any more: it ends, and its parent reaps it */
    int32_t lost = a->lost;
    for (agent_waiter **p = &a->waiters; *p;) {
        agent_waiter *w = *p;
        if (w->op != SRI_AGENT_FINALIZE) {
            p = &w->next;
            continue;
        }
        agent_member *m = agent_member_of(a, w->who.rank);
        m->state = AGENT_RELEASED;
        sri_frame released = { .kind = SRI_KIND_FEED, .aux = 0, .fd = -1 };
        agent_send(a, w->who.rank, &released);
        agent_answer(a, w->who, SERRY_OK, &lost, sizeof lost);
        *p = w->next;
        free(w);
    }
}

static bool process_answer_waiter(sri_agent *a, const agent_waiter *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        const agent_member *m = agent_member_of(a, w->ranks[i]);
        if (m->state == AGENT_GONE) {
            process_joined(a, w->who, i, m);
            return true;
        }
    }
    return false;
}

void agent_waiters_look(sri_agent *a)
{
    for (agent_waiter **p = &a->waiters; *p;) {
        agent_waiter *w = *p;
        if (w->op == SRI_AGENT_JOIN && process_answer_waiter(a, w)) {
            *p = w->next;
            free(w);
        } else {
            p = &w->next;
        }
    }
    process_release(a);
}

void agent_forget_asker(sri_agent *a, int rank)
{
    for (agent_waiter **p = &a->waiters; *p;) {
        agent_waiter *w = *p;
        if (w->who.rank == rank) {
            *p = w->next;
            free(w);
        } else {
            p = &w->next;
        }
    }
    if (a->far_asked)
        far_forget_asker(a, rank);
}

void agent_own_cancel(sri_agent *a, sri_asker who)
{
    for (agent_waiter **p = &a->waiters; *p; p = &(*p)->next) {
        agent_waiter *w = *p;
        if (w->who.rank != who.rank || w->who.number != who.number)
            continue;
        *p = w->next;
        agent_answer(a, w->who, SERRY_ETIMEDOUT, NULL, 0);
        free(w);
        return;
    }
}

static void process_park(sri_agent *a, agent_waiter *w)
{
    if (w->who.nowait) {
        agent_answer(a, w->who, SERRY_ETIMEDOUT, NULL, 0);
        free(w);
        return;
    }
    w->next = a->waiters;
    a->waiters = w;
}

static void process_join(sri_agent *a, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len)
{
    uint32_t n = (uint32_t)(len / sizeof(uint64_t));
    agent_waiter *w = malloc(sizeof *w + n * sizeof w->ranks[0]);
    if (!w) {
        agent_refuse(a, who, sri_fail(SERRY_ENOMEM, "no memory to wait for %u processes", n));
        return;
    }
    *w = (agent_waiter){ .who = who, .op = op, .n = n };
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id;
        memcpy(&id, bytes + i * sizeof id, sizeof id);
        agent_member *m = process_of(a, id);
        if (!m) {
            free(w);
            agent_refuse(a, who, sri_fail(SERRY_EHANDLE, "the handle names no process"));
            return;
        }
        w->ranks[i] = m->rank;
    }
    if (process_answer_waiter(a, w))
        free(w);
    else
        process_park(a, w);
}

/* ---- the rest ---- */

static void process_finalize(sri_agent *a, sri_asker who)
{
    agent_member *m = agent_member_of(a, who.rank);
    agent_waiter *w = calloc(1, sizeof *w);
    if (!w)
        return; /* its end will be noticed like any other */
    *w = (agent_waiter){ .who = who, .op = SRI_AGENT_FINALIZE };
    process_park(a, w);
    agent_member_left(a, m);
    process_release(a);
}

static void process_signal(sri_agent *a, sri_asker who, const uint8_t *bytes, size_t len)
{
    sri_agent_signal args;
    if (len < sizeof args)
        return;
    memcpy(&args, bytes, sizeof args);
    agent_member *m = process_of(a, args.process);
    bool forwarded = false;
    serry_err e = SERRY_OK;
    if (!m)
        e = sri_fail(SERRY_EHANDLE, "the handle names no process");
    else if (m->state == AGENT_GONE)
        e = sri_fail(SERRY_ESTATE, "%s has ended", m->name);
    else if (m->far)
        forwarded = true;
    else if (m->state == AGENT_SEATED)
        m->pending_signal = args.signal;
    else if (m->pidfd >= 0 ? syscall(SYS_pidfd_send_signal, m->pidfd, args.signal, NULL, 0) != 0
                           : kill(m->pid, args.signal) != 0)
        e = sri_fail_errno(m->name);
    if (forwarded)
        far_ask(a, who, m->node, SRI_AGENT_SIGNAL, &args, sizeof args, NULL, 0);
    else if (e == SERRY_OK)
        agent_answer(a, who, SERRY_OK, NULL, 0);
    else
        agent_refuse(a, who, e);
}

static void process_info(sri_agent *a, sri_asker who, const uint8_t *bytes, size_t len)
{
    uint64_t id;
    if (len < sizeof id)
        return;
    memcpy(&id, bytes, sizeof id);
    agent_member *m = process_of(a, id);
    if (!m) {
        agent_refuse(a, who, sri_fail(SERRY_EHANDLE, "the handle names no process"));
        return;
    }
    /* What has not yet been heard of its end is known where it is. */
    if (m->far && m->state != AGENT_GONE && !a->far_nodes[m->node].ended) {
        far_ask(a, who, m->node, SRI_AGENT_INFO, &id, sizeof id, NULL, 0);
        return;
    }
    sri_agent_info info = { .pid = m->pid,
                            .rank = m->rank,
                            .parent = m->parent,
                            .alive = m->state != AGENT_GONE,
                            .daemon = m->daemon };
    memcpy(info.name, m->name, sizeof info.name);
    agent_answer(a, who, SERRY_OK, &info, sizeof info);
}

static void process_children(sri_agent *a, sri_asker who)
{
    sri_buffer ids = { 0 };
    for (int r = 0; r < a->n_ranks; r++) {
        agent_member *m = a->members[r];
        uint64_t id = agent_process_id(a, r);
        if (m && m->parent == who.rank && m->state != AGENT_GONE
            && sri_buffer_add(&ids, &id, sizeof id) != SERRY_OK)
            break;
    }
    agent_answer(a, who, SERRY_OK, ids.data, ids.len);
    sri_buffer_fini(&ids);
}

/* Everybody but the one who asked, who ends by himself with his code. The other agents do the same.
 */
void agent_abort(sri_agent *a, int asker, int code)
{
    const agent_member *m = agent_member_of(a, asker);
    a->aborted = true;
    if (a->links && m && !m->far)
        far_send_all(a, &(sri_link_frame){ .kind = SRI_FAR_ABORT,
                                           .source = asker,
                                           .dest = -1,
                                           .aux = (uint64_t)(int64_t)code });
    for (int r = 0; r < a->n_ranks; r++) {
        if (a->members[r] && !a->members[r]->far && r != asker)
            agent_end_member(a, a->members[r], SIGKILL);
    }
}

static void process_streams(sri_agent *a, sri_asker who)
{
    agent_member *m = agent_member_of(a, who.rank);
    char byte;
    int fds[SRI_FDS_MAX];
    int n = 0;
    if (a->arrived >= 0)
        (void)sri_packet_recv(a->arrived, &byte, 1, fds, &n);
    for (int i = 0; i < n; i++) {
        if (i < 3) {
            sri_close(&m->streams[i]);
            m->streams[i] = fds[i] >= 0 ? fds[i] : -1;
        } else {
            sri_close(&fds[i]);
        }
    }
    agent_answer(a, who, SERRY_OK, NULL, 0);
}

static int process_code(const uint8_t *bytes, size_t len)
{
    int32_t code = 1;
    if (len >= sizeof code)
        memcpy(&code, bytes, sizeof code);
    return code;
}

/* What another agent forwards for one of its members, or asks itself. */
static void process_far_request(sri_agent *a, sri_asker who, uint16_t op, const uint8_t *bytes,
                                size_t len)
{
    if (op == SRI_AGENT_START)
        agent_start(a, who, bytes, len);
    else if (op == SRI_AGENT_SIGNAL)
        process_signal(a, who, bytes, len);
    else if (op == SRI_AGENT_INFO)
        process_info(a, who, bytes, len);
    else
        agent_refuse(a, who, sri_fail(SERRY_EINTERNAL, "no operation %u for other nodes", op));
}

void agent_own_request(sri_agent *a, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len)
{
    agent_member *m = agent_member_of(a, who.rank);
    if (!m || m->far) {
        process_far_request(a, who, op, bytes, len);
        return;
    }
    switch (op) {
    case SRI_AGENT_FINALIZE:
        process_finalize(a, who);
        break;
    case SRI_AGENT_ABORT:
        if (a->options.aborted)
            a->options.aborted(a->options.ctx, who.rank, process_code(bytes, len));
        agent_abort(a, who.rank, process_code(bytes, len));
        break;
    case SRI_AGENT_EXIT:
        m->code = process_code(bytes, len) & 0xff;
        m->code_known = true;
        agent_member_left(a, m);
        agent_answer(a, who, SERRY_OK, NULL, 0);
        break;
    case SRI_AGENT_START:
        agent_start(a, who, bytes, len);
        break;
    case SRI_AGENT_JOIN:
        process_join(a, who, op, bytes, len);
        break;
    case SRI_AGENT_SIGNAL:
        process_signal(a, who, bytes, len);
        break;
    case SRI_AGENT_INFO:
        process_info(a, who, bytes, len);
        break;
    case SRI_AGENT_CHILDREN:
        process_children(a, who);
        break;
    case SRI_AGENT_STREAMS:
        process_streams(a, who);
        break;
    case SRI_AGENT_CLEAN: {
        serry_err e = agent_check_clean(a);
        if (e == SERRY_OK)
            agent_answer(a, who, SERRY_OK, NULL, 0);
        else
            agent_refuse(a, who, e);
        break;
    }
    default:
        agent_refuse(a, who, sri_fail(SERRY_EINTERNAL, "the agent knows no operation %u", op));
    }
}
