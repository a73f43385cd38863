// ctest: launcher timeout=120
/* Signals to `serry run` mean its ranks; and what a terminal does. */
#include "support/program.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace serry_test;

namespace {

size_t count(const std::string &text, const std::string &part)
{
    size_t n = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size())
        n++;
    return n;
}

/* n ranks of a script, which begins by saying that it is ready. */
std::vector<std::string> ready_ranks(int n, const std::string &text,
                                     std::vector<std::string> flags = {})
{
    std::vector<std::string> argv = { serry_command(), "run", "-n", std::to_string(n) };
    argv.insert(argv.end(), flags.begin(), flags.end());
    argv.insert(argv.end(), { "sh", "-c", text });
    return argv;
}

bool are_ready(Program &p, size_t n)
{
    return p.wait_for([&] { return count(p.out(), "ready\n") == n; });
}

/* In a loop of short sleeps, so that the shell comes by its traps. */
const char on_and_on[] = "echo ready; while :; do sleep 0.02; done";
const char stubborn[] = "trap '' INT TERM HUP QUIT; echo ready; while :; do sleep 1000; done";

struct Forwarded {
    int number;
    const char *name;
};

class LauncherForwards : public testing::TestWithParam<Forwarded> {};

TEST_P(LauncherForwards, ItToAllRanks)
{
    std::string name = GetParam().name;
    Program p(ready_ranks(3, "trap 'echo got " + name + "; exit 0' " + name + "; " + on_and_on));
    ASSERT_TRUE(are_ready(p, 3));
    p.signal(GetParam().number);
    EXPECT_FALSE(p.wait().timed_out) << p.wait();
    EXPECT_EQ(count(p.out(), "got " + name + "\n"), 3u) << p.wait();
    bool ends = name == "INT" || name == "TERM" || name == "HUP" || name == "QUIT";
    EXPECT_EQ(p.wait().code, ends ? 128 + GetParam().number : 0) << p.wait();
    EXPECT_TRUE(p.wait().left_behind.empty()) << p.wait();
}

INSTANTIATE_TEST_SUITE_P(Launcher, LauncherForwards,
                         testing::Values(Forwarded{ SIGINT, "INT" }, Forwarded{ SIGTERM, "TERM" },
                                         Forwarded{ SIGHUP, "HUP" }, Forwarded{ SIGQUIT, "QUIT" },
                                         Forwarded{ SIGUSR1, "USR1" }, Forwarded{ SIGUSR2, "USR2" },
                                         Forwarded{ SIGWINCH, "WINCH" },
                                         Forwarded{ SIGCONT, "CONT" }),
                         [](const auto &i) { return std::string(i.param.name); });

TEST(LauncherSignals, GiveRanksTheGraceTime)
{
    Program p(ready_ranks(2, stubborn, { "--grace", "0.3" }));
    ASSERT_TRUE(are_ready(p, 2));
    p.signal(SIGTERM);
    EXPECT_EQ(p.wait().code, 128 + SIGTERM) << p.wait();
    EXPECT_TRUE(p.wait().left_behind.empty()) << p.wait();
}

TEST(LauncherSignals, KillAtTheSecondTime)
{
    for (int second : { SIGINT, SIGTERM }) {
        Program p(ready_ranks(2, stubborn, { "--grace", "1000" }));
        ASSERT_TRUE(are_ready(p, 2));
        p.signal(SIGINT);
        ASSERT_TRUE(p.wait_for([&] { return count(p.err(), "to end") == 1; }));
        p.signal(second);
        EXPECT_EQ(p.wait().code, 128 + SIGINT) << p.wait();
        EXPECT_LT(p.wait().seconds, patience(20));
        EXPECT_TRUE(p.wait().left_behind.empty()) << p.wait();
    }
}

TEST(LauncherSignals, KillRanksThatAreBeingEndedForAnotherReason)
{
    Program p(ready_ranks(2, std::string("test $SERRY_RANK = 1 && { read x; exit 3; };") + stubborn,
                          { "--grace", "1000" }));
    ASSERT_TRUE(p.wait_for([&] { return count(p.err(), "exited with code 3") == 1; }));
    p.signal(SIGINT);
    EXPECT_EQ(p.wait().code, 3) << p.wait();
    EXPECT_LT(p.wait().seconds, patience(20));
}

