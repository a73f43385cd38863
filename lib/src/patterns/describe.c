/* patterns/describe.c: one line about any object. */
#include <serry/describe.h>

#include "agent/handle.h"
#include "base/error.h"
#include "core/service.h"

#include <serry/process.h>

#include <stdio.h>
#include <string.h>

static serry_err describe_process(uint64_t id, char *text, size_t cap)
{
    serry_process_info info;
    SRI_TRY(serry_process_info_of((serry_process){ id }, &info));
    snprintf(text, cap, "process \"%s\": rank %d, pid %d, %s%s", info.name, info.rank,
             (int)info.pid, info.alive ? "alive" : "ended", info.daemon ? ", daemon" : "");
    return SERRY_OK;
}

static serry_err describe_object(uint64_t id, char *text, size_t cap)
{
    sri_reply reply = { 0 };
    SRI_TRY(sri_enter());
    serry_err e = sri_service_call(id, SRI_OP_DESCRIBE, NULL, 0, NULL, 0, &reply, SRI_NEVER);
    sri_leave();
    if (e == SERRY_OK)
        snprintf(text, cap, "%.*s", (int)reply.len, (const char *)reply.bytes);
    sri_reply_fini(&reply);
    return e;
}

serry_err serry_describe(uint64_t handle_id, char *text, size_t cap)
{
    if (!text || cap == 0)
        return sri_fail(SERRY_EINVAL, "no place for the text");
    if (sri_handle_class(handle_id & ~SRI_HANDLE_SIDE) == SRI_TYPE_PIPE)
        handle_id &= ~SRI_HANDLE_SIDE; /* either end */
    unsigned type = sri_handle_class(handle_id);
    if (type == SRI_TYPE_PROCESS)
        return describe_process(handle_id, text, cap);
    if (type == SRI_TYPE_AGENT || !sri_object_class_of(type)
        || sri_handle_generation(handle_id) == 0)
        return sri_fail(SERRY_EHANDLE, "the handle %#llx names no object",
                        (unsigned long long)handle_id);
    return describe_object(handle_id, text, cap);
}
