/* The log: one line, one write, by level. */
#include "base/log.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <string>

namespace {

class Log : public testing::Test {
protected:
    void SetUp() override
    {
        sri_log_set_level(SRI_LOG_WARN);
        sri_log_set_rank(-1);
        testing::internal::CaptureStderr();
        capturing_ = true;
    }
    void TearDown() override
    {
        if (capturing_)
            said();
        sri_log_set_level(SRI_LOG_WARN);
        sri_log_set_rank(-1);
    }
    std::string said()
    {
        capturing_ = false;
        return testing::internal::GetCapturedStderr();
    }
    bool capturing_ = false;
};

TEST_F(Log, SaysWhatIsImportantEnough)
{
    sri_log(SRI_LOG_ERROR, "an error %d", 1);
    sri_log(SRI_LOG_WARN, "a warning");
    sri_log(SRI_LOG_INFO, "not this");
    sri_log(SRI_LOG_DEBUG, "nor this");
    EXPECT_EQ(said(), "serry: an error 1\nserry: a warning\n");
    EXPECT_TRUE(sri_log_enabled(SRI_LOG_WARN));
    EXPECT_FALSE(sri_log_enabled(SRI_LOG_INFO));
}

TEST_F(Log, NoneIsSilentAndDebugIsNot)
{
    sri_log_set_level(SRI_LOG_NONE);
    sri_log(SRI_LOG_ERROR, "not this");
    sri_log_set_level(SRI_LOG_DEBUG);
    sri_log(SRI_LOG_DEBUG, "this");
    EXPECT_EQ(said(), "serry: this\n");
}

TEST_F(Log, NamesTheRank)
{
    sri_log_set_rank(3);
    sri_log(SRI_LOG_WARN, "careful");
    EXPECT_EQ(said(), "serry: rank 3: careful\n");
}

TEST_F(Log, CutsALongLineAndEndsItAllTheSame)
{
    std::string longer(5000, 'x');
    sri_log(SRI_LOG_WARN, "%s", longer.c_str());
    std::string line = said();
    EXPECT_GT(line.size(), 500u);
    EXPECT_LT(line.size(), longer.size());
    EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST_F(Log, KeepsErrno)
{
    errno = EBUSY;
    sri_log(SRI_LOG_WARN, "x");
    EXPECT_EQ(errno, EBUSY);
}

TEST(LogLevel, IsNamedByTheWordsOfTheDocumentation)
{
    const char *const words[] = { "none", "error", "warn", "info", "debug" };
    for (int i = 0; i < 5; i++) {
        sri_log_level level = SRI_LOG_NONE;
        EXPECT_TRUE(sri_log_level_named(words[i], &level)) << words[i];
        EXPECT_EQ((int)level, i);
    }
    sri_log_level level = SRI_LOG_INFO;
    for (const char *word : { "", "warning", "WARN", "3" })
        EXPECT_FALSE(sri_log_level_named(word, &level)) << word;
    EXPECT_EQ(level, SRI_LOG_INFO);
}

} // namespace
