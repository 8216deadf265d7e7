// Helpers for tests on MLX arrays.
#pragma once

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/gpu/kernel.h"

namespace pippin::testing {

namespace mx = mlx::core;

/// Tests have MLX as the engine has it.
inline const bool environment_is_prepared = (kernels::gpu::prepare_environment(), true);

/// The array's values, row-major, as floats.
inline std::vector<float> to_vector(const mx::array& x) {
  auto flat = mx::contiguous(mx::astype(x, mx::float32));
  flat.eval();
  return {flat.data<float>(), flat.data<float>() + flat.size()};
}

inline float max_abs_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  if (a.size() != b.size()) return INFINITY;
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;  // a NaN is the largest difference
  }
  return largest;
}

inline mx::array random_array(mx::Shape shape, std::uint64_t seed) {
  auto x = mx::random::normal(std::move(shape), mx::float32, mx::random::key(seed));
  x.eval();
  return x;
}

}  // namespace pippin::testing