TEST(LauncherSignals, ThatItsParentIgnoresAreNotItsOwn)
{
    ProgramOptions o;
    o.keep_input = true; /* until wait() */
    Program p({ "sh", "-c",
                "trap '' HUP; exec " + serry_command() + " run -n 1 sh -c 'echo ready; read x'" },
              o);
    ASSERT_TRUE(are_ready(p, 1));
    p.signal(SIGHUP);
    p.signal(SIGUSR1);
    EXPECT_TRUE(p.wait_for(
        [&] { return count(p.err(), "killed by signal " + std::to_string(SIGUSR1)) == 1; }));
    EXPECT_EQ(p.wait().code, 128 + SIGUSR1) << p.wait();
}

TEST(LauncherSignals, StopEverybodyAndLetThemGoOn)
{
    ProgramOptions o;
    o.keep_input = true;
    Program p(ready_ranks(1, "sleep 1000 & echo ready; read x; kill $!; echo went on"), o);
    ASSERT_TRUE(are_ready(p, 1));
    auto stopped = [&] {
        /* The launcher, the shell and its child; the guard has nothing to stop. */
        size_t n = 0;
        for (pid_t pid : p.processes())
            n += count(read_file("/proc/" + std::to_string(pid) + "/stat"), ") T ");
        return n;
    };
    EXPECT_EQ(stopped(), 0u);
    p.signal(SIGTSTP);
    EXPECT_TRUE(wait_for([&] { return stopped() == 3; })) << stopped();
    p.signal(SIGCONT);
    EXPECT_TRUE(wait_for([&] { return stopped() == 0; })) << stopped();
    p.write("\n");
    EXPECT_TRUE(p.wait().ok()) << p.wait();
    EXPECT_EQ(count(p.out(), "went on\n"), 1u);
}

TEST(LauncherSignals, EndStoppedRanks)
{
    Program p(ready_ranks(2, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done",
                          { "--grace", "1000" }));
    ASSERT_TRUE(are_ready(p, 2));
    p.signal(SIGTSTP);
    ASSERT_TRUE(wait_for([&] {
        return count(read_file("/proc/" + std::to_string(p.pid()) + "/stat"), ") T ") == 1;
    }));
    p.signal(SIGTERM);
    p.signal(SIGCONT);
    EXPECT_EQ(p.wait().code, 128 + SIGTERM) << p.wait();
}

TEST(LauncherSignals, DoNotWaitForAReaderThatDoesNotRead)
{
    /* Ranks end; what they wrote does not fit the pipe that nobody reads. */
    int fd[2];
    ASSERT_EQ(pipe2(fd, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd[1], STDOUT_FILENO);
        execl(serry_command().c_str(), "serry", "run", "-q", "-l", "-n", "1", "sh", "-c",
              "head -c 100000 /dev/zero | tr '\\0' '\\n'", (char *)nullptr);
        _exit(99);
    }
    close(fd[1]);
    auto full = [&] {
        int n = 0;
        ioctl(fd[0], FIONREAD, &n);
        return n >= 60000;
    };
    EXPECT_TRUE(wait_for(full));
    EXPECT_TRUE(wait_for([&] { return children_of(pid).size() <= 2; }));
    int status = 0;
    EXPECT_TRUE(wait_for([&] {
        kill(pid, SIGINT);
        return waitpid(pid, &status, WNOHANG) == pid;
    }));
    EXPECT_TRUE(WIFEXITED(status));
    close(fd[0]);
}

