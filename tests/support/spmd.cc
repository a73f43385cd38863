/* support/spmd.cc: many bodies in one world, as one GoogleTest program in each rank. */
#include "support/spmd.h"

#include "support/ranks_internal.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <unistd.h>

namespace serry_test {

namespace {

const int exit_late = 124;

/* One body, and what came of it. */
struct Task {
    std::string name;
    const RanksTest *body;
    bool solo; /* for one rank alone */
    double seconds = 0;
    size_t failed = 0;
    bool skipped = false;
};

struct Spmd {
    std::string base; /* a directory of all ranks */
    std::string part; /* of the names of the bodies that are asked for */
    std::vector<std::string> without;
    bool verbose = false;
    double limit = 0;
    int not_in = 0;
    int code = 1;
    std::vector<Task> tasks;
};

Spmd spmd;

double now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- a body's time ---- */

/* By a timer that no copy made by fork inherits, and a signal that no body uses. What the handler
 * says is ready before the timer is set. */
class Clock {
public:
    Clock()
    {
        struct sigaction a = {};
        a.sa_handler = late;
        sigaction(SIGRTMAX, &a, nullptr);
        sigevent e = {};
        e.sigev_notify = SIGEV_SIGNAL;
        e.sigev_signo = SIGRTMAX;
        if (timer_create(CLOCK_MONOTONIC, &e, &timer_) != 0) {
            perror("timer_create");
            abort();
        }
    }
    ~Clock() { timer_delete(timer_); }

    void set(double seconds)
    {
        itimerspec t = {};
        t.it_value.tv_sec = (time_t)seconds;
        timer_settime(timer_, 0, &t, nullptr);
    }

    static void say(const std::string &where)
    {
        snprintf(text_, sizeof text_, "[rank %d] NOT IN TIME: %s\n", serry_rank(), where.c_str());
    }

private:
    static void late(int)
    {
        if (write(2, text_, strlen(text_)) < 0)
            _exit(exit_late);
        _exit(exit_late);
    }

