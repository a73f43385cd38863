/* agent/private.h: what the files of the agent share. */
#ifndef SRI_AGENT_PRIVATE_H
#define SRI_AGENT_PRIVATE_H

#include "agent/agent.h"
#include "agent/handle.h"
#include "agent/object.h"
#include "agent/protocol.h"
#include "agent/wire.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "transport/local/local.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

typedef enum agent_state {
    AGENT_SEATED = 1, /* has a socket, has not said hello */
    AGENT_JOINED,
    AGENT_LEFT,     /* has finalized, or a started process that is about to end */
    AGENT_RELEASED, /* its finalize has been answered: its end is no death */
    AGENT_GONE,     /* only its record is left */
} agent_state;

/* A frame kept back because a lane is full. */
typedef struct agent_late {
    struct agent_late *next;
    uint8_t kind;
    uint8_t flags;
    uint64_t aux;
    int fd; /* ours, or -1 */
    size_t len;
    uint8_t bytes[];
} agent_late;

/* A member of this node; or of another (far), of which only the record is here. */
typedef struct agent_member {
    int rank;
    int node;
    agent_state state;
    bool far;
    bool launched;
    bool daemon;
    bool code_known;
    bool ending; /* has been told to end */
    int code;
    int pending_signal; /* came before the process: for when it has joined */
    int parent;         /* rank, -1 */
    int socket;
    int pidfd;
    int streams[3]; /* its 0, 1 and 2, for what is started for it; -1: not known */
    pid_t pid;
    uint32_t children; /* ever started: for names */
    uint64_t admit;    /* started here: the other agents know it once they have answered this one */
    sri_ns lost_at;    /* its socket ended before its process: when; 0: it has not */
    char name[64];
    sri_buffer chain; /* of a long request */
    uint64_t chain_aux;
    sri_request_head chain_head;
    bool chained;
    bool chain_lost; /* there was no memory for it */
    agent_late *late;
    agent_late **late_end;
    size_t late_bytes;
} agent_member;

/* A process that the nursery has still to be asked for: it is not there yet, or busy. */
typedef struct agent_order {
    struct agent_order *next;
    int rank;
    int parent;   /* rank, whose streams it gets */
    int socket;   /* ours, for the process-to-be */
    int argument; /* ours, -1: none */
    sri_nursery_order start;
} agent_order;

/* A start that is answered once all other agents know of the new member. */
typedef struct agent_starter {
    struct agent_starter *next;
    int rank;
    sri_asker who;
    int socket; /* ours, for the process-to-be, if the asker forks it; -1 */
} agent_starter;

/* What is known of the agent of a node. */
typedef struct agent_node {
    bool ended; /* in good order or not: nothing can be asked there any more */
    bool lost;  /* and not in good order */
    bool cut;   /* its link has ended; what of that, all are to agree on */
    bool given; /* it is given up, as all agree */
    bool quiet; /* all launched ranks have arrived, as it knows, and nothing started runs there */
    uint64_t admitted; /* it knows all that was started here up to this */
} agent_node;

/* An own operation that a member of this node has asked for, under way at another agent. */
typedef struct agent_asked {
    uint64_t key; /* rank << 32 | number */
    sri_asker who;
    int node;
    UT_hash_handle hh;
} agent_asked;

/* Who waits for members to end: join, wait_any, finalize. */
typedef struct agent_waiter {
    struct agent_waiter *next;
    sri_asker who;
    uint16_t op;
    uint32_t n;
    int ranks[];
} agent_waiter;

typedef struct agent_watch {
    int fd;
    void (*fn)(void *ctx, int fd);
    void *ctx;
    UT_hash_handle hh;
} agent_watch;

typedef struct agent_timer {
    void (*fn)(void *ctx);
    void *ctx;
    sri_ns deadline;
    struct agent_timer *next;
} agent_timer;

typedef struct agent_session {
    int rank;
    uint32_t cells[SRI_HOME_CELLS]; /* 0: none */
    UT_hash_handle hh;
    _Alignas(16) uint8_t bytes[];
} agent_session;

#define AGENT_KEY 72

