/* science.cc: the example programs, judged from outside by shell scripts that compare what they
 * print with what other programs print. SERRY_TEST_LAUNCH: words to which a program is added, that
 * start several ranks of it, in place of the ways of starting that need no MPI. */
// ctest: slow timeout=300
#include "support/program.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <unistd.h>

namespace {

/* Runs tests/patterns/<script> with the program, the serry command, and a launcher if there is one.
 */
void judge(const std::string &script, const std::string &program)
{
    const std::string path = SERRY_TEST_PROGRAMS "/../../bin/" + program;
    if (access(path.c_str(), X_OK) != 0)
        GTEST_SKIP() << program << " was not built";
    serry_test::ProgramOptions options;
    options.timeout = 280;
    options.env["SERRY_COMMAND"] = serry_test::serry_command();
    const char *launch = getenv("SERRY_TEST_LAUNCH");
    const auto result =
        serry_test::run_program({ "/bin/sh", SERRY_TEST_SOURCE "/tests/patterns/" + script, path,
                                  serry_test::serry_command(), launch ? launch : "" },
                                options);
    EXPECT_TRUE(result.ok()) << result;
}

TEST(Science, WordcountPrintsWhatThePipelinePrintsHoweverItIsStarted)
{
    judge("science_wordcount.sh", "wordcount");
}

TEST(Science, MandelbrotPaintsTheSamePictureHoweverItIsStarted)
{
    judge("science_mandelbrot.sh", "mandelbrot");
}

TEST(Science, HeatIsRightUnderOpenMpi)
{
    judge("science_heat.sh", "heat_openmpi");
}

TEST(Science, HeatIsRightUnderMpich)
{
    judge("science_heat.sh", "heat_mpich");
}

} // namespace
