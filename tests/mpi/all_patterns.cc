/* mpi/all_patterns.cc: the bodies of all tests of patterns, messages, collectives and processes as
 * one program, which any launcher starts: tests/mpi/run does, for ctest. */
#include "support/spmd.h"

int main(int argc, char **argv)
{
    return serry_test::run_spmd(argc, argv);
}
