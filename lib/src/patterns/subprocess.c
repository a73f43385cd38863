/* patterns/subprocess.c: programs started by a process: the start, and the end
 * of the object. */
#include "patterns/subprocess.h"

#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const subprocess_stream_names[3] = { "input", "output", "error output" };

serry_err sri_subprocess_check(const serry_subprocess *sp)
{
    if (!sp)
        return sri_fail(SERRY_EINVAL, "the subprocess is NULL");
    if (sp->starter != getpid())
        return sri_fail(SERRY_ESTATE, "%s was started by process %d, of which this one is a copy",
                        sp->name, (int)sp->starter);
    return SERRY_OK;
}

serry_err sri_subprocess_fail(const char *what)
{
    if (errno != EMFILE)
        return sri_fail_errno(what);
    return sri_fail(SERRY_ELIMIT,
                    "%s: a subprocess needs up to %d descriptors while it is started, "
                    "more than are left (see ulimit -n)",
                    what, SUBPROCESS_FDS);
}

/* ---- making and unmaking ---- */

static void subprocess_name(serry_subprocess *sp, const char *program)
{
    size_t len = strlen(program);
    if (len < sizeof sp->name)
        memcpy(sp->name, program, len + 1);
    else
        snprintf(sp->name, sizeof sp->name, "...%s", program + len - (sizeof sp->name - 4));
}

static serry_err subprocess_make(serry_subprocess **made, const char *program,
                                 const serry_subprocess_options *o)
{
    serry_subprocess *sp = calloc(1, sizeof *sp);
    if (!sp)
        return sri_fail(SERRY_ENOMEM, "no memory for a subprocess");
    sp->starter = getpid();
    sp->group = o->group;
    sp->detach = o->detach;
    sp->max_output = o->max_output;
    sp->pidfd = sp->life[0] = sp->life[1] = -1;
    for (int i = 0; i < 3; i++)
        sp->ours[i] = sp->theirs[i] = -1;
    subprocess_name(sp, program);
    pthread_mutex_init(&sp->lock, NULL);
    serry_err e = sri_subprocess_enlist(sp);
    if (e != SERRY_OK)
        free(sp);
    else
        *made = sp;
    return e;
}

void sri_subprocess_unmake(serry_subprocess *sp)
{
    free(sp->in_rest);
    sri_buffer_fini(&sp->said[0]);
    sri_buffer_fini(&sp->said[1]);
    pthread_mutex_destroy(&sp->lock);
    free(sp);
}

/* ---- streams ---- */

static serry_err subprocess_check_stream(const serry_stream *s, int i)
{
    const char *name = subprocess_stream_names[i];
    if ((int)s->kind < 0 || s->kind > SERRY_STREAM_STDOUT)
        return sri_fail(SERRY_EINVAL, "%d is no kind of stream (%s)", (int)s->kind, name);
    if (s->kind == SERRY_STREAM_STDOUT && i != 2)
        return sri_fail(SERRY_EINVAL, "the %s cannot go where the output goes", name);
    if ((s->kind == SERRY_STREAM_FILE) != (s->path != NULL))
        return sri_fail(SERRY_EINVAL,
                        s->path ? "a path was given for the %s, which is no file"
                                : "the %s is to be a file, without a path",
                        name);
    if (s->append && (s->kind != SERRY_STREAM_FILE || i == 0))
        return sri_fail(SERRY_EINVAL, "the %s cannot be appended to anything", name);
    if (s->kind == SERRY_STREAM_FD && fcntl(s->fd, F_GETFD) < 0)
        return sri_fail(SERRY_EINVAL, "descriptor %d, for the %s, is not open", s->fd, name);
    return SERRY_OK;
}

static serry_err subprocess_open(serry_subprocess *sp, const char *path, int flags, int i)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);
    } while (fd < 0 && errno == EINTR);
    fd = sri_fd_high(fd);
    if (fd < 0) {
        char what[256];
        snprintf(what, sizeof what, "opening %.150s for the %s of %s", path,
                 subprocess_stream_names[i], sp->name);
        return sri_subprocess_fail(what);
    }
    sri_subprocess_keep(&sp->theirs[i], fd);
    return SERRY_OK;
}

/* *fd is what the child is to have as stream i. */
static serry_err subprocess_stream(serry_subprocess *sp, const serry_stream *s, int i, int *fd)
{
    static const int to_file[2] = { O_WRONLY | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND };
    serry_err e = SERRY_OK;
    switch (s->kind) {
    case SERRY_STREAM_PIPE:
        e = sri_subprocess_pipe(sp, i);
        break;
    case SERRY_STREAM_FILE:
        e = subprocess_open(sp, s->path, i == 0 ? O_RDONLY : to_file[s->append], i);
        break;
    case SERRY_STREAM_FD:
        *fd = s->fd;
        return SERRY_OK;
    case SERRY_STREAM_INHERIT:
        *fd = i;
        if (fcntl(i, F_GETFD) >= 0)
            return SERRY_OK;
        e = subprocess_open(sp, "/dev/null", O_RDWR, i);
        break;
    default:
        e = subprocess_open(sp, "/dev/null", O_RDWR, i);
        break;
    }
    if (e == SERRY_OK)
        *fd = sp->theirs[i];
    return e;
}