/* An object with what the agent keeps for it; the class's state follows. */
typedef struct agent_object {
    uint32_t index;
    sri_ns deadline;
    agent_session *sessions;
    uint32_t word;   /* its cell; 0: none */
    uint64_t ticked; /* the last tick its timer was looked at in */
    struct agent_object *next_timed;
    UT_hash_handle by_name;
    char key[AGENT_KEY]; /* class and name */
    char *called;        /* as sri_called says; NULL: nobody has asked yet */
    _Alignas(16) sri_object object;
} agent_object;

static inline agent_object *agent_object_outer(sri_object *o)
{
    return (agent_object *)(void *)((char *)o - offsetof(agent_object, object));
}

/* Where an object is found by its index. */
typedef struct agent_entry {
    agent_object *object; /* NULL: free */
    uint32_t generation;  /* of the last object here */
    uint32_t next_free;
} agent_entry;

struct sri_agent {
    sri_agent_options options; /* .places.nodes is 1 at least */
    sri_links *links; /* NULL: there is no other node, and all of the far_ fields are nothing */
    sri_host *host;
    int epoll;
    bool stop;
    bool running;
    int places_table; /* where ranks are, for members; -1: there is one node */
    int lifeline[2];  /* read end for members, write end here: its end kills them */

    agent_member **members; /* by rank */
    int n_ranks;            /* given out so far */
    int members_cap;
    int alive;       /* members whose process may still run */
    int launched_in; /* launched ranks that are neither left nor gone */
    int lost;        /* the lowest launched rank that ended without being released; -1: none */
    bool releasing;  /* all launched ranks have arrived or died */
    bool over;       /* and everybody has been let go */
    bool aborted;    /* or killed */
    bool destroying;
    int n_started; /* processes, on this node */
    agent_waiter *waiters;
    int late_members; /* with frames kept back */
    bool answered;    /* since the agent was last idle, a request */
    int owed;         /* since then: requests that ask for an answer, less answers */
    int lost_members; /* whose socket has ended and whose process has not */

    int nursery;             /* socket; -1: none */
    bool nursery_settled;    /* it has come, or never will */
    agent_order *orders;     /* for it, in order */
    agent_starter *starters; /* in order */

    agent_node *far_nodes; /* by node */
    struct reach *reach;   /* which of them are lost */
    bool outcast;          /* this one is: it ends with its members */
    int far_fd;            /* of the links; -1: they have none */
    unsigned far_rounds;   /* of polling, since the links were polled */
    sri_ns far_pause;      /* between two looks at links without a descriptor */
    sri_ns far_linger;     /* with nobody here any more: until when; 0: not yet known */
    uint64_t far_admits;   /* given out */
    uint64_t far_admitted; /* known to all others */
    agent_asked *far_asked;
    struct directory_name *directory;      /* node 0: by key */
    struct directory_made *directory_made; /* node 0: creations under way elsewhere */
    uint32_t directory_number;
    uint64_t directory_seq; /* node 0: the last creation sent to a home; elsewhere: that came */

    agent_entry *objects; /* by index; 0 unused */
    uint32_t n_objects;   /* entries that were ever used, and the unused one */
    uint32_t free_entry;  /* 0: none */
    size_t objects_cap;
    agent_object *names;
    agent_object *timed;
    uint64_t object_ticks;
    bool objects_due; /* one wants to be called after the next round of polling */
    uint32_t *free_cells;
    uint32_t first_free_cell; /* they are a ring */
    uint32_t n_free_cells;
    uint32_t free_cells_cap;
    uint32_t next_cell;

    int arrived; /* the descriptor of the request being handled, -1; who takes it sets -1 */

    agent_watch *watches;
    agent_timer *timers;
};

/* What an epoll event is about: a rank's socket or pidfd, or one of the agent's own. */
enum {
    AGENT_EVENT_SOCKET = 1,
    AGENT_EVENT_PIDFD,
    AGENT_EVENT_BELL,
    AGENT_EVENT_WATCH,
    AGENT_EVENT_NURSERY,
    AGENT_EVENT_LINKS
};

static inline uint64_t agent_event(unsigned what, int n)
{
    return (uint64_t)what << 32 | (uint32_t)n;
}

/* ---- loop.c ---- */
serry_err agent_epoll(sri_agent *a, int fd, uint64_t what); /* the loop looks at it */

