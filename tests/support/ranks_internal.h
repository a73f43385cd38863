/* support/ranks_internal.h: between main.cc, ranks.cc and spmd.cc. */
#ifndef SERRY_TEST_RANKS_INTERNAL_H
#define SERRY_TEST_RANKS_INTERNAL_H

#include "support/ranks.h"

namespace serry_test {

struct RanksTest {
    const char *suite, *name, *file;
    int line;
    void (*run)();
    Cases cases;
};

/* In the order in which the linker has put their files. */
std::vector<RanksTest> &ranks_tests();

/* In a rank: runs one body as the only test; the exit code says whether it could be run at all. */
int run_as_rank(char *program, const char *body);

/* In the test process: makes the cases of all SERRY_RANKS_TESTs. */
void register_ranks_tests();

/* ---- many bodies in one world ---- */

/* From now on rank_dir() is a directory of the body that runs, below this one. Before serry_init,
 * so that processes which the agent starts know, too. */
void run_in_turn(const std::string &base);
/* In one rank, before the barrier ahead of a body; in all, behind it. */
void set_running(size_t index);
void forget_running();
size_t running_index();

/* What the processes of the running body have said. */
std::vector<Record> records_in(const std::string &dir);
/* Has what fails in this process, and in those it starts, written to the records. */
void append_recorder();

} // namespace serry_test

#endif
