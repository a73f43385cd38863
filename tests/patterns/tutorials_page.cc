// ctest: processors=1
/* tutorials_page.cc: docs/tutorials.md quotes the programs of apps/tutorials as they are, and
 * explains all of them. */
#include "patterns/tutorials_checks.h"

#include <filesystem>

using namespace serry_test;
using namespace tutorials_test;

namespace {

/* The lines of a text that are not empty, without the spaces in front. */
Lines stripped(const std::string &text)
{
    Lines lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (const size_t first = line.find_first_not_of(' '); first != std::string::npos)
            lines.push_back(line.substr(first));
    return lines;
}

const std::string sources = SERRY_TEST_SOURCE "/apps/tutorials/";
const std::regex link("\\(\\.\\./apps/tutorials/([a-z_]+)\\.c\\)");

TEST(TutorialPage, QuotesThePrograms)
{
    std::istringstream page(read_file(SERRY_TEST_SOURCE "/docs/tutorials.md"));
    std::string program, block;
    bool in_block = false;
    int checked = 0;
    for (std::string line; std::getline(page, line);) {
        std::smatch match;
        if (std::regex_search(line, match, link))
            program = match[1];
        if (line == "```c") {
            in_block = true;
            block.clear();
        } else if (line == "```" && in_block) {
            in_block = false;
            if (block.find("main(") != std::string::npos)
                continue; /* a program of its own: scripts/check-docs compiles it */
            const Lines source = stripped(read_file(sources + program + ".c"));
            /* Each part between empty lines stands in the program as it is. */
            std::istringstream parts(block + "\n");
            std::string part;
            for (std::string each; std::getline(parts, each);) {
                if (!each.empty()) {
                    part += each + "\n";
                    continue;
                }
                const Lines quoted = stripped(part);
                const bool found =
                    std::search(source.begin(), source.end(), quoted.begin(), quoted.end())
                    != source.end();
                EXPECT_TRUE(found) << program << ".c has not:\n" << part;
                part.clear();
                checked++;
            }
        } else if (in_block) {
            block += line + "\n";
        }
    }
    EXPECT_GT(checked, 50);
}

TEST(TutorialPage, ExplainsEachProgramThatIsTested)
{
    const std::string page = read_file(SERRY_TEST_SOURCE "/docs/tutorials.md");
    std::set<std::string> explained, tested = { "daemonize" }, written;
    for (std::sregex_iterator at(page.begin(), page.end(), link), end; at != end; ++at)
        explained.insert((*at)[1]);
    for (const Tutorial &each : tutorials)
        tested.insert(each.name);
    for (const auto &file : std::filesystem::directory_iterator(sources))
        if (file.path().extension() == ".c")
            written.insert(file.path().stem());
    EXPECT_EQ(explained, written);
    EXPECT_EQ(tested, written);
}

TEST(TutorialPage, NamesOnlyWhatThePublicHeadersHave)
{
    std::string headers;
    for (const auto &file :
         std::filesystem::directory_iterator(SERRY_TEST_SOURCE "/lib/include/serry"))
        headers += read_file(file.path());
    const std::regex name("\\bserry_[a-z0-9_]*[a-z0-9]\\b");
    std::set<std::string> public_names;
    for (std::sregex_iterator at(headers.begin(), headers.end(), name), end; at != end; ++at)
        public_names.insert(at->str());
    for (const char *page : { "README.md", "docs/from-python.md", "docs/tutorials.md" }) {
        const std::string text = read_file(std::string(SERRY_TEST_SOURCE "/") + page);
        EXPECT_FALSE(text.empty()) << page;
        for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at)
            EXPECT_TRUE(public_names.count(at->str())) << page << " speaks of " << at->str();
    }
}

} // namespace
