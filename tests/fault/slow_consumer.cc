// ctest: slow timeout=120
/* One gives as fast as it can, the other does not take: memory stays within bounds, of both and of
 * the agents, and nothing is lost. */
#include "fault/fault.h"

#include <map>

using namespace serry_test;

namespace {

const size_t item_len = 65536;
const size_t capacity = 64;
const size_t message_len = 16384;

/* Memory of its own, in MiB. */
double own_memory(pid_t pid)
{
    std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
    size_t at = status.find("RssAnon:");
    return at == std::string::npos ? 0 : atof(status.c_str() + at + 8) / 1024;
}

/* The most that any process of a run has had while this looked. */
class Watched {
public:
    explicit Watched(Ranks &ranks) : ranks_(ranks)
    {
        double all = 0;
        for (pid_t pid : ranks.program().processes())
            all += before_[pid] = own_memory(pid);
        EXPECT_GT(all, 0) << "nothing is seen";
    }
    void look()
    {
        for (auto &b : before_)
            most_ = std::max(most_, own_memory(b.first) - b.second);
    }
    /* Until that has been noted. */
    void look_until(const std::string &text, double seconds)
    {
        EXPECT_TRUE(ranks_.program().wait_for(
            [&] {
                look();
                for (const Record &r : ranks_.records()) {
                    if (r.kind == Record::note && r.text.compare(0, text.size(), text) == 0)
                        return true;
                }
                return false;
            },
            seconds))
            << text;
    }
    double most() const { return most_; }

private:
    Ranks &ranks_;
    std::map<pid_t, double> before_;
    double most_ = 0;
};

void wait_for_go(const char *name)
{
    while (access((rank_dir() + "/" + name).c_str(), F_OK) != 0)
        usleep(1000);
}

/* ---- a queue ---- */

SERRY_RANKS_BODY(producer_and_sleeper)
{
    serry_queue q = {};
    serry_queue_options o = {};
    o.name = "items";
    o.capacity = capacity;
    o.node = SERRY_NODE(0);
    ASSERT_EQ(serry_queue_create(&q, &o), SERRY_OK) << serry_err_detail();
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    std::vector<char> item(item_len);
    const size_t all = 8192; /* half a GiB */
    if (serry_rank() == 0)
        note("ready");
    wait_for_go("begin");
    if (serry_rank() == 0) {
        size_t n = 0;
        serry_err e;
        while ((e = serry_queue_put(q, item.data(), item.size(), 0.3)) == SERRY_OK)
            n++;
        EXPECT_EQ(e, SERRY_ETIMEDOUT) << serry_err_detail();
        EXPECT_EQ(n, capacity) << "as many as there is room for";
        EXPECT_EQ(serry_queue_put(q, item.data(), item.size(), SERRY_NOWAIT), SERRY_ETIMEDOUT);
        note("full");
        for (; n < all; n++) {
            memcpy(item.data(), &n, sizeof n);
            ASSERT_EQ(serry_queue_put(q, item.data(), item.size(), SERRY_FOREVER), SERRY_OK)
                << serry_err_detail();
        }
    } else {
        wait_for_go("go");
        for (size_t n = 0; n < all; n++) {
            size_t got = 0;
            ASSERT_EQ(serry_queue_get(q, item.data(), item.size(), nullptr, SERRY_FOREVER),
                      SERRY_OK)
                << serry_err_detail();
            memcpy(&got, item.data(), sizeof got);
            ASSERT_EQ(got, n < capacity ? 0 : n);
            if (n % 64 == 0)
                usleep(2000);
        }
        note("all");
    }
}

class SlowConsumer : public testing::TestWithParam<Lanes> {};

INSTANTIATE_TEST_SUITE_P(Lanes, SlowConsumer, testing::Values(shm, serry_test::socket, nodes),
                         [](const auto &p) {
                             return std::string(p.param == nodes ? "nodes" : name_of(p.param));
                         });

TEST_P(SlowConsumer, OfABoundedQueueKeepsMemoryWithinBounds)
{
    RankOptions o;
    o.launch = direct;
    o.timeout = 60;
    o.env["ASAN_OPTIONS"] = "quarantine_size_mb=1"; /* what is freed is to count as free */
    Ranks ranks(2, GetParam(), "producer_and_sleeper", o);
    ASSERT_TRUE(ranks.wait_for_note("ready", patience(20)));
    Watched memory(ranks);
    write_file(ranks.path() + "/begin", "");
    memory.look_until("full", patience(20));
    /* The items, twice: as they came and as they are fed ahead; and what the allocator keeps. */
    EXPECT_LT(memory.most(), 4 * double(capacity * item_len) / (1 << 20));
    write_file(ranks.path() + "/go", "");
    memory.look_until("all", patience(40));
    EXPECT_LT(memory.most(), 8 * double(capacity * item_len) / (1 << 20));
    expect_clean(ranks.wait(), 2, o);
}

/* ---- messages ---- */

/* Who does not call serry has nothing put into its memory but what its lane holds. */
SERRY_RANKS_BODY(sender_and_sleeper)
{
    std::vector<char> bytes(message_len);
    ASSERT_EQ(serry_world_barrier(), SERRY_OK);
    if (serry_rank() == 0)
        note("ready");
    wait_for_go("begin");
    if (serry_rank() == 0) {
        size_t n = 0;
        serry_request r = {};
        for (;; n++) {
            memcpy(bytes.data(), &n, sizeof n);
            ASSERT_EQ(serry_isend(&r, 1, 1, bytes.data(), bytes.size()), SERRY_OK)
                << serry_err_detail();
            serry_err e = serry_wait(&r, nullptr, 0.5);
            if (e == SERRY_ETIMEDOUT)
                break;
            ASSERT_EQ(e, SERRY_OK) << serry_err_detail();
        }
        EXPECT_LT(n * message_len, size_t{ 16 } << 20) << "under way";
        note("full " + std::to_string(n));
        write_file(rank_dir() + "/go", "");
        ASSERT_EQ(serry_wait(&r, nullptr, SERRY_FOREVER), SERRY_OK) << serry_err_detail();
        size_t end = SIZE_MAX;
        ASSERT_EQ(serry_send(1, 1, &end, sizeof end), SERRY_OK) << serry_err_detail();
    } else {
        wait_for_go("go");
        for (size_t n = 0;; n++) {
            size_t got = 0;
            ASSERT_EQ(serry_recv(0, 1, bytes.data(), bytes.size(), nullptr, SERRY_FOREVER),
                      SERRY_OK)
                << serry_err_detail();
            memcpy(&got, bytes.data(), sizeof got);
            if (got == SIZE_MAX)
                break;
            ASSERT_EQ(got, n);
        }
    }
}

TEST_P(SlowConsumer, OfMessagesMakesTheSenderWait)
{
    RankOptions o;
    o.launch = direct;
    o.timeout = 60;
    Ranks ranks(2, GetParam(), "sender_and_sleeper", o);
    ASSERT_TRUE(ranks.wait_for_note("ready", patience(20)));
    Watched memory(ranks);
    write_file(ranks.path() + "/begin", "");
    memory.look_until("full", patience(20));
    EXPECT_LT(memory.most(), 16);
    expect_clean(ranks.wait(), 2, o);
}

} // namespace
