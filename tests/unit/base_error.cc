/* The error table: everything comes from SERRY_ERRORS. */
#include "base/error.h"

#include <cerrno>
#include <sys/resource.h>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <thread>

namespace {

struct Row {
    serry_err code;
    int value;
    const char *name, *text;
};

const Row rows[] = {
#define ROW(code, value, text) { code, value, #code, text },
    SERRY_ERRORS(ROW)
#undef ROW
};

TEST(Error, EachCodeHasItsNameAndSentence)
{
    for (const Row &r : rows) {
        EXPECT_EQ((int)r.code, r.value) << r.name;
        EXPECT_STREQ(serry_err_name(r.code), r.name);
        EXPECT_STREQ(serry_err_text(r.code), r.text);
    }
}

TEST(Error, CodesNamesAndSentencesAreAllDifferent)
{
    std::set<int> values;
    std::set<std::string> names, texts;
    for (const Row &r : rows) {
        EXPECT_TRUE(values.insert(r.value).second) << r.name;
        EXPECT_TRUE(names.insert(r.name).second) << r.name;
        EXPECT_TRUE(texts.insert(r.text).second) << r.name;
    }
    EXPECT_EQ(SERRY_OK, 0);
}

TEST(Error, NumbersThatAreNoneHaveANameToo)
{
    for (int n : { -1, (int)std::size(rows), 1000 }) {
        EXPECT_STREQ(serry_err_name((serry_err)n), "SERRY_?");
        EXPECT_STREQ(serry_err_text((serry_err)n), "not an error of serry");
    }
}

TEST(Error, DetailIsEmptyBeforeTheFirstFailureAndThenTheLast)
{
    std::thread([] {
        EXPECT_STREQ(serry_err_detail(), "");
        EXPECT_EQ(sri_fail(SERRY_ELIMIT, "%d of %d", 7, 5), SERRY_ELIMIT);
        EXPECT_STREQ(serry_err_detail(), "7 of 5");
        EXPECT_EQ(sri_fail_text(SERRY_EDIED, "rank 3 died"), SERRY_EDIED);
        EXPECT_STREQ(serry_err_detail(), "rank 3 died");
        EXPECT_EQ(sri_fail_text(SERRY_EDIED, serry_err_detail()), SERRY_EDIED);
        EXPECT_STREQ(serry_err_detail(), "rank 3 died");
    }).join();
}

TEST(Error, DetailBelongsToTheThread)
{
    sri_fail(SERRY_EINVAL, "mine");
    std::thread([] { sri_fail(SERRY_EINVAL, "another's"); }).join();
    EXPECT_STREQ(serry_err_detail(), "mine");
}

TEST(Error, LongDetailIsCutNotSpilt)
{
    std::string longer(5000, 'x');
    sri_fail(SERRY_EINVAL, "%s", longer.c_str());
    size_t len = std::string(serry_err_detail()).size();
    EXPECT_GE(len, 200u);
    EXPECT_LT(len, longer.size());
}

TEST(Error, ErrnoBecomesTheFittingCode)
{
    const struct {
        int number;
        serry_err code;
    } cases[] = { { ENOMEM, SERRY_ENOMEM }, { EMFILE, SERRY_ELIMIT }, { ENFILE, SERRY_ELIMIT },
                  { EAGAIN, SERRY_ELIMIT }, { EIO, SERRY_ESYS },      { EPERM, SERRY_ESYS } };
    for (const auto &c : cases) {
        errno = c.number;
        EXPECT_EQ(sri_fail_errno("opening it"), c.code) << c.number;
        EXPECT_EQ(std::string(serry_err_detail()).find("opening it: "), 0u);
        EXPECT_GT(std::string(serry_err_detail()).size(), strlen("opening it: "));
    }
}

TEST(Error, ALimitIsNamedWithWhereToSetIt)
{
    struct rlimit files;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
    errno = EMFILE;
    EXPECT_EQ(sri_fail_errno("opening it"), SERRY_ELIMIT);
    std::string text = serry_err_detail();
    EXPECT_NE(text.find(std::to_string(files.rlim_cur) + " descriptors"), std::string::npos)
        << text;
    EXPECT_NE(text.find("ulimit -n"), std::string::npos) << text;
    errno = EAGAIN;
    EXPECT_EQ(sri_fail_errno("fork"), SERRY_ELIMIT);
    EXPECT_NE(std::string(serry_err_detail()).find("ulimit -u"), std::string::npos);
}

serry_err two_steps(serry_err first, int *reached)
{
    SRI_TRY(first);
    *reached = 1;
    return SERRY_OK;
}

TEST(Error, TryPassesTheFirstErrorOn)
{
    int reached = 0;
    EXPECT_EQ(two_steps(SERRY_EPERM, &reached), SERRY_EPERM);
    EXPECT_EQ(reached, 0);
    EXPECT_EQ(two_steps(SERRY_OK, &reached), SERRY_OK);
    EXPECT_EQ(reached, 1);
}

} // namespace
