/* wordcount.c: counts the words of files with a pool map. */
#include "wordcount_job.h"
#include "wordcount_stretch.h"

#include <serry/pool.h>
#include <serry/world.h>

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: wordcount [OPTION]... FILE...\n"
    "Counts how often each word occurs in all FILEs together, in parallel, and prints\n"
    "'count word' lines, the most frequent word first.\n"
    "\n"
    "  -t, --top=N          print only the N most frequent words\n"
    "  -p, --progress       draw a progress bar on standard error, one for each\n"
    "                       64 MiB or so of text\n"
    "  -w, --workers=N      worker processes; by default one for each processor;\n"
    "                       of no effect when several ranks were launched\n"
    "  -s, --stretch=BYTES  how much of a file one task counts; 262144 by default\n"
    "  -h, --help           print this and end\n"
    "\n"
    "A word is a longest run of the 52 letters A-Z and a-z; upper and lower case are\n"
    "one; every other byte separates, and so does the end of a file. The output is,\n"
    "byte by byte, that of\n"
    "\n"
    "  for f in FILE...; do cat \"$f\"; echo; done |\n"
    "      tr -cs 'A-Za-z' '\\n' | tr A-Z a-z | grep -v '^$' |\n"
    "      LC_ALL=C sort | LC_ALL=C uniq -c | LC_ALL=C sort -k1,1nr -k2,2 |\n"
    "      awk '{print $1\" \"$2}'\n"
    "\n"
    "Each FILE must be a regular file. One that cannot be read is named on standard\n"
    "error and the rest is counted.\n"
    "\n"
    "The same program runs three ways: by itself it starts worker processes; with\n"
    "SERRY_NP=4 in its environment, or under 'serry run -n 4', rank 0 counts with the\n"
    "help of the other ranks.\n"
    "\n"
    "Exit status: 0 all was counted, 1 something could not be, 2 wrong usage.\n";

typedef struct arguments {
    size_t top;
    job_options job;
} arguments;

/* False, and said so, unless text is a whole number from min to max. */
static bool parse_number(const char *option, const char *text, uint64_t min, uint64_t max,
                         uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    bool digits = *text >= '0' && *text <= '9' && *end == 0;
    if (!digits || errno || n < min || n > max) {
        fprintf(stderr, "wordcount: --%s is '%s'; it must be a whole number from %llu to %llu\n",
                option, text, (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *value = n;
    return true;
}

static int usage_error(void)
{
    fputs("Try 'wordcount --help'.\n", stderr);
    return 2;
}

/* -1, or the exit status to end with. optind is the first file then. */
static int parse(int argc, char **argv, arguments *a)
{
    static const struct option options[] = {
        { "top", required_argument, NULL, 't' },     { "progress", no_argument, NULL, 'p' },
        { "workers", required_argument, NULL, 'w' }, { "stretch", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },          { 0 },
    };
    uint64_t top = SIZE_MAX, workers = 0, bytes = 256 << 10;
    bool fine = true;
    int c;
    while (fine && (c = getopt_long(argc, argv, "t:pw:s:h", options, NULL)) != -1) {
        switch (c) {
        case 't':
            fine = parse_number("top", optarg, 0, SIZE_MAX, &top);
            break;
        case 'p':
            a->job.progress = true;
            break;
        case 'w':
            fine = parse_number("workers", optarg, 1, 1024, &workers);
            break;
        case 's':
            fine = parse_number("stretch", optarg, 1, STRETCH_MAX, &bytes);
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            fine = false;
        }
    }
    if (fine && optind == argc) {
        fputs("wordcount: no files\n", stderr);
        fine = false;
    }
    a->top = (size_t)top;
    a->job.workers = (int)workers;
    a->job.stretch = (uint32_t)bytes;
    return fine ? -1 : usage_error();
}

static int count(int argc, char **argv)
{
    arguments a = { 0 };
    int status = parse(argc, argv, &a);
    if (status >= 0)
        return status;
    words w = { 0 };
    size_t unread = 0;
    serry_err e = job_count(&w, argv + optind, (size_t)(argc - optind), &a.job, &unread);
    if (e != SERRY_OK) {
        fprintf(stderr, "wordcount: cannot count: %s: %s\n", serry_err_text(e), serry_err_detail());
        return 1;
    }
    words_print(&w, stdout, a.top);
    words_free(&w);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "wordcount: cannot write the counts: %s\n", strerror(errno));
        return 1;
    }
    return unread ? 1 : 0;
}

/* Rank 0 counts; other launched ranks work for its pool in serry_finalize. */
int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    int status = serry_rank() == 0 ? count(argc, argv) : 0;
    SERRY_CHECK(serry_finalize());
    return status;
}
