/* support/ranks.cc: starting ranks and gathering what they say. */
#include "support/ranks_internal.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <sstream>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace serry_test {

static const char dir_variable[] = "SERRY_TEST_DIR";
static const char records_name[] = "/.records";

using BodyFn = void (*)();

/* Filled before main by the SERRY_RANKS macros. */
static std::map<std::string, BodyFn> &bodies()
{
    static std::map<std::string, BodyFn> table;
    return table;
}

std::vector<RanksTest> &ranks_tests()
{
    static std::vector<RanksTest> table;
    return table;
}

bool add_body(const char *name, void (*body)())
{
    return bodies().insert({ name, body }).second;
}

bool add_ranks_test(const char *suite, const char *name, const char *file, int line, void (*body)(),
                    const Cases &cases)
{
    ranks_tests().push_back({ suite, name, file, line, body, cases });
    return bodies().insert({ std::string(suite) + "." + name, body }).second;
}

/* ---- records: one write each, to a file opened for appending, so that those of several processes
 * do not mix and one that is killed spoils nothing ---- */

static void add_record(Record::Kind kind, const char *file, int line, const std::string &text)
{
    std::string f = file ? file : "";
    std::ostringstream head;
    head << kind << ' ' << serry_rank() << ' ' << getpid() << ' ' << line << ' ' << f.size() << ' '
         << text.size() << '\n';
    std::string all = head.str() + f + text + '\n';
    int fd =
        open((rank_dir() + records_name).c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, all.data(), all.size()) != (ssize_t)all.size())
        perror("a rank's record");
    if (fd >= 0)
        close(fd);
}

static std::vector<Record> parse_records(const std::string &bytes)
{
    std::vector<Record> records;
    std::istringstream in(bytes);
    int kind;
    size_t file_len, text_len;
    Record r;
    while (in >> kind >> r.rank >> r.pid >> r.line >> file_len >> text_len && in.get() == '\n') {
        r.kind = (Record::Kind)kind;
        r.file.resize(file_len);
        r.text.resize(text_len);
        in.read(r.file.data(), (std::streamsize)file_len);
        in.read(r.text.data(), (std::streamsize)text_len);
        if (!in)
            break;
        records.push_back(r);
    }
    return records;
}

void note(const std::string &text)
{
    add_record(Record::note, nullptr, 0, text);
}

/* ---- which body runs, where many run in turn: said by a file, for those that the agent starts
 * have a copy of this memory as it was before the first ---- */

static const char turn_variable[] = "SERRY_TEST_IN_TURN";
static const size_t no_index = SIZE_MAX;
static size_t running = no_index;

static std::string base_dir()
{
    const char *dir = getenv(dir_variable);
    return dir ? dir : ".";
}

static bool in_turn()
{
    return getenv(turn_variable) != nullptr;
}

void run_in_turn(const std::string &base)
{
    setenv(dir_variable, base.c_str(), 1);
    setenv(turn_variable, "1", 1);
}

void set_running(size_t index)
{
    std::string file = base_dir() + "/running";
    std::string dir = base_dir() + "/" + std::to_string(index);
    std::error_code ignored;
    std::filesystem::remove_all(dir, ignored); /* of a run before that was killed */
    mkdir(dir.c_str(), 0700);
    write_file(file + ".new", std::to_string(index));
    rename((file + ".new").c_str(), file.c_str());
}

void forget_running()
{
    running = no_index;
}

size_t running_index()
{
    if (running == no_index) {
        std::string text = read_file(base_dir() + "/running");
        if (!text.empty())
            running = strtoul(text.c_str(), nullptr, 10);
    }
    return running;
}

std::string rank_dir()
{
    if (!in_turn() || running_index() == no_index)
        return base_dir();
    return base_dir() + "/" + std::to_string(running_index());
}

size_t rank_turn()
{
    return in_turn() ? running_index() : 0;
}

void *map_rank_memory(const char *name, size_t len)
{
    std::string path = rank_dir() + "/" + name;
    int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *p = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)len) == 0)
        p = mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (p == MAP_FAILED) {
        perror(path.c_str());
        abort();
    }
    return p;
}

int next_rank_memory()
{
    static std::atomic<int> count;
    return serry_rank() * 1000 + count++;
}

void *numbered_rank_memory(int number, size_t len)
{
    static thread_local struct {
        int number;
        size_t turn;
        void *at;
    } last;
    if (!last.at || last.number != number || last.turn != rank_turn())
        last = { number, rank_turn(),
                 map_rank_memory(("memory." + std::to_string(number)).c_str(), len) };
    return last.at;
}

