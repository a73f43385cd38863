/* core/object.c: objects as a member knows them: making and ending them, what their homes send
 * unasked, and what their classes are told. */
#include "core/service.h"

#include "agent/handle.h"
#include "core/wait.h"

#include <string.h>

serry_err sri_service_check(uint64_t id, unsigned type)
{
    const sri_object_class *cls = sri_object_class_of(type);
    const char *name = cls ? cls->name : "object";
    int home = (int)sri_handle_home(id);
    if (sri_handle_class(id) != type || sri_handle_generation(id) == 0
        || (home > 0 && home >= sri_world.places.nodes))
        return sri_fail(SERRY_EHANDLE, "the handle %#llx names no %s", (unsigned long long)id,
                        name);
    return SERRY_OK;
}

serry_err sri_service_destroyed(uint64_t id)
{
    char of[SRI_CALLED];
    return sri_fail(SERRY_EHANDLE, "%s: destroyed",
                    sri_called(id, NULL, sri_world.places.nodes, of));
}

serry_err sri_service_create(unsigned type, const char *name, int node, const void *args,
                             size_t len, uint64_t *id)
{
    sri_create_args create = { .type = type };
    SRI_TRY(sri_node_of(node, &create.node));
    if (name) {
        size_t n = strlen(name);
        if (n == 0 || n >= sizeof create.name)
            return sri_fail(SERRY_EINVAL, "a name has 1 to %zu bytes, not %zu",
                            sizeof create.name - 1, n);
        memcpy(create.name, name, n);
    }
    sri_reply reply = { 0 };
    uint64_t made;
    serry_err e = sri_service_call(SRI_SERVICE_AGENT, SRI_OP_CREATE, &create, sizeof create, args,
                                   len, &reply, SRI_NEVER);
    if (e == SERRY_OK && reply.len != sizeof made)
        e = sri_fail(SERRY_EINTERNAL, "the answer to a create has %zu bytes", reply.len);
    if (e == SERRY_OK)
        memcpy(id, reply.bytes, sizeof made);
    sri_reply_fini(&reply);
    return e;
}

serry_err sri_service_destroy(uint64_t id)
{
    return sri_service_call(id, SRI_OP_DESTROY, NULL, 0, NULL, 0, NULL, SRI_NEVER);
}

/* ---- what comes unasked ---- */

static struct {
    sri_buffer pieces; /* the first ones of a feed; one chain at a time */
    bool lost;         /* there was no memory for them */
} feed;

/* A node is lost with its agent: no answer comes from there, and no feed. */
static bool object_lose(const sri_arrival *a)
{
    int node = (int)a->aux;
    size_t n;
    const sri_object_class *const *classes = sri_object_classes(&n);
    if (node < 0 || node >= SRI_NODES_MAX)
        return true;
    if (node == sri_world.places.node)
        sri_node_lost((const char *)a->bytes, a->len);
    sri_service_lost(node);
    for (size_t i = 0; i < n; i++) {
        if (classes[i]->lost)
            classes[i]->lost(node);
    }
    return false;
}

bool sri_service_feed(const sri_arrival *a)
{
    if (a->flags & SRI_FLAG_LOST)
        return object_lose(a);
    const sri_object_class *cls = sri_object_class_of(sri_handle_class(a->aux));
    if (a->flags & SRI_FLAG_FORGET) {
        if (cls && cls->forget)
            cls->forget(a->aux);
        sri_wait_notify();
        return true;
    }
    bool more = a->flags & SRI_FLAG_MORE;
    const uint8_t *bytes = a->bytes;
    size_t len = a->len;
    if (more || feed.pieces.len > 0 || feed.lost) {
        if (!feed.lost && sri_buffer_add(&feed.pieces, a->bytes, a->len) != SERRY_OK) {
            feed.lost = true;
            sri_buffer_fini(&feed.pieces);
        }
        bytes = feed.pieces.data;
        len = feed.pieces.len;
    }
    if (more)
        return true;
    if (cls && cls->feed)
        cls->feed(a->aux, feed.lost ? NULL : bytes, feed.lost ? 0 : len);
    if (feed.pieces.cap > 65536)
        sri_buffer_fini(&feed.pieces);
    feed.pieces.len = 0;
    feed.lost = false;
    sri_wait_notify();
    return true; /* more of them in one go */
}

void sri_service_feed_reset(void)
{
    sri_buffer_fini(&feed.pieces);
    feed.lost = false;
}

void sri_service_forget_all(void)
{
    size_t n;
    const sri_object_class *const *classes = sri_object_classes(&n);
    for (size_t i = 0; i < n; i++) {
        if (classes[i]->forget)
            classes[i]->forget(0);
    }
}
