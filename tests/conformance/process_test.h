/* conformance/process_test.h: cases of started processes: in a world of one rank, over both kinds
 * of lanes, forked by their starter and forked by the agent. */
#ifndef SERRY_TEST_PROCESS_TEST_H
#define SERRY_TEST_PROCESS_TEST_H

#include "support/ranks.h"

#include <csignal>
#include <cstring>
#include <unistd.h>

/* Makes Process.<name> and ProcessByAgent.<name>. */
#define PROCESS_TEST(name, ...)                                                                    \
    static void process_body_##name();                                                             \
    static const bool process_added_##name = [] {                                                  \
        using namespace serry_test;                                                                \
        return add_ranks_test("Process", #name, __FILE__, __LINE__, process_body_##name,           \
                              Cases() SERRY_TEST_CASES.ranks({ 1 }) __VA_ARGS__)                   \
               && add_ranks_test("ProcessByAgent", #name, __FILE__, __LINE__, process_body_##name, \
                                 Cases() SERRY_TEST_CASES.ranks({ 1 }).env("SERRY_START", "agent") \
                                     __VA_ARGS__);                                                 \
    }();                                                                                           \
    static void process_body_##name()

namespace serry_test {

inline bool by_agent()
{
    const char *start = getenv("SERRY_START");
    return start && !strcmp(start, "agent");
}

inline serry_process start(serry_process_fn fn, const void *arg = nullptr, size_t len = 0,
                           const serry_process_options *o = nullptr)
{
    serry_process p = {};
    EXPECT_EQ(serry_process_start(&p, fn, arg, len, o), SERRY_OK) << serry_err_detail();
    return p;
}

template <typename T>
serry_process start_with(serry_process_fn fn, const T &arg,
                         const serry_process_options *o = nullptr)
{
    return start(fn, &arg, sizeof arg, o);
}

template <typename T>
T argument(const void *arg, size_t len)
{
    T t = {};
    EXPECT_EQ(len, sizeof t);
    if (len == sizeof t)
        memcpy(&t, arg, sizeof t);
    return t;
}

/* Its exit code; it must end by itself. */
inline int join(serry_process p)
{
    int code = 12345;
    EXPECT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK) << serry_err_detail();
    return code;
}

inline serry_process_info info_of(serry_process p)
{
    serry_process_info info = {};
    EXPECT_EQ(serry_process_info_of(p, &info), SERRY_OK) << serry_err_detail();
    return info;
}

/* Values between ranks. */
template <typename T>
void tell(int rank, int tag, const T &value)
{
    EXPECT_EQ(serry_send(rank, tag, &value, sizeof value), SERRY_OK) << serry_err_detail();
}

/* From any rank: deaths, told once each, are passed over. */
template <typename T>
T hear(int rank, int tag, int *source = nullptr)
{
    T value = {};
    serry_status st = {};
    serry_err e;
    do {
        st.source = SERRY_NONE;
        e = serry_recv(rank, tag, &value, sizeof value, &st, patience(20));
    } while (e == SERRY_EDIED && rank == SERRY_ANY && st.source >= 0);
    EXPECT_EQ(e, SERRY_OK) << serry_err_detail();
    if (source)
        *source = st.source;
    return value;
}

/* Says to its starter (tag 1) that it is there, and waits to be ended. */
inline int sleeper(const void *, size_t)
{
    tell(info_of(serry_process_parent()).rank, 1, getpid());
    for (;;)
        pause();
}

inline size_t children()
{
    return serry_process_children(nullptr, 0);
}

} // namespace serry_test

#endif
