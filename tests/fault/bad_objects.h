/* fault/bad_objects.h: bad input to every operation of every object, generated from tables. A row
 * is an operation, written once; the columns are what may be wrong with it:
 *
 *   nonsense    a handle that names nothing, and never did
 *   another     the handle of an object of another class
 *   destroyed   the handle of one that was there once
 *   NULL        in place of each argument that must not be
 *   absurd      a size beyond everything
 *   NaN         as the timeout
 *   outside     before init, after finalize, in a copy of the process that somebody forked
 *
 * Each gives its error with a text, writes nothing, and leaves the object as it was and usable. */
#ifndef SERRY_TEST_BAD_OBJECTS_H
#define SERRY_TEST_BAD_OBJECTS_H

#include "fault/fault.h"

#include <cmath>
#include <functional>
#include <map>
#include <sys/wait.h>

namespace bad_objects {

using namespace serry_test;

/* What a row calls its operation with. The defaults are right; a timeout is one that would never
 * end. */
struct Args {
    uint64_t id = 0;
    double timeout = SERRY_FOREVER;
    int null = -1; /* which pointer */
    bool absurd = false;

    template <typename T>
    T *p(int k, T *right) const
    {
        return k == null ? nullptr : right;
    }
    size_t size(size_t right) const { return absurd ? SIZE_MAX / 2 : right; }
};

struct Operation {
    const char *what;
    std::function<serry_err(const Args &)> call;
    int pointers = 0;            /* p(0), p(1), ... of them must not be NULL */
    bool timed = false;          /* it has a timeout */
    serry_err absurd = SERRY_OK; /* what an absurd size gives; OK: it has no size */
    bool asks = false;           /* answers yes or no: no is all it can say, as SERRY_EHANDLE */
};

/* Making one: with a place for its handle that may be NULL, with a name that may be too long, at a
 * node that may not be there. */
using Creator = std::function<serry_err(uint64_t *id, const char *name, int node)>;

struct Class {
    const char *what;
    Creator create;                      /* null: it has no options */
    std::function<uint64_t()> make;      /* one to misuse */
    std::function<void(uint64_t)> end;   /* ends it, and with it its handle */
    std::function<void(uint64_t)> check; /* it is as make left it, and works */
    std::vector<Operation> operations;
    bool lasts = false; /* but its handle is good for ever */
    std::vector<std::pair<const char *, std::function<serry_err()>>> misfits = {}; /* EINVAL */
    bool pointer = false; /* no handle, but a pointer: NULL is all that it is wrong with */
};

/* Where operations write to: nobody should. */
inline unsigned char untouched[256];

template <typename T>
T *out()
{
    static_assert(sizeof(T) <= sizeof untouched, "more room is needed");
    return reinterpret_cast<T *>(untouched);
}

/* Something to read from. */
inline const double *in()
{
    static const double numbers[8] = { 1, 2, 3 };
    return numbers;
}

inline serry_err yes(bool answer)
{
    return answer ? SERRY_OK : SERRY_EHANDLE;
}

/* One call that has to fail. */
inline void refuse(const std::string &what, serry_err want, const std::function<serry_err()> &call,
                   bool asks = false)
{
    SERRY_IGNORE(serry_send(-9, 0, nullptr, 0)); /* a detail that is not the one to come */
    std::string before = serry_err_detail();
    memset(untouched, 0xa5, sizeof untouched);
    serry_err e = call();
    if (asks) {
        EXPECT_NE(e, SERRY_OK) << what << " says yes";
    } else {
        EXPECT_EQ(e, want) << what << " gives " << serry_err_name(e) << ": " << serry_err_detail();
        EXPECT_STRNE(serry_err_detail(), "") << what;
        if (want != SERRY_ESTATE) /* outside of the world they are alike */
            EXPECT_NE(serry_err_detail(), before) << what;
    }
    for (unsigned char byte : untouched)
        ASSERT_EQ(byte, 0xa5) << what << " has written something";
}

inline void refuse(const Class &c, const Operation &o, const std::string &wrong, serry_err want,
                   const Args &args)
{
    refuse(
        std::string(c.what) + "." + o.what + ", " + wrong, want, [&] { return o.call(args); },
        o.asks);
}

/* Handles that never were, but for a bit. */
inline std::vector<uint64_t> nonsense(uint64_t id)
{
    return { 0,
             12345,
             UINT64_MAX,
             id ^ 1,
             id ^ 0x100,
             id ^ UINT64_C(1) << 36, /* another index */
             id ^ UINT64_C(1) << 50, /* a home that is not there */
             id & 0xffffff };
}

/* Objects of all other classes, alive while it is. */
struct Strangers {
    std::vector<std::pair<const Class *, uint64_t>> all;

