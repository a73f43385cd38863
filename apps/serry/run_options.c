/* run_options.c: the command line of `serry run`. */
#include "command.h"
#include "run.h"

#include "base/env.h"
#include "transport/local/segment.h"

#include <serry/world.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_SIZE_MAX ((int)SRI_SLOTS - 1) /* the agent has a slot, too */

/* Each says what is wrong with its value, by sri_fail; the second one, if there are two, follows
 * the first in the command line. */
typedef serry_err (*option_fn)(run_options *o, const char *name, char *const *values);

typedef struct option_spec {
    const char *names[3];
    int values; /* how many there are */
    option_fn set;
} option_spec;

/* Of the program whose options these are. */
static serry_err option_size(run_options *o, const char *name, char *const *values)
{
    int64_t n;
    SRI_TRY(sri_parse_int(name, values[0], 1, OPTIONS_SIZE_MAX, &n));
    o->apps[o->n_apps].size = (int)n;
    return SERRY_OK;
}

extern char **environ;

/* -x NAME, or PRE* */
static void option_look_for(const run_options *o, const char *name, const char *wanted)
{
    size_t len = strcspn(wanted, "*");
    bool any = wanted[len] == '*';
    for (char **v = environ; *v; v++) {
        if (strncmp(*v, wanted, len) == 0 && (any || (*v)[len] == '='))
            return;
    }
    if (!o->quiet)
        command_say("run", "%s %s: there is no such variable in the environment", name, wanted);
}

static serry_err option_variable(run_options *o, const char *name, char *const *values)
{
    const char *value = values[0];
    size_t len = strcspn(value, "="), star = strcspn(value, "*");
    if (len == 0 || (star < len && star + 1 != strlen(value)))
        return sri_fail(SERRY_EINVAL, "%s is '%s'; it must be NAME, PRE* or NAME=VALUE", name,
                        value);
    if (!value[len]) {
        option_look_for(o, name, value);
        return SERRY_OK;
    }
    char *variable = strndup(value, len);
    bool set = variable && setenv(variable, value + len + 1, 1) == 0;
    free(variable);
    return set ? SERRY_OK : sri_fail_errno(name);
}

static serry_err option_genv(run_options *o, const char *name, char *const *values)
{
    (void)o;
    if (!values[0][0] || strchr(values[0], '='))
        return sri_fail(SERRY_EINVAL, "%s is '%s'; it must be a name and a value", name, values[0]);
    return setenv(values[0], values[1], 1) == 0 ? SERRY_OK : sri_fail_errno(name);
}

static serry_err option_wdir(run_options *o, const char *name, char *const *values)
{
    (void)name;
    o->wdir = values[0];
    return SERRY_OK;
}

static serry_err option_output(run_options *o, const char *name, char *const *values)
{
    if (!values[0][0])
        return sri_fail(SERRY_EINVAL, "%s needs the name of a directory", name);
    o->output = values[0];
    return SERRY_OK;
}

static serry_err option_stdin(run_options *o, const char *name, char *const *values)
{
    int64_t rank = strcmp(values[0], "none") == 0  ? RUN_STDIN_NONE
                   : strcmp(values[0], "all") == 0 ? RUN_STDIN_ALL
                                                   : 0;
    if (rank == 0 && sri_parse_int(name, values[0], 0, OPTIONS_SIZE_MAX - 1, &rank) != SERRY_OK)
        return sri_fail(SERRY_EINVAL, "%s is '%s'; it must be a rank, none or all", name,
                        values[0]);
    o->in = (int)rank;
    return SERRY_OK;
}

/* The place of a value among words; -1: none. */
static serry_err option_word(const char *name, const char *value, const char *const words[],
                             const char *all, int *which)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(value, words[i]) == 0) {
            *which = i;
            return SERRY_OK;
        }
    }
    return sri_fail(SERRY_EINVAL, "%s is '%s'; it must be %s", name, value, all);
}

static serry_err option_exit(run_options *o, const char *name, char *const *values)
{
    static const char *const words[] = { "first", "lowest", "max", NULL };
    int which = 0;
    SRI_TRY(option_word(name, values[0], words, "first, lowest or max", &which));
    o->exit = (run_exit)which;
    return SERRY_OK;
}

static serry_err option_seconds(const char *name, const char *value, bool zero, double *seconds)
{
    char *end;
    double s = strtod(value, &end);
    if (end == value || *end || isspace((unsigned char)*value) || !isfinite(s) || s < 0
        || (s == 0 && !zero))
        return sri_fail(SERRY_EINVAL, "%s is '%s'; it must be a number of seconds, %s", name, value,
                        zero ? "0 or more" : "more than 0");
    *seconds = s;
    return SERRY_OK;
}

