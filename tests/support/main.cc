/* support/main.cc: every test binary is two programs: the tests, and a rank of one of its bodies.
 */
#include "support/ranks_internal.h"

#include <csignal>
#include <cstring>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
    static const char body_flag[] = "--serry-body=";
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], body_flag, sizeof body_flag - 1) == 0)
            return serry_test::run_as_rank(argv[0], argv[i] + sizeof body_flag - 1);
    }
    /* Orphans of the programs under test come to us to be waited for; and a program that does not
     * read its input must not end us. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGPIPE, SIG_IGN);
    testing::InitGoogleTest(&argc, argv);
    serry_test::register_ranks_tests();
    return RUN_ALL_TESTS();
}
