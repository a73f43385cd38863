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

static const char options_help[] =
    "Usage: serry run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "Starts PROGRAM as several ranks on this machine and waits until all have ended.\n"
    "PROGRAM may be any program; one that calls serry_init finds itself in a world of N.\n"
    "\n"
    "  -n, -np N            how many ranks, 1 to 4095; by default one for each processor\n"
    "                       that may be used. More ranks than processors is fine\n"
    "  -x NAME=VALUE        sets a variable in the environment of the ranks\n"
    "  -x NAME              ranks have all variables of this environment anyway; this\n"
    "                       warns if there is none of that name\n"
    "      --wdir DIR       starts the ranks in DIR\n"
    "  -l, --tag-output     puts [RANK]<stdout>: or [RANK]<stderr>: before every line;\n"
    "                       lines of different ranks never mix (those above 1 MiB are cut)\n"
    "      --timeout S      ends the run after S seconds, with exit status 110\n"
    "      --grace S        how long ranks that were asked to end may take before they are\n"
    "                       killed; 2 seconds by default\n"
    "      --keep-going     a rank that fails does not end the others\n"
    "      --bind-to WHAT   none (the default), or core: each rank on a core of its own\n"
    "  -q, --quiet          says nothing about ranks that fail\n"
    "  -h, --help           prints this and ends\n"
    "\n"
    "Standard input goes to rank 0; the others read an empty one. SIGINT, SIGTERM, SIGHUP,\n"
    "SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT and SIGWINCH are handed on to all ranks;\n"
    "after the first four they have the grace time to end, and a second Ctrl-C kills them.\n"
    "Nothing is left behind, however the run ends: what ranks have started ends with them.\n"
    "\n"
    "Exit status: 0 if every rank's was 0; else that of the first rank that failed, where a\n"
    "signal counts as 128 + its number and leaving without serry_finalize as 1; that given\n"
    "to serry_abort; 110 out of time; 128 + signal if one ended the run; 127 and 126 if\n"
    "PROGRAM is not found or cannot be executed; 2 for wrong usage.\n"
    "\n"
    "Environment: SERRY_LANES=shm|socket, SERRY_MAX_MESSAGE=BYTES (with K, M or G). Ranks\n"
    "find their number in SERRY_RANK and the size of the world in SERRY_SIZE.\n";

/* Each says what is wrong with its value, by sri_fail. */
typedef serry_err (*option_fn)(run_options *o, const char *name, const char *value);

typedef struct option_spec {
    const char *names[3];
    bool has_value;
    option_fn set;
} option_spec;

static serry_err option_size(run_options *o, const char *name, const char *value)
{
    int64_t n;
    SRI_TRY(sri_parse_int(name, value, 1, OPTIONS_SIZE_MAX, &n));
    o->size = (int)n;
    return SERRY_OK;
}

static serry_err option_variable(run_options *o, const char *name, const char *value)
{
    size_t len = strcspn(value, "=");
    if (len == 0)
        return sri_fail(SERRY_EINVAL, "%s is '%s'; it must be NAME or NAME=VALUE", name, value);
    if (!value[len]) {
        if (!getenv(value) && !o->quiet)
            command_say("run", "%s %s: there is no such variable in the environment", name, value);
        return SERRY_OK;
    }
    char *variable = strndup(value, len);
    bool set = variable && setenv(variable, value + len + 1, 1) == 0;
    free(variable);
    return set ? SERRY_OK : sri_fail_errno(name);
}

static serry_err option_wdir(run_options *o, const char *name, const char *value)
{
    (void)name;
    o->wdir = value;
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

static serry_err option_timeout(run_options *o, const char *name, const char *value)
{
    return option_seconds(name, value, false, &o->timeout);
}

static serry_err option_grace(run_options *o, const char *name, const char *value)
{
    return option_seconds(name, value, true, &o->grace);
}

static serry_err option_bind(run_options *o, const char *name, const char *value)
{
    o->bind_core = strcmp(value, "core") == 0;
    if (!o->bind_core && strcmp(value, "none") != 0)
        return sri_fail(SERRY_EINVAL, "%s is '%s'; it must be none or core", name, value);
    return SERRY_OK;
}

static serry_err option_tag(run_options *o, const char *name, const char *value)
{
    (void)name, (void)value;
    o->tag = true;
    return SERRY_OK;
}

static serry_err option_keep_going(run_options *o, const char *name, const char *value)
{
    (void)name, (void)value;
    o->keep_going = true;
    return SERRY_OK;
}

static serry_err option_quiet(run_options *o, const char *name, const char *value)
{
    (void)name, (void)value;
    o->quiet = true;
    return SERRY_OK;
}

static const option_spec option_specs[] = {
    { { "-n", "-np", "--np" }, true, option_size },
    { { "-x" }, true, option_variable },
    { { "--wdir" }, true, option_wdir },
    { { "-l", "--tag-output" }, false, option_tag },
    { { "--timeout" }, true, option_timeout },
    { { "--grace" }, true, option_grace },
    { { "--keep-going" }, false, option_keep_going },
    { { "--bind-to" }, true, option_bind },
    { { "-q", "--quiet" }, false, option_quiet },
};

/* The option that an argument names, and what stands behind its '=' (or NULL). */
static const option_spec *option_find(const char *argument, const char **name, const char **value)
{
    size_t len = argument[1] == '-' ? strcspn(argument, "=") : strlen(argument);
    *value = argument[len] ? argument + len + 1 : NULL;
    for (size_t i = 0; i < sizeof option_specs / sizeof *option_specs; i++) {
        for (int k = 0; k < 3 && option_specs[i].names[k]; k++) {
            *name = option_specs[i].names[k];
            if (strlen(*name) == len && memcmp(*name, argument, len) == 0)
                return &option_specs[i];
        }
    }
    return NULL;
}

/* Handles argv[*at] and its value; *at is the next argument then. */
static serry_err option_take(run_options *o, int argc, char **argv, int *at)
{
    const char *name;
    const char *value;
    const option_spec *spec = option_find(argv[*at], &name, &value);
    if (!spec)
        return sri_fail(SERRY_EINVAL, "there is no option '%s'", argv[*at]);
    ++*at;
    if (!spec->has_value && value)
        return sri_fail(SERRY_EINVAL, "%s takes no value, but got '%s'", name, value);
    if (spec->has_value && !value) {
        if (*at == argc)
            return sri_fail(SERRY_EINVAL, "%s needs a value", name);
        value = argv[(*at)++];
    }
    return spec->set(o, name, value);
}

static bool option_is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static int option_usage(const char *what)
{
    command_say("run", "%s (see serry run --help)", what);
    return EXIT_USAGE;
}

int run_options_read(run_options *o, int argc, char **argv)
{
    *o = (run_options){ .timeout = INFINITY, .grace = 2 };
    int at = 1;
    while (at < argc && argv[at][0] == '-' && argv[at][1]) {
        if (option_is_help(argv[at])) {
            fputs(options_help, stdout);
            return 0;
        }
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (option_take(o, argc, argv, &at) != SERRY_OK)
            return option_usage(serry_err_detail());
    }
    if (at == argc || !argv[at][0])
        return option_usage("no program is named");
    o->program = argv + at;
    if (o->size == 0)
        o->size = serry_cpu_count() < OPTIONS_SIZE_MAX ? serry_cpu_count() : OPTIONS_SIZE_MAX;
    return -1;
}
