/* base/fnref.h: how a function is named across processes: by its module and its offset in it.
 * Modules are told apart by build id, or by path and size where there is none, so that programs
 * loaded at other addresses agree and other builds are noticed. No registration is needed. */
#ifndef SRI_BASE_FNREF_H
#define SRI_BASE_FNREF_H

#include "base/error.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sri_fnref {
    uint64_t module; /* hash of the build id */
    uint64_t offset; /* from the module's load address */
} sri_fnref;

typedef void (*sri_any_fn)(void);

/* SERRY_EINVAL: fn is NULL or in no module (code made at run time). */
serry_err sri_fnref_of(sri_any_fn fn, sri_fnref *ref);

/* SERRY_EINVAL: this process has no such module, or the offset is outside its code. */
serry_err sri_fnref_resolve(const sri_fnref *ref, sri_any_fn *fn);

#ifdef __cplusplus
}
#endif
#endif
