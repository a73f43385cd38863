// ctest: timeout=60
/* What is left to receive of the dead, against peers played by the test. */
#include "support/fake_transport.h"

using namespace serry_test;

namespace {

class Fate : public testing::Test {
protected:
    FakeTransport net{ 4 };
    char buf[1024] = {};

    /* Its text; or the name of the error. */
    std::string got(int source, int tag)
    {
        serry_status st = {};
        serry_err e = serry_recv(source, tag, buf, sizeof buf, &st, SERRY_NOWAIT);
        return e == SERRY_OK ? std::string(buf, st.len) : serry_err_name(e);
    }
};

TEST_F(Fate, WhatTheDeadHadSentWholeIsStillReceived)
{
    net.message(1, 3, "one");
    net.message(1, 4, "two");
    net.fate(1, SRI_FATE_DIED, -9);
    net.settle();
    EXPECT_EQ(got(1, 3), "one");
    EXPECT_EQ(got(1, 4), "two");
    EXPECT_EQ(got(1, 3), "SERRY_EDIED");
}

/* Whoever reads message after message must not get the third for the second. */
TEST_F(Fate, NothingIsTakenForWhatTheDeadDidNotSendWhole)
{
    net.message(1, 3, "first");
    net.announce(1, 3, 1, 100000);
    net.message(1, 4, "other");
    net.message(1, 3, "third");
    net.announce(1, 3, 2, 100000);
    net.announce(1, 5, 3, 100000);
    net.message(1, 3, "fifth");
    net.message(1, 5, "behind");
    net.message(1, 4, "another");
    net.message(2, 3, "of somebody else");
    net.fate(1, SRI_FATE_DIED, -9);
    net.settle();
    EXPECT_EQ(got(1, 3), "first");
    EXPECT_EQ(got(1, 3), "SERRY_EDIED");
    EXPECT_EQ(got(1, 5), "SERRY_EDIED");
    EXPECT_EQ(got(1, 4), "other");
    EXPECT_EQ(got(1, 4), "another");
    EXPECT_EQ(got(1, 4), "SERRY_EDIED");
    EXPECT_EQ(got(2, 3), "of somebody else");
}

} // namespace
