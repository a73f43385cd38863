// ctest: processors=1 timeout=60
/* Subprocesses that the program itself reaps, looked at in the middle of that: the kernel says that
 * there is no such child, and does not tell the exit code yet. That lasts for microseconds, or for
 * as long as the reaping thread does not come to run, so it is played here: of a child that has
 * ended waitpid says what it says then, and so does the pidfd. */
#include "patterns/subprocess_test.h"

#include <atomic>
#include <cstdarg>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <thread>

using namespace serry_test;

namespace {

std::atomic<pid_t> taken{ 0 };         /* the child that somebody is reaping */
std::atomic<bool> numberless{ false }; /* it has lost its number, its code is not there */
std::atomic<int> asked{ 0 }, looked{ 0 };

bool is_get_info(unsigned long request)
{
    return _IOC_TYPE(request) == 0xFF && _IOC_NR(request) == 11;
}

} // namespace

extern "C" pid_t waitpid(pid_t pid, int *status, int flags)
{
    if (pid == taken) {
        asked++;
        errno = ECHILD;
        return -1;
    }
    return (pid_t)syscall(SYS_wait4, pid, status, flags, nullptr);
}

extern "C" int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *arg = va_arg(args, void *);
    va_end(args);
    if (is_get_info(request)) {
        looked++;
        if (numberless) {
            errno = ESRCH;
            return -1;
        }
    }
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

namespace {

/* It has ended, and from now on somebody is reaping it. */
Sub being_reaped(bool without_number)
{
    Sub sp = started(shell("exit 5"));
    siginfo_t info;
    EXPECT_EQ(
        waitid(P_PID, (id_t)serry_subprocess_pid(sp.get()), &info, WEXITED | WNOWAIT | __WALL), 0);
    asked = looked = 0;
    numberless = without_number;
    taken = serry_subprocess_pid(sp.get());
    return sp;
}

/* What is left of the reaping. */
void reap_it(pid_t pid)
{
    int status = 0;
    numberless = false;
    EXPECT_EQ(syscall(SYS_wait4, pid, &status, __WALL, nullptr), pid);
    EXPECT_EQ(WEXITSTATUS(status), 5);
}

SUBPROCESS_TEST(ItsCodeIsWaitedForNoLongerThanAsked)
{
    for (bool without_number : { false, true }) {
        Sub sp = being_reaped(without_number);
        EXPECT_EQ(serry_subprocess_poll(sp.get(), nullptr), SERRY_ETIMEDOUT);
        EXPECT_EQ(serry_subprocess_wait(sp.get(), nullptr, 0.05), SERRY_ETIMEDOUT);
        EXPECT_GE(looked, 1);
        reap_it(taken);
        EXPECT_EQ(waited(sp), 5);
        EXPECT_EQ(asked, 1) << "its number may be another's";
        taken = 0;
    }
}

SUBPROCESS_TEST(ItsCodeComesToWhoWaits)
{
    for (bool without_number : { false, true }) {
        Sub sp = being_reaped(without_number);
        std::thread reaper([&] {
            EXPECT_TRUE(wait_for([&] { return looked >= 1; }));
            reap_it(taken);
        });
        EXPECT_EQ(waited(sp), 5);
        reaper.join();
        taken = 0;
    }
}

SUBPROCESS_TEST(ASignalSaysThatItHasEnded)
{
    Sub sp = being_reaped(true);
    EXPECT_EQ(serry_subprocess_poll(sp.get(), nullptr), SERRY_ETIMEDOUT);
    reap_it(taken);
    taken = 0;
    EXPECT_EQ(serry_subprocess_kill(sp.get()), SERRY_ESTATE);
    EXPECT_EQ(serry_subprocess_signal(sp.get(), 0), SERRY_ESTATE);
    EXPECT_EQ(waited(sp), 5);
}

SUBPROCESS_TEST(FreeWaitsUntilItIsReaped)
{
    Sub sp = being_reaped(true);
    std::thread reaper([&] {
        EXPECT_TRUE(wait_for([&] { return looked >= 1; }));
        reap_it(taken);
    });
    sp.reset();
    reaper.join();
    taken = 0;
}

} // namespace
