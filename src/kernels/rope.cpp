#include <cmath>

#include "kernels/gpu/choice.h"
#include "kernels/gpu/tokens.h"
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

// x [T, H, R] float32 turned.
mx::array turn_halves(const mx::array& x, const RopeAngles& angles) {
  const auto halves = mx::split(x, 2, -1);
  return mx::concatenate({halves[0] * angles.cos - halves[1] * angles.sin,
                          halves[1] * angles.cos + halves[0] * angles.sin},
                         -1);
}

mx::array turn_neighbours(const mx::array& x, const RopeAngles& angles) {
  const auto pairs = mx::split(mx::unflatten(x, -1, {-1, 2}), 2, -1);
  const auto first = mx::squeeze(pairs[0], -1), second = mx::squeeze(pairs[1], -1);
  return mx::flatten(
      mx::stack(
          {first * angles.cos - second * angles.sin, second * angles.cos + first * angles.sin}, -1),
      -2, -1);
}

}  // namespace

Rope plain_rope(int rotary_dim, float base) {
  Rope rope;
  for (int i = 0; i < rotary_dim; i += 2)
    rope.inverse_frequencies.push_back(
        1.0f / std::pow(base, static_cast<float>(i) / static_cast<float>(rotary_dim)));
  rope.base = base;
  return rope;
}

namespace {

RopeAngles angles_by_mlx(const mx::array& positions, bool one_axis, const Rope& rope) {
  const int half = static_cast<int>(rope.inverse_frequencies.size());
  const mx::array inverse(rope.inverse_frequencies.begin(), {1, half}, mx::float32);
  const auto axes = axis_of_frequency(half, rope.sections);
  const mx::array axis_index(axes.begin(), {half}, mx::int32);

  // [A, T] -> [T, R / 2] or, where one serves all, [T, 1]: each frequency's own position.
  const auto floats = mx::astype(positions, mx::float32);
  const auto chosen = one_axis
                          ? mx::reshape(mx::slice(floats, {0, 0}, {1, positions.shape(1)}), {-1, 1})
                          : mx::transpose(mx::take(floats, axis_index, 0));
  const auto angles = mx::expand_dims(chosen * inverse, 1);
  RopeAngles result{mx::cos(angles), mx::sin(angles)};
  if (rope.factor != 1) {
    result.cos = result.cos * mx::array(rope.factor);
    result.sin = result.sin * mx::array(rope.factor);
  }
  return result;
}

RopeAngles angles_by_kernel(gpu::Executor& executor, const mx::array& positions, bool one_axis,
                            const Rope& rope) {
  const int half = static_cast<int>(rope.inverse_frequencies.size());
  const auto axes = one_axis ? std::vector<int>(static_cast<std::size_t>(half), 0)
                             : axis_of_frequency(half, rope.sections);
  const auto made =
      gpu::rope_angles(executor, positions, rope.inverse_frequencies, axes, rope.factor);
  return {made.cosines, made.sines};
}

RopeAngles angles_of(const mx::array& positions, bool one_axis, const Rope& rope) {
  auto* executor = gpu::executor();
  const gpu::Use use = {
      gpu::Operation::angles,
      positions.dtype().val(),
      {gpu::rows(mx::transpose(positions)), static_cast<int>(rope.inverse_frequencies.size()),
       one_axis ? 0 : 1, 0, 0}};
  if (!executor || !gpu::chosen(use)) return angles_by_mlx(positions, one_axis, rope);
  if (!gpu::compares()) return angles_by_kernel(*executor, positions, one_axis, rope);
  const auto both = [](const RopeAngles& angles) { return std::vector{angles.cos, angles.sin}; };
  const auto made = gpu::proved(
      use, [&] { return both(angles_by_kernel(*executor, positions, one_axis, rope)); },
      [&] { return both(angles_by_mlx(positions, one_axis, rope)); });
  return {made[0], made[1]};
}

}  // namespace

RopeAngles rope_angles(const mx::array& positions, bool one_axis, const Rope& rope) {
  auto result = angles_of(positions, one_axis, rope);
  result.interleaved = rope.interleaved;
  if (!one_axis || !rope.base) return result;
  result.base = *rope.base;
  result.offsets = mx::reshape(mx::slice(positions, {0, 0}, {1, positions.shape(1)}), {-1});
  return result;
}

mx::array apply_rope(const mx::array& x, const RopeAngles& angles) {
  const int head_dim = x.shape(2), rotary_dim = 2 * angles.cos.shape(-1);
  // Below 32 MLX's CUDA kernel asks for blocks that are deeper than a GPU takes, once there are many rows.
  if (angles.offsets && head_dim >= 32) {
    // Each row as a batch entry of one token: MLX's rope takes one offset an entry.
    const auto rows = mx::expand_dims(x, 2);
    const auto rotated =
        mx::fast::rope(rows, rotary_dim, angles.interleaved, angles.base, 1.0f, *angles.offsets);
    return mx::squeeze(rotated, 2);
  }
  const auto turned = [&](const mx::array& part) {
    const auto numbers = mx::astype(part, mx::float32);
    return mx::astype(
        angles.interleaved ? turn_neighbours(numbers, angles) : turn_halves(numbers, angles),
        x.dtype());
  };
  if (rotary_dim == head_dim) return turned(x);
  const auto parts = mx::split(x, mx::Shape{rotary_dim}, 2);
  return mx::concatenate({turned(parts[0]), parts[1]}, -1);
}

}  // namespace pippin::kernels
