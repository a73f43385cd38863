/* Options from the environment: checked, and named in the error. */
#include "base/env.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>

namespace {

const char name[] = "SERRY_UNIT_TEST";

class Env : public testing::Test {
protected:
    void SetUp() override { unsetenv(name); }
    void TearDown() override { unsetenv(name); }

    static void set(const std::string &value) { setenv(name, value.c_str(), 1); }

    static void expect_detail(const std::string &part)
    {
        EXPECT_NE(std::string(serry_err_detail()).find(part), std::string::npos)
            << part << " is not in: " << serry_err_detail();
    }
};

TEST_F(Env, UnsetAndEmptyKeepTheDefault)
{
    int64_t n = 17;
    EXPECT_EQ(sri_env(name), nullptr);
    EXPECT_EQ(sri_env_int(name, 0, 5, &n), SERRY_OK);
    EXPECT_EQ(n, 17);
    set("");
    EXPECT_EQ(sri_env(name), nullptr);
    EXPECT_EQ(sri_env_int(name, 0, 5, &n), SERRY_OK);
    EXPECT_EQ(n, 17);
}

TEST_F(Env, NumbersAndTheirSuffixes)
{
    const struct {
        const char *text;
        int64_t value;
    } cases[] = { { "0", 0 },
                  { "-3", -3 },
                  { "12", 12 },
                  { "2K", 2048 },
                  { "3M", 3 << 20 },
                  { "4G", (int64_t)4 << 30 },
                  { "-1K", -1024 },
                  { "9223372036854775807", INT64_MAX },
                  { "-9223372036854775808", INT64_MIN } };
    for (const auto &c : cases) {
        int64_t n = 99;
        set(c.text);
        EXPECT_EQ(sri_env_int(name, INT64_MIN, INT64_MAX, &n), SERRY_OK) << c.text;
        EXPECT_EQ(n, c.value) << c.text;
    }
}

TEST_F(Env, WhatIsNoNumberIsAnErrorThatNamesIt)
{
    for (const char *text : { "x", "1x", "1.5", "K", "1KK", "1k", "0x10", "--1", " ", "1 ",
                              "9223372036854775808", "9007199254740992K", "8589934592G" }) {
        int64_t n = 99;
        set(text);
        EXPECT_EQ(sri_env_int(name, INT64_MIN, INT64_MAX, &n), SERRY_EINVAL) << text;
        EXPECT_EQ(n, 99) << text;
        expect_detail(name);
        expect_detail(std::string("'") + text + "'");
    }
}

TEST_F(Env, OutOfRangeNamesTheRange)
{
    for (const char *text : { "0", "65", "1K" }) {
        int64_t n = 99;
        set(text);
        EXPECT_EQ(sri_env_int(name, 1, 64, &n), SERRY_EINVAL) << text;
        EXPECT_EQ(n, 99);
        expect_detail(name);
        expect_detail(text);
        expect_detail("1 to 64");
    }
    for (const char *text : { "1", "64" }) {
        int64_t n = 99;
        set(text);
        EXPECT_EQ(sri_env_int(name, 1, 64, &n), SERRY_OK) << text;
    }
}

TEST_F(Env, OneOfTheWords)
{
    const char *const words[] = { "shm", "socket" };
    int which = 7;
    EXPECT_EQ(sri_env_word(name, words, 2, &which), SERRY_OK);
    EXPECT_EQ(which, 7);
    set("socket");
    EXPECT_EQ(sri_env_word(name, words, 2, &which), SERRY_OK);
    EXPECT_EQ(which, 1);
    for (const char *text : { "sock", "sockets", "SHM" }) {
        set(text);
        EXPECT_EQ(sri_env_word(name, words, 2, &which), SERRY_EINVAL) << text;
        EXPECT_EQ(which, 1);
        expect_detail(name);
        expect_detail(text);
        expect_detail("shm, socket");
    }
}

} // namespace
