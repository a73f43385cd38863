/* serry-bench: measures serry and its peers in turn and compares the medians.
 * One figure after another; within a figure the rounds alternate, A B C A B C ..., because a shared
 * machine drifts, and only ratios of what ran side by side mean something. */
#include "bench_util.h"
#include "launch.h"
#include "report.h"
#include "run.h"

#include <getopt.h>
#include <unistd.h>

enum { DEFAULT_ROUNDS = 7, QUICK_ROUNDS = 3, DEFAULT_LIMIT = 60 };

struct options {
    const char *group; /* NULL: all */
    const char *only;
    const char *json;
    size_t rounds;
    bool quick;
    bool slow;
    bool markdown;
    bool alone;
};

static const char usage[] =
    "usage: serry-bench p2p|mpi|collectives|idle|start|memory|queue|pool|patterns|all [OPTION]...\n"
    "Runs serry and, where installed, Open MPI, MPICH, ZeroMQ and Python in turn and prints the\n"
    "ratios of the medians with their targets. The patterns are lock, semaphore, event, barrier,\n"
    "value, array, list, dict and pipe, beside POSIX threads and semaphores too.\n"
    "  --rounds N    alternating rounds, 1 to 101 (7, with --quick 3)\n"
    "  --quick       shorter runs: is everything there and roughly right?\n"
    "  --only NAME   figures whose name contains NAME\n"
    "  --alone       serry only\n"
    "  --slow        also what takes minutes: MPICH with more ranks than processors\n"
    "  --json FILE   write all rounds to FILE, - for standard output\n"
    "  --markdown    tables for a document\n"
    "  --help        this text\n"
    "Exit status: 0 all of serry's figures were measured, 1 one was not, 2 a wrong argument,\n"
    "130 interrupted. A missed target is shown, but is no error.\n";

static _Noreturn void usage_error(const char *what, const char *value)
{
    fprintf(stderr, "serry-bench: %s%s\nTry serry-bench --help.\n", what, value);
    exit(2);
}

static const char *parse_group(const char *word)
{
    if (strcmp(word, "all") == 0)
        return NULL;
    for (size_t i = 0; i < plan_len; i++)
        if (strcmp(plan[i].group, word) == 0)
            return plan[i].group;
    usage_error("no such measurement: ", word);
}

static size_t parse_rounds(const char *word)
{
    char *end;
    unsigned long n = strtoul(word, &end, 10);
    if (*word < '0' || *word > '9' || *end != '\0' || n < 1 || n > MAX_ROUNDS)
        usage_error("--rounds takes a number from 1 to 101, not ", word);
    return n;
}

