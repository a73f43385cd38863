/* patterns/subprocess_test.h: cases of subprocesses: in a program that never enters a world, and in
 * a rank. After each the process has the descriptors and the children that it had before. */
#ifndef SERRY_TEST_SUBPROCESS_TEST_H
#define SERRY_TEST_SUBPROCESS_TEST_H

#include "support/ranks.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

/* Makes Subprocess.<name>, outside of any world, and SubprocessInRank.<name>. */
#define SUBPROCESS_TEST(name, ...)                                                                 \
    static void subprocess_inner_##name();                                                         \
    static void subprocess_body_##name()                                                           \
    {                                                                                              \
        serry_test::leaves_nothing(subprocess_inner_##name);                                       \
    }                                                                                              \
    static const bool subprocess_added_##name = [] {                                               \
        using namespace serry_test;                                                                \
        return add_ranks_test("Subprocess", #name, __FILE__, __LINE__, subprocess_body_##name,     \
                              Cases().ranks({ 1 }).on(shm).directly().without_init() __VA_ARGS__)  \
               && add_ranks_test("SubprocessInRank", #name, __FILE__, __LINE__,                    \
                                 subprocess_body_##name,                                           \
                                 Cases().ranks({ 1 }).on(shm) __VA_ARGS__);                        \
    }();                                                                                           \
    static void subprocess_inner_##name()

namespace serry_test {

inline void leaves_nothing(const std::function<void()> &body)
{
    auto fds = open_fds();
    auto children = children_of(getpid());
    body();
    EXPECT_EQ(open_fds(), fds) << describe_fds();
    EXPECT_EQ(children_of(getpid()), children) << "a child is left, a zombie perhaps";
}

inline double now()
{
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

/* What a C program has as argv. */
class Argv {
public:
    Argv(std::vector<std::string> words) : words_(std::move(words))
    {
        for (const auto &word : words_)
            pointers_.push_back(word.c_str());
        pointers_.push_back(nullptr);
    }
    operator const char * const *() const { return pointers_.data(); }

private:
    std::vector<std::string> words_;
    std::vector<const char *> pointers_;
};

inline Argv shell(const std::string &command)
{
    return Argv({ "/bin/sh", "-c", command });
}

inline std::string text(serry_bytes b)
{
    return std::string(b.data ? b.data : "", b.len);
}

struct Ran {
    serry_err e;
    int code = 12345;
    std::string out, err, detail;
};

inline Ran ran(const Argv &argv, const serry_subprocess_options &o = {}, double timeout = 20)
{
    serry_completed done = {};
    done.code = 12345;
    Ran r;
    r.e = serry_subprocess_run(argv, &done, &o, patience(timeout));
    r.detail = r.e == SERRY_OK ? "" : serry_err_detail();
    r.code = done.code;
    r.out = text(done.out);
    r.err = text(done.err);
    serry_completed_free(&done);
    return r;
}

inline serry_subprocess_options captured()
{
    serry_subprocess_options o = {};
    o.capture = true;
    return o;
}

inline serry_subprocess_options piped()
{
    serry_subprocess_options o = {};
    o.in.kind = o.out.kind = o.err.kind = SERRY_STREAM_PIPE;
    return o;
}

struct Free {
    void operator()(serry_subprocess *sp) { serry_subprocess_free(sp); }
};

using Sub = std::unique_ptr<serry_subprocess, Free>;

inline Sub started(const Argv &argv, const serry_subprocess_options &o = {})
{
    serry_subprocess *sp = nullptr;
    EXPECT_EQ(serry_subprocess_start(&sp, argv, &o), SERRY_OK) << serry_err_detail();
    return Sub(sp);
}

/* Its exit code; it must end by itself. */
inline int waited(const Sub &sp)
{
    int code = 12345;
    EXPECT_EQ(serry_subprocess_wait(sp.get(), &code, patience(20)), SERRY_OK) << serry_err_detail();
    return code;
}

inline bool says(const std::string &detail, const std::string &part)
{
    return detail.find(part) != std::string::npos;
}

/* Reads one line of a file that somebody is about to write. */
inline std::string awaited(const std::string &path)
{
    EXPECT_TRUE(wait_for([&] { return says(read_file(path), "\n"); })) << path;
    return read_file(path);
}

} // namespace serry_test

#endif
