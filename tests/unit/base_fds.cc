/* Passing, closing and waiting for descriptors. */
#include "base/fds.h"

#include "support/program.h"

#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using serry_test::count_fds;

class Packets : public testing::Test {
protected:
    void SetUp() override
    {
        before_ = count_fds();
        ASSERT_EQ(sri_socket_pair(fd_), SERRY_OK) << serry_err_detail();
    }
    void TearDown() override
    {
        sri_close(&fd_[0]);
        sri_close(&fd_[1]);
        EXPECT_EQ(count_fds(), before_) << serry_test::describe_fds();
    }

    int fd_[2];
    int before_;
};

bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

TEST_F(Packets, AreCloseOnExecAndDoNotBlock)
{
    for (int fd : fd_) {
        EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
    }
    char c;
    int fds[SRI_FDS_MAX], n;
    EXPECT_EQ(sri_packet_recv(fd_[0], &c, 1, fds, &n), -EAGAIN);
}

TEST_F(Packets, HeadAndBodyArriveAsOne)
{
    ASSERT_EQ(sri_packet_send(fd_[0], "head", 4, "body", 4, nullptr, 0), 0);
    ASSERT_EQ(sri_packet_send(fd_[0], "alone", 5, nullptr, 0, nullptr, 0), 0);
    char bytes[100];
    int fds[SRI_FDS_MAX], n = -1;
    ASSERT_EQ(sri_packet_recv(fd_[1], bytes, sizeof bytes, fds, &n), 8);
    EXPECT_EQ(std::string(bytes, 8), "headbody");
    EXPECT_EQ(n, 0);
    ASSERT_EQ(sri_packet_recv(fd_[1], bytes, sizeof bytes, fds, &n), 5);
    EXPECT_EQ(std::string(bytes, 5), "alone");
}

TEST_F(Packets, BringDescriptorsThatAreCloseOnExec)
{
    int pipes[SRI_FDS_MAX];
    for (int i = 0; i < SRI_FDS_MAX; i += 2)
        ASSERT_EQ(pipe2(pipes + i, O_CLOEXEC), 0);
    ASSERT_EQ(sri_packet_send(fd_[0], "x", 1, nullptr, 0, pipes, SRI_FDS_MAX), 0);
    char c;
    int fds[SRI_FDS_MAX], n = 0;
    ASSERT_EQ(sri_packet_recv(fd_[1], &c, 1, fds, &n), 1);
    ASSERT_EQ(n, SRI_FDS_MAX);
    ASSERT_EQ(write(pipes[1], "!", 1), 1);
    EXPECT_EQ(read(fds[0], &c, 1), 1);
    EXPECT_EQ(c, '!');
    for (int i = 0; i < n; i++) {
        EXPECT_NE(fds[i], pipes[i]);
        EXPECT_TRUE(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        close(fds[i]);
        close(pipes[i]);
    }
}

TEST_F(Packets, SayWhichDescriptorsWereLost)
{
    /* A child may open no more: the packet arrives, its descriptor does not. */
    ASSERT_EQ(sri_packet_send(fd_[0], "x", 1, nullptr, 0, &fd_[0], 1), 0);
    pid_t child = fork();
    if (child == 0) {
        rlimit none = { 0, 0 };
        setrlimit(RLIMIT_NOFILE, &none);
        char c;
        int fds[SRI_FDS_MAX], n = 0;
        ssize_t got = sri_packet_recv(fd_[1], &c, 1, fds, &n);
        _exit(got == 1 && n == 1 && fds[0] == SRI_FD_LOST ? 0 : 1);
    }
    int status;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST_F(Packets, TellFullFromGone)
{
    char big[4096] = {};
    int e = 0;
    for (int i = 0; i < 100000 && e == 0; i++)
        e = sri_packet_send(fd_[0], big, sizeof big, nullptr, 0, nullptr, 0);
    EXPECT_EQ(e, EAGAIN);
    sri_close(&fd_[1]);
    /* Would be the death of this process, did it raise SIGPIPE. */
    signal(SIGPIPE, SIG_DFL);
    e = sri_packet_send(fd_[0], "x", 1, nullptr, 0, nullptr, 0);
    signal(SIGPIPE, SIG_IGN);
    EXPECT_TRUE(e == EPIPE || e == ECONNRESET) << strerror(e);
}

TEST_F(Packets, EndWithTheOtherEnd)
{
    ASSERT_EQ(sri_packet_send(fd_[0], "last", 4, nullptr, 0, nullptr, 0), 0);
    sri_close(&fd_[0]);
    char bytes[10];
    int fds[SRI_FDS_MAX], n;
    EXPECT_EQ(sri_packet_recv(fd_[1], bytes, sizeof bytes, fds, &n), 4);
    EXPECT_EQ(sri_packet_recv(fd_[1], bytes, sizeof bytes, fds, &n), 0);
}

TEST_F(Packets, CanBeWaitedFor)
{
    EXPECT_FALSE(sri_fd_wait(fd_[1], POLLIN, 0));
    sri_ns start = sri_now();
    EXPECT_FALSE(sri_fd_wait(fd_[1], POLLIN, start + SRI_MS(20)));
    EXPECT_GE(sri_now() - start, SRI_MS(20));
    std::thread sender([&] { sri_packet_send(fd_[0], "x", 1, nullptr, 0, nullptr, 0); });
    EXPECT_TRUE(sri_fd_wait(fd_[1], POLLIN, sri_now() + SRI_MS(60000)));
    sender.join();
}

TEST(Fds, CloseIsIdempotent)
{
    int fd = dup(0);
    int number = fd;
    sri_close(&fd);
    EXPECT_EQ(fd, -1);
    EXPECT_FALSE(is_open(number));
    sri_close(&fd);
    EXPECT_EQ(fd, -1);
}

/* In a child, which has only its exit code to say it: the first descriptor that is not as it
 * should be, 0 if all are. */
int check_close_all_but(int from, std::vector<int> keep)
{
    pid_t child = fork();
    if (child == 0) {
        for (int fd = 3; fd < 20; fd++)
            dup2(0, fd);
        sri_close_all_but(from, keep.data(), (int)keep.size());
        for (int fd = 3; fd < 20; fd++) {
            bool kept = fd < from;
            for (int k : keep)
                kept = kept || k == fd;
            if (is_open(fd) != kept)
                _exit(fd);
        }
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Fds, ClosesAllButThoseItIsToKeep)
{
    EXPECT_EQ(check_close_all_but(3, {}), 0);
    EXPECT_EQ(check_close_all_but(3, { 3 }), 0);
    EXPECT_EQ(check_close_all_but(3, { 3, 4, 5, 9 }), 0);
    EXPECT_EQ(check_close_all_but(3, { 7, 19 }), 0);
    EXPECT_EQ(check_close_all_but(10, { 4, 12 }), 0) << "kept ones below the start";
    EXPECT_EQ(check_close_all_but(3, { 5, 1000 }), 0) << "a kept one that is not open";
}

} // namespace
