/* agent/far.h: what agents of different nodes say to each other, as frames of links. An object is
 * used from another node through both agents: the request goes to the home named in its handle, the
 * answer back to the member's own agent, which puts it into his lane.
 *
 * Every agent is told of every member that comes and of its fate, by its own agent, on the same
 * link as what that member sent, and behind it. A started process is known to all agents before it
 * runs and before anybody is told its number, so that no agent ever hears of it from somebody else
 * first.
 */
#ifndef SRI_FAR_H
#define SRI_FAR_H

#include "agent/private.h"
#include "agent/reach.h"

typedef enum sri_far_kind {
    SRI_FAR_REQUEST = 1, /* source: the member, or -1: the agent, without an answer; aux = object;
                          * bytes: request head, args, body */
    SRI_FAR_MEMBER,   /* dest: a member there; op = frame kind (REPLY, FEED), flags, aux and bytes
                       * its own */
    SRI_FAR_ROUTE,    /* source, dest: members; aux = route of the frame, its rank nothing */
    SRI_FAR_ADMIT,    /* source: a started process; aux: the how manieth; bytes: far_admit */
    SRI_FAR_ADMITTED, /* aux: all up to that one are known here */
    SRI_FAR_FATE,     /* source: whose; op = sri_fate, aux = code */
    SRI_FAR_ABORT,    /* source: who aborts; aux = code */
    SRI_FAR_STRAYS,   /* all launched ranks have arrived, and nothing started runs here any more */
    SRI_FAR_CREATE,   /* node 0 to a home: source: the creator; aux = number; bytes: far_create, own
                       * args */
    SRI_FAR_CREATED,  /* its answer: aux = number | error << 32; bytes: id, or the error's text */
    SRI_FAR_UNNAMED,  /* a home to node 0: bytes: far_unnamed */
    SRI_FAR_REACH,    /* op = reach_word, aux = number; bytes: far_said */
} sri_far_kind;

typedef struct far_admit {
    int32_t parent;
    uint8_t daemon;
    uint8_t reserved[3];
    char name[64];
} far_admit;
static_assert(sizeof(far_admit) == 72, "on the wire");

typedef struct far_create {
    uint64_t seq;
    sri_create_args args;
} far_create;
static_assert(sizeof(far_create) == 80, "on the wire");

/* No object of that name is there any more, as of the creation `seq`. */
typedef struct far_unnamed {
    uint64_t seq;
    char key[AGENT_KEY];
} far_unnamed;
static_assert(sizeof(far_unnamed) == 80, "on the wire");

typedef struct far_said {
    int32_t about;
    int32_t by;
} far_said;
static_assert(sizeof(far_said) == 8, "on the wire");

/* ---- far.c: links ---- */

serry_err far_init(sri_agent *a); /* with options.links */
void far_fini(sri_agent *a);
bool far_poll(sri_agent *a);
/* When the agent must look at its links at the latest. */
sri_ns far_deadline(sri_agent *a, sri_ns until);
/* Without a member of its own, does this agent still serve others? */
bool far_lingers(sri_agent *a);

void far_send(sri_agent *a, int node, const sri_link_frame *f);
void far_send_all(sri_agent *a, const sri_link_frame *f);

void far_request(sri_agent *a, int rank, uint64_t aux, const uint8_t *bytes, size_t len);
void far_route(sri_agent *a, const sri_arrival *f);
void far_member(sri_agent *a, const agent_member *m, uint8_t kind, uint8_t flags, uint64_t aux,
                const void *head, size_t head_len, const void *body, size_t len);

/* ---- far_members.c: members of other nodes ---- */

/* Tells the others: of a new member, which gets its place in their order; of a fate. */
void far_admit_member(sri_agent *a, agent_member *m);
bool far_admitted(const sri_agent *a, const agent_member *m);
void far_look_admitted(sri_agent *a); /* another one has said so, or is gone */
void far_tell(sri_agent *a, const agent_member *m, sri_fate fate, int code);
void far_take_admit(sri_agent *a, const sri_link_arrival *f); /* of theirs */
/* A member elsewhere has come to that, and everything it had sent here has been handled. */
void far_fate(sri_agent *a, agent_member *m, sri_fate fate, int code);
/* Says that this node is ready for the end. True: all are. */
bool far_quiet(sri_agent *a);

/* ---- far_lost.c: nodes that are lost ---- */

serry_err far_reach_init(sri_agent *a);
void far_reach(sri_agent *a, const sri_link_arrival *f);
void far_link_ended(void *ctx, int node, bool orderly, const char *why); /* for links */

/* ---- far_ask.c: own operations that another agent carries out ---- */

/* Is there such a node, and can it be asked? */
serry_err far_check_node(const sri_agent *a, int node);
/* Has another agent do what this member asks for; the answer goes to him from there. */
void far_ask(sri_agent *a, sri_asker who, int node, uint16_t op, const void *args, size_t args_len,
             const void *body, size_t len);
void far_answered(sri_agent *a, int rank, uint32_t number);
void far_forget_asker(sri_agent *a, int rank);
void far_asked_lost(sri_agent *a, int node);
void far_signal(sri_agent *a, const agent_member *m, int signal);

/* ---- directory.c: the names of objects, known to node 0 ---- */

/* CREATE of a member, at the agent it asked or the one that was forwarded to. */
void directory_create(sri_agent *a, sri_asker who, sri_create_args *args, const uint8_t *own,
                      size_t len);
void directory_unnamed(sri_agent *a, const char key[AGENT_KEY]);
void directory_arrived(sri_agent *a, const sri_link_arrival *f);
void directory_lost(sri_agent *a, int node);
void directory_fini(sri_agent *a);

#endif
