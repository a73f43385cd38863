/* patterns/pool_report.c: results from workers. */
#include "patterns/pool_home.h"

#include "base/log.h"

#include <serry/error.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* The outcomes of a run: of the worker's first items. False: it is not for what it was given. */
static bool report_run(pool_home *p, home_worker *w, const pool_wire_run *run, const uint8_t *bytes)
{
    home_lease *l = pool_lease_front(w);
    if (w->leases == 0 || run->seq != w->reported || run->count == 0 || run->count > l->count
        || run->status > SERRY_EINTERNAL
        || (run->status != SERRY_OK && run->count > 1 && run->status != SERRY_ECANCELLED))
        return false;
    home_block *b = l->block;
    home_call *call = b->call;
    uint32_t at = l->at;
    l->at += run->count;
    l->count -= run->count;
    w->reported = (w->reported + run->count) & POOL_SEQ_MASK;
    call->leased -= run->count;
    if (l->count == 0) {
        if (l->given > call->longest)
            call->longest = l->given;
        w->head = (w->head + 1) % POOL_LEASES;
        w->leases--;
    }
    pool_items_end(p, b, at, run->count, (serry_err)run->status, w->rank, bytes, run->size);
    return true;
}

static uint64_t report_count_tasks(const uint8_t *bytes, size_t len)
{
    uint64_t tasks = 0;
    for (size_t at = 0, padded; at + sizeof(pool_wire_run) <= len; at += padded) {
        pool_wire_run run;
        memcpy(&run, bytes + at, sizeof run);
        at += sizeof run;
        if (!pool_wire_payload(run.count, run.size, len - at, &padded))
            break;
        tasks += run.status == SERRY_ECANCELLED ? 0 : run.count;
    }
    return tasks;
}

static void report_deeds(home_worker *w, uint64_t tasks, sri_ns spent)
{
    w->deeds.tasks += tasks;
    w->deeds.busy += spent > 0 ? spent : 0;
}

/* It has told: what it may have next. */
static void report_over(pool_home *p, home_worker *w)
{
    w->robbed = false;
    w->robs = 0;
    pool_lease_idle(w);
    if ((w->budget == 0 || w->retired) && w->leases == 0)
        pool_heal_finish(p);
    pool_sched(p, w);
    if (!p->calls)
        pool_heal_finish(p);
}

void pool_report_results(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_results head;
    if (len < sizeof head || p->broken || p->terminated)
        return;
    memcpy(&head, bytes, sizeof head);
    uint64_t tasks = report_count_tasks(bytes + sizeof head, len - sizeof head);
    if (w->leases > 0 && tasks > 0)
        pool_lease_measure(p, pool_lease_front(w)->block->call, tasks, head.spent);
    report_deeds(w, tasks, head.spent);
    for (size_t at = sizeof head, padded; at + sizeof(pool_wire_run) <= len; at += padded) {
        pool_wire_run run;
        memcpy(&run, bytes + at, sizeof run);
        at += sizeof run;
        if (!pool_wire_payload(run.count, run.size, len - at, &padded)
            || !report_run(p, w, &run, bytes + at)) {
            sri_log(SRI_LOG_WARN, "pool: results of rank %d are not for what it was given",
                    w->rank);
            break;
        }
    }
    w->heard = sri_now();
    report_over(p, w);
}

/* The last task held has ended. */
void pool_report_late(pool_home *p, home_worker *w, const uint8_t *bytes, size_t len)
{
    pool_wire_results head;
    pool_wire_run run;
    size_t padded, at = sizeof head + sizeof run;
    if (len < at || p->broken || p->terminated || w->holds == 0)
        return;
    memcpy(&head, bytes, sizeof head);
    memcpy(&run, bytes + sizeof head, sizeof run);
    if (run.count != 1 || run.status > SERRY_EINTERNAL
        || !pool_wire_payload(1, run.size, len - at, &padded)) {
        sri_log(SRI_LOG_WARN, "pool: a late result of rank %d is not valid", w->rank);
        return;
    }
    home_held h = w->held[--w->holds];
    home_call *call = h.block->call;
    w->resumed = false;
    call->leased--;
    pool_lease_measure(p, call, 1, head.spent);
    report_deeds(w, 1, head.spent);
    pool_items_end(p, h.block, h.at, 1, (serry_err)run.status, w->rank, bytes + at, run.size);
    w->heard = sri_now();
    report_over(p, w);
}
