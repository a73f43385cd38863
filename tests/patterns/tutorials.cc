// ctest: slow processors=1 timeout=120
/* tutorials.cc: each program of apps/tutorials, started in each way, prints what its comment
 * promises. With SERRY_TEST_LAUNCH (words to which a program is added, that start four ranks of it)
 * the programs are started by that alone. */
// ctest: timeout=120
#include "support/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <ostream>
#include <regex>
#include <set>
#include <sstream>
#include <unistd.h>

using namespace serry_test;

namespace {

/* What a program has printed, as lines, and questions about them. */
class Output {
public:
    Output(const ProgramResult &result, int ranks_, bool relayed_ = false)
        : ranks(ranks_), relayed(relayed_)
    {
        std::istringstream in(result.out);
        for (std::string line; std::getline(in, line);)
            lines.push_back(line);
    }

    /* The first part in brackets (or else all) of each line that a pattern matches wholly. */
    std::vector<std::string> all(const std::string &pattern) const
    {
        std::vector<std::string> found;
        std::smatch match;
        for (const std::string &line : lines)
            if (std::regex_match(line, match, std::regex(pattern)))
                found.push_back(match[match.size() > 1 ? 1 : 0]);
        return found;
    }

    int count(const std::string &pattern) const { return (int)all(pattern).size(); }

    /* The same of the one line that matches, as a number. */
    double number(const std::string &pattern) const
    {
        const auto found = all(pattern);
        EXPECT_EQ(found.size(), 1u) << "lines that match " << pattern;
        return found.size() == 1 ? std::stod(found[0]) : -1;
    }

    /* Where the first, the last line is that matches; -1: nowhere. */
    int first(const std::string &pattern) const { return find(pattern, true); }
    int last(const std::string &pattern) const { return find(pattern, false); }

