/* support/program.cc: starting, watching and cleaning up after programs. */
#include "support/program.h"

#include "base/fds.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <ostream>
#include <poll.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace serry_test {

static const char mark_name[] = "SERRY_TEST_RUN=";

static double now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void breathe()
{
    timespec t = { 0, 1000000 };
    nanosleep(&t, nullptr);
}

double patience(double seconds)
{
    return seconds * SERRY_TEST_PATIENCE;
}

bool wait_for(const std::function<bool()> &cond, double seconds)
{
    double end = now() + patience(seconds);
    while (!cond()) {
        if (now() > end)
            return false;
        breathe();
    }
    return true;
}

/* ---- what /proc says ---- */

static std::vector<std::string> names_in(const std::string &dir)
{
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto &entry : fs::directory_iterator(dir, ignored))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

static std::vector<pid_t> all_pids()
{
    std::vector<pid_t> pids;
    for (const auto &name : names_in("/proc")) {
        if (name[0] >= '0' && name[0] <= '9')
            pids.push_back(atoi(name.c_str()));
    }
    return pids;
}

/* State and parent of a process; '\0' if there is none. The name in front of them may hold
 * anything, so they are looked for behind its last parenthesis. */
static char process_state(pid_t pid, pid_t *parent = nullptr)
{
    std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    size_t at = stat.rfind(')');
    char state = 0;
    int ppid = -1;
    if (at == std::string::npos || sscanf(stat.c_str() + at + 1, " %c %d", &state, &ppid) != 2)
        return 0;
    if (parent)
        *parent = ppid;
    return state;
}

std::vector<pid_t> children_of(pid_t pid)
{
    std::vector<pid_t> found;
    for (pid_t p : all_pids()) {
        pid_t parent = -1;
        if (process_state(p, &parent) && parent == pid)
            found.push_back(p);
    }
    return found;
}

bool is_alive(pid_t pid)
{
    char state = process_state(pid);
    return state && state != 'Z' && state != 'X';
}

int count_fds()
{
    /* One of them is the directory that is being read. */
    return (int)names_in("/proc/self/fd").size() - 1;
}

std::set<std::string> open_fds()
{
    std::set<std::string> open;
    for (const auto &fd : names_in("/proc/self/fd")) {
        std::error_code gone;
        fs::path target = fs::read_symlink("/proc/self/fd/" + fd, gone);
        if (!gone)
            open.insert(fd + ": " + target.string());
    }
    return open;
}

std::string describe_fds()
{
    std::string text;
    for (const auto &fd : open_fds())
        text += fd + "\n";
    return text;
}

static std::string describe_process(pid_t pid)
{
    std::string base = "/proc/" + std::to_string(pid) + "/";
    std::string command = read_file(base + "cmdline");
    std::replace(command.begin(), command.end(), '\0', ' ');
    std::string call = read_file(base + "syscall");
    pid_t parent = -1;
    char state = process_state(pid, &parent);
    std::ostringstream text;
    text << "process " << pid << " (parent " << parent << ", state " << state << ", in system call "
         << call.substr(0, call.find_first_of(" \n")) << "): " << command;
    return text.str();
}

/* ---- files ---- */

Scratch::Scratch()
{
    const char *base = getenv("TMPDIR");
    std::string name = std::string(base && *base ? base : "/tmp") + "/serry-test-XXXXXX";
    if (!mkdtemp(name.data())) {
        perror(name.c_str());
        abort();
    }
    path_ = name;
}

