/* The bar of a map, as a terminal and as a file get it. */
#include "patterns/pool_progress.h"

#include "support/program.h"

#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace {

/* Standard error is what open() gives, until this is gone. */
class Stderr {
public:
    explicit Stderr(int fd) : saved_(dup(STDERR_FILENO)) { dup2(fd, STDERR_FILENO); }
    ~Stderr()
    {
        dup2(saved_, STDERR_FILENO);
        close(saved_);
    }

private:
    int saved_;
};

/* What is drawn when `done` of `total` are done after `seconds`. */
std::string draw(int to, int from, size_t total, size_t done, double seconds, bool last)
{
    sri_bar b;
    Stderr replaced(to);
    sri_bar_begin(&b, true, total);
    b.begun -= (sri_ns)(seconds * 1e9);
    b.due = 0;
    if (last)
        sri_bar_end(&b, done);
    else
        sri_bar_show(&b, done);
    char text[1024];
    ssize_t n = read(from, text, sizeof text);
    return std::string(text, n > 0 ? (size_t)n : 0);
}

std::string in_a_pipe(size_t total, size_t done, double seconds, bool last)
{
    int fd[2];
    if (pipe(fd) != 0)
        return "";
    std::string text = draw(fd[1], fd[0], total, done, seconds, last);
    close(fd[0]);
    close(fd[1]);
    return text;
}

/* The line without its control characters. */
std::string in_a_terminal(int columns, size_t total, size_t done, double seconds)
{
    int ours = posix_openpt(O_RDWR | O_NOCTTY);
    if (ours < 0 || grantpt(ours) != 0 || unlockpt(ours) != 0)
        return "no terminal";
    int theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
    struct winsize w = {};
    w.ws_col = (unsigned short)columns;
    w.ws_row = 24;
    ioctl(theirs, TIOCSWINSZ, &w);
    std::string text = draw(theirs, ours, total, done, seconds, false);
    close(theirs);
    close(ours);
    if (text.empty() || text.front() != '\r' || text.size() < 4
        || text.substr(text.size() - 3) != "\033[K")
        return "not drawn over the line before: " + text;
    return text.substr(1, text.size() - 4);
}

/* Times long enough that a test which is held up for a second says the same. */

TEST(PoolProgress, IsALineOfNumbersWhereThereIsNoTerminal)
{
    EXPECT_EQ(in_a_pipe(64000, 48000, 24000, false), " 75% 48000/64000, 2.00/s, 2:13:20 left\n");
    EXPECT_EQ(in_a_pipe(64000, 64000, 32000, true).substr(0, 37),
              "100% 64000/64000, 2.00/s, in 8:53:20\n");
}

TEST(PoolProgress, PromisesNothingBeforeTheFirstIsDone)
{
    std::string line = in_a_pipe(64, 0, 18001, false);
    EXPECT_EQ(line.substr(0, 16), "  0% 0/64, 5:00:") << line;
    EXPECT_NE(line.find(" so far\n"), std::string::npos) << line;
    EXPECT_EQ(line.find("/s"), std::string::npos) << line;
}

TEST(PoolProgress, WritesRatesAsPeopleDo)
{
    const struct {
        size_t done;
        const char *rate;
    } cases[] = { { 1, ", 0.36/h, " },           { 360, ", 2.16/min, " },
                  { 4500, ", 0.45/s, " },        { 125000, ", 12.5/s, " },
                  { 58000000, ", 5800/s, " },    { 580000000, ", 58.0 k/s, " },
                  { 58000000000, ", 5.8 M/s, " } };
    for (const auto &c : cases) {
        std::string line = in_a_pipe(2 * c.done, c.done, 10000, false);
        EXPECT_NE(line.find(c.rate), std::string::npos) << line;
    }
}

TEST(PoolProgress, FitsTheTerminal)
{
    const std::string numbers = "48000/64000, 2.00/s, 2:13:20 left";
    EXPECT_EQ(in_a_terminal(80, 64000, 48000, 24000),
              " 75% [######################........] " + numbers);
    for (int columns : { 43, 50, 60, 70 }) {
        std::string line = in_a_terminal(columns, 64000, 48000, 24000);
        EXPECT_LT(line.size(), (size_t)columns) << line;
        EXPECT_NE(line.find(numbers), std::string::npos) << line;
    }
    EXPECT_EQ(in_a_terminal(20, 64000, 48000, 24000), " 75% [] " + numbers);
}

} // namespace
