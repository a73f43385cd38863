/* agent/object.h: what a pattern's home is written against. Home code runs in the agent: single-
 * threaded, it never blocks, never calls user code, and parks whoever has to wait.
 *
 * A pattern registers one class for each kind of object it has:
 *
 *     static const sri_object_class queue_class = { .type = SRI_TYPE_QUEUE, .name = "queue", ... };
 *     SRI_OBJECT_CLASS(queue_class)
 *
 * Requests are answered by sri_home_reply, now or later, exactly once each; posts (number 0) never.
 */
#ifndef SRI_AGENT_OBJECT_H
#define SRI_AGENT_OBJECT_H

#include "base/clock.h"
#include "transport/transport.h"

#include <serry/world.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_agent sri_agent;
typedef struct sri_object sri_object;
typedef struct sri_object_class sri_object_class;

/* The class number in handles. 0 is the agent itself. */
enum {
    SRI_TYPE_AGENT = 0,
    SRI_TYPE_PROCESS,
    SRI_TYPE_QUEUE,
    SRI_TYPE_POOL,
    SRI_TYPE_SERVERS, /* the serving ranks of a node: one object, by name */
    SRI_TYPE_PIPE,
    SRI_TYPE_LOCK,
    SRI_TYPE_SEMAPHORE,
    SRI_TYPE_EVENT,
    SRI_TYPE_CONDITION,
    SRI_TYPE_BARRIER,
    SRI_TYPE_VALUE,
    SRI_TYPE_ARRAY,
    SRI_TYPE_LIST,
    SRI_TYPE_DICT,
};

/* Operations every object has; a class's own count from SRI_OP_OWN. */
enum { SRI_OP_CREATE = 1, SRI_OP_DESTROY, SRI_OP_CANCEL, SRI_OP_DESCRIBE, SRI_OP_OWN = 16 };

/* Who asks, and how to answer; small, to be copied where a request is parked. */
typedef struct sri_asker {
    int rank;
    uint32_t number; /* of the request at the member; 0: a post, nobody waits for an answer */
    bool nowait;     /* answer now, with SERRY_ETIMEDOUT if it would have to wait */
} sri_asker;

#define SRI_NAME 64 /* bytes of an object's name, with the 0 */

/* The head of each object's state: a class's own struct starts with it. */
struct sri_object {
    uint64_t id;
    const sri_object_class *cls;
    sri_agent *agent;
    int creator;         /* rank */
    char name[SRI_NAME]; /* "" if it has none */
};

struct sri_object_class {
    uint8_t type;
    const char *name; /* "queue" */
    size_t size;      /* of the home's state, zeroed at creation, starting with sri_object */
    size_t session;   /* bytes for each member that uses an object, zeroed at first use; 0: none */

    /* ---- in the agent ---- */
    /* A new object; args are what sri_service_create sent. An error undoes the creation. */
    serry_err (*create)(sri_object *o, const uint8_t *args, size_t len);
    /* The name exists: are these the same settings? If not, SERRY_EINVAL with a text. */
    serry_err (*same)(sri_object *o, const uint8_t *args, size_t len);
    /* A request or post. bytes are args and body together, aligned to 8, valid during the call. */
    void (*request)(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes, size_t len);
    /* The member takes back the parked request `who`. If it is still parked, unpark it and reply
     * SERRY_ETIMEDOUT; if it has been answered, do nothing. */
    void (*cancel)(sri_object *o, sri_asker who);
    /* A member has left (arrived in finalize), died or ended: forget what it waits for, give back
     * what it held. Called for members with a session and for the creator, right before the session
     * is freed. A member that has left may still use objects (it serves pools): it then gets a new
     * session, and .gone is called again when it has ended. NULL: of no interest. */
    void (*gone)(sri_object *o, int rank, sri_fate fate);
    /* The timer set by sri_home_timer has run out. */
    void (*timer)(sri_object *o);
    /* The object is ended: answer everybody parked (SERRY_EHANDLE), free what the state owns, not
     * the state. */
    void (*destroy)(sri_object *o);
    /* One line about it: state, holders, waiters. */
    void (*describe)(sri_object *o, char *text, size_t cap);

    /* ---- in the member ---- */
    /* Bytes the home sent unasked, by sri_home_feed. Called inside progress, under the core's
     * mutex: keep them; call nothing that waits. Who waits looks again after it. NULL and 0: a feed
     * was lost for want of memory. */
    void (*feed)(uint64_t object, const uint8_t *bytes, size_t len);
    /* The home says the object was destroyed (every member with a session is told), or this member
     * has just been made by a fork (object 0): drop what is kept for it. */
    void (*forget)(uint64_t object);
    /* A node is lost with all homes there. Calls to them have failed with SERRY_EDIED already; this
     * is for those who wait for something else, as .feed. NULL: there are none. */
    void (*lost)(int node);
    /* Runs before this member says that it leaves, core not entered: brings what it has promised
     * to an end. NULL: nothing is promised. */
    void (*leaving)(void);
    /* Runs in serry_finalize while this rank waits for the others, core not entered; returns when
     * *released is true (look at it after each wait). NULL: nothing to do. */
    void (*finalizing)(const bool *released);
};

