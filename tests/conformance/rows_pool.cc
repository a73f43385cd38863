// ctest: pool timeout=120
/* What Python's own tests ask of the memory of pools; docs/conformance.md has the whole list. */
#include "fault/fault.h"
#include "patterns/pool_test.h"

using namespace serry_test;
using namespace pool_test;

namespace {

/* Bytes that a process has in memory for itself alone. */
size_t private_bytes(pid_t pid)
{
    size_t size = 0, resident = 0, shared = 0;
    std::string text = read_file("/proc/" + std::to_string(pid) + "/statm");
    EXPECT_EQ(sscanf(text.c_str(), "%zu %zu %zu", &size, &resident, &shared), 3) << text;
    return (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

enum { LARGE = 100000 };

int my_memory(serry_task *t, const void *in, size_t len)
{
    std::vector<char> out((const char *)in, (const char *)in + len);
    size_t bytes = private_bytes(getpid());
    memcpy(out.data(), &bytes, sizeof bytes);
    return give(t, out.data(), out.size());
}

/* So many tasks, a few at a time; the most that a worker had in memory. */
size_t use_pool(serry_pool *p, int n)
{
    std::vector<char> data(LARGE, 'x'), result(LARGE);
    size_t most = 0;
    for (int i = 0; i < n; i++) {
        serry_future *fs[4];
        for (serry_future *&f : fs)
            EXPECT_EQ(serry_pool_submit(&f, p, my_memory, data.data(), data.size()), SERRY_OK)
                << serry_err_detail();
        for (serry_future *f : fs) {
            size_t bytes = 0;
            EXPECT_EQ(serry_future_get(f, result.data(), result.size(), nullptr, patience(20)),
                      SERRY_OK)
                << serry_err_detail();
            memcpy(&bytes, result.data(), sizeof bytes);
            most = std::max(most, bytes);
            serry_future_free(f);
        }
    }
    return most;
}

/* What 300 tasks with 60 MB of arguments and results have used, 60 had used: in the process that
 * gives them, in the workers, and in the agent, where they wait. */
const size_t slack = 6 << 20;

void wait_for_file(const char *name)
{
    EXPECT_TRUE(wait_for([=] { return access((rank_dir() + "/" + name).c_str(), F_OK) == 0; }, 20));
}

SERRY_RANKS_BODY(use_a_pool_for_long)
{
    serry_pool *p = make_pool();
    size_t workers = use_pool(p, 15), mine = private_bytes(getpid());
    note("warm");
    wait_for_file("seen");
    EXPECT_LT(use_pool(p, 60), workers + slack);
    EXPECT_LT(private_bytes(getpid()), mine + slack);
    note("used");
    wait_for_file("seen again");
    end_pool(p);
}

TEST(PoolMemory, IsGivenBackAfterEachTask)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer keeps what was freed; it finds what was not by itself";
#endif
    for (Lanes lanes : { shm, serry_test::socket }) {
        RankOptions o;
        o.launch = direct;
        o.timeout = 60;
        Ranks ranks(1, lanes, "use_a_pool_for_long", o);
        ASSERT_TRUE(ranks.wait_for_note("warm", 30));
        pid_t agent = process_named(ranks.program(), "serry-agent");
        ASSERT_GT(agent, 0);
        size_t before = private_bytes(agent);
        write_file(ranks.path() + "/seen", "");
        ASSERT_TRUE(ranks.wait_for_note("used", 30));
        EXPECT_LT(private_bytes(agent), before + slack);
        write_file(ranks.path() + "/seen again", "");
        expect_clean(ranks.wait(), 1, o);
    }
}

} // namespace
