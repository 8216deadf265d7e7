#include "kernels/cpu_backend.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

const auto backend = std::make_shared<CpuBackend>(CpuOptions{.threads = 2});

mx::array doubled(const mx::array& x) {
  const auto run = [](const std::vector<mx::array>& in, mx::array& out) {
    for (std::size_t i = 0; i < out.size(); ++i) out.data<float>()[i] = 2 * in[0].data<float>()[i];
  };
  return host_operation(*backend, "double", x.shape(), mx::float32, {x}, run);
}

TEST(HostOperation, TakesInputsThatAreNeitherEvaluatedNorContiguous) {
  const auto x = mx::reshape(mx::arange(0.0, 6.0, mx::float32), {2, 3});
  EXPECT_EQ(testing::to_vector(doubled(mx::transpose(x + x))),
            (std::vector<float>{0, 12, 4, 16, 8, 20}));
}

TEST(HostOperation, CountsTimeWhenAsked) {
  backend->set_profiling(true);
  doubled(mx::array({1.0f}));
  backend->set_profiling(false);
  doubled(mx::array({1.0f}));
  ASSERT_EQ(backend->profile().size(), 1u);
  EXPECT_GT(backend->profile().at("double"), 0);
}

// The pools are written in place: the array must stand for that memory, not a copy of it.
TEST(HostArray, IsTheMemoryThatOperationsWrite) {
  const auto x = host_array({3, 5}, mx::float16);
  EXPECT_EQ(x.nbytes(), 30u);
  const auto same = x;
  const_cast<mx::float16_t*>(x.data<mx::float16_t>())[7] = mx::float16_t(2.0f);
  EXPECT_EQ(testing::to_vector(same)[7], 2.0f);
}

std::int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return usage.ru_maxrss;
#else
  return std::int64_t{usage.ru_maxrss} << 10;
#endif
}

// A pool for the longest context is large; most of it is never used.
TEST(HostArray, TakesNoMemoryUntilItIsWritten) {
  const auto before = peak_memory_bytes();
  const auto x = host_array({1 << 14, 1 << 14}, mx::uint8);
  EXPECT_LT(peak_memory_bytes() - before, 64 << 20) << "of " << x.nbytes();
}

}  // namespace
}  // namespace pippin::kernels