static serry_err option_timeout(run_options *o, const char *name, char *const *values)
{
    return option_seconds(name, values[0], false, &o->timeout);
}

static serry_err option_grace(run_options *o, const char *name, char *const *values)
{
    return option_seconds(name, values[0], true, &o->grace);
}

static serry_err option_bind(run_options *o, const char *name, char *const *values)
{
    static const char *const words[] = { "none", "core", "socket", "hwthread", NULL };
    int which = 0;
    SRI_TRY(option_word(name, values[0], words, "none, core, socket or hwthread", &which));
    o->bind = (run_bind)which;
    return SERRY_OK;
}

/* ---- those without a value ---- */

static serry_err option_tag(run_options *o, const char *name, char *const *values)
{
    (void)name, (void)values;
    o->tag = true;
    return SERRY_OK;
}

static serry_err option_timestamp(run_options *o, const char *name, char *const *values)
{
    (void)name, (void)values;
    o->timestamp = true;
    return SERRY_OK;
}

static serry_err option_keep_going(run_options *o, const char *name, char *const *values)
{
    (void)name, (void)values;
    o->keep_going = true;
    return SERRY_OK;
}

static serry_err option_report_bindings(run_options *o, const char *name, char *const *values)
{
    (void)name, (void)values;
    o->report_bindings = true;
    return SERRY_OK;
}

static serry_err option_quiet(run_options *o, const char *name, char *const *values)
{
    (void)name, (void)values;
    o->quiet = true;
    return SERRY_OK;
}

/* ---- all of them ---- */

/* Long ones may have one dash or two. */
static const option_spec option_specs[] = {
    { { "-n", "-np" }, 1, option_size },
    { { "-x" }, 1, option_variable },
    { { "-genv" }, 2, option_genv },
    { { "--wdir" }, 1, option_wdir },
    { { "--stdin" }, 1, option_stdin },
    { { "-l", "--tag-output", "--prepend-rank" }, 0, option_tag },
    { { "--timestamp-output" }, 0, option_timestamp },
    { { "--output-filename" }, 1, option_output },
    { { "--timeout" }, 1, option_timeout },
    { { "--grace" }, 1, option_grace },
    { { "--keep-going" }, 0, option_keep_going },
    { { "--exit" }, 1, option_exit },
    { { "--bind-to" }, 1, option_bind },
    { { "--report-bindings" }, 0, option_report_bindings },
    { { "-q", "--quiet" }, 0, option_quiet },
    { { "-h", "--help" }, 0, NULL }, /* these end the command at once */
    { { "-V", "--version" }, 0, NULL },
};

enum { OPTION_SPECS = sizeof option_specs / sizeof *option_specs };

/* What mpirun has for several machines. */
static const char *const option_elsewhere[] = { "-H",      "-f",         "--host",
                                                "--hosts", "--hostfile", "--machinefile",
                                                "--ppn" };

static bool option_is(const char *argument, size_t len, const char *name)
{
    size_t dashes = strspn(argument, "-"), own = strspn(name, "-");
    if (len == strlen(name) && memcmp(argument, name, len) == 0)
        return true;
    return dashes <= 2 && len - dashes > 1 && len - dashes == strlen(name + own)
           && memcmp(argument + dashes, name + own, len - dashes) == 0;
}

static size_t option_length(const char *argument)
{
    return argument[1] && argument[2] ? strcspn(argument, "=") : strlen(argument);
}

/* The option that an argument names, and what stands behind its '=' (or NULL). */
static const option_spec *option_find(char *argument, const char **name, char **value)
{
    size_t len = option_length(argument);
    *value = argument[len] ? argument + len + 1 : NULL;
    for (int i = 0; i < OPTION_SPECS; i++) {
        for (int k = 0; k < 3 && option_specs[i].names[k]; k++) {
            *name = option_specs[i].names[k];
            if (option_is(argument, len, *name))
                return &option_specs[i];
        }
    }
    return NULL;
}

static serry_err option_unknown(const char *argument)
{
    const char *names[3 * OPTION_SPECS];
    size_t n = 0, len = option_length(argument);
    for (size_t i = 0; i < sizeof option_elsewhere / sizeof *option_elsewhere; i++) {
        if (option_is(argument, len, option_elsewhere[i]))
            return sri_fail(SERRY_EINVAL,
                            "there is no option '%s': all ranks are on this machine; for several "
                            "use mpirun or srun",
                            argument);
    }
    for (int i = 0; i < OPTION_SPECS; i++) {
        for (int k = 0; k < 3 && option_specs[i].names[k]; k++)
            names[n++] = option_specs[i].names[k];
    }
    char *word = strndup(argument, len);
    const char *like = word ? run_nearest(word, names, n) : NULL;
    free(word);
    return like ? sri_fail(SERRY_EINVAL, "there is no option '%s'; is %s meant?", argument, like)
                : sri_fail(SERRY_EINVAL, "there is no option '%s'", argument);
}

