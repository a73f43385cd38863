/* support/ranks.cc: starting ranks and gathering what they say. */
#include "support/ranks_internal.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <unistd.h>

namespace serry_test {

static const char dir_variable[] = "SERRY_TEST_DIR";
static const char records_name[] = "/.records";

struct RanksTest {
    const char *suite, *name, *file;
    int line;
    Cases cases;
};

using BodyFn = void (*)();

/* Filled before main by the SERRY_RANKS macros. */
static std::map<std::string, BodyFn> &bodies()
{
    static std::map<std::string, BodyFn> table;
    return table;
}

static std::vector<RanksTest> &ranks_tests()
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
    ranks_tests().push_back({ suite, name, file, line, cases });
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

std::string rank_dir()
{
    const char *dir = getenv(dir_variable);
    return dir ? dir : ".";
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
    listeners.Append(new Recorder);
    /* Failures are in the records: an exit status would make the launcher kill the others, whose
     * records we want, too. */
    int ignored = RUN_ALL_TESTS();
    (void)ignored;
    return 0;
}

/* ---- in the test process ---- */

static const char *lanes_name(Lanes lanes)
{
    return lanes == shm ? "shm" : "socket";
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
    p.env["SERRY_LANES"] = lanes_name(lanes);
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

std::vector<Record> Ranks::records() const
{
    return parse_records(read_file(dir_.path() + records_name));
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
    std::string name = std::string(t.name) + "/" + (launch == direct ? "direct_" : "")
                       + lanes_name(lanes) + "_" + std::to_string(n);
    testing::RegisterTest(
        t.suite, name.c_str(), nullptr, nullptr, t.file, t.line,
        [=]() -> testing::Test * { return new CaseTest(n, lanes, body, options); });
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
    }
}

} // namespace serry_test
