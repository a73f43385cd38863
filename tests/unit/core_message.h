/* unit/core_message.h: messages and their matching, against peers played by the test: what the
 * files core_message*.cc have in common. */
#ifndef SERRY_TEST_CORE_MESSAGE_H
#define SERRY_TEST_CORE_MESSAGE_H

#include "support/fake_transport.h"

#include "core/match.h"

#include <algorithm>
#include <climits>
#include <cmath>

namespace {

using namespace serry_test;

constexpr size_t eager = FakeTransport::frame_max; /* goes in one frame */
constexpr size_t unasked = SRI_UNASKED_MAX;        /* goes without being asked for */

class Message : public testing::Test {
protected:
    FakeTransport net{ 4 };
    char buf[256 * 1024] = {};
    serry_status st = { -7, -7, 77 };

    std::string got() const { return std::string(buf, st.len); }
    serry_err recv(int source, int tag, double timeout = SERRY_FOREVER)
    {
        return serry_recv(source, tag, buf, sizeof buf, &st, timeout);
    }
    /* Takes the CLEAR that was sent for a token and returns the receiver's. */
    uint64_t take_clear(int peer, uint64_t token, unsigned flags = 0)
    {
        Frame f = net.sent();
        EXPECT_EQ(f.kind, unsigned{ SRI_KIND_CLEAR });
        EXPECT_EQ(f.flags, flags);
        EXPECT_EQ(f.peer, peer);
        EXPECT_EQ(f.aux, token);
        return f.word(0);
    }
    /* Takes an ANNOUNCE and returns its token. */
    uint64_t take_announce(int peer, int tag, size_t len)
    {
        Frame f = net.sent();
        EXPECT_EQ(f.kind, unsigned{ SRI_KIND_ANNOUNCE });
        EXPECT_EQ(f.peer, peer);
        EXPECT_EQ(f.aux, static_cast<uint64_t>(tag));
        EXPECT_EQ(f.word(1), len);
        return f.word(0);
    }
    void clear(int source, uint64_t token, uint64_t theirs, unsigned flags = 0)
    {
        net.arrive(source, SRI_KIND_CLEAR, token, words({ theirs }), flags);
    }
    void data(int source, uint64_t token, const std::string &bytes)
    {
        net.arrive(source, SRI_KIND_DATA, token, bytes);
    }
    static std::string pattern(size_t n)
    {
        std::string s(n, '\0');
        for (size_t i = 0; i < n; i++)
            s[i] = static_cast<char>(i * 31 + i / 251);
        return s;
    }
};

} // namespace

#endif
