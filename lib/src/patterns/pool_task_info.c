/* patterns/pool_task_info.c: what a task may say and ask about itself. */
#include "patterns/pool.h"

#include "core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int serry_task_fail(serry_task *t, const char *fmt, ...)
{
    if (!t || !fmt)
        return 1;
    free(t->text);
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&t->text, fmt, ap) < 0)
        t->text = NULL;
    va_end(ap);
    return 1;
}

size_t serry_task_index(const serry_task *t)
{
    return t ? t->index : 0;
}

int serry_task_worker(const serry_task *t)
{
    return t ? sri_world.rank : -1;
}

int serry_task_attempt(const serry_task *t)
{
    return t ? t->chunk->is.attempt : 0;
}

serry_pool *serry_task_pool(serry_task *t)
{
    if (!t || sri_enter() != SERRY_OK)
        return NULL;
    serry_pool *pool = sri_pool_guest(t->w);
    sri_leave();
    return pool;
}