/* A terminal of its own, in which a command runs as the foreground job. */
class Terminal {
public:
    explicit Terminal(std::vector<std::string> argv)
    {
        master_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        grantpt(master_);
        unlockpt(master_);
        std::string name = ptsname(master_);
        std::vector<char *> argp;
        for (auto &a : argv)
            argp.push_back(a.data());
        argp.push_back(nullptr);
        pid_ = fork();
        if (pid_ == 0) {
            setsid();
            int fd = open(name.c_str(), O_RDWR);
            for (int i = 0; i < 3; i++)
                dup2(fd, i);
            execv(argp[0], argp.data());
            _exit(99);
        }
    }
    ~Terminal()
    {
        if (pid_ > 0)
            kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
        close(master_);
    }
    void type(const std::string &text)
    {
        ASSERT_EQ(::write(master_, text.data(), text.size()), (ssize_t)text.size());
    }
    /* A whole line or nothing of it. */
    bool type_if_taken(const std::string &line, double seconds)
    {
        size_t at = 0;
        bool taken = wait_for(
            [&] {
                look();
                pollfd p = { master_, POLLOUT, 0 };
                if (poll(&p, 1, 0) <= 0)
                    return false;
                ssize_t n = ::write(master_, line.data() + at, line.size() - at);
                at += n > 0 ? (size_t)n : 0;
                return at == line.size();
            },
            seconds);
        return taken || at > 0;
    }
    bool shows(const std::string &text, size_t times = 1)
    {
        return wait_for([&] {
            look();
            return count(shown_, text) >= times;
        });
    }
    /* The exit code. */
    int wait()
    {
        int status = -1;
        bool ended = wait_for([&] {
            look();
            return waitpid(pid_, &status, WNOHANG) == pid_;
        });
        if (!ended)
            return -1;
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    const std::string &shown() const { return shown_; }

private:
    void look()
    {
        pollfd p = { master_, POLLIN, 0 };
        char bytes[4096];
        ssize_t n = poll(&p, 1, 0) > 0 ? read(master_, bytes, sizeof bytes) : 0;
        shown_.append(bytes, n > 0 ? (size_t)n : 0);
    }

    int master_ = -1;
    pid_t pid_ = -1;
    std::string shown_;
};

TEST(LauncherTerminal, GivesItsLinesToRankZero)
{
    Terminal t(ready_ranks(2, "while read x; do echo $SERRY_RANK had $x; done; "
                              "echo $SERRY_RANK is done"));
    ASSERT_TRUE(t.shows("1 is done")) << t.shown();
    t.type("first\n");
    EXPECT_TRUE(t.shows("0 had first")) << t.shown();
    t.type("second\nthird\n");
    EXPECT_TRUE(t.shows("0 had third")) << t.shown();
    t.type("\x04");
    EXPECT_TRUE(t.shows("0 is done")) << t.shown();
    EXPECT_EQ(t.wait(), 0) << t.shown();
}

TEST(LauncherTerminal, IsReadNoFasterThanRankZeroReads)
{
    Scratch dir;
    ASSERT_EQ(run_program({ "mkfifo", dir / "fifo" }).code, 0);
    Terminal t(ready_ranks(1, "echo ready; read x <fifo; wc -l", { "--wdir", dir.path() }));
    ASSERT_TRUE(t.shows("ready")) << t.shown();
    /* More than the pipe, the launcher and the terminal hold: it is typed until nobody takes it. */
    const int lines = 2000;
    const std::string line = std::string(99, 'x') + "\n";
    int typed = 0;
    while (typed < lines && t.type_if_taken(line, 0.3))
        typed++;
    EXPECT_GT(typed, 600);
    EXPECT_LT(typed, lines);
    write_file(dir / "fifo", "\n");
    while (typed < lines && t.type_if_taken(line, 10))
        typed++;
    t.type("\x04");
    EXPECT_EQ(t.wait(), 0) << t.shown();
    EXPECT_TRUE(t.shows("\n2000\r")) << typed << t.shown().substr(t.shown().size() - 100);
}

TEST(LauncherTerminal, EndsTheRanksByControlC)
{
    Terminal t(ready_ranks(2, "echo ready; exec sleep 1000"));
    ASSERT_TRUE(t.shows("ready", 2)) << t.shown();
    t.type("\x03");
    EXPECT_EQ(t.wait(), 128 + SIGINT) << t.shown();
}

TEST(LauncherTerminal, KillsTheRanksByASecondControlC)
{
    Terminal t(ready_ranks(2, stubborn, { "--grace", "1000" }));
    ASSERT_TRUE(t.shows("ready", 2)) << t.shown();
    t.type("\x03");
    ASSERT_TRUE(t.shows("to end")) << t.shown();
    t.type("\x03");
    EXPECT_EQ(t.wait(), 128 + SIGINT) << t.shown();
}

} // namespace
