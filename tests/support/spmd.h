/* support/spmd.h: many bodies in one world. What a launcher takes to start would be most of a
 * test's time, and so a program that holds the bodies of many files is started once, as ranks by
 * any launcher, and runs them one after the other:
 *
 *     mpirun -n 4 ./all_patterns [--verbose] [--not-in=N] [--only=PART] [--without=PART]...
 *                                     [--limit=SECONDS]
 *
 * All ranks run the same bodies in the same order, with a barrier before and behind each. A body
 * whose test is for one rank is run by rank 0, while the others wait.
 * Run are those whose .ranks() go with the size of the world; with --not-in=N, those of them that
 * do not go with N; with --only=PART, those with PART in their name, --without: those without it.
 * Left out is what needs a world of its own: Cases::in_own_world, without_init, flags, env.
 *
 * What fails is printed at once, with the body and the rank; a body that does not come to its end
 * in its time is named, and ends the program. The exit status is 0 if nothing failed. */
#ifndef SERRY_TEST_SPMD_H
#define SERRY_TEST_SPMD_H

namespace serry_test {

int run_spmd(int argc, char **argv);

} // namespace serry_test

#endif
