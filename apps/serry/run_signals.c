/* run_signals.c: signals that reach the launcher mean the ranks. They arrive by descriptor, in the
 * loop; nothing here runs in a handler.
 */
#include "command.h"
#include "run.h"

#include "base/fds.h"

#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int signals_handled[] = { SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,  SIGUSR1,
                                       SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH, SIGCHLD };

/* As under nohup: who started us does not want it to matter. */
static bool signals_is_ignored(int signal)
{
    struct sigaction now;
    return sigaction(signal, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO)
           && now.sa_handler == SIG_IGN;
}

serry_err run_signals_open(run *r)
{
    sigset_t blocked;
    sigset_t handled;
    sigemptyset(&handled);
    for (size_t i = 0; i < sizeof signals_handled / sizeof *signals_handled; i++) {
        if (!signals_is_ignored(signals_handled[i]))
            sigaddset(&handled, signals_handled[i]);
    }
    blocked = handled;
    /* Writes to ranks and to those who read our output tell by EPIPE; reading a terminal out of
     * turn, by EIO; writing to it is let through. */
    sigaddset(&blocked, SIGPIPE);
    sigaddset(&blocked, SIGTTIN);
    sigaddset(&blocked, SIGTTOU);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    r->signals = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signals < 0 ? sri_fail_errno("signalfd") : SERRY_OK;
}

void run_signals_close(run *r)
{
    sri_close(&r->signals);
}

/* Ctrl-Z: the ranks are in groups of their own and would not stop with us. */
static void signals_stop(run *r)
{
    r->stopped = true;
    run_signal_all(r, SIGSTOP);
    raise(SIGSTOP);
}

static void signals_continue(run *r)
{
    r->stopped = false;
    run_signal_all(r, SIGCONT);
    run_input_news(r);
}

static void signals_say(const run *r, int signal, bool kills)
{
    bool counted = signal == SIGINT || signal == SIGTERM;
    if (kills || r->o.grace == 0)
        run_say(r, "%s: killing all ranks", strsignal(signal));
    else
        run_say(r, "%s: the ranks have %g s to end%s", strsignal(signal), r->o.grace,
                counted ? "; a second one kills them at once" : "");
}

static void signals_end(run *r, int signal)
{
    bool kills = r->phase != RUN_GOING && (signal == SIGINT || signal == SIGTERM);
    if (!r->decided || (kills && r->phase == RUN_ASKED))
        signals_say(r, signal, kills);
    if (!r->decided) {
        r->decided = true;
        r->status = EXIT_SIGNAL + signal;
    }
    if (r->alive == 0)
        r->output_abandoned = true;
    else if (kills)
        run_kill(r);
    else
        run_ask(r, signal);
}

static void signals_handle_one(run *r, int signal)
{
    switch (signal) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
    case SIGQUIT:
        signals_end(r, signal);
        break;
    case SIGTSTP:
        signals_stop(r);
        break;
    case SIGCONT:
        signals_continue(r);
        break;
    case SIGCHLD:
        run_orphans_noticed(r);
        break;
    default:
        run_signal_all(r, signal);
    }
}

void run_signals_handle(run *r)
{
    struct signalfd_siginfo info;
    while (r->signals >= 0 && read(r->signals, &info, sizeof info) == (ssize_t)sizeof info)
        signals_handle_one(r, (int)info.ssi_signo);
}
