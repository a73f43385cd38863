/* patterns/barrier_home.c: a barrier at its home: its operations, and its life. Its rounds are in
 * barrier_rounds.c. */
#include "patterns/barrier_home.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- operations ---- */

static void barrier_open(barrier_home *b, barrier_user *u, sri_asker who, const uint8_t *bytes,
                         size_t len)
{
    uint64_t named = 0;
    if (len == sizeof named)
        memcpy(&named, bytes, sizeof named);
    if (named && !b->passed && b->lost <= 0)
        u->party = true;
    sri_home_reply(&b->object, who, &b->settings, sizeof b->settings, b->arg,
                   (size_t)b->settings.arg_len);
}

static void barrier_reset(barrier_home *b, sri_asker who)
{
    char text[64];
    snprintf(text, sizeof text, "reset by rank %d", who.rank);
    b->broken = false;
    b->lost = 0;
    barrier_dismiss(b, text);
    sri_home_reply(&b->object, who, NULL, 0, NULL, 0);
}

static void barrier_abort(barrier_home *b, sri_asker who)
{
    char how[64];
    snprintf(how, sizeof how, "aborted by rank %d", who.rank);
    barrier_break(b, how);
    sri_home_reply(&b->object, who, NULL, 0, NULL, 0);
}

static void barrier_request(sri_object *o, sri_asker who, uint16_t op, const uint8_t *bytes,
                            size_t len)
{
    barrier_home *b = barrier_of(o);
    barrier_user *u = barrier_user_of(b, who.rank);
    barrier_wire_state state = { .waiting = (uint32_t)b->arrived, .broken = b->broken };
    if (!u) {
        sri_home_refuse(o, who, SERRY_ENOMEM, "no memory for one more user");
        return;
    }
    switch (op) {
    case BARRIER_OP_OPEN:
        barrier_open(b, u, who, bytes, len);
        break;
    case BARRIER_OP_ARRIVE:
        barrier_arrive(b, who);
        break;
    case BARRIER_OP_DONE:
        barrier_done(b, who, bytes, len);
        break;
    case BARRIER_OP_RESET:
        barrier_reset(b, who);
        break;
    case BARRIER_OP_ABORT:
        barrier_abort(b, who);
        break;
    case BARRIER_OP_STATE:
        sri_home_reply(o, who, &state, sizeof state, NULL, 0);
        break;
    default:
        sri_home_refuse(o, who, SERRY_EINVAL, "there is no operation %u", op);
    }
}

/* ---- life ---- */

static serry_err barrier_settings(const uint8_t *args, size_t len, barrier_wire_settings *in)
{
    if (len >= sizeof *in)
        memcpy(in, args, sizeof *in);
    if (len < sizeof *in || len - sizeof *in != in->arg_len)
        return sri_fail(SERRY_EINVAL, "not the settings of a barrier");
    if (in->parties < 1)
        return sri_fail(SERRY_EINVAL, "a barrier for %d parties", in->parties);
    return SERRY_OK;
}

static serry_err barrier_create(sri_object *o, const uint8_t *args, size_t len)
{
    barrier_home *b = barrier_of(o);
    barrier_wire_settings in = { 0 };
    SRI_TRY(barrier_settings(args, len, &in));
    if (in.arg_len) {
        b->arg = malloc(in.arg_len);
        if (!b->arg)
            return sri_fail(SERRY_ENOMEM, "no memory for an argument of %llu bytes",
                            (unsigned long long)in.arg_len);
        memcpy(b->arg, args + sizeof in, in.arg_len);
    }
    b->settings = in;
    b->runner = -1;
    return SERRY_OK;
}

static serry_err barrier_same(sri_object *o, const uint8_t *args, size_t len)
{
    barrier_home *b = barrier_of(o);
    barrier_wire_settings in = { 0 };
    SRI_TRY(barrier_settings(args, len, &in));
    if (in.parties != b->settings.parties)
        return sri_fail(SERRY_EINVAL, "the barrier \"%s\" exists for %d parties, not %d", o->name,
                        b->settings.parties, in.parties);
    if (memcmp(&in, &b->settings, sizeof in) != 0
        || (in.arg_len && memcmp(args + sizeof in, b->arg, in.arg_len) != 0))
        return sri_fail(SERRY_EINVAL, "the barrier \"%s\" exists with another action or timeout",
                        o->name);
    return SERRY_OK;
}

static void barrier_destroy(sri_object *o)
{
    barrier_home *b = barrier_of(o);
    sri_parked_refuse_all(o, &b->line, SERRY_EHANDLE, "destroyed");
    sri_parked_refuse_all(o, &b->next, SERRY_EHANDLE, "destroyed");
    free(b->arg);
}

static void barrier_describe(sri_object *o, char *text, size_t cap)
{
    barrier_home *b = barrier_of(o);
    char waiters[512], action[64] = "";
    const char *of = sri_home_called(o);
    sri_parked_text(b->line, waiters, sizeof waiters);
    if (b->runner >= 0)
        snprintf(action, sizeof action, ", rank %d runs the action", b->runner);
    if (b->broken)
        snprintf(text, cap, "%s: %s", of, b->why);
    else
        snprintf(text, cap, "%s: %d of %d parties are here%s, waited at by %s", of, b->arrived,
                 b->settings.parties, action, waiters);
}

static const sri_object_class barrier_class = {
    .type = SRI_TYPE_BARRIER,
    .name = "barrier",
    .size = sizeof(barrier_home),
    .session = sizeof(barrier_user),
    .create = barrier_create,
    .same = barrier_same,
    .request = barrier_request,
    .cancel = barrier_cancel,
    .gone = barrier_gone,
    .destroy = barrier_destroy,
    .describe = barrier_describe,
    .forget = barrier_forget,
};
SRI_OBJECT_CLASS(barrier_class)
