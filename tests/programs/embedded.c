/* programs/embedded.c: serry inside a program that uses it in unusual ways, for tests.
 *
 *     embedded size             says how many ranks there are
 *     embedded both LIBRARY     serry is linked in, and loaded once more as a library
 *     embedded load LIBRARY N   loads it, uses it, unloads it, N times; each time a thread
 *                               outlives it
 *     embedded leave LIBRARY    loads it, and unloads it without having left the world
 */
#include <serry.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct loaded {
    void *handle;
    serry_err (*init)(int *, char ***);
    serry_err (*finalize)(void);
    int (*size)(void);
    const char *(*err_name)(serry_err);
    const char *(*err_detail)(void);
    serry_err (*lock_create)(serry_lock *, const serry_lock_options *);
    serry_err (*lock_acquire)(serry_lock, double);
    serry_err (*lock_release)(serry_lock);
} loaded;

static void *name(const loaded *l, const char *text)
{
    void *at = dlsym(l->handle, text);
    if (!at) {
        printf("no %s: %s\n", text, dlerror());
        exit(3);
    }
    return at;
}

/* The way of POSIX to make a function of what dlsym gives. */
#define NAME(l, member) (*(void **)&(l)->member = name(l, "serry_" #member))

static void load(loaded *l, const char *library)
{
    l->handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle) {
        printf("dlopen: %s\n", dlerror());
        exit(3);
    }
    NAME(l, init);
    NAME(l, finalize);
    NAME(l, size);
    NAME(l, err_name);
    NAME(l, err_detail);
    NAME(l, lock_create);
    NAME(l, lock_acquire);
    NAME(l, lock_release);
}

static void say(const loaded *l, const char *what, serry_err e)
{
    const char *detail = e == SERRY_OK ? "" : l ? l->err_detail() : serry_err_detail();
    printf("%s: %s%s%s\n", what, serry_err_name(e), *detail ? ": " : "", detail);
    fflush(stdout);
}

/* ---- */

static int both(const char *library)
{
    loaded l;
    int got = 0;
    load(&l, library);
    say(NULL, "init", serry_init(NULL, NULL));
    serry_err e = l.init(NULL, NULL);
    say(&l, "the other's init", e);
    printf("sizes %d %d\n", serry_size(), e == SERRY_OK ? l.size() : 0);
    serry_queue q;
    if (serry_queue_create(&q, NULL) == SERRY_OK
        && serry_queue_put(q, &got, sizeof got, 10) == SERRY_OK)
        say(NULL, "get", serry_queue_get(q, &got, sizeof got, NULL, 10));
    if (e == SERRY_OK)
        say(&l, "the other's finalize", l.finalize());
    say(NULL, "finalize", serry_finalize());
    return 0;
}

typedef struct outliving {
    loaded *l;
    serry_lock lock;
    int used[2], gone[2];
} outliving;

static void *outlive(void *arg)
{
    outliving *o = arg;
    char c;
    if (o->l->lock_acquire(o->lock, 10) != SERRY_OK || o->l->lock_release(o->lock) != SERRY_OK)
        exit(4);
    if (write(o->used[1], "", 1) != 1 || read(o->gone[0], &c, 1) != 1)
        exit(5);
    return NULL;
}

static int load_often(const char *library, int n)
{
    for (int i = 0; i < n; i++) {
        loaded l;
        outliving o = { .l = &l };
        pthread_t thread;
        char c;
        load(&l, library);
        serry_err e = l.init(NULL, NULL);
        if (e != SERRY_OK) {
            say(&l, "init", e);
            return 1;
        }
        if (l.lock_create(&o.lock, NULL) != SERRY_OK || pipe(o.used) != 0 || pipe(o.gone) != 0
            || pthread_create(&thread, NULL, outlive, &o) != 0 || read(o.used[0], &c, 1) != 1)
            return 2;
        e = l.finalize();
        if (e != SERRY_OK)
            say(&l, "finalize", e);
        if (dlclose(l.handle) != 0 || write(o.gone[1], "", 1) != 1)
            return 3;
        pthread_join(thread, NULL);
        for (int k = 0; k < 2; k++) {
            close(o.used[k]);
            close(o.gone[k]);
        }
    }
    printf("loaded %d times\n", n);
    return 0;
}

static int leave(const char *library)
{
    loaded l;
    load(&l, library);
    say(&l, "init", l.init(NULL, NULL));
    printf("dlclose %d\n", dlclose(l.handle));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    if (strcmp(argv[1], "both") == 0 && argc > 2)
        return both(argv[2]);
    if (strcmp(argv[1], "load") == 0 && argc > 3)
        return load_often(argv[2], atoi(argv[3]));
    if (strcmp(argv[1], "leave") == 0 && argc > 2)
        return leave(argv[2]);
    SERRY_CHECK(serry_init(&argc, &argv));
    printf("size %d\n", serry_size());
    SERRY_CHECK(serry_finalize());
    return 0;
}
