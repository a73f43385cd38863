/* programs/daemon.c: becomes a daemon and stays until it is killed.
 *
 *     daemon PID_FILE */
#include <serry.h>

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    serry_daemon_options o = { .pid_file = argc > 1 ? argv[1] : NULL };
    serry_err e = serry_daemonize(&o);
    if (e != SERRY_OK) {
        fprintf(stderr, "%s: %s\n", serry_err_name(e), serry_err_detail());
        return 3;
    }
    for (;;)
        pause();
}
