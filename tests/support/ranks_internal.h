/* support/ranks_internal.h: between main.cc and ranks.cc. */
#ifndef SERRY_TEST_RANKS_INTERNAL_H
#define SERRY_TEST_RANKS_INTERNAL_H

#include "support/ranks.h"

namespace serry_test {

/* In a rank: runs one body as the only test; the exit code says whether it could be run at all. */
int run_as_rank(char *program, const char *body);

/* In the test process: makes the cases of all SERRY_RANKS_TESTs. */
void register_ranks_tests();

} // namespace serry_test

#endif
