/* core/member.c: is this process a member? And the door of every call. */
#include "base/error.h"
#include "base/log.h"
#include "core/core.h"
#include "core/member.h"
#include "core/wait.h"

#include <sys/mman.h>
#include <unistd.h>

sri_core sri_world = { .rank = -1, .size = -1, .parent = -1 };

/* On a page that the kernel wipes on fork: 1 in a member, 0 in a copy that nobody made a member.
 * Where the kernel cannot do that, the process id tells. */
static uint32_t *member_page;
static bool member_wiped;
static pid_t member_pid;
static enum { MEMBER_NEVER, MEMBER_YES, MEMBER_FORMER } member_history;

serry_err sri_member_set(bool is)
{
    if (!member_page) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            return sri_fail_errno("mmap");
        member_wiped = madvise(page, 4096, MADV_WIPEONFORK) == 0;
        member_page = page;
    }
    *member_page = is;
    member_pid = getpid();
    member_history = is ? MEMBER_YES : MEMBER_FORMER;
    return SERRY_OK;
}

bool sri_is_member(void)
{
    return member_page && *member_page && (member_wiped || member_pid == getpid());
}

static serry_err member_refuse(void)
{
    switch (member_history) {
    case MEMBER_NEVER:
        return sri_fail(SERRY_ESTATE, "serry_init has not been called");
    case MEMBER_FORMER:
        return sri_fail(SERRY_ESTATE, "serry_finalize has been called");
    default:
        return sri_fail(SERRY_ESTATE,
                        "this process is a forked copy of rank %d, not a member: start "
                        "processes by serry_process_start",
                        sri_world.rank);
    }
}

serry_err sri_enter(void)
{
    if (__builtin_expect(!sri_is_member(), 0))
        return member_refuse();
    sri_lock();
    return SERRY_OK;
}

void sri_leave(void)
{
    sri_unlock();
}

serry_err sri_node_of(int option, int32_t *node)
{
    const sri_places *p = &sri_world.places;
    bool any = option == SERRY_ANY;
    if (any && p->nodes > 1) {
        *node = -1;
        return SERRY_OK;
    }
    int64_t k = any || option == 0 ? p->node : (int64_t)option - SERRY_NODE(0);
    if (k < 0 || k >= p->nodes)
        return sri_fail(SERRY_EINVAL, "there is no node %lld: they are 0 to %d", (long long)k,
                        p->nodes - 1);
    *node = (int32_t)k;
    return SERRY_OK;
}

void sri_agent_lost(void)
{
    sri_log(SRI_LOG_ERROR, "the agent of this node has died; nothing here can go on");
    _exit(70);
}

void sri_node_lost(const char *why, size_t len)
{
    sri_log(SRI_LOG_ERROR, "%.*s; nothing here can go on", (int)len, why);
    _exit(70);
}

bool serry_initialized(void)
{
    return sri_is_member();
}

int serry_rank(void)
{
    return sri_is_member() ? sri_world.rank : -1;
}

int serry_size(void)
{
    return sri_is_member() ? sri_world.size : -1;
}

int serry_node(void)
{
    return sri_is_member() ? sri_world.places.node : -1;
}

int serry_nodes(void)
{
    return sri_is_member() ? sri_world.places.nodes : -1;
}

double serry_time(void)
{
    return (double)sri_now() * 1e-9;
}