static struct options parse_options(int argc, char **argv)
{
    static const struct option longs[] = {
        { "rounds", required_argument, NULL, 'r' },
        { "quick", no_argument, NULL, 'q' },
        { "only", required_argument, NULL, 'o' },
        { "alone", no_argument, NULL, 'a' },
        { "slow", no_argument, NULL, 's' },
        { "json", required_argument, NULL, 'j' },
        { "markdown", no_argument, NULL, 'm' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct options o = { .rounds = 0 };
    int c;
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (c) {
        case 'r':
            o.rounds = parse_rounds(optarg);
            break;
        case 'q':
            o.quick = true;
            break;
        case 'o':
            o.only = optarg;
            break;
        case 'a':
            o.alone = true;
            break;
        case 's':
            o.slow = true;
            break;
        case 'j':
            o.json = optarg;
            break;
        case 'm':
            o.markdown = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs("Try serry-bench --help.\n", stderr);
            exit(2);
        }
    }
    if (optind + 1 != argc)
        usage_error(
            "one measurement is to be named: p2p, mpi, collectives, idle, start, memory, queue, "
            "pool, patterns or all",
            "");
    o.group = parse_group(argv[optind]);
    if (o.rounds == 0)
        o.rounds = o.quick ? QUICK_ROUNDS : DEFAULT_ROUNDS;
    return o;
}

static bool is_wanted(const struct figure *f, const struct options *o)
{
    return (o->group == NULL || strcmp(f->group, o->group) == 0)
           && (o->only == NULL || strstr(f->name, o->only) != NULL);
}

static void measured_init(struct measured *m, const struct figure *f, const struct options *o)
{
    *m = (struct measured){ .figure = f, .columns = 1 };
    m->column[0].peer = PEER_SERRY;
    for (size_t k = 0; f->rivals[k].peer != PEER_NONE; k++) {
        const struct rival *r = &f->rivals[k];
        if (o->alone && r->peer != PEER_LIMIT)
            return;
        struct column *c = &m->column[m->columns++];
        c->peer = r->peer;
        if (r->slow && !o->slow)
            c->outcome = OUT_SKIPPED;
        if (r->peer == PEER_LIMIT)
            c->values[c->n++] = r->value;
    }
}

/* Which arguments column k runs with. A rival's own counts are small enough for --quick. */
static const char *column_args(const struct measured *m, size_t k, const struct options *o)
{
    const struct figure *f = m->figure;
    if (k > 0 && f->rivals[k - 1].args != NULL)
        return f->rivals[k - 1].args;
    return o->quick && f->quick != NULL ? f->quick : f->args;
}

/* Counts a run for its column. One that failed is reported but does not void other rounds. */
static void column_take(struct column *c, const struct figure *f, const struct run_result *r)
{
    if (r->status == RUN_OK && (f->wall || r->printed)) {
        c->values[c->n++] = f->wall ? r->wall * 1e3 : r->figure * (f->scale > 0 ? f->scale : 1);
        return;
    }
    c->outcome = r->status == RUN_TIMED_OUT ? OUT_TIMED_OUT : OUT_FAILED;
    snprintf(c->text, sizeof c->text, "%s", r->text[0] != '\0' ? r->text : "it printed no figure");
}

static void column_round(struct measured *m, size_t k, const struct options *o)
{
    const struct figure *f = m->figure;
    struct column *c = &m->column[k];
    if (c->peer == PEER_LIMIT || c->outcome == OUT_ABSENT || c->outcome == OUT_SKIPPED
        || c->outcome == OUT_TIMED_OUT)
        return;
    struct launch l;
    const char *missing;
    if (!launch_build(&l, f, c->peer, column_args(m, k, o), &missing)) {
        c->outcome = OUT_ABSENT;
        snprintf(c->text, sizeof c->text, "%s", missing);
        return;
    }
    struct run_result r;
    run_command(&r, l.argv, o->quick ? 0.05 : 0.25, f->limit > 0 ? f->limit : DEFAULT_LIMIT);
    column_take(c, f, &r);
}

static void measure(struct measured *m, const struct options *o)
{
    bool tty = isatty(STDERR_FILENO) == 1;
    for (size_t i = 0; i < o->rounds && !run_interrupted(); i++) {
        if (tty)
            fprintf(stderr, "\r%s: round %zu of %zu ", m->figure->name, i + 1, o->rounds);
        for (size_t k = 0; k < m->columns && !run_interrupted(); k++)
            column_round(m, k, o);
    }
    if (tty)
        fputs("\r\033[K", stderr);
    for (size_t k = 0; k < m->columns; k++)
        report_settle(&m->column[k]);
}

/* Prints a figure as soon as it is there, under the head of its group. */
static void show(const struct measured *m, const char *last_group, const struct options *o)
{
    bool first = last_group == NULL || strcmp(last_group, m->figure->group) != 0;
    if (o->markdown) {
        if (first)
            report_markdown_head(stdout, m->figure->group, o->rounds);
        report_markdown(stdout, m);
        return;
    }
    if (first)
        printf("\n%-38s %20s %10s %8s\n", m->figure->group, "median", "serry/it", "target");
    report_text(stdout, m);
}

/* Counts targets met and missed of what was measured on both sides. */
static void show_sum(const struct measured *all, size_t n)
{
    size_t met = 0, missed = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 1; k < all[i].columns; k++) {
            double ratio;
            enum verdict v = report_verdict(&all[i], k, &ratio);
            met += v == VERDICT_MET;
            missed += v == VERDICT_MISSED;
        }
    }
    printf("\nTargets met: %zu, missed: %zu.\n", met, missed);
}

static void write_json(const struct measured *all, size_t n, const struct options *o)
{
    bool to_stdout = strcmp(o->json, "-") == 0;
    FILE *f = to_stdout ? stdout : fopen(o->json, "we");
    if (f == NULL) {
        perror(o->json);
        exit(2);
    }
    report_json(f, all, n, o->rounds);
    if (!to_stdout && fclose(f) != 0) {
        perror(o->json);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct options o = parse_options(argc, argv);
    struct measured *all = calloc(plan_len, sizeof *all);
    if (all == NULL)
        bench_die("serry-bench: out of memory");
    launch_setup();
    run_setup();

    size_t n = 0, failures = 0;
    const char *group = NULL;
    for (size_t i = 0; i < plan_len && !run_interrupted(); i++) {
        if (!is_wanted(&plan[i], &o))
            continue;
        struct measured *m = &all[n++];
        measured_init(m, &plan[i], &o);
        measure(m, &o);
        if (run_interrupted())
            break;
        show(m, group, &o);
        group = m->figure->group;
        failures += m->column[0].outcome != OUT_MEASURED;
    }
    if (n == 0)
        usage_error("no figure's name contains ", o.only);
    if (!run_interrupted()) {
        show_sum(all, n);
        if (o.json != NULL)
            write_json(all, n, &o);
    }
    free(all);
    return run_interrupted() ? 130 : failures > 0;
}
