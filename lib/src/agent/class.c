/* agent/class.c: the classes of objects this program has, as the linker gathered them. */
#include "agent/object.h"

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
