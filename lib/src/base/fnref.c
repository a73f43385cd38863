/* base/fnref.c: functions by module and offset. */
#include "base/fnref.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define FNREF_CACHE 16

/* What one pass over the loaded modules looks for: the module of an address, or of a hash. */
struct fnref_search {
    uintptr_t address; /* 0: by hash */
    uint64_t module;
    uint64_t offset; /* with a hash: must lie in code */
    bool found;
    uintptr_t base;
};

static uint64_t fnref_hash(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static bool fnref_in_code(const struct dl_phdr_info *info, uintptr_t address)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) && address >= start
            && address - start < p->p_memsz)
            return true;
    }
    return false;
}

static uint64_t fnref_module_hash(const struct dl_phdr_info *info)
{
    const uint64_t seed = 0xcbf29ce484222325u;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_NOTE)
            continue;
        const char *at = (const char *)(info->dlpi_addr + p->p_vaddr);
        const char *end = at + p->p_memsz;
        while (end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(const void *)at;
            const char *name = at + sizeof *note;
            const char *desc = name + ((note->n_namesz + 3u) & ~3u);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4
                && memcmp(name, "GNU", 4) == 0 && desc + note->n_descsz <= end)
                return fnref_hash(seed, desc, note->n_descsz);
            at = desc + ((note->n_descsz + 3u) & ~3u);
        }
    }
    /* No build id: the name of the module and the shape of its segments. */
    uint64_t h = fnref_hash(seed, info->dlpi_name, strlen(info->dlpi_name));
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD) {
            uint64_t shape[3] = { p->p_vaddr, p->p_filesz, p->p_memsz };
            h = fnref_hash(h, shape, sizeof shape);
        }
    }
    return h;
}

static int fnref_visit(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    struct fnref_search *s = ctx;
    if (s->address) {
        if (!fnref_in_code(info, s->address))
            return 0;
        s->module = fnref_module_hash(info);
    } else if (fnref_module_hash(info) != s->module
               || !fnref_in_code(info, info->dlpi_addr + s->offset)) {
        return 0;
    }
    s->base = info->dlpi_addr;
    s->found = true;
    return 1;
}

/* A pool's task is named again and again: the last few answers are kept, by thread. */
static _Thread_local struct {
    sri_fnref ref;
    sri_any_fn fn;
} fnref_cache[FNREF_CACHE];

static unsigned fnref_slot(uint64_t key)
{
    return (unsigned)((key * 0x9e3779b97f4a7c15u) >> 60) % FNREF_CACHE;
}

serry_err sri_fnref_of(sri_any_fn fn, sri_fnref *ref)
{
    if (!fn)
        return sri_fail(SERRY_EINVAL, "the function is NULL");
    struct fnref_search s = { .address = (uintptr_t)fn };
    dl_iterate_phdr(fnref_visit, &s);
    if (!s.found)
        return sri_fail(SERRY_EINVAL, "the function at %p is in no loaded module",
                        (void *)s.address);
    *ref = (sri_fnref){ s.module, s.address - s.base };
    return SERRY_OK;
}

serry_err sri_fnref_resolve(const sri_fnref *ref, sri_any_fn *fn)
{
    unsigned slot = fnref_slot(ref->module ^ ref->offset);
    if (fnref_cache[slot].fn && fnref_cache[slot].ref.module == ref->module
        && fnref_cache[slot].ref.offset == ref->offset) {
        *fn = fnref_cache[slot].fn;
        return SERRY_OK;
    }
    struct fnref_search s = { .module = ref->module, .offset = ref->offset };
    dl_iterate_phdr(fnref_visit, &s);
    if (!s.found)
        return sri_fail(SERRY_EINVAL,
                        "a function is not in this program: all ranks must run the same build");
    uintptr_t address = s.base + ref->offset;
    memcpy(fn, &address, sizeof *fn);
    fnref_cache[slot].ref = *ref;
    fnref_cache[slot].fn = *fn;
    return SERRY_OK;
}
