/* run_files.c: the output of each rank in files of its own, DIR/rank.N/stdout and stderr. The ranks
 * write to them themselves: nothing is copied, and nothing is lost with the launcher.
 */
#include "run.h"

#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static serry_err files_fail(const char *what, const char *path)
{
    char text[PATH_MAX + 64];
    snprintf(text, sizeof text, "--output-filename: %s '%s'", what, path);
    return sri_fail_errno(text);
}

/* With those above it, as mkdir -p. */
static serry_err files_make_directory(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part) {
        errno = ENAMETOOLONG;
        return files_fail("cannot make", path);
    }
    for (size_t at = 1; at <= len; at++) {
        if (path[at] != '/' && path[at])
            continue;
        memcpy(part, path, at);
        part[at] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return files_fail("cannot make", part);
    }
    return SERRY_OK;
}

serry_err run_files_open(run *r)
{
    if (!r->o.output)
        return SERRY_OK;
    SRI_TRY(files_make_directory(r->o.output));
    r->dir = open(r->o.output, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return r->dir < 0 ? files_fail("cannot open", r->o.output) : SERRY_OK;
}

serry_err run_files_take(const run *r, int rank, int *out, int *err)
{
    static const char *const names[2] = { "stdout", "stderr" };
    int *fds[2] = { out, err };
    char path[64];
    snprintf(path, sizeof path, "rank.%d", rank);
    if (mkdirat(r->dir, path, 0777) != 0 && errno != EEXIST)
        return files_fail("cannot make", path);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "rank.%d/%s", rank, names[i]);
        *fds[i] = openat(r->dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
        if (*fds[i] < 0)
            return files_fail("cannot open", path);
    }
    return SERRY_OK;
}

void run_files_close(run *r)
{
    sri_close(&r->dir);
}