    std::vector<std::string> lines;
    const int ranks;    /* that were launched */
    const bool relayed; /* each rank's lines by its own way: whose come first says nothing */

private:
    int find(const std::string &pattern, bool stop) const
    {
        int at = -1;
        for (size_t i = 0; i < lines.size() && !(stop && at >= 0); i++)
            if (std::regex_match(lines[i], std::regex(pattern)))
                at = (int)i;
        EXPECT_GE(at, 0) << "no line matches " << pattern;
        return at;
    }
};

using Lines = std::vector<std::string>;

/* How a program is started. */
enum Way { directly, clean_copy, np4, run4, launched };

struct Tutorial {
    std::string name;
    std::function<void(const Output &)> check;
    std::vector<std::string> arguments = {};
    std::vector<Way> ways = { directly, clean_copy, np4, run4 };
};

/* `work` for each number, in any order: "<number> begins", later "<number> ends". Returns how many
 * were at it at the same time, at most. */
int most_at_once(const Lines &lines, const std::string &begins, const std::string &ends)
{
    int inside = 0, most = 0;
    for (const std::string &line : lines) {
        if (std::regex_match(line, std::regex(begins)))
            most = std::max(most, ++inside);
        else if (std::regex_match(line, std::regex(ends)))
            EXPECT_GE(--inside, 0) << line;
    }
    EXPECT_EQ(inside, 0);
    return most;
}

/* Each of the numbers first .. first + n - 1 is there once. */
void expect_each_once(const Lines &found, int n, int first = 0)
{
    std::multiset<int> numbers, wanted;
    for (const std::string &each : found)
        numbers.insert(std::stoi(each));
    for (int i = 0; i < n; i++)
        wanted.insert(first + i);
    EXPECT_EQ(numbers, wanted);
}

/* ---- processes ---- */

void clock(const Output &o)
{
    const int ticks = o.count("the time is [0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]");
    EXPECT_GE(ticks, 1);
    EXPECT_EQ((int)o.lines.size(), ticks + 2);
    EXPECT_EQ(o.first("the clock has stopped"), ticks);
    EXPECT_EQ(o.first("its exit code is 0"), ticks + 1);
}

void clock_class(const Output &o)
{
    const auto fast = o.all("fast: tick ([0-9]+)"), slow = o.all("slow: tick ([0-9]+)");
    EXPECT_EQ(fast, (Lines{ "1", "2", "3", "4", "5", "6" }));
    EXPECT_EQ(slow, (Lines{ "1", "2", "3" }));
    EXPECT_GT(o.first("fast has ended with 6"), o.last("fast: tick 6"));
    EXPECT_GT(o.first("slow has ended with 3"), o.last("slow: tick 3"));
    EXPECT_EQ(o.count("the main program's copies have counted 0 and 0"), 1);
}

void ids(const Output &o)
{
    const auto parents = o.all("  parent process: ([0-9]+)"),
               selves = o.all("  process id: ([0-9]+)");
    ASSERT_EQ(parents.size(), 2u);
    ASSERT_EQ(selves.size(), 2u);
    EXPECT_EQ(parents[1], selves[0]) << "the child's parent is the main program";
    EXPECT_NE(selves[0], selves[1]);
    EXPECT_NE(parents[0], selves[0]);
    EXPECT_EQ(o.count("  program: ids"), 2);
    EXPECT_EQ(o.count("  rank: 0"), 1);
    EXPECT_EQ(o.first("main"), 0);
    EXPECT_EQ(o.first("function greet"), 5);
    EXPECT_EQ(o.first("hello bob"), 10);
    EXPECT_EQ(o.lines.size(), 11u);
}

void players(const Output &o)
{
    for (const char *name : { "Ann", "Ben", "Cat", "Dan" }) {
        const std::string who = name;
        EXPECT_LT(o.first(who + " begins"), o.first(who + " has finished after [0-9]+ ms"));
    }
    for (const char *name : { "Process-1", "Process-2", "Cat", "Dan" })
        EXPECT_EQ(o.count(std::string(name) + ", rank [1-9][0-9]*, has left"), 1);
    EXPECT_EQ(o.lines.size(), 12u);
}

void daemons(const Output &o)
{
    EXPECT_EQ(o.first("joined, a daemon, begins"), 0);
    EXPECT_EQ(o.first("joined, a daemon, ends"), 1);
    EXPECT_EQ(o.count("slow, a daemon, begins"), 1);
    EXPECT_EQ(o.count("slow, a daemon, ends"), 0);
    EXPECT_EQ(o.count("main ends"), 1);
    EXPECT_LT(o.first("quick, a process, begins"), o.first("quick, a process, ends"));
    EXPECT_EQ(o.lines.size(), 6u);
}

void roll_call(const Output &o)
{
    EXPECT_EQ(o.first("main: name .*, pid [0-9]+, rank 0, daemon no"), 0);
    EXPECT_GE(o.number("([0-9]+) processors"), 1);
    EXPECT_EQ(o.count("child: name Process-1, pid [0-9]+, rank [0-9]+, daemon no"), 1);
    EXPECT_EQ(o.count("child: name helper, pid [0-9]+, rank [0-9]+, daemon no"), 1);
    EXPECT_EQ(o.count("child: name daemon, pid [0-9]+, rank [0-9]+, daemon yes"), 1);
    EXPECT_EQ(o.count("3 active children: Process-1 helper daemon"), 1);
    EXPECT_LT(o.first("1 active children: daemon"), o.first("the daemon was ended by signal 15"));
    EXPECT_EQ(o.first("0 active children:"), (int)o.lines.size() - 1);
    EXPECT_EQ(o.lines.size(), 9u);
}

void signals(const Output &o)
{
    EXPECT_EQ(o.first("main: caught signal 14 .*"), 0);
    EXPECT_EQ(o.count("child: caught signal 10 .*"), 2);
    EXPECT_EQ(o.first("main: the child was ended by signal 9 .*"), 3);
    EXPECT_EQ(o.lines.size(), 4u);
}

/* ---- queues, pipes, shared objects ---- */

void million(const Output &o)
{
    EXPECT_EQ(o.first("read 1000000 integers, their sum is 499999500000"), 0);
    EXPECT_GT(o.number("in ([0-9.]+) seconds"), 0);
}

void thousand(const Output &o)
{
    EXPECT_EQ(o.first("read 1000 integers, their sum is 499500"), 0);
}

void writers(const Output &o)
{
    EXPECT_EQ(o.first("9 items"), 0);
    for (const char *writer : { "0", "1", "2" })
        EXPECT_EQ(o.all(std::string("writer ") + writer + ", item ([0-9])"),
                  (Lines{ "0", "1", "2" }));
    EXPECT_EQ(o.lines.size(), 10u);
}

void pipes(const Output &o)
{
    EXPECT_EQ(o.lines,
              (Lines{ "parent: received one", "parent: received two", "parent: received three",
                      "parent: SERRY_ECLOSED", "child: the square of 1 is 1",
                      "child: the square of 2 is 4", "child: the square of 3 is 9" }));
}

void shared_list(const Output &o)
{
    ASSERT_EQ(o.lines.size(), 2u);
    const std::string title = "the shared list has 8 items:";
    ASSERT_EQ(o.lines[0].substr(0, title.size()), title);
    std::istringstream items(o.lines[0].substr(title.size()));
    std::multiset<int> found;
    for (int item; items >> item;)
        found.insert(item);
    EXPECT_EQ(found, (std::multiset<int>{ 1, 1, 2, 4, 3, 9, 4, 16 }));
    EXPECT_EQ(o.lines[1], "the array of the main program has 0");
}

/* ---- one at a time, and waiting for each other ---- */

void printers(const Output &o)
{
    ASSERT_EQ(o.lines.size(), 20u);
    EXPECT_EQ(o.lines[0], "without a lock:");
    EXPECT_EQ(o.lines[10], "with a lock:");
    for (int half = 0; half < 2; half++) {
        const Lines lines(o.lines.begin() + 1 + 10 * half, o.lines.begin() + 10 + 10 * half);
        std::set<std::string> different(lines.begin(), lines.end());
        EXPECT_EQ(different.size(), 9u);
        for (const std::string &line : lines)
            EXPECT_TRUE(std::regex_match(line, std::regex("  worker [123], line [123]"))) << line;
    }
    for (int i = 11; i < 20; i += 3) {
        const std::string worker = o.lines[i].substr(0, o.lines[i].find(','));
        for (int k = 0; k < 3; k++)
            EXPECT_EQ(o.lines[i + k], worker + ", line " + std::to_string(k + 1));
    }
}

void tickets(const Output &o)
{
    EXPECT_GT(o.number("without a lock: 10 tickets, ([0-9]+) sold"), 10);
    EXPECT_EQ(o.number("with a lock: 10 tickets, ([0-9]+) sold"), 10);
}

void one_at_a_time(const Output &o)
{
    const int end_of_locked = o.first("with the lock: .*");
    const Lines locked(o.lines.begin(), o.lines.begin() + end_of_locked);
    const Lines free(o.lines.begin() + end_of_locked, o.lines.end());
    EXPECT_EQ(most_at_once(locked, "[0-9] begins", "[0-9] ends"), 1);
    EXPECT_GT(most_at_once(free, "[0-9] begins", "[0-9] ends"), 1);
    EXPECT_GE(o.number("with the lock: ([0-9.]+) seconds"), 0.5);
    EXPECT_GE(o.number("without: ([0-9.]+) seconds"), 0.05);
    EXPECT_EQ(o.lines.size(), 42u);
}

void own_lock(const Output &o)
{
    EXPECT_GT(o.number("a lock in each process: met another ([0-9]+) times"), 0);
    EXPECT_EQ(o.number("one lock given to all: met another ([0-9]+) times"), 0);
    EXPECT_EQ(o.number("a lock of the same name: met another ([0-9]+) times"), 0);
}

void semaphore(const Output &o)
{
    EXPECT_EQ(most_at_once(o.lines, "[0-9] is in", "[0-9] goes out"), 2);
    expect_each_once(o.all("([0-9]) is in"), 10);
    expect_each_once(o.all("([0-9]) goes out"), 10);
    EXPECT_GE(o.number("all were in after ([0-9.]+) seconds"), 0.5);
}

void event(const Output &o)
{
    expect_each_once(o.all("([0-9]) waits"), 10);
    expect_each_once(o.all("([0-9]) gives up"), 5, 5);
    expect_each_once(o.all("([0-9]) goes on"), 5);
    EXPECT_LT(o.last("[0-9] gives up"), o.first("main sets the event"));
    EXPECT_GT(o.first("[0-9] goes on"), o.first("main sets the event"));
    EXPECT_EQ(o.lines.size(), 21u);
}

void condition(const Output &o)
{
    const int done = o.first("first stage: done");
    for (const char *name : { "Anna", "Bert" }) {
        EXPECT_EQ(o.count(std::string(name) + ": waits"), 1);
        EXPECT_GT(o.first(std::string(name) + ": goes on"), done);
    }
    EXPECT_EQ(o.lines.size(), 5u);
}

void barrier(const Output &o)
{
    ASSERT_EQ(o.lines.size(), 15u);
    for (int round = 1; round <= 3; round++) {
        Lines walkers;
        for (int i = 5 * (round - 1); i < 5 * round - 1; i++) {
            std::smatch match;
            EXPECT_TRUE(std::regex_match(
                o.lines[i], match, std::regex("([1-4]) has done round " + std::to_string(round))))
                << o.lines[i];
            if (!match.empty())
                walkers.push_back(match[1]);
        }
        expect_each_once(walkers, 4, 1);
        EXPECT_EQ(o.lines[5 * round - 1], "all have done it");
    }
}

/* ---- pools ---- */

void pool_async(const Output &o)
{
    expect_each_once(o.all("task ([0-9]) begins in rank [0-9]+"), 10);
    expect_each_once(o.all("task ([0-9]) ends"), 10);
    if (!o.relayed) {
        const int most = most_at_once(o.lines, "task [0-9] begins.*", "task [0-9] ends");
        EXPECT_GT(most, 1);
        /* Of several ranks the first works, too, until another has come to finalize. */
        EXPECT_LE(most, o.ranks > 1 ? 4 : 3);
        EXPECT_LT(o.first("all handed in"), o.last("task [0-9] ends"));
        EXPECT_EQ(o.first("all done in [0-9.]+ seconds"), (int)o.lines.size() - 1);
    }
    EXPECT_EQ(o.count("all handed in"), 1);
    EXPECT_GE(o.number("all done in ([0-9.]+) seconds"), o.ranks > 1 ? 0.3 : 0.4);
    EXPECT_EQ(o.lines.size(), 22u);
}

void pool_blocking(const Output &o)
{
    ASSERT_EQ(o.lines.size(), 21u);
    for (int i = 0; i < 10; i++) {
        const std::string task = "task " + std::to_string(i);
        const int begins = o.first(task + " begins in rank [0-9]+"), ends = o.first(task + " ends");
        if (!o.relayed) {
            EXPECT_EQ(begins, 2 * i);
            EXPECT_EQ(ends, 2 * i + 1);
        }
    }
    EXPECT_GE(o.number("all done in ([0-9.]+) seconds"), 1.0);
}

void pool_results(const Output &o)
{
    for (int i = 0; i < 10; i++) {
        const std::string n = std::to_string(i);
        EXPECT_EQ(o.first("task " + n + " says: hello " + n), i);
    }
    EXPECT_EQ(o.first("squares: 0 1 4 9 16 25 36 49 64 81"), 10);
}

void pool_functions(const Output &o)
{
    expect_each_once(o.all("rank [0-9]+ sings song ([0-9])"), 5);
    expect_each_once(o.all("rank [0-9]+ dances dance ([0-9])"), 5);
    const int seconds = o.first("0.25 seconds of singing, 0.50 of dancing");
    EXPECT_TRUE(o.relayed || seconds == 10) << seconds;
    EXPECT_EQ(o.lines.size(), 11u);
}

void starmap(const Output &o)
{
    EXPECT_EQ(o.lines,
              (Lines{ "0 ^ 2 = 0", "1 ^ 3 = 1", "2 ^ 4 = 16", "3 ^ 2 = 9", "4 ^ 3 = 64",
                      "5 ^ 4 = 625", "6 ^ 2 = 36", "7 ^ 3 = 343", "8 ^ 4 = 4096", "9 ^ 2 = 81" }));
}

void pool_cpus(const Output &o)
{
    EXPECT_GE(o.number("([0-9]+) processors"), 1);
    int all = 0;
    for (const std::string &tasks : o.all("rank [0-9]+ has run ([0-9]+) tasks in [0-9.]+ seconds"))
        all += std::stoi(tasks);
    EXPECT_EQ(all, 40);
}

void side_by_side(const Output &o)
{
    EXPECT_EQ(o.first("serial: 78498 primes below 1000000 in [0-9.]+ seconds"), 0);
    EXPECT_EQ(o.first("pooled: 78498 primes below 1000000 in [0-9.]+ seconds"), 1);
    EXPECT_GT(o.number("([0-9.]+) times as fast"), 0);
}

void futures(const Output &o)
{
    EXPECT_EQ(o.count("callback: task 0 is done"), 1);
    EXPECT_EQ(o.count("task 3 failed: 3 brings bad luck"), 1);
    EXPECT_EQ(o.count("task 7 was cancelled"), 1);
    for (int i : { 0, 1, 2, 4, 5, 6 })
        EXPECT_EQ(o.count("task " + std::to_string(i) + ": " + std::to_string(i * i)), 1);
    EXPECT_EQ(o.count("the map is under way"), 1);
    EXPECT_EQ(o.first("0 1 4 1089 16 25 36 49"), (int)o.lines.size() - 1);
    EXPECT_EQ(o.lines.size(), 11u);
}

/* ---- other programs ---- */

void subprocess(const Output &o)
{
    ASSERT_EQ(o.lines.size(), 9u);
    EXPECT_EQ(o.lines[0], "called: hello");
    EXPECT_EQ(o.lines[1], "called: exit code 3");
    EXPECT_EQ(o.count("checked: SERRY_ETASK: .*false.*"), 1);
    EXPECT_EQ(o.count("not found: SERRY_ESYS: .*no-such-program.*"), 1);
    EXPECT_EQ(o.lines[4], "its output: this and that");
    EXPECT_EQ(o.lines[5], "sorted: two");
    EXPECT_EQ(o.lines[6], "after 0.2 seconds: SERRY_ETIMEDOUT");
    EXPECT_EQ(o.lines[7], "signalled: exit code -15");
    EXPECT_EQ(o.lines[8], "by a shell: 42");
}

/* It does not join the world: each process that is launched does it all, and all of them print at
 * the same time. */
void subprocess_by_all(const Output &o)
{
    const std::regex wanted[] = { std::regex("called: hello"),
                                  std::regex("called: exit code 3"),
                                  std::regex("checked: SERRY_ETASK: .*false.*"),
                                  std::regex("not found: SERRY_ESYS: .*no-such-program.*"),
                                  std::regex("its output: this and that"),
                                  std::regex("sorted: two"),
                                  std::regex("after 0.2 seconds: SERRY_ETIMEDOUT"),
                                  std::regex("signalled: exit code -15"),
                                  std::regex("by a shell: 42") };
    for (const std::regex &each : wanted)
        EXPECT_EQ(std::count_if(o.lines.begin(), o.lines.end(),
                                [&](const std::string &line) { return regex_match(line, each); }),
                  o.ranks);
    EXPECT_EQ(o.lines.size(), 9u * (size_t)o.ranks);
}

const std::vector<Tutorial> tutorials = {
    { "clock", clock, { "0.05", "1" } },
    { "clock_class", clock_class },
    { "ids", ids },
    { "players", players },
    { "daemons", daemons },
    { "roll_call", roll_call },
    { "signals", signals },
    { "million", million, {}, { directly, np4, run4 } },
    /* Over sockets each item of a bounded queue costs a question and an answer. */
    { "million", thousand, { "1000" }, { clean_copy } },
    { "writers", writers },
    { "pipes", pipes },
    { "shared_list", shared_list },
    { "printers", printers },
    { "tickets", tickets },
    { "one_at_a_time", one_at_a_time },
    { "own_lock", own_lock },
    { "semaphore", semaphore },
    { "event", event },
    { "condition", condition },
    { "barrier", barrier },
    { "pool_async", pool_async },
    { "pool_blocking", pool_blocking },
    { "pool_results", pool_results },
    { "pool_functions", pool_functions },
    { "starmap", starmap },
    { "pool_cpus", pool_cpus },
    { "side_by_side", side_by_side },
    { "futures", futures },
    { "subprocess", subprocess, {}, { directly } },
    { "subprocess", subprocess_by_all, {}, { launched } },
};

std::string tutorial_path(const std::string &name)
{
    return SERRY_TEST_PROGRAMS "/../../bin/tutorials/" + name;
}

bool was_built(const std::string &path)
{
    return access(path.c_str(), X_OK) == 0;
}

class TutorialTest : public testing::Test {
public:
    TutorialTest(const Tutorial &tutorial, Way way) : tutorial_(tutorial), way_(way) {}

