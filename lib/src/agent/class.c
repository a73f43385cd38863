/* agent/class.c: the classes of objects this program has, as the linker gathered them, and how
 * objects are called. */
#include "agent/object.h"

#include "agent/handle.h"

#include <stdio.h>

/* Weak: a program without classes has no such section. */
extern const sri_object_class *const __start_sri_classes[] __attribute__((weak));
extern const sri_object_class *const __stop_sri_classes[] __attribute__((weak));

const sri_object_class *const *sri_object_classes(size_t *n)
{
    *n = __start_sri_classes ? (size_t)(__stop_sri_classes - __start_sri_classes) : 0;
    return __start_sri_classes;
}

const sri_object_class *sri_object_class_of(unsigned type)
{
    size_t n;
    const sri_object_class *const *classes = sri_object_classes(&n);
    for (size_t i = 0; i < n; i++) {
        if (classes[i]->type == type)
            return classes[i];
    }
    return NULL;
}

const char *sri_called(uint64_t id, const char *name, int nodes, char text[SRI_CALLED])
{
    id &= ~SRI_HANDLE_SIDE;
    const sri_object_class *cls = sri_object_class_of(sri_handle_class(id));
    const char *kind = cls ? cls->name : "object";
    if (name && name[0])
        snprintf(text, SRI_CALLED, "%s \"%s\"", kind, name);
    else if (nodes > 1)
        snprintf(text, SRI_CALLED, "%s #%u of node %u", kind, sri_handle_index(id),
                 sri_handle_home(id));
    else
        snprintf(text, SRI_CALLED, "%s #%u", kind, sri_handle_index(id));
    return text;
}