    explicit Strangers(const std::vector<const Class *> &classes)
    {
        for (const Class *c : classes)
            all.emplace_back(c, c->make());
    }
    ~Strangers()
    {
        for (auto [c, id] : all) {
            c->check(id);
            c->end(id);
        }
    }
};

inline void refuse_operation(const Class &c, const Operation &o, uint64_t id, uint64_t gone,
                             const Strangers &strangers)
{
    Args right;
    right.id = id;
    auto with = [&](auto change) {
        Args a = right;
        change(a);
        return a;
    };
    if (c.pointer) {
        refuse(c, o, "NULL", SERRY_EINVAL, with([](Args &a) { a.id = 0; }));
    } else {
        for (uint64_t bad : nonsense(id))
            refuse(c, o, "handle " + std::to_string(bad), SERRY_EHANDLE,
                   with([&](Args &a) { a.id = bad; }));
        for (auto stranger : strangers.all)
            refuse(c, o, std::string("handle of a ") + stranger.first->what, SERRY_EHANDLE,
                   with([&](Args &a) { a.id = stranger.second; }));
        if (!c.lasts)
            refuse(c, o, "destroyed", SERRY_EHANDLE, with([&](Args &a) { a.id = gone; }));
    }
    for (int k = 0; k < o.pointers; k++)
        refuse(c, o, "NULL for pointer " + std::to_string(k), SERRY_EINVAL,
               with([&](Args &a) { a.null = k; }));
    if (o.absurd != SERRY_OK)
        refuse(c, o, "an absurd size", o.absurd, with([](Args &a) { a.absurd = true; }));
    if (o.timed)
        refuse(c, o, "NaN", SERRY_EINVAL, with([](Args &a) { a.timeout = std::nan(""); }));
}

inline void refuse_options(const Class &c)
{
    const std::string long_name(64, 'x');
    uint64_t *id = out<uint64_t>();
    std::string what = std::string(c.what) + ".create, ";
    for (const auto &[misfit, call] : c.misfits)
        refuse(what + misfit, SERRY_EINVAL, call);
    if (!c.create)
        return;
    refuse(what + "NULL", SERRY_EINVAL, [&] { return c.create(nullptr, nullptr, 0); });
    refuse(what + "a long name", SERRY_EINVAL, [&] { return c.create(id, long_name.c_str(), 0); });
    refuse(what + "an empty name", SERRY_EINVAL, [&] { return c.create(id, "", 0); });
    for (int node : { 17, -9, INT32_MAX, INT32_MIN })
        refuse(what + "node " + std::to_string(node), SERRY_EINVAL,
               [&] { return c.create(id, nullptr, node); });
}

inline void refuse_all_outside(const Class &c, uint64_t id)
{
    for (const Operation &o : c.operations) {
        Args a;
        a.id = id;
        refuse(c, o, "outside the world", SERRY_ESTATE, a);
    }
    if (c.create)
        refuse(std::string(c.what) + ".create, outside the world", SERRY_ESTATE,
               [&] { return c.create(out<uint64_t>(), nullptr, 0); });
}

/* ---- the tests of a class ---- */

inline void test_inside(const Class &c, const std::vector<const Class *> &others)
{
    Strangers strangers(others);
    uint64_t id = c.make(), gone = c.make();
    c.end(gone);
    c.check(id); /* whatever it needs is open now */
    int fds = count_fds();
    for (const Operation &o : c.operations) {
        refuse_operation(c, o, id, gone, strangers);
        c.check(id);
    }
    refuse_options(c);
    c.check(id);
    EXPECT_EQ(count_fds(), fds) << describe_fds();
    c.end(id);
}

inline void test_outside(const Class &c)
{
    if (!c.pointer) /* there is none yet */
        refuse_all_outside(c, UINT64_C(1) << 58 | 1);
    ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
    uint64_t id = c.make();
    pid_t copy = fork();
    if (copy == 0) {
        refuse_all_outside(c, id);
        _exit(testing::Test::HasFailure());
    }
    int status = 1;
    EXPECT_EQ(waitpid(copy, &status, 0), copy);
    EXPECT_EQ(status, 0) << "in a forked copy";
    c.check(id);
    if (!c.pointer)
        c.end(id);
    ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
    refuse_all_outside(c, id);
    if (c.pointer)
        c.end(id);
}

} // namespace bad_objects

/* BadObjects.<name> and BadObjectsOutside.<name>, of a class_ of that name. */
#define BAD_OBJECTS_TEST(name, class_)                                                             \
    SERRY_RANKS_TEST(BadObjects, name, .ranks({ 1, 2 }))                                           \
    {                                                                                              \
        bad_objects::test_inside(class_, others_than(class_));                                     \
    }                                                                                              \
    SERRY_RANKS_TEST(BadObjectsOutside, name, .ranks({ 1 }).both_ways().without_init())            \
    {                                                                                              \
        bad_objects::test_outside(class_);                                                         \
    }

#endif
