/* agent/link_tcp_join.h: connections on their way to become links: what the loop of link_tcp_join.c
 * and the steps of link_tcp_steps.c share. */
#ifndef SRI_LINK_TCP_JOIN_H
#define SRI_LINK_TCP_JOIN_H

#include "agent/link_tcp.h"
#include "agent/link_tcp_hello.h"

#include <sys/epoll.h>

#define JOIN_GUESTS 64          /* places for those who are accepted, besides one for each node */
#define JOIN_STEP SRI_MS(10000) /* within which the other side has to say something */
#define JOIN_PAUSE SRI_MS(10)   /* before dialling again, doubling */
#define JOIN_PAUSE_MOST SRI_MS(500)
#define JOIN_STAY SRI_MS(100) /* which a guest has at least when descriptors are short */
#define JOIN_EVENTS 64
#define JOIN_REASON 160

/* Of events: a connected node, or one of these. */
#define JOIN_LISTENER UINT64_MAX
#define JOIN_PLACE (UINT64_C(1) << 32)

typedef enum join_step {
    JOIN_FREE,
    JOIN_LATER,   /* to be dialled at .deadline */
    JOIN_DIALLED, /* the connection is being made */
    JOIN_GREETED, /* their hello is awaited, ... */
    JOIN_PROVE,   /* their proof, */
    JOIN_HOPE,    /* and the verdict */
    JOIN_GUEST,   /* accepted: their hello is awaited, */
    JOIN_PROBE,   /* and their proof */
    JOIN_SHOWN,   /* refused: until they have read why and close */
} join_step;

typedef struct join_place {
    int fd;
    join_step step;
    int node; /* -1: not known yet */
    sri_ns deadline;
    sri_ns since;
    sri_ns pause;
    uint64_t got;
    uint8_t in[sizeof(link_hello)];
    link_hello mine;
    link_hello theirs;
    link_proofs proofs;
} join_place;

typedef struct joining {
    link_tcp *t;
    int listener;
    const char (*addresses)[SRI_LINK_ADDRESS];
    const uint8_t *key;
    join_place *places; /* the first t->links.node are for dialling the node of that number */
    int n;
    int missing;
    sri_ns accept_at;             /* not before: there were no descriptors. 0: any time */
    sri_ns alive_at;              /* when to say that we are alive to those connected */
    serry_err err;                /* this cannot become anything any more */
    int dead;                     /* a node that was connected and has ended; -1: none */
    char (*reasons)[JOIN_REASON]; /* by node, what it looked like last; [nodes]: of strangers */
} joining;

/* ---- link_tcp_steps.c ---- */
void link_join_dial(joining *j, join_place *p);
void link_join_accept(joining *j);
void link_join_event(joining *j, join_place *p);
/* It came to nothing. Who dials tries again; a guest's place is free. */
void link_join_drop(joining *j, join_place *p, const char *why, ...) SERRY_PRINTF(3, 4);

#endif
