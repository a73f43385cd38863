/* patterns/shared_array.c: the public calls of arrays. A long slice travels in pieces, a few of
 * them under way at once, so that its home serves others in between and never holds a copy of it
 * all. */
#include "core/reduce.h"
#include "patterns/shared_call.h"

#include <string.h>

/* What a request holds beside the limit of messages; pieces never need more. */
#define ARRAY_PIECE_LEAST 32768u
#define ARRAY_UNDER_WAY 3

typedef struct array_piece {
    uint32_t number;
    size_t at, n; /* elements of the slice */
} array_piece;

typedef struct array_slice {
    uint64_t id;
    uint16_t op;
    size_t size; /* of an element */
    size_t first, n;
    const uint8_t *in;
    uint8_t *out;
    array_piece pieces[ARRAY_UNDER_WAY]; /* those under way: begun - ended, a ring */
    unsigned begun, ended;
    size_t done; /* elements of pieces begun */
} array_slice;

static serry_err array_begin(array_slice *s)
{
    size_t piece =
        sri_world.max_message < SERRY_SLICE_ATOMIC ? ARRAY_PIECE_LEAST : SERRY_SLICE_ATOMIC;
    array_piece *p = &s->pieces[s->begun % ARRAY_UNDER_WAY];
    size_t left = s->n - s->done;
    p->at = s->done;
    p->n = left < piece / s->size ? left : piece / s->size;
    shared_wire_slice args = { .first = s->first + p->at, .n = p->n };
    SRI_TRY(sri_service_start(s->id, s->op, &args, sizeof args,
                              s->in ? s->in + p->at * s->size : NULL, s->in ? p->n * s->size : 0,
                              &p->number));
    s->begun++;
    s->done += p->n;
    return SERRY_OK;
}

static serry_err array_end(array_slice *s)
{
    sri_reply reply = { 0 };
    array_piece *p = &s->pieces[s->ended++ % ARRAY_UNDER_WAY];
    serry_err e = sri_service_finish(p->number, &reply, SRI_NEVER, false);
    if (e == SERRY_OK && s->out)
        e = shared_expect(&reply, s->out + p->at * s->size, p->n * s->size);
    sri_reply_fini(&reply);
    return e;
}

/* What has begun is ended, whatever happens. */
static serry_err array_move(array_slice *s)
{
    serry_err e = array_begin(s);
    while (s->begun != s->ended) {
        while (e == SERRY_OK && s->done < s->n && s->begun - s->ended < ARRAY_UNDER_WAY)
            e = array_begin(s);
        serry_err ended = array_end(s);
        e = e == SERRY_OK ? ended : e;
    }
    return e;
}

static serry_err array_slice_of(serry_array a, uint16_t op, size_t first, size_t n, const void *in,
                                void *out)
{
    array_slice s = { .id = a.id, .op = op, .first = first, .n = n, .in = in, .out = out };
    shared_form form;
    if (n && !in && !out)
        return sri_fail(SERRY_EINVAL, "%zu elements at NULL", n);
    SRI_TRY(sri_enter());
    serry_err e = shared_learn(a.id, SRI_TYPE_ARRAY, &form);
    /* Asked here too: what a wrong n says is at in need not be there. */
    if (e == SERRY_OK && (first > form.n || n > form.n - first))
        e = sri_local_fail(form.local, SERRY_EINVAL, "%zu elements from %zu on, it has %llu", n,
                           first, (unsigned long long)form.n);
    if (e == SERRY_OK) {
        s.size = form.size;
        e = array_move(&s);
    }
    sri_leave();
    return e;
}

serry_err serry_array_create(serry_array *a, serry_type type, size_t n,
                             const serry_shared_options *o)
{
    shared_wire_info args = { .type = (uint32_t)type, .n = n };
    if (!a)
        return sri_fail(SERRY_EINVAL, "no place for the handle");
    if (sri_type_size(type) == 0)
        return sri_fail(SERRY_EINVAL, "%d is not a type", (int)type);
    return shared_create(SRI_TYPE_ARRAY, o, &args, sizeof args, &a->id);
}

serry_err serry_array_len(serry_array a, size_t *n)
{
    return shared_len(a.id, SRI_TYPE_ARRAY, n);
}

serry_err serry_array_get(serry_array a, size_t first, size_t n, void *out)
{
    return array_slice_of(a, SHARED_OP_GET, first, n, NULL, out);
}

serry_err serry_array_set(serry_array a, size_t first, size_t n, const void *in)
{
    return array_slice_of(a, SHARED_OP_SET, first, n, in, NULL);
}

serry_err serry_array_add(serry_array a, size_t first, size_t n, const void *in)
{
    return array_slice_of(a, SHARED_OP_ADD, first, n, in, NULL);
}

serry_err serry_array_destroy(serry_array a)
{
    return shared_destroy(a.id, SRI_TYPE_ARRAY);
}