#define SRI_CONCAT_(a, b) a##b
#define SRI_CONCAT(a, b) SRI_CONCAT_(a, b)
/* Puts the class into the table that agent and member look up (an ELF section). */
#define SRI_OBJECT_CLASS(cls)                                                                      \
    static const sri_object_class *const SRI_CONCAT(sri_class_entry_, __LINE__)                    \
        __attribute__((used, section("sri_classes"))) = &(cls);

/* The class of a type; NULL if this program has none. And all of them, one after the other. */
const sri_object_class *sri_object_class_of(unsigned type);
const sri_object_class *const *sri_object_classes(size_t *n);

/* How an object is called in texts: lock "gate"; without a name lock #3, by its number at its home;
 * lock #3 of node 1 where there are several nodes. */
#define SRI_CALLED 112
const char *sri_called(uint64_t id, const char *name, int nodes, char text[SRI_CALLED]);
const char *sri_home_called(sri_object *o); /* valid until the next call of it */

/* Answers a request; a post's asker is ignored. bytes of head and body arrive as one run. With an
 * error the run is its detail text instead: sri_home_refuse. Never fails towards the caller: what
 * does not fit the lane now is kept and sent later; a member that is gone gets nothing. */
void sri_home_reply(sri_object *o, sri_asker who, const void *head, size_t head_len,
                    const void *body, size_t len);
/* The text is put behind what the object is called: lock "gate": held by rank 3. */
void sri_home_refuse(sri_object *o, sri_asker who, serry_err e, const char *fmt, ...)
    SERRY_PRINTF(4, 5);
/* The answer to an open: out, and the object's name behind it, for sri_local_open. */
void sri_home_opened(sri_object *o, sri_asker who, const void *out, size_t len);

/* Sends bytes to a member unasked; they arrive at the class's .feed there, in order. */
void sri_home_feed(sri_object *o, int rank, const void *head, size_t head_len, const void *body,
                   size_t len);

/* Bytes kept back for this member because its lane is full: how far it lags behind. */
size_t sri_home_backlog(sri_object *o, int rank);

/* The session of a member, made at its first use; NULL if it is not a member (any more) or there is
 * no memory. It stays at its address until after .gone, or after .destroy of the object. */
void *sri_home_session(sri_object *o, int rank);
/* Calls fn for each session of the object; fn must not make or free sessions. */
void sri_home_sessions(sri_object *o, void (*fn)(sri_object *o, int rank, void *session, void *ctx),
                       void *ctx);

/* The grant cells of a member at an object, made at first use: which is 0 or 1 (two words on two
 * lines, for classes that have two roles). NULL where there are no shared words or no more of them.
 * *number is what the member gives to transport .cell. The value is 0 at first. A cell is taken
 * back after .gone of its member; after .destroy it may be given to nobody else while its member
 * lives and has not yet been told to forget the object, since the member may still step on it:
 * cells freed so are the last to be used again. */
#define SRI_HOME_CELLS 2
sri_atomic_u64 *sri_home_cell(sri_object *o, int rank, int which, uint32_t *number);

/* The object's word: one cell that all its members and the home change, made at first use. NULL as
 * above; its value is 0 at first. It is taken back when the object ends, after .destroy, and may in
 * time become another's while a member that has not looked at its lanes still steps on it: what is
 * kept there should carry sri_handle_tag of the object's id, and the home's last value none. */
sri_atomic_u64 *sri_home_word(sri_object *o, uint32_t *number);

/* Is this member asleep at the object's word (core/wait.h, sri_wait_watch)? *since when. */
bool sri_home_watched(sri_object *o, int rank, sri_ns *since);

/* Is this rank a member of the home's own node? Only those may be told of .word: to the others it
 * is as if there were none, and the home takes their steps on it by itself. */
bool sri_home_near(sri_object *o, int rank);

/* One timer for each object: calls .timer once, at or after the deadline; SRI_NEVER stops it. A
 * deadline of 0 is after the next round of polling: what was sent before the request at hand has
 * arrived after two of them. */
void sri_home_timer(sri_object *o, sri_ns deadline);

/* Is there an object of this type with this handle, and is its home here as well? */
bool sri_home_beside(sri_object *o, uint64_t id, unsigned type);

/* Is this rank a member that has neither left nor died? */
bool sri_home_present(sri_object *o, int rank);

/* The exit code of a member that is gone (-N for signal N, or as base/fate.h says); 0 if
 * unknown. */
int sri_home_exit_code(sri_object *o, int rank);

/* Ends a member's process by SIGKILL. */
void sri_home_kill(sri_object *o, int rank);

/* Starts a process from the clean copy of the program, as a daemon child of rank `parent`: fn is a
 * serry_process_fn by name. *rank is its rank. It may still fail to come up: then .gone is called
 * (the rank has a session from here on, if the class has any). */
struct sri_fnref;
serry_err sri_home_start(sri_object *o, int parent, const struct sri_fnref *fn, const void *arg,
                         size_t len, const char *name, int *rank);

/* Ends an object from the inside. */
void sri_home_end(sri_object *o);

#ifdef __cplusplus
}
#endif
#endif
