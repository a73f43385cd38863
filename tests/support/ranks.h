/* support/ranks.h: tests that run in ranks. The GoogleTest process is not a rank: it starts its own
 * binary again as ranks, under `serry run` or directly, and gathers what failed in each.
 *
 *     SERRY_RANKS_TEST(Message, ReachesTheNextRank)
 *     {
 *         int next = (serry_rank() + 1) % serry_size(), got = -1, mine = serry_rank();
 *         ASSERT_EQ(serry_sendrecv(next, 0, &mine, sizeof mine, SERRY_ANY, 0, &got, sizeof got,
 *                                  nullptr), SERRY_OK) << serry_err_detail();
 *         EXPECT_EQ(got, (mine + serry_size() - 1) % serry_size());
 *     }
 *
 * makes eight cases, {shm, socket} x {1, 2, 3, 7} ranks: Message.ReachesTheNextRank/shm_3 and so
 * on. In a file with the word `nodes` in its line for ctest (patterns have it by themselves) also
 * nodes_3 and nodes2_3: three ranks, each a node of its own, and on two nodes. Other cases behind a
 * comma, as calls on Cases:
 *
 *     SERRY_RANKS_TEST(Pool, ServesAllRanks, .ranks({ 2, 4 }).on(shm).timeout(30))
 *
 * In a body serry_init has been called, and serry_finalize is called behind it. Checked for every
 * case: no failed expectation in any rank or started process, each launched rank came to the end
 * of its body, exit status 0, no descriptor more after finalize than before init, no process left,
 * nothing left in /dev/shm and $TMPDIR.
 */
#ifndef SERRY_TEST_RANKS_H
#define SERRY_TEST_RANKS_H

#include "support/program.h"

#include <gtest/gtest.h>
#include <serry.h>

#include <memory>
#include <string>
#include <vector>