const char *own_name(const char *name)
{
    static std::set<std::string> names;
    static std::mutex mutex;
    if (!name || !in_turn())
        return name;
    std::lock_guard<std::mutex> lock(mutex);
    return names.insert(std::to_string(running_index()) + "." + name).first->c_str();
}

/* ---- in a rank ---- */

namespace {

/* What fails in a rank is told to the test process, nobody else. A started process inherits this
 * by its fork. */
class Recorder : public testing::EmptyTestEventListener {
    void OnTestPartResult(const testing::TestPartResult &r) override
    {
        if (!r.passed())
            add_record(r.skipped() ? Record::skipped : Record::failure, r.file_name(),
                       r.line_number(), r.message());
    }
};

class RankTest : public testing::Test {
public:
    RankTest(BodyFn body, bool init) : body_(body), init_(init) {}

private:
    void TestBody() override
    {
        std::set<std::string> before = open_fds();
        if (init_) {
            ASSERT_EQ(serry_init(nullptr, nullptr), SERRY_OK) << serry_err_detail();
        }
        add_record(Record::joined, nullptr, 0, "");
        body_();
        add_record(Record::finished, nullptr, 0, "");
        if (init_) {
            ASSERT_EQ(serry_finalize(), SERRY_OK) << serry_err_detail();
        }
        for (const auto &fd : open_fds())
            EXPECT_TRUE(before.count(fd)) << "descriptor left open: " << fd;
    }

    BodyFn body_;
    bool init_;
};

} // namespace

void append_recorder()
{
    testing::UnitTest::GetInstance()->listeners().Append(new Recorder);
}

int run_as_rank(char *program, const char *name)
{
    auto found = bodies().find(name);
    if (found == bodies().end()) {
        fprintf(stderr, "%s: there is no body '%s'\n", program, name);
        return 120;
    }
    BodyFn body = found->second;
    bool init = !getenv("SERRY_TEST_NO_INIT");
    char *argv[] = { program, nullptr };
    int argc = 1;
    testing::InitGoogleTest(&argc, argv);
    testing::RegisterTest("Rank", "Body", nullptr, nullptr, __FILE__, __LINE__,
                          [=]() -> testing::Test * { return new RankTest(body, init); });
    GTEST_FLAG_SET(filter, "Rank.Body");
    auto &listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    append_recorder();
    /* Failures are in the records: an exit status would make the launcher kill the others, whose
     * records we want, too. */
    int ignored = RUN_ALL_TESTS();
    (void)ignored;
    return 0;
}

/* ---- in the test process ---- */

static const char *lanes_name(Lanes lanes)
{
    static const char *const names[] = { "shm", "socket", "nodes", "nodes2" };
    return names[lanes];
}

bool several_nodes(Lanes lanes)
{
    return lanes == nodes || lanes == nodes2;
}

static std::vector<std::string> command_line(int n, const std::string &body, const RankOptions &o)
{
    std::vector<std::string> argv = o.wrap;
    if (o.launch == run) {
        for (const auto &word :
             { serry_command(), std::string("run"), std::string("-n"), std::to_string(n) })
            argv.push_back(word);
        argv.insert(argv.end(), o.run_flags.begin(), o.run_flags.end());
    }
    argv.push_back(self_path());
    argv.push_back("--serry-body=" + body);
    return argv;
}

Ranks::Ranks(int n, Lanes lanes, const std::string &body, const RankOptions &o)
{
    ProgramOptions p;
    p.env = o.env;
    p.env["SERRY_LANES"] = lanes == socket ? "socket" : "shm";
    if (several_nodes(lanes))
        p.env["SERRY_NODES"] = lanes == nodes ? "rank" : "2";
    p.env[dir_variable] = dir_.path();
    if (o.launch == direct && n > 1)
        p.env["SERRY_NP"] = std::to_string(n);
    if (!o.init)
        p.env["SERRY_TEST_NO_INIT"] = "1";
    p.input = o.input;
    p.timeout = o.timeout;
    p.grace = o.grace;
    program_ = std::make_unique<Program>(command_line(n, body, o), p);
}

std::vector<Record> records_in(const std::string &dir)
{
    return parse_records(read_file(dir + records_name));
}

std::vector<Record> Ranks::records() const
{
    return records_in(dir_.path());
}

pid_t Ranks::pid_of(int rank)
{
    pid_t pid = -1;
    program_->wait_for([&] {
        for (const Record &r : records()) {
            if (r.kind == Record::joined && r.rank == rank)
                pid = r.pid;
        }
        return pid != -1;
    });
    return pid;
}

