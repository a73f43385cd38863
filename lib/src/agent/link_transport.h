/* agent/link_transport.h: what the files of the links over a transport share. A frame travels as
 * one frame of the transport, or as several, each but the last with SRI_FLAG_MORE:
 *
 *     first   link_head, then the frame's first bytes
 *     next    bytes
 */
#ifndef SRI_LINK_TRANSPORT_H
#define SRI_LINK_TRANSPORT_H

#include "agent/link_head.h"
#include "base/buffer.h"

enum { OVER_FRAME = 0x53524F46, OVER_BYE = 0x53524F42 }; /* .mark */

/* A frame, or what is left of it, behind those before it. */
typedef struct over_kept {
    struct over_kept *next;
    link_head head;
    bool begun; /* the head has gone */
    size_t len;
    size_t sent;
    uint8_t bytes[];
} over_kept;

typedef struct over_peer {
    over_kept *out;
    over_kept **out_end;
    size_t backlog;
    bool gathering; /* in holds the beginning of the frame of .head */
    link_head head;
    sri_buffer in;
    bool heard;  /* in this round of polling */
    bool bye;    /* it has said goodbye */
    bool deaf;   /* what it sends is not taken any more */
    bool failed; /* nothing more goes there, and it is to be told as lost */
    bool lost;   /* has been told */
    const char *why;
} over_peer;

typedef struct over_links {
    sri_links links;
    sri_transport *transport;
    size_t piece;    /* frame_max of the transport */
    uint8_t *bounce; /* of that length: where a piece lies in two places */
    int n_kept;      /* peers for whom something is kept */
    int n_failed;    /* not told yet */
    bool polling;
    bool closing;
    bool said_bye;
    over_peer peers[];
} over_links;

/* ---- link_transport_peer.c ---- */
over_peer *link_over_peer(over_links *o, int node); /* NULL: lost, this one, or none */
/* Nothing more goes there; poll tells that it is lost. `why` is a literal. */
void link_over_fail(over_links *o, over_peer *p, const char *why);
/* The same, after what there is room for, and nothing more is taken from there. */
void link_over_cut(over_links *o, int node, const char *why);
void link_over_drop_out(over_links *o, over_peer *p);
/* Sends, and keeps what there is no room for. False: no memory, and the peer has failed. */
bool link_over_put(over_links *o, int node, const link_head *head, const sri_link_frame *f);
/* Sends what was kept, as far as there is room; true if anything went. */
bool link_over_flush(over_links *o, int node);
/* The transport's sink. */
bool link_over_deliver(void *ctx, const sri_arrival *f);

#endif