namespace serry_test {

/* What is between ranks: lanes of either kind on one node; or shared-memory lanes on several nodes,
 * one for each rank (nodes) or two in all (nodes2). Several nodes are for direct starts. */
enum Lanes { shm, socket, nodes, nodes2 };
enum Launch {
    run,   /* serry run -n N binary */
    direct /* SERRY_NP=N binary; with one rank, just binary */
};

struct RankOptions {
    Launch launch = run;
    bool init = true;                   /* false: the body calls init and finalize itself */
    double timeout = 30;                /* seconds; patience() is applied */
    double grace = 2;                   /* as in ProgramOptions */
    std::vector<std::string> run_flags; /* further arguments of serry run */
    std::map<std::string, std::string> env;
    std::string input;
    std::vector<std::string> wrap; /* put before the whole command: strace and the like */
};

/* Where the ranks of a case are. */
bool several_nodes(Lanes lanes);

/* What a rank said: a failed expectation, a skip, a note, or where it has got to. */
struct Record {
    enum Kind { failure, skipped, note, joined, finished } kind;
    int rank;
    pid_t pid;
    std::string file;
    int line;
    std::string text;
};

struct RanksResult {
    ProgramResult program;
    std::vector<Record> records;
    std::vector<Record> of(Record::Kind kind) const;
    std::vector<std::string> notes() const; /* the texts of all notes, sorted */
};

/* Ranks that run while the test does other things, to them perhaps. Judges nothing. */
class Ranks {
public:
    Ranks(int n, Lanes lanes, const std::string &body, const RankOptions &options = {});
    Program &program() { return *program_; }
    std::vector<Record> records() const; /* so far */
    pid_t pid_of(int rank);              /* waits until the rank has joined; -1 if it does not */
    bool wait_for_note(const std::string &text, double seconds = 10);
    const std::string &path() const { return dir_.path(); } /* the ranks' rank_dir() */
    RanksResult wait();

private:
    Scratch dir_;
    std::unique_ptr<Program> program_;
};

/* Runs n ranks of a body to their end. Judges nothing: for tests in which ranks are to fail. */
RanksResult try_ranks(int n, Lanes lanes, const std::string &body, const RankOptions &options = {});

/* Adds a failure to the current test for everything that is checked (above). */
void expect_clean(const RanksResult &r, int n, const RankOptions &options = {});

/* try_ranks and expect_clean. */
void run_ranks(int n, Lanes lanes, const std::string &body, const RankOptions &options = {});

/* ---- in a body ---- */

/* Tells the test something: RanksResult.notes(), Ranks::wait_for_note(). */
void note(const std::string &text);
/* A directory that the ranks of this run and the test share, empty at first. */
std::string rank_dir();

/* Memory that the processes of a body share, on one machine, whoever started them: a file in
 * rank_dir(), zero at first. One for each type. */
size_t rank_turn(); /* another number for each body that runs in this world */
void *map_rank_memory(const char *name, size_t len);
int next_rank_memory();
void *numbered_rank_memory(int number, size_t len);
template <class T>
T &rank_memory(const char *name)
{
    static thread_local T *at = nullptr;
    static thread_local size_t turn = 0;
    if (!at || turn != rank_turn()) {
        at = static_cast<T *>(map_rank_memory(name, sizeof(T)));
        turn = rank_turn();
    }
    return *at;
}

/* The same, made anew each time, and small enough to be handed to other processes in arguments. */
template <class T>
struct RankShared {
    int number;
    static RankShared make() { return { next_rank_memory() }; }
    T *operator->() const { return static_cast<T *>(numbered_rank_memory(number, sizeof(T))); }
    T &operator*() const { return *operator->(); }
};

/* A name for an object that no other body has. Where many bodies run in one world, it is this one
 * with something in front; elsewhere, this one. NULL stays NULL. */
const char *own_name(const char *name);

/* ---- declaring ---- */

class Cases {
public:
    Cases &ranks(std::vector<int> counts) { return counts_ = std::move(counts), *this; }
    Cases &on(Lanes lanes) { return lanes_ = { lanes }, *this; }
    /* Ranks on several nodes besides, with 2 to 4 ranks: as those of .ranks() that are nearest. Not
     * for what needs one machine's memory, a launcher's flags, or a pid of every rank's own. */
    Cases &across_nodes(bool wanted = true) { return across_ = wanted, *this; }
    Cases &on_one_node() { return across_nodes(false); }
    /* Needs a world of its own: it kills or aborts ranks, counts the world's processes or looks at
     * their numbers. Not run beside other bodies in one world (support/spmd.h). */
    Cases &in_own_world() { return own_world_ = true, *this; }
    /* A test for one rank that no other rank may stand beside. */
    Cases &in_world_of_one(bool wanted = true) { return world_of_one_ = wanted, *this; }
    Cases &directly() { return launches_ = { direct }, *this; }
    Cases &both_ways() { return launches_ = { run, direct }, *this; }
    Cases &timeout(double seconds) { return options_.timeout = seconds, *this; }
    Cases &without_init() { return options_.init = false, *this; }
    Cases &flags(std::vector<std::string> f) { return options_.run_flags = std::move(f), *this; }
    Cases &env(const std::string &name, const std::string &value)
    {
        return options_.env[name] = value, *this;
    }

    std::vector<int> counts_ = { 1, 2, 3, 7 };
    std::vector<Lanes> lanes_ = { shm, socket };
    std::vector<Launch> launches_ = { run };
    bool across_ = false;
    bool own_world_ = false;
    bool world_of_one_ = false;
    RankOptions options_;
};

bool add_body(const char *name, void (*body)());
bool add_ranks_test(const char *suite, const char *name, const char *file, int line, void (*body)(),
                    const Cases &cases);

} // namespace serry_test

/* What the build says of all tests of a file: tests/CMakeLists.txt. */
#ifndef SERRY_TEST_CASES
#define SERRY_TEST_CASES
#endif

/* A body without cases, for run_ranks and Ranks: the third argument of run_ranks is its name. */
#define SERRY_RANKS_BODY(name)                                                                     \
    static void serry_body_##name();                                                               \
    static const bool serry_body_added_##name = serry_test::add_body(#name, serry_body_##name);    \
    static void serry_body_##name()

/* A body and its cases. */
#define SERRY_RANKS_TEST(suite, name, ...)                                                         \
    static void serry_body_##suite##_##name();                                                     \
    static const bool serry_body_added_##suite##_##name = [] {                                     \
        using namespace serry_test;                                                                \
        return add_ranks_test(#suite, #name, __FILE__, __LINE__, serry_body_##suite##_##name,      \
                              Cases() SERRY_TEST_CASES __VA_ARGS__);                               \
    }();                                                                                           \
    static void serry_body_##suite##_##name()

#endif