bool Ranks::wait_for_note(const std::string &text, double seconds)
{
    auto is_it = [&](const Record &r) { return r.kind == Record::note && r.text == text; };
    return program_->wait_for(
        [&] {
            std::vector<Record> all = records();
            return std::any_of(all.begin(), all.end(), is_it);
        },
        seconds);
}

RanksResult Ranks::wait()
{
    RanksResult r;
    r.program = program_->wait();
    r.records = records();
    return r;
}

std::vector<Record> RanksResult::of(Record::Kind kind) const
{
    std::vector<Record> found;
    for (const Record &r : records) {
        if (r.kind == kind)
            found.push_back(r);
    }
    return found;
}

std::vector<std::string> RanksResult::notes() const
{
    std::vector<std::string> texts;
    for (const Record &r : of(Record::note))
        texts.push_back(r.text);
    std::sort(texts.begin(), texts.end());
    return texts;
}

RanksResult try_ranks(int n, Lanes lanes, const std::string &body, const RankOptions &o)
{
    return Ranks(n, lanes, body, o).wait();
}

void expect_clean(const RanksResult &r, int n, const RankOptions &o)
{
    for (const Record &f : r.of(Record::failure))
        ADD_FAILURE_AT(f.file.empty() ? "unknown" : f.file.c_str(), f.line)
            << "in rank " << f.rank << " (process " << f.pid << "):\n"
            << f.text;
    EXPECT_TRUE(r.program.ok()) << r.program;
    /* Without init, only the body knows how many processes it is. */
    size_t finished = r.of(Record::finished).size();
    size_t expected = o.init || o.launch == run ? (size_t)n : 1;
    EXPECT_GE(finished, expected) << "ranks came to the end of the body\n" << r.program;
    for (const Record &s : r.of(Record::skipped))
        GTEST_SKIP() << "in rank " << s.rank << ": " << s.text;
}

void run_ranks(int n, Lanes lanes, const std::string &body, const RankOptions &o)
{
    expect_clean(try_ranks(n, lanes, body, o), n, o);
}

/* ---- the cases ---- */

namespace {

class CaseTest : public testing::Test {
public:
    CaseTest(int n, Lanes lanes, std::string body, RankOptions options)
        : n_(n), lanes_(lanes), body_(std::move(body)), options_(std::move(options))
    {
    }

private:
    void TestBody() override { run_ranks(n_, lanes_, body_, options_); }

    int n_;
    Lanes lanes_;
    std::string body_;
    RankOptions options_;
};

} // namespace

static void register_case(const RanksTest &t, Launch launch, Lanes lanes, int n)
{
    RankOptions options = t.cases.options_;
    options.launch = launch;
    std::string body = std::string(t.suite) + "." + t.name;
    std::string name = std::string(t.name) + "/"
                       + (launch == direct && !several_nodes(lanes) ? "direct_" : "")
                       + lanes_name(lanes) + "_" + std::to_string(n);
    testing::RegisterTest(
        t.suite, name.c_str(), nullptr, nullptr, t.file, t.line,
        [=]() -> testing::Test * { return new CaseTest(n, lanes, body, options); });
}

/* On several nodes a world is as large as the smallest that shows it: three ranks if the test can
 * be had with them, else two or four. 0: none of these. */
static int ranks_on_nodes(const Cases &cases, int least)
{
    for (int wanted : { 3, 2, 4 }) {
        const std::vector<int> &counts = cases.counts_;
        if (wanted >= least && std::find(counts.begin(), counts.end(), wanted) != counts.end())
            return wanted;
    }
    return 0;
}

static void register_cases_on_nodes(const RanksTest &t)
{
    const Cases &cases = t.cases;
    bool one_kind = cases.lanes_.size() == 1 && cases.lanes_[0] == socket;
    if (!cases.across_ || !cases.options_.run_flags.empty() || one_kind)
        return;
    for (Lanes lanes : { nodes, nodes2 }) {
        int n = ranks_on_nodes(cases, lanes == nodes ? 2 : 3);
        if (n)
            register_case(t, direct, lanes, n);
    }
}

void register_ranks_tests()
{
    for (const RanksTest &t : ranks_tests()) {
        for (Launch launch : t.cases.launches_) {
            for (Lanes lanes : t.cases.lanes_) {
                for (int n : t.cases.counts_)
                    register_case(t, launch, lanes, n);
            }
        }
        register_cases_on_nodes(t);
    }
}

} // namespace serry_test
