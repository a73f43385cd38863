/* tickets.c: 100 clients, each a process, buy the last 10 tickets. How many are left stands in a
 * JSON file, which each client reads, and writes again with one less.
 *
 * Without a lock many clients read the file before the first has written it: more tickets are sold
 * than there are. With a lock around reading and writing, exactly as many. Prints both.
 */
#include <serry.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLIENTS = 100, TICKETS = 10 };

typedef struct office {
    char file[64];
    serry_lock lock; /* zero: none */
} office;

static void fail(const char *what)
{
    perror(what);
    serry_abort(1);
}

static int read_tickets(const char *file)
{
    int tickets, end = 0;
    FILE *f = fopen(file, "r");
    if (!f)
        fail(file);
    if (fscanf(f, " { \"tickets\" : %d } %n", &tickets, &end) != 1 || end == 0 || tickets < 0) {
        fprintf(stderr, "%s: no number of tickets in it\n", file);
        serry_abort(1);
    }
    fclose(f);
    return tickets;
}

/* Into a new file, which then takes the place of the old: who reads never finds half of one. */
static void write_tickets(const char *file, int tickets)
{
    char new_file[96];
    snprintf(new_file, sizeof new_file, "%s.%d", file, getpid());
    FILE *f = fopen(new_file, "w");
    if (!f || fprintf(f, "{ \"tickets\": %d }\n", tickets) < 0 || fclose(f) != 0)
        fail(new_file);
    if (rename(new_file, file) != 0)
        fail(file);
}

/* The exit code is how many tickets the client has bought. */
static int client(const void *arg, size_t len)
{
    const office *o = arg;
    (void)len;
    if (o->lock.id)
        SERRY_CHECK(serry_lock_acquire(o->lock, SERRY_FOREVER));
    int tickets = read_tickets(o->file);
    if (tickets > 0) {
        usleep(20 * 1000); /* paying takes a while */
        write_tickets(o->file, tickets - 1);
    }
    if (o->lock.id)
        SERRY_CHECK(serry_lock_release(o->lock));
    return tickets > 0 ? 1 : 0;
}

static int sell(const office *o)
{
    serry_process clients[CLIENTS];
    int sold = 0;
    write_tickets(o->file, TICKETS);
    for (int i = 0; i < CLIENTS; i++)
        SERRY_CHECK(serry_process_start(&clients[i], client, o, sizeof *o, NULL));
    for (int i = 0; i < CLIENTS; i++) {
        int bought;
        SERRY_CHECK(serry_process_join(clients[i], &bought, SERRY_FOREVER));
        sold += bought;
    }
    return sold;
}

int main(int argc, char **argv)
{
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        office o = { .file = "/tmp/tickets-XXXXXX" };
        int fd = mkstemp(o.file);
        if (fd < 0)
            fail(o.file);
        close(fd);

        printf("without a lock: %d tickets, %d sold\n", TICKETS, sell(&o));
        SERRY_CHECK(serry_lock_create(&o.lock, NULL));
        printf("with a lock: %d tickets, %d sold\n", TICKETS, sell(&o));
        unlink(o.file);
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
