/* agent/reach.c: agreement about nodes that are lost. */
#include "agent/reach.h"

#include "base/error.h"

#include <stdlib.h>

typedef struct reach_node {
    bool out; /* lost, or gone in good order: it counts no more */
    bool lost;
    bool cut;  /* the link from here has ended */
    bool due;  /* to be asked, once it is for this node to decide */
    bool seen; /* in reach_is_first */
    uint32_t asked;
    uint32_t answered;
} reach_node;

struct reach {
    reach_ops ops;
    void *ctx;
    int here;
    int nodes;
    int told;     /* the lowest node within reach, who knows of all links cut here */
    uint32_t all; /* 1: everything is told to everybody */
    bool looking; /* in reach_look, which comes to what has happened meanwhile */
    bool again;
    uint32_t asks;
    uint64_t *cuts; /* bit i * nodes + x: node i has said that its link to x has ended */
    int *line;      /* for reach_is_first */
    reach_node node[];
};

/* ---- what is known ---- */

static bool reach_has_cut(const reach *r, int i, int x)
{
    size_t bit = (size_t)i * (size_t)r->nodes + (size_t)x;
    return r->cuts[bit / 64] >> bit % 64 & 1;
}

static void reach_note_cut(reach *r, int i, int x)
{
    size_t bit = (size_t)i * (size_t)r->nodes + (size_t)x;
    r->cuts[bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool reach_between(const reach *r, int i, int x)
{
    return reach_has_cut(r, i, x) || reach_has_cut(r, x, i);
}

/* Another one that takes part, over a link that has not ended. */
static bool reach_near(const reach *r, int node)
{
    return node != r->here && !r->node[node].out && !r->node[node].cut;
}

/* The lowest within reach, this one among them. */
static int reach_lowest(const reach *r)
{
    for (int k = 0; k < r->here; k++) {
        if (reach_near(r, k))
            return k;
    }
    return r->here;
}

/* Does no node within reach reach one that is lower than this one? */
static bool reach_is_first_of_near(const reach *r)
{
    for (int k = 0; k < r->here; k++) {
        if (r->node[k].out)
            continue;
        if (!r->node[k].cut)
            return false;
        for (int y = k + 1; y < r->nodes; y++) {
            if (reach_near(r, y) && !reach_has_cut(r, y, k))
                return false;
        }
    }
    return true;
}

/* Nor through others, whoever may be in between? */
static bool reach_is_first(reach *r)
{
    int n = 0;
    for (int k = 0; k < r->nodes; k++)
        r->node[k].seen = k == r->here;
    r->line[n++] = r->here;
    for (int at = 0; at < n; at++) {
        for (int x = 0; x < r->nodes; x++) {
            if (r->node[x].out || r->node[x].seen || reach_between(r, r->line[at], x))
                continue;
            if (x < r->here)
                return false;
            r->node[x].seen = true;
            r->line[n++] = x;
        }
    }
    return true;
}

/* ---- saying ---- */

static void reach_say_all(reach *r, const reach_said *said)
{
    for (int node = 0; node < r->nodes; node++) {
        if (reach_near(r, node))
            r->ops.say(r->ctx, node, said);
    }
}

/* To who may decide about it. Who finds no lower one within reach may be the one: he asks all
 * whether they do, by what he tells them. */
static void reach_tell(reach *r, int about)
{
    reach_said said = { .word = REACH_CUT, .number = r->all, .about = about, .by = r->here };
    if (r->told != r->here && !r->all)
        r->ops.say(r->ctx, r->told, &said);
    else
        reach_say_all(r, &said);
}

static void reach_tell_anew(reach *r)
{
    r->told = reach_lowest(r);
    for (int node = 0; node < r->nodes; node++) {
        if (r->node[node].cut && !r->node[node].out)
            reach_tell(r, node);
    }
}

/* From now on everybody hears of everything, through everybody. */
static void reach_tell_all(reach *r)
{
    if (r->all)
        return;
    r->all = 1;
    for (int i = 0; i < r->nodes; i++) {
        for (int x = 0; x < r->nodes; x++) {
            reach_said said = { .word = REACH_CUT, .number = 1, .about = x, .by = i };
            if (!r->node[i].out && !r->node[x].out && reach_has_cut(r, i, x))
                reach_say_all(r, &said);
        }
    }
}

/* ---- deciding ---- */

static bool reach_decides(reach *r)
{
    if (!reach_is_first_of_near(r))
        return false;
    if (reach_is_first(r))
        return true;
    reach_tell_all(r); /* there are others in between, who tell somebody else */
    return false;
}

static void reach_lose(reach *r, int node, int by)
{
    reach_said said = { .word = REACH_LOST, .about = node, .by = by };
    reach_say_all(r, &said);
    r->node[node].out = r->node[node].lost = true;
    r->ops.lost(r->ctx, node, by);
}

static void reach_ask(reach *r)
{
    for (int node = 0; node < r->nodes; node++) {
        reach_node *n = &r->node[node];
        if (!n->due || !reach_near(r, node))
            continue;
        n->due = false;
        n->asked = ++r->asks;
        r->ops.say(r->ctx, node, &(reach_said){ .word = REACH_ASK, .number = n->asked });
    }
}

/* Has it answered since all that was known of it? */
static bool reach_has_answered(const reach *r, int node)
{
    const reach_node *n = &r->node[node];
    return !n->due && n->asked && n->answered == n->asked;
}

static int reach_count_cuts(const reach *r, int node)
{
    int n = 0;
    for (int x = 0; x < r->nodes; x++)
        n += x != node && !r->node[x].out && reach_between(r, node, x);
    return n;
}

/* One of two who do not reach each other; -1: there is none to be given up now. */
static int reach_worse_of_two(const reach *r)
{
    for (int i = 0; i < r->nodes; i++) {
        if (!reach_near(r, i) || !reach_has_answered(r, i))
            continue;
        for (int x = i + 1; x < r->nodes; x++) {
            if (reach_near(r, x) && reach_between(r, i, x) && reach_has_answered(r, x))
                return reach_count_cuts(r, i) > reach_count_cuts(r, x) ? i : x;
        }
    }
    return -1;
}

static int reach_one_to_lose(const reach *r)
{
    for (int node = 0; node < r->nodes; node++) {
        if (r->node[node].cut && !r->node[node].out)
            return node;
    }
    return reach_worse_of_two(r);
}

/* After whatever has changed. */
static void reach_look(reach *r)
{
    r->again = true;
    if (r->looking)
        return;
    r->looking = true;
    while (r->again && !r->node[r->here].lost) {
        r->again = false;
        if (r->told != reach_lowest(r))
            reach_tell_anew(r);
        if (!reach_decides(r))
            continue;
        reach_ask(r);
        int node = reach_one_to_lose(r);
        if (node >= 0) {
            reach_lose(r, node, r->here);
            r->again = true;
        }
    }
    r->looking = false;
}

/* ---- what happens ---- */

void reach_cut(reach *r, int node)
{
    reach_node *n = &r->node[node];
    if (n->out || n->cut || node == r->here)
        return;
    n->cut = true;
    reach_note_cut(r, r->here, node);
    if (r->told == reach_lowest(r))
        reach_tell(r, node);
    reach_look(r);
}

void reach_gone(reach *r, int node)
{
    r->node[node].out = true;
    reach_look(r);
}

static void reach_heard_cut(reach *r, int from, const reach_said *said)
{
    int i = said->by;
    int x = said->about;
    if (i == x || r->node[i].out || r->node[x].out)
        return;
    if (said->number)
        reach_tell_all(r);
    if (reach_has_cut(r, i, x))
        return;
    reach_note_cut(r, i, x);
    reach_said on = { .word = REACH_CUT, .number = r->all, .about = x, .by = i };
    if (r->all)
        reach_say_all(r, &on);
    else if (r->told != r->here && r->told != from)
        r->ops.say(r->ctx, r->told, &on);
    if (i == r->here || x == r->here) {
        reach_cut(r, i == r->here ? x : i);
        return;
    }
    r->node[i].due = r->node[x].due = true;
    reach_look(r);
}

static void reach_heard_lost(reach *r, const reach_said *said)
{
    if (r->node[said->about].out || said->by > reach_lowest(r) || said->by == said->about)
        return;
    reach_lose(r, said->about, said->by);
    reach_look(r);
}

void reach_heard(reach *r, int from, const reach_said *said)
{
    bool named = said->about >= 0 && said->about < r->nodes && said->by >= 0 && said->by < r->nodes;
    if (r->node[r->here].lost || r->node[from].out)
        return;
    if (said->word == REACH_CUT && named) {
        reach_heard_cut(r, from, said);
    } else if (said->word == REACH_LOST && named) {
        reach_heard_lost(r, said);
    } else if (said->word == REACH_ASK) {
        r->ops.say(r->ctx, from, &(reach_said){ .word = REACH_HERE, .number = said->number });
    } else if (said->word == REACH_HERE && said->number == r->node[from].asked) {
        r->node[from].answered = said->number;
        reach_look(r);
    }
}

/* ---- life ---- */

serry_err reach_create(reach **out, int here, int nodes, const reach_ops *ops, void *ctx)
{
    size_t n = (size_t)nodes;
    reach *r = calloc(1, sizeof *r + n * sizeof *r->node);
    if (r) {
        r->cuts = calloc((n * n + 63) / 64, sizeof *r->cuts);
        r->line = calloc(n, sizeof *r->line);
    }
    if (!r || !r->cuts || !r->line) {
        reach_free(r);
        return sri_fail(SERRY_ENOMEM, "no memory for what is known of %d nodes", nodes);
    }
    r->ops = *ops;
    r->ctx = ctx;
    r->here = here;
    r->nodes = nodes;
    r->told = reach_lowest(r);
    *out = r;
    return SERRY_OK;
}

void reach_free(reach *r)
{
    if (!r)
        return;
    free(r->cuts);
    free(r->line);
    free(r);
}
