// ctest: world slow timeout=180 serial
/* A thousand ranks. */
#include "support/ranks.h"

using namespace serry_test;

namespace {

SERRY_RANKS_TEST(WorldLarge, AThousandStartPassABarrierAndEnd,
                 .ranks({ 1000 }).on(shm).timeout(120))
{
    EXPECT_EQ(serry_size(), 1000);
    EXPECT_EQ(serry_world_barrier(), SERRY_OK) << serry_err_detail();
}

} // namespace