    void TestBody() override
    {
        const std::string path = tutorial_path(tutorial_.name);
        if (!was_built(path))
            GTEST_SKIP() << tutorial_.name << " was not built";

        std::vector<std::string> argv;
        ProgramOptions options;
        if (way_ == run4)
            argv = { serry_command(), "run", "-n", "4" };
        if (way_ == launched) {
            std::istringstream launch(getenv("SERRY_TEST_LAUNCH"));
            for (std::string word; launch >> word;)
                argv.push_back(word);
            options.env["SERRY_COMMAND"] = serry_command();
        }
        if (way_ == np4)
            options.env["SERRY_NP"] = "4";
        if (way_ == clean_copy)
            options.env = { { "SERRY_START", "agent" }, { "SERRY_LANES", "socket" } };
        argv.push_back(path);
        argv.insert(argv.end(), tutorial_.arguments.begin(), tutorial_.arguments.end());

        const ProgramResult result = run_program(argv, options);
        EXPECT_TRUE(result.ok());
        EXPECT_EQ(result.err, "");
        const bool one = way_ == directly || way_ == clean_copy;
        tutorial_.check(Output(result, one ? 1 : 4, way_ == launched));
        if (HasFailure())
            ADD_FAILURE() << result;
    }

private:
    const Tutorial tutorial_;
    const Way way_;
};

/* What other ranks of the world may look on at is launched, too. */
std::vector<Way> launched_ways(const Tutorial &t)
{
    const bool too = std::count(t.ways.begin(), t.ways.end(), run4)
                     + std::count(t.ways.begin(), t.ways.end(), launched);
    return too ? std::vector<Way>{ launched } : std::vector<Way>{};
}

const bool added = [] {
    static const char *const names[] = { "Directly", "FromTheCleanCopyOverSockets", "AsFourRanks",
                                         "UnderTheLauncher", "Launched" };
    const bool launch = getenv("SERRY_TEST_LAUNCH") != nullptr;
    for (const Tutorial &each : tutorials)
        for (Way way : launch ? launched_ways(each) : each.ways)
            if (launch == (way == launched))
                testing::RegisterTest(
                    "Tutorial", (each.name + "/" + names[way]).c_str(), nullptr, nullptr, __FILE__,
                    __LINE__,
                    [each, way]() -> testing::Test * { return new TutorialTest(each, way); });
    return true;
}();

/* The program is gone at once; what it promises stands in a file, later. */
void expect_daemon(const std::map<std::string, std::string> &env)
{
    const std::string path = tutorial_path("daemonize");
    if (!was_built(path))
        GTEST_SKIP() << "daemonize was not built";
    Scratch dir;
    const std::string file = dir / "log";
    ProgramOptions options;
    options.env = env;
    options.grace = 10; /* the daemon is left behind, for a while */
    Program program({ path, file }, options);
    EXPECT_TRUE(wait_for([&] {
        return read_file(file).find("daemon ends\n") != std::string::npos;
    })) << read_file(file);
    const ProgramResult result = program.wait();
    EXPECT_TRUE(result.ok()) << result;
    EXPECT_EQ(result.out, "the daemon writes to " + file + "\n");

    ProgramResult log;
    log.out = read_file(file);
    const Output o(log, 1);
    EXPECT_EQ(o.first("daemon [0-9]+ begins, in session [0-9]+"), 0);
    EXPECT_EQ(o.all("tick ([0-9])"), (Lines{ "1", "2", "3", "4", "5" }));
    EXPECT_EQ(o.first("daemon ends"), 6);
    EXPECT_NE(o.all("daemon ([0-9]+) begins.*"), Lines{ std::to_string(program.pid()) });
}

TEST(Daemonize, WritesItsLinesAfterTheProgramHasEnded)
{
    expect_daemon({});
}

TEST(Daemonize, WritesThemOnceAsFourRanks)
{
    expect_daemon({ { "SERRY_NP", "4" } });
}

/* They would wait for ranks that have ended, and their ranks for MPI. */
TEST(Daemonize, IsRefusedUnderAnyLauncher)
{
    using Env = std::map<std::string, std::string>;
    const std::string path = tutorial_path("daemonize");
    if (!was_built(path))
        GTEST_SKIP() << "daemonize was not built";
    Scratch dir;
    for (const Env &env :
         { Env{ { "OMPI_COMM_WORLD_SIZE", "4" }, { "OMPI_COMM_WORLD_RANK", "1" } },
           Env{ { "PMI_SIZE", "4" }, { "PMI_RANK", "1" } }, Env{ { "SERRY_JOIN_FD", "3" } } }) {
        ProgramOptions options;
        options.env = env;
        const ProgramResult result = run_program({ path, dir / "log" }, options);
        EXPECT_NE(result.code, 0) << result;
        EXPECT_NE(result.err.find("SERRY_ESTATE"), std::string::npos) << result;
        EXPECT_NE(result.err.find("under a launcher"), std::string::npos) << result;
        EXPECT_TRUE(result.left_behind.empty()) << result;
        EXPECT_EQ(read_file(dir / "log"), "");
    }
}

/* ---- the page ---- */

/* The lines of a text that are not empty, without the spaces in front. */
Lines stripped(const std::string &text)
{
    Lines lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (const size_t first = line.find_first_not_of(' '); first != std::string::npos)
            lines.push_back(line.substr(first));
    return lines;
}

const std::string sources = SERRY_TEST_SOURCE "/apps/tutorials/";
const std::regex link("\\(\\.\\./apps/tutorials/([a-z_]+)\\.c\\)");

TEST(TutorialPage, QuotesThePrograms)
{
    std::istringstream page(read_file(SERRY_TEST_SOURCE "/docs/tutorials.md"));
    std::string program, block;
    bool in_block = false;
    int checked = 0;
    for (std::string line; std::getline(page, line);) {
        std::smatch match;
        if (std::regex_search(line, match, link))
            program = match[1];
        if (line == "```c") {
            in_block = true;
            block.clear();
        } else if (line == "```" && in_block) {
            in_block = false;
            if (block.find("main(") != std::string::npos)
                continue; /* a program of its own: scripts/check-docs compiles it */
            const Lines source = stripped(read_file(sources + program + ".c"));
            /* Each part between empty lines stands in the program as it is. */
            std::istringstream parts(block + "\n");
            std::string part;
            for (std::string each; std::getline(parts, each);) {
                if (!each.empty()) {
                    part += each + "\n";
                    continue;
                }
                const Lines quoted = stripped(part);
                const bool found =
                    std::search(source.begin(), source.end(), quoted.begin(), quoted.end())
                    != source.end();
                EXPECT_TRUE(found) << program << ".c has not:\n" << part;
                part.clear();
                checked++;
            }
        } else if (in_block) {
            block += line + "\n";
        }
    }
    EXPECT_GT(checked, 50);
}

TEST(TutorialPage, ExplainsEachProgramThatIsTested)
{
    const std::string page = read_file(SERRY_TEST_SOURCE "/docs/tutorials.md");
    std::set<std::string> explained, tested = { "daemonize" }, written;
    for (std::sregex_iterator at(page.begin(), page.end(), link), end; at != end; ++at)
        explained.insert((*at)[1]);
    for (const Tutorial &each : tutorials)
        tested.insert(each.name);
    for (const auto &file : std::filesystem::directory_iterator(sources))
        if (file.path().extension() == ".c")
            written.insert(file.path().stem());
    EXPECT_EQ(explained, written);
    EXPECT_EQ(tested, written);
}

TEST(TutorialPage, NamesOnlyWhatThePublicHeadersHave)
{
    std::string headers;
    for (const auto &file :
         std::filesystem::directory_iterator(SERRY_TEST_SOURCE "/lib/include/serry"))
        headers += read_file(file.path());
    const std::regex name("\\bserry_[a-z0-9_]*[a-z0-9]\\b");
    std::set<std::string> public_names;
    for (std::sregex_iterator at(headers.begin(), headers.end(), name), end; at != end; ++at)
        public_names.insert(at->str());
    for (const char *page : { "README.md", "docs/from-python.md", "docs/tutorials.md" }) {
        const std::string text = read_file(std::string(SERRY_TEST_SOURCE "/") + page);
        EXPECT_FALSE(text.empty()) << page;
        for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at)
            EXPECT_TRUE(public_names.count(at->str())) << page << " speaks of " << at->str();
    }
}

} // namespace
