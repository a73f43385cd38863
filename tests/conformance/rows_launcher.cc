// ctest: timeout=90
/* What `serry run` tells of ranks that have not come to an end in time. */
#include "support/ranks.h"

using namespace serry_test;

SERRY_RANKS_BODY(EachWaitsForSomethingElse)
{
    serry_event go = {};
    serry_event_options o = {};
    char c;
    o.name = "go";
    ASSERT_EQ(serry_event_create(&go, &o), SERRY_OK);
    switch (serry_rank()) {
    case 0:
        SERRY_IGNORE(serry_recv(1, 7, &c, 1, nullptr, SERRY_FOREVER));
        break;
    case 1:
        SERRY_IGNORE(serry_event_wait(go, SERRY_FOREVER));
        break;
    case 2:
        SERRY_IGNORE(serry_recv(SERRY_ANY, SERRY_ANY, &c, 1, nullptr, SERRY_FOREVER));
        break;
    default:
        break; /* in serry_finalize */
    }
}

TEST(LauncherTimeout, SaysWhatEachRankWaitsFor)
{
    RankOptions o;
    o.run_flags = { "--timeout", "3" };
    RanksResult r = try_ranks(4, shm, "EachWaitsForSomethingElse", o);
    EXPECT_EQ(r.program.code, 110);
    for (const char *part :
         { "out of time after 3 s; still running: ranks 0-3", "rank 0 has waited ",
           " s for a message from rank 1, tag 7\n", "rank 1 has waited ", " s for event \"go\": clear",
           "rank 2 has waited ", " s for a message from any rank, any tag\n", "rank 3 has waited ",
           "in serry_finalize\n" })
        EXPECT_NE(r.program.err.find(part), std::string::npos) << part << "\nin\n" << r.program.err;
}

/* Socket lanes have no word in which a rank could say it. */
TEST(LauncherTimeout, NamesTheRanksInAnyCase)
{
    RankOptions o;
    o.run_flags = { "--timeout", "3" };
    RanksResult r = try_ranks(4, socket, "EachWaitsForSomethingElse", o);
    EXPECT_EQ(r.program.code, 110);
    EXPECT_NE(r.program.err.find("out of time after 3 s; still running: ranks 0-3"),
              std::string::npos)
        << r.program.err;
}
