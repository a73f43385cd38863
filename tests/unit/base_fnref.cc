/* Functions named by module and offset. */
#include "base/fnref.h"

#include "support/program.h"

#include <gtest/gtest.h>
#include <serry.h>
#include <string>
#include <sys/mman.h>

namespace {

int answer()
{
    return 42;
}

int other()
{
    return 7;
}

sri_fnref ref_of(int (*fn)())
{
    sri_fnref r = {};
    EXPECT_EQ(sri_fnref_of((sri_any_fn)fn, &r), SERRY_OK) << serry_err_detail();
    return r;
}

TEST(Fnref, NamesAFunctionAndFindsItAgain)
{
    for (int (*fn)() : { answer, other, answer }) {
        sri_fnref r = ref_of(fn);
        sri_any_fn found = nullptr;
        ASSERT_EQ(sri_fnref_resolve(&r, &found), SERRY_OK) << serry_err_detail();
        EXPECT_EQ((int (*)())found, fn);
        ASSERT_EQ(sri_fnref_resolve(&r, &found), SERRY_OK) << "the second time, from the cache";
        EXPECT_EQ((int (*)())found, fn);
    }
}

TEST(Fnref, TellsModulesApart)
{
    sri_fnref here = ref_of(answer), libc = {};
    ASSERT_EQ(sri_fnref_of((sri_any_fn)malloc, &libc), SERRY_OK) << serry_err_detail();
    EXPECT_EQ(here.module, ref_of(other).module);
    EXPECT_NE(here.offset, ref_of(other).offset);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_NE(here.module, libc.module);
#endif
    sri_any_fn found = nullptr;
    ASSERT_EQ(sri_fnref_resolve(&libc, &found), SERRY_OK);
    EXPECT_EQ(found, (sri_any_fn)malloc);
}

TEST(Fnref, HoldsInAnotherProcessAtOtherAddresses)
{
    const char *given = getenv("FNREF_OF_ANSWER");
    sri_fnref r = ref_of(answer);
    std::string mine = std::to_string(r.module) + ":" + std::to_string(r.offset);
    if (given) {
        EXPECT_EQ(mine, given);
        return;
    }
    serry_test::ProgramOptions o;
    o.env["FNREF_OF_ANSWER"] = mine;
    auto run = serry_test::run_program(
        { serry_test::self_path(), "--gtest_filter=Fnref.HoldsInAnotherProcessAtOtherAddresses" },
        o);
    EXPECT_TRUE(run.ok()) << run;
}

TEST(Fnref, WhatIsNoFunctionOfAModuleIsRefused)
{
    sri_fnref r = { 1, 2 };
    EXPECT_EQ(sri_fnref_of(nullptr, &r), SERRY_EINVAL);
    void *page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    EXPECT_EQ(sri_fnref_of((sri_any_fn)page, &r), SERRY_EINVAL);
    static int data;
    EXPECT_EQ(sri_fnref_of((sri_any_fn)&data, &r), SERRY_EINVAL) << "data is not code";
    EXPECT_EQ(r.module, 1u);
    EXPECT_EQ(r.offset, 2u);
    munmap(page, 4096);
}

TEST(Fnref, WhatDoesNotFitThisProgramIsRefused)
{
    sri_fnref good = ref_of(answer);
    sri_fnref bad[] = { { good.module + 1, good.offset },
                        { good.module, UINT64_MAX },
                        { good.module, (uint64_t)1 << 40 },
                        { 0, 0 } };
    for (const sri_fnref &r : bad) {
        sri_any_fn found = (sri_any_fn)answer;
        EXPECT_EQ(sri_fnref_resolve(&r, &found), SERRY_EINVAL) << r.module << ":" << r.offset;
        EXPECT_EQ(found, (sri_any_fn)answer);
    }
}

} // namespace
