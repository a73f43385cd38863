/* pipes.c: a child sends messages to its parent through a pipe that goes one way; then the two talk
 * through one that goes both ways.
 *
 * Prints what the parent receives through the first, and that it is closed; then three questions of
 * the child, with the parent's answers.
 */
#include <serry.h>
#include <stdio.h>
#include <string.h>

/* The argument of both is the child's end. */
static int tell(const void *arg, size_t len)
{
    const serry_conn end = *(const serry_conn *)arg;
    static const char *const words[] = { "one", "two", "three" };
    (void)len;
    for (int i = 0; i < 3; i++)
        SERRY_CHECK(serry_conn_send(end, words[i], strlen(words[i]), SERRY_FOREVER));
    SERRY_CHECK(serry_conn_close(end));
    return 0;
}

static int ask(const void *arg, size_t len)
{
    const serry_conn end = *(const serry_conn *)arg;
    (void)len;
    for (int i = 1; i <= 3; i++) {
        int square;
        SERRY_CHECK(serry_conn_send(end, &i, sizeof i, SERRY_FOREVER));
        SERRY_CHECK(serry_conn_recv(end, &square, sizeof square, NULL, SERRY_FOREVER));
        printf("child: the square of %d is %d\n", i, square);
    }
    return 0;
}

static void one_way(void)
{
    serry_conn receiver, sender;
    serry_process p;
    SERRY_CHECK(serry_pipe_create(&receiver, &sender, false));
    SERRY_CHECK(serry_process_start(&p, tell, &sender, sizeof sender, NULL));

    char text[16];
    size_t len;
    serry_err e;
    while ((e = serry_conn_recv(receiver, text, sizeof text, &len, SERRY_FOREVER)) == SERRY_OK)
        printf("parent: received %.*s\n", (int)len, text);
    printf("parent: %s\n", serry_err_name(e)); /* SERRY_ECLOSED: all was received */
    SERRY_CHECK(serry_process_join(p, NULL, SERRY_FOREVER));
}

static void both_ways(void)
{
    serry_conn mine, theirs;
    serry_process p;
    SERRY_CHECK(serry_pipe_create(&mine, &theirs, true));
    SERRY_CHECK(serry_process_start(&p, ask, &theirs, sizeof theirs, NULL));

    int number;
    while (serry_conn_recv(mine, &number, sizeof number, NULL, SERRY_FOREVER) == SERRY_OK) {
        int square = number * number;
        SERRY_CHECK(serry_conn_send(mine, &square, sizeof square, SERRY_FOREVER));
    }
    SERRY_CHECK(serry_process_join(p, NULL, SERRY_FOREVER));
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    SERRY_CHECK(serry_init(&argc, &argv));
    if (serry_rank() == 0) {
        one_way();
        both_ways();
    }
    SERRY_CHECK(serry_finalize());
    return 0;
}