static serry_err subprocess_streams(serry_subprocess *sp, const serry_subprocess_options *o,
                                    int *fd)
{
    const serry_stream *streams[3] = { &o->in, &o->out, &o->err };
    for (int i = 0; i < 3; i++) {
        if (streams[i]->kind == SERRY_STREAM_STDOUT)
            fd[i] = fd[1];
        else
            SRI_TRY(subprocess_stream(sp, streams[i], i, &fd[i]));
    }
    return SERRY_OK;
}

/* ---- starting ---- */

static serry_err subprocess_check_options(const serry_subprocess_options *o)
{
    SRI_TRY(subprocess_check_stream(&o->in, 0));
    SRI_TRY(subprocess_check_stream(&o->out, 1));
    SRI_TRY(subprocess_check_stream(&o->err, 2));
    if ((int)o->group < 0 || o->group > SERRY_GROUP_SESSION)
        return sri_fail(SERRY_EINVAL, "%d is no kind of process group", (int)o->group);
    return SERRY_OK;
}

/* The kernel says "no such file" also of a script whose interpreter is not
 * there. */
static bool subprocess_lacks_interpreter(const sri_launch *l, int code)
{
    const char *file = l->program->files[0];
    return code == ENOENT && strchr(file, '/') && !l->program->files[1]
           && (file[0] == '/' || !l->cwd) && access(file, F_OK) == 0;
}

/* Why there is no process. */
static serry_err subprocess_refused(const serry_subprocess *sp, const sri_launch *l, pid_t pid,
                                    int code)
{
    char what[256];
    if (pid < 0)
        snprintf(what, sizeof what, "a process for %s", sp->name);
    else if (l->stage == SRI_LAUNCH_EXEC)
        snprintf(what, sizeof what, "starting %s%s", sp->name,
                 subprocess_lacks_interpreter(l, code) ? ", or rather its interpreter" : "");
    else if (l->stage == SRI_LAUNCH_CWD)
        snprintf(what, sizeof what, "the directory %.150s for %s", l->cwd, sp->name);
    else
        snprintf(what, sizeof what, "the streams of %s", sp->name);
    errno = code;
    return sri_subprocess_fail(what);
}

static serry_err subprocess_launch(serry_subprocess *sp, const sri_program *p,
                                   const serry_subprocess_options *o)
{
    sri_launch l = { .program = p, .cwd = o->cwd, .group = o->group };
    pid_t pid;
    int pidfd;
    SRI_TRY(subprocess_streams(sp, o, l.fd));
    if (!o->detach)
        SRI_TRY(sri_subprocess_lifeline(sp));
    l.life[0] = sp->life[0];
    l.life[1] = sp->life[1];
    int code = sri_launch_run(&l, &pid, &pidfd);
    if (code != 0)
        return subprocess_refused(sp, &l, pid, code);
    sp->pid = pid;
    sri_subprocess_keep(&sp->pidfd, pidfd);
    for (int i = 0; i < 3; i++)
        sri_subprocess_close(&sp->theirs[i]);
    return SERRY_OK;
}

serry_err serry_subprocess_start(serry_subprocess **sp, const char *const argv[],
                                 const serry_subprocess_options *o)
{
    static const serry_subprocess_options defaults;
    sri_program program;
    serry_subprocess *made = NULL;
    if (!o)
        o = &defaults;
    if (!sp)
        return sri_fail(SERRY_EINVAL, "the place for the subprocess is NULL");
    SRI_TRY(subprocess_check_options(o));
    sri_subprocess_reap_left();
    SRI_TRY(sri_program_init(&program, argv, o));
    serry_err e = subprocess_make(&made, o->program ? o->program : argv[0], o);
    if (e == SERRY_OK) {
        e = subprocess_launch(made, &program, o);
        if (e == SERRY_OK) {
            *sp = made;
        } else {
            sri_subprocess_delist(made);
            sri_subprocess_unmake(made);
        }
    }
    sri_program_fini(&program);
    return e;
}

void serry_subprocess_free(serry_subprocess *sp)
{
    if (!sp)
        return;
    if (sp->starter != getpid()) {
        sri_subprocess_unmake(sp);
        return;
    }
    if (sri_subprocess_await(sp, 0) || (!sp->detach && sri_subprocess_end(sp))) {
        sri_subprocess_delist(sp);
        sri_subprocess_unmake(sp);
    } else {
        sri_subprocess_leave(sp);
    }
    sri_subprocess_reap_left();
}

/* ---- asking ---- */

pid_t serry_subprocess_pid(const serry_subprocess *sp)
{
    return sp ? sp->pid : -1;
}

int serry_subprocess_fd(const serry_subprocess *sp, int stream)
{
    if (!sp || stream < 0 || stream > 2 || sp->starter != getpid())
        return -1;
    return sp->ours[stream];
}

serry_err serry_subprocess_close(serry_subprocess *sp, int stream)
{
    SRI_TRY(sri_subprocess_check(sp));
    if (serry_subprocess_fd(sp, stream) < 0)
        return sri_fail(SERRY_EINVAL, "there is no pipe to stream %d of %s", stream, sp->name);
    sri_subprocess_close(&sp->ours[stream]);
    return SERRY_OK;
}

void serry_bytes_free(serry_bytes *b)
{
    if (!b)
        return;
    free(b->data);
    *b = (serry_bytes){ 0 };
}
