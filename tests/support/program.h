/* support/program.h: programs as tests start them: watched, bounded in time, and checked to leave
 * nothing behind.
 *
 *     auto r = serry_test::run_program({ "/bin/echo", "hello" });
 *     EXPECT_EQ(r.code, 0);
 *     EXPECT_EQ(r.out, "hello\n");
 *
 * Each program is the leader of its own session and carries a mark in its environment, which all
 * that it starts inherit: so its descendants are found, and ended, wherever they went.
 */
#ifndef SERRY_TEST_PROGRAM_H
#define SERRY_TEST_PROGRAM_H

#include <functional>
#include <iosfwd>
#include <map>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

namespace serry_test {

/* A time limit for this build: sanitizers make everything slower. */
double patience(double seconds);

/* Looks at cond until it is true (then true) or `seconds` have passed (then false). */
bool wait_for(const std::function<bool()> &cond, double seconds = 10);

/* How many descriptors this process has open; which, as "number: target". */
int count_fds();
std::set<std::string> open_fds();
std::string describe_fds(); /* for a failure message */

/* Processes whose parent is pid, dead ones that nobody has waited for included. */
std::vector<pid_t> children_of(pid_t pid);

/* Is there such a process, and is it not a zombie? */
bool is_alive(pid_t pid);

/* A directory of its own, removed with all that is in it. */
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    const std::string &path() const { return path_; }
    std::string operator/(const std::string &name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

std::string read_file(const std::string &path); /* "" if there is none */
void write_file(const std::string &path, const std::string &text);

/* This test's own binary; the `serry` command it goes with; tests/programs/<name>.c, built. */
std::string self_path();
std::string serry_command();
std::string program_path(const std::string &name);

struct ProgramOptions {
    std::map<std::string, std::string> env; /* set over this process's, from which all SERRY_* and
                                               GTEST_* are dropped */
    std::string input;                      /* its standard input, by a pipe */
    bool keep_input = false;      /* leave the pipe open behind input: write(), close_input() */
    std::string directory;        /* "": this process's */
    double timeout = 60;          /* seconds, from the start to the end; patience() is applied */
    double grace = 2;             /* seconds in which what it started must be gone after it */
    std::string shm = "/dev/shm"; /* where no name with "serry" may be left */
};

struct ProgramResult {
    int code = -1;  /* exit code; -1 if a signal ended it */
    int signal = 0; /* the signal that ended it */
    bool timed_out = false;
    double seconds = 0;     /* from start to end */
    double cpu_seconds = 0; /* of it and of the children it waited for */
    std::string out;
    std::string err;
    std::vector<std::string> left_behind; /* processes (ended by now), names in /dev/shm and in
                                             $TMPDIR; one line each */
    bool ok() const { return code == 0 && !timed_out && left_behind.empty(); }
};
std::ostream &operator<<(std::ostream &, const ProgramResult &);

/* A program that runs while the test does other things. Not ended by wait: ended, with all that it
 * started, by the destructor. */
class Program {
public:
    Program(std::vector<std::string> argv, ProgramOptions options = {});
    ~Program();
    Program(const Program &) = delete;
    Program &operator=(const Program &) = delete;

    pid_t pid() const { return pid_; }
    void signal(int number);       /* to the program alone */
    void signal_group(int number); /* to its process group, as a terminal's Ctrl-C does */
    void write(const std::string &text);
    void close_input();

    /* What it has printed so far, as far as it was read by one of the waits. */
    const std::string &out() const { return result_.out; }
    const std::string &err() const { return result_.err; }

    /* Reads what it prints until cond is true; false if it has ended before or time is up. */
    bool wait_for(const std::function<bool()> &cond, double seconds = 10);
    bool wait_for_output(const std::string &text, double seconds = 10);

    /* Waits for its end and for that of all it started. At its timeout everything is killed, and
     * the result's err says what each process was doing. */
    const ProgramResult &wait();

    /* All living processes it has started, itself included. */
    std::vector<pid_t> processes() const;

private:
    void pump(double seconds);
    bool reap();
    void drain();
    void kill_all();
    void find_left_behind();

    ProgramOptions options_;
    ProgramResult result_;
    Scratch tmp_;
    std::vector<std::string> shm_before_;
    std::string mark_;
    pid_t pid_ = -1;
    int pidfd_ = -1;
    int in_ = -1, out_ = -1, err_ = -1;
    double started_ = 0;
    bool ended_ = false;
    bool waited_ = false;
};

ProgramResult run_program(std::vector<std::string> argv, ProgramOptions options = {});

} // namespace serry_test

#endif
