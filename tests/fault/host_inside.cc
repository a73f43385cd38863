// ctest: slow timeout=120
/* serry inside programs that do unusual things: with threads that allocate all the time, set-uid,
 * linked in and loaded as a library as well, unloaded. */
#include "fault/fault.h"

#include <atomic>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <thread>

using namespace serry_test;

namespace {

/* ---- threads ---- */

/* Whoever forks while one of these holds a lock of the allocator has a child that cannot allocate.
 */
class Allocating {
public:
    Allocating()
    {
        for (unsigned i = 0; i < 4; i++)
            threads_.emplace_back([this, i] {
                std::mt19937 dice(i);
                std::vector<void *> held(64);
                while (!over_) {
                    void *&place = held[dice() % held.size()];
                    free(place);
                    place = malloc(dice() % (dice() % 16 ? 500 : 300000));
                    if (dice() % 256 == 0)
                        std::this_thread::yield();
                }
                for (void *p : held)
                    free(p);
            });
    }
    ~Allocating()
    {
        over_ = true;
        for (std::thread &t : threads_)
            t.join();
    }

private:
    std::atomic<bool> over_{ false };
    std::vector<std::thread> threads_;
};

int allocate_too(const void *arg, size_t)
{
    std::vector<std::string> texts;
    for (int i = 0; i < 200; i++)
        texts.push_back(std::string(static_cast<size_t>(i) * 10, 'x'));
    return *static_cast<const int *>(arg);
}

int add_one(serry_task *t, const void *in, size_t)
{
    int x = *static_cast<const int *>(in) + 1;
    return serry_task_return(t, &x, sizeof x) == SERRY_OK ? 0 : 1;
}

void use_a_pool()
{
    serry_pool *pool = nullptr;
    serry_pool_options o = {};
    o.workers = 2;
    ASSERT_EQ(serry_pool_create(&pool, &o), SERRY_OK) << serry_err_detail();
    int in[20] = {}, out[20] = {};
    EXPECT_EQ(serry_pool_map(pool, add_one, in, sizeof *in, 20, out, sizeof *out, nullptr),
              SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(std::count(out, out + 20, 1), 20);
    serry_pool_destroy(pool);
}

void use_a_program()
{
    const char *const argv[] = { "true", nullptr };
    int code = -1;
    EXPECT_EQ(serry_subprocess_call(argv, &code, nullptr, patience(20)), SERRY_OK)
        << serry_err_detail();
    EXPECT_EQ(code, 0);
}

SERRY_RANKS_BODY(start_beside_threads)
{
    Allocating threads;
    for (int i = 0; i < rounds(60); i++) {
        serry_process p = {};
        int code = -1, x = i % 100;
        ASSERT_EQ(serry_process_start(&p, allocate_too, &x, sizeof x, nullptr), SERRY_OK)
            << serry_err_detail();
        ASSERT_EQ(serry_process_join(p, &code, patience(20)), SERRY_OK) << serry_err_detail();
        ASSERT_EQ(code, x);
        if (i % 10 == 0)
            use_a_pool();
        if (i % 10 == 5)
            use_a_program();
        if (testing::Test::HasFatalFailure())
            return;
    }
}

TEST(HostThreads, ThatAllocateAllTheTimeHinderNoStart)
{
    for (Launch launch : { run, direct }) {
        RankOptions o;
        o.launch = launch;
        o.timeout = 60;
        run_ranks(1, shm, "start_beside_threads", o);
    }
}

/* ---- set-uid ---- */

const std::string program = std::string(SERRY_TEST_PROGRAMS) + "/embedded";

TEST(SetUid, ProgramsDoNotBelieveTheEnvironment)
{
    const uid_t nobody = 65534;
    if (geteuid() != 0)
        GTEST_SKIP() << "only root can make a program of another user";
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizer does not work in such programs";
#endif
    Scratch dir;
    struct statvfs place;
    ASSERT_EQ(statvfs(dir.path().c_str(), &place), 0);
    if ((place.f_flag & ST_NOSUID) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
        GTEST_SKIP() << "programs of " << dir.path() << " run with no other rights";
    std::string copy = dir.path() + "/embedded";
    ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
    ProgramResult made = run_program({ "/bin/cp", program, copy });
    ASSERT_TRUE(made.ok()) << made;
    ASSERT_EQ(chown(copy.c_str(), nobody, nobody), 0);
    ASSERT_EQ(chmod(copy.c_str(), 0755), 0);
    ProgramOptions o;
    o.env = { { "SERRY_NP", "3" }, { "SERRY_LOG", "debug" }, { "SERRY_PLUGIN_DIR", dir.path() } };
    ProgramResult plain = run_program({ copy, "size" }, o);
    EXPECT_TRUE(plain.ok()) << plain;
    EXPECT_EQ(plain.out, "size 3\nsize 3\nsize 3\n");
    ASSERT_EQ(chmod(copy.c_str(), 04755), 0);
    ProgramResult r = run_program({ copy, "size" }, o);
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "size 1\n");
    EXPECT_EQ(r.err, "");
}

/* ---- as a library ---- */

class Loaded : public testing::Test {
protected:
    void SetUp() override
    {
        library_ = std::string(SERRY_TEST_PROGRAMS) + "/../../lib/libserry.so";
        if (access(library_.c_str(), R_OK) != 0)
            GTEST_SKIP() << "the library was not built shared";
    }
    /* What a copy knows of objects stays until its next world: to a sanitizer that is lost memory,
     * once the copy is unloaded. */
    ProgramResult embedded(const std::string &what, const std::string &times = "1")
    {
        ProgramOptions o;
        o.env["ASAN_OPTIONS"] = "detect_leaks=0";
        return run_program({ program, what, library_, times }, o);
    }
    std::string library_;
};

/* Each copy is one of its own, with a world of its own. */
TEST_F(Loaded, ASecondCopyHasAWorldOfItsOwn)
{
    const std::string said = "the other's init: SERRY_OK\nsizes 1 1\nget: SERRY_OK\n"
                             "the other's finalize: SERRY_OK\nfinalize: SERRY_OK\n";
    for (int round = 0; round < rounds(3); round++) {
        ProgramResult r = embedded("both");
        EXPECT_TRUE(r.ok()) << r;
        EXPECT_EQ(r.out, "init: SERRY_OK\n" + said);
        EXPECT_EQ(r.err, "");
    }
    ProgramResult r =
        run_program({ SERRY_TEST_COMMAND, "run", "-n", "2", program, "both", library_ });
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_TRUE(has(r.out, "sizes 2 1")) << r;
    EXPECT_FALSE(has(r.out, "SERRY_E")) << r;
}

TEST_F(Loaded, MayBeUnloadedAndLoadedAgain)
{
    ProgramResult r = embedded("load", "20");
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "loaded 20 times\n");
    EXPECT_EQ(r.err, "");
}

TEST_F(Loaded, UnloadedInTheMiddleOfAWorldLeavesNothing)
{
    ProgramResult r = embedded("leave");
    EXPECT_TRUE(r.ok()) << r;
    EXPECT_EQ(r.out, "init: SERRY_OK\ndlclose 0\n");
}

/* Nothing is ever given to another user: there is no call for it. */
TEST_F(Loaded, CannotChangeTheOwnerOfAFile)
{
    std::string bytes = read_file(library_);
    ASSERT_TRUE(has(bytes, "memfd_create"));
    EXPECT_FALSE(has(bytes, "chown"));
}

} // namespace
