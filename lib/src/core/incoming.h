/* core/incoming.h: what the files of receiving share: messages that wait, and the receives that are
 * posted for them. */
#ifndef SRI_CORE_INCOMING_H
#define SRI_CORE_INCOMING_H

#include "core/match.h"

#include <utlist.h>

/* ---- messages: incoming.c ---- */

/* A new message with room for n bytes of it, in no list yet. NULL: no memory. */
sri_incoming *sri_incoming_make(sri_peer *p, unsigned context, int tag, size_t len, size_t n);
/* Into the queue of its peer, in the order of arrival; and out of it. */
void sri_incoming_queue(sri_incoming *in);
void sri_incoming_unqueue(sri_incoming *in);

/* ---- receives: match.c ---- */

/* A message has come into the queue: posted receives that match go first. True: a gate opened. */
bool sri_match_offer(sri_incoming *in);
/* Begins, or begins again when its message is taken back, in the place its order says. True: a gate
 * has opened. */
bool sri_match_begin(sri_request *r);

static inline bool sri_match_tag(int wanted, int tag)
{
    return wanted == tag || wanted == SERRY_ANY;
}

static inline void sri_match_unpost(sri_request *r)
{
    sri_request **list = r->peer == SERRY_ANY ? &sri_match.any[r->context]
                                              : &sri_match.peers[r->peer]->posted[r->context];
    DL_DELETE(*list, r);
    r->place = SRI_PLACE_NONE;
}

static inline sri_request *sri_match_first(sri_request *list, int tag)
{
    while (list && !sri_match_tag(list->tag, tag))
        list = list->next;
    return list;
}

/* The oldest posted receive that a message of p and tag may go to. */
static inline sri_request *sri_match_posted(sri_peer *p, unsigned context, int tag)
{
    sri_request *own = sri_match_first(p->posted[context], tag);
    if (__builtin_expect(sri_match.any[context] == NULL, 1))
        return own;
    sri_request *any = sri_match_first(sri_match.any[context], tag);
    if (own && any)
        return own->order < any->order ? own : any;
    return own ? own : any;
}

static inline void sri_match_describe(sri_request *r, int source, int tag, size_t len)
{
    r->status.source = source;
    r->status.tag = tag;
    r->status.len = len;
}

/* Neither too long nor, for a receive that expects so many bytes, too short. */
static inline bool sri_match_fits(size_t len, const sri_request *r)
{
    return len - r->least <= r->len - r->least;
}

#endif
