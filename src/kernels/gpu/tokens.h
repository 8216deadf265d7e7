// What a step does before and behind the layers, by our GPU kernels.
#pragma once

#include <mlx/mlx.h>

#include <vector>

#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu {

struct CosinesAndSines {
  mx::array cosines, sines;  ///< float32 [T, 1, R / 2]
};

/// factor * cos and sin of positions int32 [A, T] times each frequency, whose position is that of its axis.
CosinesAndSines rope_angles(Executor& executor, const mx::array& positions,
                            const std::vector<float>& frequencies, const std::vector<int>& axes,
                            float factor);

/// Whether argmax() takes x [T, V], and is chosen.
bool finds_largest(const Executor* executor, const mx::array& x);

/// The largest number of each 4,096 of a row and its place, the first of equal ones: float32 [T, at least as many, 2].
mx::array largest_of_parts(Executor& executor, const mx::array& x);

/// Where each row's largest number stands, the first of equal ones: int32 [T].
mx::array argmax(Executor& executor, const mx::array& x);

/// x before it became float32, which changes no order.
mx::array before_cast(const mx::array& x);

/// The tokens of a step's rows int32 [T]: sampled[from[i]] where from[i] is not negative, else known[i]. All int32 with at least 8 numbers.
mx::array pick_tokens(Executor& executor, const mx::array& known, const mx::array& from,
                      const mx::array& sampled, int rows);

}  // namespace pippin::kernels::gpu