Scratch::~Scratch()
{
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

std::string read_file(const std::string &path)
{
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void write_file(const std::string &path, const std::string &text)
{
    std::ofstream(path, std::ios::binary) << text;
}

std::string self_path()
{
    return fs::read_symlink("/proc/self/exe");
}

std::string serry_command()
{
    return SERRY_TEST_COMMAND;
}

std::string program_path(const std::string &name)
{
    return std::string(SERRY_TEST_PROGRAMS) + "/" + name;
}

/* ---- starting ---- */

/* The programs themselves are waited for by reap, never as orphans. */
static std::mutex programs_mutex;
static std::set<pid_t> programs_started;

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static std::vector<std::string> environment(const ProgramOptions &options, const std::string &mark,
                                            const std::string &tmp)
{
    std::map<std::string, std::string> set = options.env;
    set.emplace("TMPDIR", tmp);
    std::vector<std::string> env = { mark };
    for (char **e = environ; *e; e++) {
        std::string name(*e, strcspn(*e, "="));
        if (!starts_with(*e, "SERRY_") && !starts_with(*e, "GTEST_") && !set.count(name))
            env.push_back(*e);
    }
    for (const auto &[name, value] : set)
        env.push_back(name + "=" + value);
    return env;
}

static std::vector<char *> pointers(const std::vector<std::string> &texts)
{
    std::vector<char *> p;
    for (const auto &text : texts)
        p.push_back(const_cast<char *>(text.c_str()));
    p.push_back(nullptr);
    return p;
}

static void make_pipe(int fd[2])
{
    if (pipe2(fd, O_CLOEXEC) != 0) {
        perror("pipe2");
        abort();
    }
}

/* In the child, between fork and exec: only what is async-signal-safe. */
[[noreturn]] static void become(char **argv, char **env, const char *directory, const int fd[3])
{
    setsid();
    /* If this process is ended from outside, its programs are not to go on without it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 1; i < NSIG; i++)
        ::signal(i, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int i = 0; i < 3; i++)
        dup2(fd[i], i);
    sri_close_all_but(3, nullptr, 0);
    if (!*directory || chdir(directory) == 0)
        execvpe(argv[0], argv, env);
    int e = errno;
    const char *text = strerror(e);
    const char *const parts[] = { argv[0], ": ", text, "\n" };
    for (const char *part : parts) {
        if (::write(2, part, strlen(part)) < 0)
            break;
    }
    _exit(127);
}

Program::Program(std::vector<std::string> argv, ProgramOptions options)
    : options_(std::move(options)), shm_before_(names_in(options_.shm))
{
    static std::atomic<int> serial;
    mark_ = mark_name + std::to_string(getpid()) + "." + std::to_string(serial++);
    std::vector<std::string> env = environment(options_, mark_, tmp_.path());
    std::vector<char *> argp = pointers(argv), envp = pointers(env);

    int in[2], out[2], err[2];
    make_pipe(in);
    make_pipe(out);
    make_pipe(err);
    int theirs[3] = { in[0], out[1], err[1] };
    fflush(nullptr);
    started_ = now();
    {
        std::lock_guard<std::mutex> lock(programs_mutex);
        pid_ = fork();
        if (pid_ == 0)
            become(argp.data(), envp.data(), options_.directory.c_str(), theirs);
        programs_started.insert(pid_);
    }
    for (int fd : theirs)
        close(fd);
    in_ = in[1];
    out_ = out[0];
    err_ = err[0];
    for (int fd : { in_, out_, err_ })
        fcntl(fd, F_SETFL, O_NONBLOCK);
    pidfd_ = (int)syscall(SYS_pidfd_open, pid_, 0);
    if (pid_ < 0 || pidfd_ < 0) {
        perror("starting a program");
        abort();
    }
    if (!options_.keep_input && options_.input.empty())
        close_input();
}

Program::~Program()
{
    if (!waited_) {
        kill_all();
        wait();
    }
    for (int fd : { in_, out_, err_, pidfd_ }) {
        if (fd >= 0)
            close(fd);
    }
}

void Program::signal(int number)
{
    if (!ended_)
        kill(pid_, number);
}

void Program::signal_group(int number)
{
    if (!ended_)
        kill(-pid_, number);
}

void Program::write(const std::string &text)
{
    options_.input += text;
    pump(0);
}

void Program::close_input()
{
    options_.keep_input = false;
    if (options_.input.empty() && in_ >= 0) {
        close(in_);
        in_ = -1;
    }
}

/* ---- watching ---- */

static void read_into(int *fd, std::string *text)
{
    char bytes[65536];
    while (*fd >= 0) {
        ssize_t n = read(*fd, bytes, sizeof bytes);
        if (n > 0) {
            text->append(bytes, (size_t)n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(*fd);
            *fd = -1;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

void Program::drain()
{
    read_into(&out_, &result_.out);
    read_into(&err_, &result_.err);
}

/* One round: moves what can be moved, waiting for it at most so long. */
void Program::pump(double seconds)
{
    pollfd p[4] = { { out_, POLLIN, 0 },
                    { err_, POLLIN, 0 },
                    { options_.input.empty() ? -1 : in_, POLLOUT, 0 },
                    { ended_ ? -1 : pidfd_, POLLIN, 0 } };
    poll(p, 4, (int)std::ceil(seconds * 1000));
    drain();
    if (p[2].revents) {
        ssize_t n = ::write(in_, options_.input.data(), options_.input.size());
        if (n > 0)
            options_.input.erase(0, (size_t)n);
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            options_.input.clear();
        if (!options_.keep_input)
            close_input();
    }
}

bool Program::reap()
{
    int status;
    rusage usage;
    if (ended_)
        return true;
    if (wait4(pid_, &status, WNOHANG, &usage) != pid_)
        return false;
    ended_ = true;
    {
        std::lock_guard<std::mutex> lock(programs_mutex);
        programs_started.erase(pid_);
    }
    result_.seconds = now() - started_;
    result_.cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
                          + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    if (WIFEXITED(status))
        result_.code = WEXITSTATUS(status);
    else
        result_.signal = WTERMSIG(status);
    return true;
}

bool Program::wait_for(const std::function<bool()> &cond, double seconds)
{
    double end = now() + patience(seconds);
    while (!cond()) {
        if (reap() || now() > end) {
            drain();
            return cond();
        }
        pump(0.002);
    }
    return true;
}

bool Program::wait_for_output(const std::string &text, double seconds)
{
    return wait_for([&] { return result_.out.find(text) != std::string::npos; }, seconds);
}

/* In the middle of an exec a process has no environment to be read: an orphan in that state is
 * taken for ours. (If it is no orphan, its parent is found.) */
static bool is_execing_orphan(pid_t p)
{
    pid_t parent = -1;
    if (!process_state(p, &parent) || parent != getpid())
        return false;
    std::lock_guard<std::mutex> lock(programs_mutex);
    return !programs_started.count(p);
}

std::vector<pid_t> Program::processes() const
{
    std::vector<pid_t> found;
    for (pid_t p : all_pids()) {
        std::string env = '\0' + read_file("/proc/" + std::to_string(p) + "/environ");
        bool ours = env.find('\0' + mark_ + '\0') != std::string::npos
                    || (env.size() == 1 && is_execing_orphan(p));
        if (ours && is_alive(p))
            found.push_back(p);
    }
    return found;
}

void Program::kill_all()
{
    signal(SIGKILL);
    for (pid_t p : processes())
        kill(p, SIGKILL);
}

/* Orphans that have come to this process and ended. */
static void reap_orphans()
{
    for (pid_t p : children_of(getpid())) {
        std::lock_guard<std::mutex> lock(programs_mutex);
        if (!programs_started.count(p) && process_state(p) == 'Z')
            waitpid(p, nullptr, WNOHANG | __WALL);
    }
}

void Program::find_left_behind()
{
    double end = now() + patience(options_.grace);
    while (!processes().empty() && now() < end) {
        pump(0.001);
        reap_orphans();
    }
    for (pid_t p : processes())
        result_.left_behind.push_back(describe_process(p));
    while (!processes().empty()) {
        kill_all();
        breathe();
    }
    reap_orphans();
    for (const auto &name : names_in(options_.shm)) {
        if (name.find("serry") != std::string::npos
            && !std::binary_search(shm_before_.begin(), shm_before_.end(), name))
            result_.left_behind.push_back(options_.shm + "/" + name);
    }
    for (const auto &name : names_in(tmp_.path()))
        result_.left_behind.push_back("$TMPDIR/" + name);
}

const ProgramResult &Program::wait()
{
    if (waited_)
        return result_;
    if (options_.keep_input)
        close_input();
    double end = started_ + patience(options_.timeout);
    while (!reap() && now() < end)
        pump(std::min(0.1, std::max(0.001, end - now())));
    if (!ended_) {
        result_.timed_out = true;
        drain();
        result_.err += "\n[not in time; what its processes did:]\n";
        for (pid_t p : processes())
            result_.err += describe_process(p) + "\n";
        kill_all();
        while (!reap())
            pump(0.01);
    }
    waited_ = true;
    find_left_behind();
    drain();
    return result_;
}

ProgramResult run_program(std::vector<std::string> argv, ProgramOptions options)
{
    Program p(std::move(argv), std::move(options));
    return p.wait();
}

std::ostream &operator<<(std::ostream &o, const ProgramResult &r)
{
    if (r.timed_out)
        o << "not in time, killed after " << r.seconds << " s";
    else if (r.signal)
        o << "ended by signal " << r.signal << " (" << strsignal(r.signal) << ")";
    else
        o << "exit code " << r.code;
    for (const auto &line : r.left_behind)
        o << "\nleft behind: " << line;
    o << "\n--- standard output ---\n" << r.out << "--- standard error ---\n" << r.err << "---";
    return o;
}

} // namespace serry_test
