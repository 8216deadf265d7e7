#include <cmath>

#include "kernels/ops.h"

namespace pippin::kernels {
namespace {

// Which position (0 time, 1 height, 2 width) turns each of the D / 2 frequencies.
std::vector<int> axis_of_frequency(int num_frequencies, const std::array<int, 3>& sections) {
  std::vector<int> axes(static_cast<std::size_t>(num_frequencies), 0);
  for (int axis = 1; axis < 3; ++axis)
    for (int i = axis; i < 3 * sections[static_cast<std::size_t>(axis)] && i < num_frequencies;
         i += 3)
      axes[static_cast<std::size_t>(i)] = axis;
  return axes;
}

std::vector<float> inverse_frequencies(int head_dim, float base) {
  std::vector<float> frequencies;
  for (int i = 0; i < head_dim; i += 2)
    frequencies.push_back(1.0f /
                          std::pow(base, static_cast<float>(i) / static_cast<float>(head_dim)));
  return frequencies;
}

}  // namespace

RopeAngles mrope_angles(const mx::array& positions, bool one_axis, int head_dim, float base,
                        const std::array<int, 3>& sections) {
  const int half = head_dim / 2;
  const auto frequencies = inverse_frequencies(head_dim, base);
  const mx::array inverse(frequencies.begin(), {1, half}, mx::float32);
  const auto axes = axis_of_frequency(half, sections);
  const mx::array axis_index(axes.begin(), {half}, mx::int32);

  // [3, T] -> [T, D / 2] or, where one serves all, [T, 1]: each frequency's own position.
  const auto floats = mx::astype(positions, mx::float32);
  const auto chosen = one_axis
                          ? mx::reshape(mx::slice(floats, {0, 0}, {1, positions.shape(1)}), {-1, 1})
                          : mx::transpose(mx::take(floats, axis_index, 0));
  const auto angles = mx::expand_dims(chosen * inverse, 1);
  RopeAngles result{mx::cos(angles), mx::sin(angles), std::nullopt, base};
  if (one_axis)
    result.offsets = mx::reshape(mx::slice(positions, {0, 0}, {1, positions.shape(1)}), {-1});
  return result;
}

mx::array apply_rope(const mx::array& x, const RopeAngles& angles) {
  const int head_dim = x.shape(2);
  // Below 32 MLX's CUDA kernel asks for blocks that are deeper than a GPU takes, once there are many rows.
  if (angles.offsets && head_dim >= 32) {
    // Each row as a batch entry of one token: MLX's rope takes one offset an entry.
    const auto rows = mx::expand_dims(x, 2);
    const auto rotated = mx::fast::rope(rows, head_dim, false, angles.base, 1.0f, *angles.offsets);
    return mx::squeeze(rotated, 2);
  }
  const auto halves = mx::split(mx::astype(x, mx::float32), 2, -1);
  const auto rotated = mx::concatenate({halves[0] * angles.cos - halves[1] * angles.sin,
                                        halves[1] * angles.cos + halves[0] * angles.sin},
                                       -1);
  return mx::astype(rotated, x.dtype());
}

}  // namespace pippin::kernels
