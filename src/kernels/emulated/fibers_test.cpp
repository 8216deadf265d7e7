#include "kernels/emulated/fibers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernels/emulated/prelude.h"
#include "pippin/error.h"

namespace pippin::kernels::gpu::emulated {
namespace {

// A kernel's shape: each warp sums its lanes' numbers, and the group its warps'. The barriers are what the tests leave out.
float sum_of_all(int threads, bool first_barrier, bool all_come) {
  float result = 0;
  Fibers::now().run(threads, [&](uint tid) {
    SHARED_ARRAY(float, sums, 8);
    float x = static_cast<float>(tid);
    for (int i = 16; i > 0; i /= 2) x += lane_xor(x, i);
    if (tid % 32 == 0) sums[7 - tid / 32] = x;
    if (first_barrier && (all_come || tid != 40)) group_barrier();
    if (tid == 0) result = std::accumulate(sums + 8 - threads / 32, sums + 8, 0.0f);
    group_barrier();
  });
  return result;
}

TEST(Fibers, ExchangeAndMeet) {
  EXPECT_EQ(sum_of_all(256, true, true), 255 * 256 / 2);
  EXPECT_EQ(sum_of_all(64, true, true), 63 * 64 / 2);
}

template <int LANES>
float sum_by_exchanges(float x) {
  for (int i = LANES / 2; i > 0; i /= 2) x += lane_xor(x, i);
  return x;
}

template <int LANES>
void expect_equal_sums() {
  Fibers::now().run(64, [&](uint tid) {
    const float x = std::sin(static_cast<float>(tid * tid + LANES));
    const float once = lanes_sum<LANES>(x), step_by_step = sum_by_exchanges<LANES>(x);
    EXPECT_EQ(once, step_by_step) << "of " << LANES << " lanes, thread " << tid;
    EXPECT_EQ(lanes_sum<LANES>(once), LANES * once);
  });
}

TEST(Fibers, ASumAtOnceHasTheBitsOfExchanges) {
  expect_equal_sums<1>();
  expect_equal_sums<2>();
  expect_equal_sums<8>();
  expect_equal_sums<32>();
}

TEST(Fibers, AMissingBarrierShows) {
  EXPECT_NE(sum_of_all(256, false, true), 255 * 256 / 2);  // NaN: what nobody has written yet
}

TEST(Fibers, AThreadThatStaysAwayFromABarrierIsFound) {
  EXPECT_THROW(sum_of_all(64, true, false), Error);
}

TEST(Fibers, ALaneThatStaysAwayFromAnExchangeIsFound) {
  const auto diverging = [](uint tid) {
    if (tid % 32 != 3) lane_xor(1.0f, 1);
  };
  EXPECT_THROW(Fibers::now().run(32, diverging), Error);
  EXPECT_EQ(sum_of_all(64, true, true), 63 * 64 / 2);  // and the next group runs
}

TEST(Fibers, AWarpMayLeave) {
  int stayed = 0;
  Fibers::now().run(64, [&](uint tid) {
    if (tid < 32) return;
    lane_xor(1.0f, 16);
    ++stayed;
  });
  EXPECT_EQ(stayed, 32);
}

TEST(Fibers, SharedMemoryIsWhatEveryGpuHas) {
  EXPECT_NO_THROW(Fibers::now().run(32, [](uint) { shared_memory<float>(8192); }));
  EXPECT_THROW(Fibers::now().run(32, [](uint) { shared_memory<float>(8193); }), Error);
}

}  // namespace
}  // namespace pippin::kernels::gpu::emulated