/* ---- members.c ---- */
agent_member *agent_member_of(sri_agent *a, int rank); /* also of a gone one; NULL: never was */
bool agent_member_present(sri_agent *a, int rank);
serry_err agent_new_rank(sri_agent *a, int rank, int socket, agent_member **m);
serry_err agent_new_far_rank(sri_agent *a, int rank, agent_member **m);
void agent_deliver_join(sri_agent *a, agent_member *m, const sri_arrival *f);

/* ---- members_end.c ---- */
void agent_member_readable(sri_agent *a, int rank);
void agent_member_ended(sri_agent *a, agent_member *m);
void agent_rank_lost(sri_agent *a, int rank);
void agent_members_tick(sri_agent *a); /* sockets that ended before their process */
void agent_member_left(sri_agent *a, agent_member *m);
void agent_end_member(sri_agent *a, agent_member *m, int signal); /* wherever it is */
void agent_end_daemons(sri_agent *a, const agent_member *parent); /* those of this node */

/* ---- process.c ---- */
uint64_t agent_process_id(const sri_agent *a, int rank);
void agent_own_request(sri_agent *a, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len);
void agent_own_cancel(sri_agent *a, sri_asker who);
void agent_waiters_look(sri_agent *a); /* somebody has ended */
void agent_forget_asker(sri_agent *a, int rank);
void agent_abort(sri_agent *a, int asker, int code);

/* ---- starting.c ---- */
serry_err agent_check_clean(const sri_agent *a); /* can processes be started from the clean copy? */
void agent_start(sri_agent *a, sri_asker who, const uint8_t *bytes, size_t len);
serry_err agent_start_process(sri_agent *a, int parent, const struct sri_fnref *fn, const void *arg,
                              size_t len, const char *name, bool daemon, int *rank);
void agent_take_nursery(sri_agent *a, int fd); /* -1: there will be none */
void agent_nursery_event(sri_agent *a);
bool agent_push_orders(sri_agent *a);   /* to the nursery; true if any went */
void agent_drop_orders(sri_agent *a);   /* who was to be started is not: its seat is given up */
void agent_push_starters(sri_agent *a); /* the other agents know more now */
void agent_drop_starters(sri_agent *a);

/* ---- objects.c ---- */
serry_err agent_objects_init(sri_agent *a);
void agent_objects_fini(sri_agent *a);
void agent_request(sri_agent *a, int rank, uint64_t aux, const uint8_t *bytes, size_t len);
void agent_request_here(sri_agent *a, int rank, uint64_t aux, const uint8_t *bytes, size_t len);
/* An object that lives here; NULL: there is none of that handle. */
sri_object *agent_object_of(sri_agent *a, uint64_t id);
serry_err agent_object_create(sri_agent *a, int rank, const sri_create_args *args,
                              const uint8_t *own, size_t len, uint64_t *id);
void agent_object_key(char key[AGENT_KEY], uint32_t type, const char *name);
bool agent_object_named(sri_agent *a, const char key[AGENT_KEY]);
void agent_objects_gone(sri_agent *a, int rank, sri_fate fate);

/* ---- home.c ---- */
agent_session *agent_session_of(agent_object *x, int rank); /* NULL: it has none */
void agent_free_session(sri_agent *a, agent_object *x, agent_session *s);
void agent_free_cell(sri_agent *a, uint32_t number); /* 0: there is none */
void agent_object_untime(sri_agent *a, agent_object *x);
sri_ns agent_objects_deadline(sri_agent *a);
void agent_objects_tick(sri_agent *a, sri_ns now);

/* ---- outgoing.c ---- */
void agent_send(sri_agent *a, int rank, const sri_frame *f); /* kept back if it must be */
void agent_send_run(sri_agent *a, int rank, uint8_t kind, uint64_t aux, const void *head,
                    size_t head_len, const void *body, size_t len);
bool agent_push(sri_agent *a); /* what was kept back; true if anything moved */
void agent_drop_late(sri_agent *a, agent_member *m);
void agent_answer(sri_agent *a, sri_asker who, serry_err e, const void *bytes, size_t len);
void agent_refuse(sri_agent *a, sri_asker who, serry_err e); /* with serry_err_detail */

#endif