/* Handles argv[*at] and its values; *at is the next argument then. */
static serry_err option_take(run_options *o, int argc, char **argv, int *at)
{
    const char *name;
    char *value;
    const option_spec *spec = option_find(argv[*at], &name, &value);
    if (!spec)
        return option_unknown(argv[*at]);
    if (o->n_apps > 0 && spec->set != option_size)
        return sri_fail(SERRY_EINVAL,
                        "%s must stand before the first program: behind a : there "
                        "may be -n",
                        name);
    ++*at;
    if (spec->values == 0 && value)
        return sri_fail(SERRY_EINVAL, "%s takes no value, but got '%s'", name, value);
    if (spec->values == 1 && value)
        return spec->set(o, name, &value);
    if (value || argc - *at < spec->values)
        return sri_fail(SERRY_EINVAL, "%s needs %s", name,
                        spec->values == 1 ? "a value" : "a name and a value");
    *at += spec->values;
    return spec->set(o, name, argv + *at - spec->values);
}

/* ---- the command line ---- */

static bool option_is_one_of(const char *argument, const char *a, const char *b)
{
    return strcmp(argument, a) == 0 || strcmp(argument, b) == 0;
}

static int option_usage(const char *what)
{
    command_say("run", "%s (see serry run --help)", what);
    return EXIT_USAGE;
}

/* -1, or the exit status: the options before a program. own: all behind them is the program's. */
static int option_take_all(run_options *o, int argc, char **argv, int *at, bool *own)
{
    while (*at < argc && argv[*at][0] == '-' && argv[*at][1]) {
        if (option_is_one_of(argv[*at], "--help", "-h")) {
            fputs(run_help, stdout);
            return 0;
        }
        if (option_is_one_of(argv[*at], "--version", "-V")) {
            puts(SERRY_VERSION);
            return 0;
        }
        if (strcmp(argv[*at], "--") == 0) {
            ++*at;
            *own = true;
            break;
        }
        if (option_take(o, argc, argv, at) != SERRY_OK)
            return option_usage(serry_err_detail());
    }
    return -1;
}

/* -1, or the exit status. */
static int option_take_programs(run_options *o, int argc, char **argv)
{
    bool own = false;
    for (int at = 1;; at++) {
        int status = option_take_all(o, argc, argv, &at, &own);
        if (status >= 0)
            return status;
        if (at >= argc || !argv[at][0] || (!own && strcmp(argv[at], ":") == 0))
            return option_usage(o->n_apps ? "no program is named behind a :"
                                          : "no program is named");
        o->apps[o->n_apps++].program = argv + at;
        while (at < argc && (own || strcmp(argv[at], ":") != 0))
            at++;
        if (at == argc)
            return -1;
        argv[at] = NULL;
    }
}

/* How many ranks of each; -1, or the exit status. */
static int option_count(run_options *o)
{
    int one = o->n_apps > 1 ? 1 : serry_cpu_count();
    for (int i = 0; i < o->n_apps; i++) {
        if (o->apps[i].size == 0)
            o->apps[i].size = one < OPTIONS_SIZE_MAX ? one : OPTIONS_SIZE_MAX;
        o->size += o->apps[i].size;
        if (o->size > OPTIONS_SIZE_MAX) {
            SERRY_IGNORE(sri_fail(SERRY_ELIMIT, "%d ranks in all, the limit is %d", o->size,
                                  OPTIONS_SIZE_MAX));
            return option_usage(serry_err_detail());
        }
    }
    return -1;
}

/* Of options that are right each by itself. */
static int option_check(const run_options *o)
{
    if (o->in >= o->size) {
        SERRY_IGNORE(
            sri_fail(SERRY_EINVAL, "--stdin is %d, there are ranks 0 to %d", o->in, o->size - 1));
        return option_usage(serry_err_detail());
    }
    if (o->output && (o->tag || o->timestamp))
        return option_usage("--output-filename has files for each rank: their lines have neither "
                            "tags nor times");
    return -1;
}

int run_options_read(run_options *o, int argc, char **argv)
{
    *o = (run_options){ .timeout = INFINITY, .grace = 2 };
    o->apps = calloc((size_t)argc + 1, sizeof *o->apps);
    if (!o->apps) {
        command_say("run", "no memory for a command line of %d words", argc);
        return EXIT_FAILURE;
    }
    int status = option_take_programs(o, argc, argv);
    if (status < 0)
        status = option_count(o);
    return status < 0 ? option_check(o) : status;
}

void run_options_free(run_options *o)
{
    free(o->apps);
    o->apps = NULL;
}
