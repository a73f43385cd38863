/* patterns/tutorials_checks.h: what each program of apps/tutorials prints, as its comment promises,
 * and how it is started for that. */
#ifndef SERRY_TUTORIALS_CHECKS_H
#define SERRY_TUTORIALS_CHECKS_H

#include "patterns/tutorials_output.h"

#include <functional>

namespace tutorials_test {

/* How a program is started. */
enum Way { directly, clean_copy, np4, run4, launched };

struct Tutorial {
    std::string name;
    std::function<void(const Output &)> check;
    std::vector<std::string> arguments = {};
    std::vector<Way> ways = { directly, clean_copy, np4, run4 };
};

/* Each is said in one line. */
inline void expect_once(const Output &o, const Lines &patterns)
{
    for (const std::string &p : patterns)
        EXPECT_EQ(o.count(p), 1) << p;
}

/* ---- processes ---- */

inline void clock(const Output &o)
{
    const int ticks = o.count("the time is [0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]");
    EXPECT_GE(ticks, 1);
    EXPECT_EQ((int)o.lines.size(), ticks + 2);
    EXPECT_EQ(o.first("the clock has stopped"), ticks);
    EXPECT_EQ(o.first("its exit code is 0"), ticks + 1);
}

inline void clock_class(const Output &o)
{
    const auto fast = o.all("fast: tick ([0-9]+)"), slow = o.all("slow: tick ([0-9]+)");
    EXPECT_EQ(fast, (Lines{ "1", "2", "3", "4", "5", "6" }));
    EXPECT_EQ(slow, (Lines{ "1", "2", "3" }));
    EXPECT_GT(o.first("fast has ended with 6"), o.last("fast: tick 6"));
    EXPECT_GT(o.first("slow has ended with 3"), o.last("slow: tick 3"));
    EXPECT_EQ(o.count("the main program's copies have counted 0 and 0"), 1);
}

inline void ids(const Output &o)
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

inline void players(const Output &o)
{
    for (const char *name : { "Ann", "Ben", "Cat", "Dan" }) {
        const std::string who = name;
        EXPECT_LT(o.first(who + " begins"), o.first(who + " has finished after [0-9]+ ms"));
    }
    for (const char *name : { "Process-1", "Process-2", "Cat", "Dan" })
        expect_once(o, { std::string(name) + ", rank [1-9][0-9]*, has left" });
    EXPECT_EQ(o.lines.size(), 12u);
}

inline void daemons(const Output &o)
{
    EXPECT_EQ(o.first("joined, a daemon, begins"), 0);
    EXPECT_EQ(o.first("joined, a daemon, ends"), 1);
    expect_once(o, { "slow, a daemon, begins", "main ends" });
    EXPECT_EQ(o.count("slow, a daemon, ends"), 0);
    EXPECT_LT(o.first("quick, a process, begins"), o.first("quick, a process, ends"));
    EXPECT_EQ(o.lines.size(), 6u);
}

inline void roll_call(const Output &o)
{
    EXPECT_EQ(o.first("main: name .*, pid [0-9]+, rank 0, daemon no"), 0);
    EXPECT_GE(o.number("([0-9]+) processors"), 1);
    const std::string numbers = ", pid [0-9]+, rank [0-9]+, daemon ";
    expect_once(o, { "child: name Process-1" + numbers + "no",
                     "child: name helper" + numbers + "no", "child: name daemon" + numbers + "yes",
                     "3 active children: Process-1 helper daemon" });
    EXPECT_LT(o.first("1 active children: daemon"), o.first("the daemon was ended by signal 15"));
    EXPECT_EQ(o.first("0 active children:"), (int)o.lines.size() - 1);
    EXPECT_EQ(o.lines.size(), 9u);
}

inline void signals(const Output &o)
{
    EXPECT_EQ(o.first("main: caught signal 14 .*"), 0);
    EXPECT_EQ(o.count("child: caught signal 10 .*"), 2);
    EXPECT_EQ(o.first("main: the child was ended by signal 9 .*"), 3);
    EXPECT_EQ(o.lines.size(), 4u);
}

/* ---- queues, pipes, shared objects ---- */

inline void million(const Output &o)
{
    EXPECT_EQ(o.first("read 1000000 integers, their sum is 499999500000"), 0);
    EXPECT_GT(o.number("in ([0-9.]+) seconds"), 0);
}

inline void thousand(const Output &o)
{
    EXPECT_EQ(o.first("read 1000 integers, their sum is 499500"), 0);
}

inline void writers(const Output &o)
{
    EXPECT_EQ(o.first("9 items"), 0);
    for (const char *writer : { "0", "1", "2" })
        EXPECT_EQ(o.all(std::string("writer ") + writer + ", item ([0-9])"),
                  (Lines{ "0", "1", "2" }));
    EXPECT_EQ(o.lines.size(), 10u);
}

inline void pipes(const Output &o)
{
    EXPECT_EQ(o.lines,
              (Lines{ "parent: received one", "parent: received two", "parent: received three",
                      "parent: SERRY_ECLOSED", "child: the square of 1 is 1",
                      "child: the square of 2 is 4", "child: the square of 3 is 9" }));
}

inline void shared_list(const Output &o)
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

inline void printers(const Output &o)
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

inline void tickets(const Output &o)
{
    EXPECT_GT(o.number("without a lock: 10 tickets, ([0-9]+) sold"), 10);
    EXPECT_EQ(o.number("with a lock: 10 tickets, ([0-9]+) sold"), 10);
}

inline void one_at_a_time(const Output &o)
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

inline void own_lock(const Output &o)
{
    EXPECT_GT(o.number("a lock in each process: met another ([0-9]+) times"), 0);
    EXPECT_EQ(o.number("one lock given to all: met another ([0-9]+) times"), 0);
    EXPECT_EQ(o.number("a lock of the same name: met another ([0-9]+) times"), 0);
}

inline void semaphore(const Output &o)
{
    EXPECT_EQ(most_at_once(o.lines, "[0-9] is in", "[0-9] goes out"), 2);
    expect_each_once(o.all("([0-9]) is in"), 10);
    expect_each_once(o.all("([0-9]) goes out"), 10);
    EXPECT_GE(o.number("all were in after ([0-9.]+) seconds"), 0.5);
}

inline void event(const Output &o)
{
    expect_each_once(o.all("([0-9]) waits"), 10);
    expect_each_once(o.all("([0-9]) gives up"), 5, 5);
    expect_each_once(o.all("([0-9]) goes on"), 5);
    EXPECT_LT(o.last("[0-9] gives up"), o.first("main sets the event"));
    EXPECT_GT(o.first("[0-9] goes on"), o.first("main sets the event"));
    EXPECT_EQ(o.lines.size(), 21u);
}

inline void condition(const Output &o)
{
    const int done = o.first("first stage: done");
    for (const char *name : { "Anna", "Bert" }) {
        EXPECT_EQ(o.count(std::string(name) + ": waits"), 1);
        EXPECT_GT(o.first(std::string(name) + ": goes on"), done);
    }
    EXPECT_EQ(o.lines.size(), 5u);
}

inline void barrier(const Output &o)
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

inline void pool_async(const Output &o)
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

inline void pool_blocking(const Output &o)
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

inline void pool_results(const Output &o)
{
    for (int i = 0; i < 10; i++) {
        const std::string n = std::to_string(i);
        EXPECT_EQ(o.first("task " + n + " says: hello " + n), i);
    }
    EXPECT_EQ(o.first("squares: 0 1 4 9 16 25 36 49 64 81"), 10);
}

inline void pool_functions(const Output &o)
{
    expect_each_once(o.all("rank [0-9]+ sings song ([0-9])"), 5);
    expect_each_once(o.all("rank [0-9]+ dances dance ([0-9])"), 5);
    const int seconds = o.first("0.25 seconds of singing, 0.50 of dancing");
    EXPECT_TRUE(o.relayed || seconds == 10) << seconds;
    EXPECT_EQ(o.lines.size(), 11u);
}

inline void starmap(const Output &o)
{
    EXPECT_EQ(o.lines,
              (Lines{ "0 ^ 2 = 0", "1 ^ 3 = 1", "2 ^ 4 = 16", "3 ^ 2 = 9", "4 ^ 3 = 64",
                      "5 ^ 4 = 625", "6 ^ 2 = 36", "7 ^ 3 = 343", "8 ^ 4 = 4096", "9 ^ 2 = 81" }));
}

inline void pool_cpus(const Output &o)
{
    EXPECT_GE(o.number("([0-9]+) processors"), 1);
    int all = 0;
    for (const std::string &tasks : o.all("rank [0-9]+ has run ([0-9]+) tasks in [0-9.]+ seconds"))
        all += std::stoi(tasks);
    EXPECT_EQ(all, 40);
}

inline void side_by_side(const Output &o)
{
    EXPECT_EQ(o.first("serial: 78498 primes below 1000000 in [0-9.]+ seconds"), 0);
    EXPECT_EQ(o.first("pooled: 78498 primes below 1000000 in [0-9.]+ seconds"), 1);
    EXPECT_GT(o.number("([0-9.]+) times as fast"), 0);
}

inline void futures(const Output &o)
{
    expect_once(o, { "callback: task 0 is done", "task 3 failed: 3 brings bad luck",
                     "task 7 was cancelled", "the map is under way" });
    for (int i : { 0, 1, 2, 4, 5, 6 })
        EXPECT_EQ(o.count("task " + std::to_string(i) + ": " + std::to_string(i * i)), 1);
    EXPECT_EQ(o.first("0 1 4 1089 16 25 36 49"), (int)o.lines.size() - 1);
    EXPECT_EQ(o.lines.size(), 11u);
}

/* ---- other programs ---- */

inline void subprocess(const Output &o)
{
    ASSERT_EQ(o.lines.size(), 9u);
    EXPECT_EQ(o.lines[0], "called: hello");
    EXPECT_EQ(o.lines[1], "called: exit code 3");
    expect_once(
        o, { "checked: SERRY_ETASK: .*false.*", "not found: SERRY_ESYS: .*no-such-program.*" });
    EXPECT_EQ(o.lines[4], "its output: this and that");
    EXPECT_EQ(o.lines[5], "sorted: two");
    EXPECT_EQ(o.lines[6], "after 0.2 seconds: SERRY_ETIMEDOUT");
    EXPECT_EQ(o.lines[7], "signalled: exit code -15");
    EXPECT_EQ(o.lines[8], "by a shell: 42");
}

/* It does not join the world: each process that is launched does it all, and all of them print at
 * the same time. */
inline void subprocess_by_all(const Output &o)
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

inline const std::vector<Tutorial> tutorials = {
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

} // namespace tutorials_test

#endif