    timer_t timer_;
    static char text_[512];
};

char Clock::text_[512];
std::unique_ptr<Clock> timer;

/* ---- a body ---- */

void barrier()
{
    serry_err e = serry_world_barrier();
    if (e == SERRY_OK)
        return;
    /* The others are lost, or nothing can be told from here on. */
    fprintf(stderr, "[rank %d] a barrier between two bodies: %s (%s)\n", serry_rank(),
            serry_err_text(e), serry_err_detail());
    _exit(1);
}

/* Messages that the body did not fetch, and deaths it did not ask for. */
void drain()
{
    std::vector<char> bytes;
    serry_status status;
    /* Each death is told once; but where nobody else is left, that is told each time. */
    for (int deaths = 0; deaths < 1000;) {
        serry_err e = serry_recv(SERRY_ANY, SERRY_ANY, bytes.data(), bytes.size(), &status, 0);
        if (e == SERRY_ETRUNC)
            bytes.resize(status.len);
        else if (e == SERRY_EDIED)
            deaths++;
        else if (e != SERRY_OK)
            return;
    }
}

/* Only what rank 0 finds is judged: the records are those of all ranks and of what they started. */
void judge(Task &t)
{
    for (const Record &r : records_in(rank_dir())) {
        t.failed += r.kind == Record::failure;
        t.skipped |= r.kind == Record::skipped;
    }
    if (spmd.verbose)
        fprintf(stderr, "%-7s %6.2f s  %s%s\n",
                t.failed    ? "FAILED"
                : t.skipped ? "skipped"
                            : "ok",
                t.seconds, t.name.c_str(), t.solo ? "  (one rank)" : "");
}

/* Twice what the test has, for processors are short and others wait. --limit: less, to be told
 * sooner of those that hang. */
double limit_of(const Cases &c)
{
    return spmd.limit > 0 ? std::min(spmd.limit, c.options_.timeout) : 2 * c.options_.timeout;
}

void run_task(size_t index)
{
    Task &t = spmd.tasks[index];
    double begun = now(), limit = patience(limit_of(t.body->cases));
    bool mine = !t.solo || serry_rank() == 0;
    if (serry_rank() == 0)
        set_running(index);
    Clock::say(t.name + ", which others have not begun");
    timer->set(limit + 2);
    barrier();
    forget_running();
    if (mine) {
        Clock::say(t.name);
        timer->set(limit);
        t.body->run();
    }
    Clock::say(t.name + ", in others: here it is at its end");
    timer->set(limit + 2);
    barrier();
    drain();
    timer->set(0);
    t.seconds = now() - begun;
    if (serry_rank() == 0)
        judge(t);
}

/* At once, so that it is known when the program does not come to its end. */
class Printer : public testing::EmptyTestEventListener {
    void OnTestPartResult(const testing::TestPartResult &r) override
    {
        if (!r.failed())
            return;
        size_t index = running_index();
        std::string text = "[rank " + std::to_string(serry_rank()) + "] "
                           + (index < spmd.tasks.size() ? spmd.tasks[index].name : "no body") + ": "
                           + (r.file_name() ? r.file_name() : "?") + ":"
                           + std::to_string(r.line_number()) + ": " + r.message() + "\n";
        fwrite(text.data(), 1, text.size(), stderr);
    }
};

/* ---- which ---- */

/* Would this body's test run with so many ranks? */
bool fits(const Cases &c, int size)
{
    const RankOptions &o = c.options_;
    if (c.own_world_ || !o.init || !o.run_flags.empty() || !o.env.empty())
        return false;
    const std::vector<int> &counts = c.counts_;
    auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    if (*most == 1)
        return !c.world_of_one_ || size == 1;
    if (std::find(counts.begin(), counts.end(), size) != counts.end())
        return true;
    /* Those that can do with several sizes can do with others. */
    return counts.size() > 1 && *most > 2 && *most < 10 && size >= *least;
}

void choose(int size)
{
    for (const RanksTest &t : ranks_tests()) {
        std::string name = std::string(t.suite) + "." + t.name;
        bool wanted = fits(t.cases, size) && !(spmd.not_in && fits(t.cases, spmd.not_in));
        bool left_out = false;
        for (const std::string &part : spmd.without)
            left_out |= name.find(part) != std::string::npos;
        if (wanted && !left_out && name.find(spmd.part) != std::string::npos)
            spmd.tasks.push_back(
                { name, &t, t.cases.counts_ == std::vector<int>{ 1 } && size > 1 });
    }
}

/* ---- the whole ---- */

int summary(double seconds)
{
    size_t failed = 0, skipped = 0;
    for (const Task &t : spmd.tasks) {
        failed += t.failed != 0;
        skipped += t.skipped;
        if (t.failed)
            fprintf(stderr, "FAILED: %s\n", t.name.c_str());
    }
    fprintf(stderr, "%zu bodies in a world of %d on %d nodes: %zu failed, %zu skipped, %.1f s\n",
            spmd.tasks.size(), serry_size(), serry_nodes(), failed, skipped, seconds);
    return failed ? 1 : 0;
}

class SpmdTest : public testing::Test {
    /* As in a rank of one body: the agent's copy of the program is made in here. */
    void TestBody() override
    {
        if (serry_init(nullptr, nullptr) != SERRY_OK) {
            fprintf(stderr, "serry_init: %s\n", serry_err_detail());
            spmd.code = 1;
            return;
        }
        timer = std::make_unique<Clock>();
        double begun = now();
        choose(serry_size());
        for (size_t i = 0; i < spmd.tasks.size(); i++)
            run_task(i);
        Clock::say("the end of all bodies");
        timer->set(patience(30));
        if (serry_rank() == 0)
            spmd.code = summary(now() - begun);
        if (serry_world_bcast(&spmd.code, sizeof spmd.code, 0) != SERRY_OK)
            spmd.code = 1;
        bool first = serry_rank() == 0;
        if (serry_finalize() != SERRY_OK) {
            fprintf(stderr, "serry_finalize: %s\n", serry_err_detail());
            spmd.code = 1;
        }
        timer.reset();
        std::error_code ignored;
        if (first)
            std::filesystem::remove_all(spmd.base, ignored);
    }
};

bool read_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        if (word == "--verbose")
            spmd.verbose = true;
        else if (word.rfind("--not-in=", 0) == 0)
            spmd.not_in = atoi(word.c_str() + 9);
        else if (word.rfind("--only=", 0) == 0)
            spmd.part = word.substr(7);
        else if (word.rfind("--limit=", 0) == 0)
            spmd.limit = atof(word.c_str() + 8);
        else if (word.rfind("--without=", 0) == 0)
            spmd.without.push_back(word.substr(10));
        else
            return fprintf(stderr, "%s: there is no option '%s'\n", argv[0], argv[i]), false;
    }
    return true;
}

/* The same in all ranks: by the environment, or for those of one machine by their launcher. */
std::string common_directory()
{
    const char *given = getenv("SERRY_TEST_DIR"), *tmp = getenv("TMPDIR");
    std::string dir =
        std::string(tmp && *tmp ? tmp : "/tmp") + "/serry-test-" + std::to_string(getppid());
    if (given)
        dir = given;
    std::error_code ignored;
    std::filesystem::create_directories(dir, ignored);
    return dir;
}

} // namespace

int run_spmd(int argc, char **argv)
{
    if (!read_arguments(argc, argv))
        return 2;
    spmd.base = common_directory();
    run_in_turn(spmd.base);
    int one = 1;
    char *no_arguments[] = { argv[0], nullptr };
    testing::InitGoogleTest(&one, no_arguments);
    testing::RegisterTest("Spmd", "Bodies", nullptr, nullptr, __FILE__, __LINE__,
                          []() -> testing::Test * { return new SpmdTest; });
    GTEST_FLAG_SET(filter, "Spmd.Bodies");
    auto &listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    append_recorder();
    listeners.Append(new Printer);
    int ignored = RUN_ALL_TESTS();
    (void)ignored;
    return spmd.code;
}

} // namespace serry_test
