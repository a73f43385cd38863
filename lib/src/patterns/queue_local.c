/* patterns/queue_local.c: queues as a member knows them. */
#include "patterns/queue_local.h"

#include "agent/handle.h"
#include "core/service.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_STOCK_KEEP (64u * 1024) /* bytes an empty stock may hold on to */

static void local_fini(void *record)
{
    queue_local *l = record;
    sri_buffer_fini(&l->stock);
}

static sri_locals queues = { .size = sizeof(queue_local), .fini = local_fini };

static serry_err local_open(queue_local *l, int role)
{
    queue_wire_open in = { .role = (uint32_t)role };
    queue_wire_opened out;
    sri_atomic_u64 *cell;
    SRI_TRY(sri_local_open(&l->local, QUEUE_OP_OPEN, &in, sizeof in, &out, sizeof out));
    SRI_TRY(sri_local_word(out.shared, out.cell, &cell));
    l->capacity = out.capacity;
    l->closed |= out.closed;
    if (role == QUEUE_WRITER && !l->writes) {
        l->credit = cell;
        l->far = sri_handle_home(l->local.id) != (unsigned)sri_world.places.node;
        l->writes = true;
    } else if (role == QUEUE_READER && !l->reads) {
        l->shared = out.shared;
        atomic_store(&l->own, out.word);
        l->word = cell ? cell : &l->own;
        l->reads = true;
    }
    return SERRY_OK;
}

serry_err queue_local_use(uint64_t id, int role, queue_local **out)
{
    sri_local *base;
    SRI_TRY(sri_local_use(&queues, id, &base));
    queue_local *l = (queue_local *)base;
    if (role == QUEUE_WRITER ? !l->writes : !l->reads) {
        serry_err e = local_open(l, role);
        if (e != SERRY_OK) {
            if (base->users == 1 && !base->destroyed && !l->writes && !l->reads)
                sri_locals_forget(&queues, id);
            sri_local_leave(&queues, base);
            return e;
        }
    }
    *out = l;
    return SERRY_OK;
}

void queue_local_leave(queue_local *l)
{
    sri_local_leave(&queues, &l->local);
}

serry_err queue_local_alive(const queue_local *l)
{
    bool dead = l->local.destroyed || (l->credit && (atomic_load(l->credit) & QUEUE_CREDIT_DEAD))
                || (l->word && (atomic_load(l->word) & QUEUE_READ_DEAD));
    return dead ? sri_local_fail(&l->local, SERRY_EHANDLE, "destroyed") : SERRY_OK;
}

/* ---- stock ---- */

static size_t local_entry_size(size_t len)
{
    return sizeof(queue_entry) + ((len + 7) & ~(size_t)7);
}

void queue_local_drop(queue_local *l)
{
    l->at = 0;
    l->stock.len = 0;
    if (l->stock.cap > LOCAL_STOCK_KEEP)
        sri_buffer_fini(&l->stock);
}

static queue_entry *local_front(queue_local *l)
{
    return l->at < l->stock.len ? (queue_entry *)(void *)(l->stock.data + l->at) : NULL;
}

void queue_local_pop(queue_local *l)
{
    l->at += local_entry_size(local_front(l)->len);
    if (l->at == l->stock.len)
        queue_local_drop(l);
}

const queue_entry *queue_local_next(queue_local *l, uint64_t *word)
{
    queue_entry *e;
    while ((e = local_front(l))) {
        *word = atomic_load_explicit(l->word, memory_order_acquire);
        if (e->epoch == queue_read_epoch(*word) && e->seq == queue_read_taken(*word))
            return e;
        l->ahead = false;
        queue_local_pop(l);
    }
    return NULL;
}

static serry_err local_add(queue_local *l, const queue_wire_feed *head, const uint8_t *bytes,
                           size_t len)
{
    size_t size = local_entry_size(len);
    if (l->at > 0 && l->stock.len + size > l->stock.cap) {
        memmove(l->stock.data, l->stock.data + l->at, l->stock.len - l->at);
        l->stock.len -= l->at;
        l->at = 0;
    }
    SRI_TRY(sri_buffer_reserve(&l->stock, size));
    queue_entry *e = (queue_entry *)(void *)(l->stock.data + l->stock.len);
    *e = (queue_entry){ .len = len, .epoch = head->epoch, .seq = head->seq, .ask = head->ask };
    if (len)
        memcpy(e->bytes, bytes, len);
    l->stock.len += size;
    l->ahead = head->ahead;
    return SERRY_OK;
}

/* ---- what the home sends unasked ---- */

void queue_feed_arrived(uint64_t object, const uint8_t *bytes, size_t len)
{
    queue_local *l = (queue_local *)sri_local_find(&queues, object);
    queue_wire_feed head;
    if (!l)
        return;
    if (len < sizeof head) {
        l->lost = true;
        return;
    }
    memcpy(&head, bytes, sizeof head);
    if (head.what == QUEUE_FEED_CLOSED)
        l->closed = true;
    else if (head.what == QUEUE_FEED_ITEM
             && local_add(l, &head, bytes + sizeof head, len - sizeof head) != SERRY_OK)
        l->lost = true;
}

void queue_forget(uint64_t object)
{
    sri_locals_forget(&queues, object);
}
