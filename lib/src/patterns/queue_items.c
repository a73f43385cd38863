/* patterns/queue_items.c: the bytes of items at their home. */
#include "patterns/queue_home.h"

#include <stdlib.h>
#include <string.h>

#define ITEM_SMALL 232u /* bytes; with its head a quarter of a KiB */
#define ITEM_KEEP 8192u /* free ones kept for use again: 2 MiB */

static queue_item *item_free;
static size_t item_free_count;

queue_item *queue_item_make(const void *bytes, size_t len)
{
    queue_item *i;
    if (len <= ITEM_SMALL && item_free) {
        i = item_free;
        item_free = i->next;
        item_free_count--;
    } else {
        i = malloc(sizeof *i + (len <= ITEM_SMALL ? ITEM_SMALL : len));
        if (!i)
            return NULL;
    }
    i->next = NULL;
    i->len = len;
    i->orphan = false;
    if (len)
        memcpy(i->bytes, bytes, len);
    return i;
}

void queue_item_free(queue_item *i)
{
    if (!i)
        return;
    if (i->len > ITEM_SMALL || item_free_count == ITEM_KEEP) {
        free(i);
        return;
    }
    i->next = item_free;
    item_free = i;
    item_free_count++;
}

void queue_items_append(queue_items *l, queue_item *i)
{
    i->next = NULL;
    if (l->last)
        l->last->next = i;
    else
        l->first = i;
    l->last = i;
    l->n++;
}

queue_item *queue_items_shift(queue_items *l)
{
    queue_item *i = l->first;
    if (!i)
        return NULL;
    l->first = i->next;
    if (!l->first)
        l->last = NULL;
    l->n--;
    return i;
}

void queue_items_merge(queue_items *to, queue_items *from)
{
    queue_item **at = &to->first;
    while (from->first) {
        while (*at && (*at)->order < from->first->order)
            at = &(*at)->next;
        if (!*at) { /* the rest comes behind all */
            *at = from->first;
            to->last = from->last;
            to->n += from->n;
            break;
        }
        queue_item *i = queue_items_shift(from);
        i->next = *at;
        *at = i;
        at = &i->next;
        to->n++;
    }
    *from = (queue_items){ 0 };
}

void queue_items_drop(queue_items *l)
{
    queue_item *i;
    while ((i = queue_items_shift(l)))
        queue_item_free(i);
}
