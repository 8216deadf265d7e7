#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using testing::max_abs_difference;
using testing::random_array;
using testing::to_vector;

constexpr int D = 16;
constexpr float base = 5000.0f;
constexpr std::array<int, 3> sections = {4, 2, 2};

// Pairs (i, i + D/2) rotate by position * base^(-2i/D); interleaving by the rule in ops.h.
std::vector<float> naive(const mx::array& x, const std::vector<std::vector<int>>& positions) {
  const int T = x.shape(0), H = x.shape(1);
  auto out = to_vector(x);
  for (int t = 0; t < T; ++t)
    for (int h = 0; h < H; ++h)
      for (int i = 0; i < D / 2; ++i) {
        int axis = 0;
        if (i % 3 == 1 && i < 3 * sections[1]) axis = 1;
        if (i % 3 == 2 && i < 3 * sections[2]) axis = 2;
        const double angle = positions[axis][t] * std::pow(static_cast<double>(base), -2.0 * i / D);
        float* row = out.data() + (t * H + h) * D;
        const double a = row[i], b = row[i + D / 2];
        row[i] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
        row[i + D / 2] = static_cast<float>(b * std::cos(angle) + a * std::sin(angle));
      }
  return out;
}

mx::array to_array(const std::vector<std::vector<int>>& positions) {
  std::vector<int> flat;
  for (const auto& row : positions) flat.insert(flat.end(), row.begin(), row.end());
  return mx::array(flat.begin(),
                   {static_cast<int>(positions.size()), static_cast<int>(positions[0].size())},
                   mx::int32);
}

Rope with_sections() {
  auto rope = plain_rope(D, base);
  rope.sections = sections;
  return rope;
}

TEST(Rope, InterleavedSectionsEqualTheDefinition) {
  const std::vector<std::vector<int>> positions = {
      {0, 4, 4, 4, 90}, {0, 4, 5, 6, 90}, {0, 7, 4, 9, 90}};
  const auto x = random_array({5, 3, D}, 3);
  const auto angles = rope_angles(to_array(positions), false, with_sections());
  EXPECT_LT(max_abs_difference(to_vector(apply_rope(x, angles)), naive(x, positions)), 2e-5f);
}

TEST(Rope, TextTakesTheFusedPathWithTheSameResult) {
  const std::vector<int> row = {0, 1, 17, 300, 2047};
  const std::vector<std::vector<int>> positions = {row, row, row};
  const auto x = random_array({5, 3, D}, 4);
  const auto fused = apply_rope(x, rope_angles(to_array(positions), true, with_sections()));
  const auto general = apply_rope(x, rope_angles(to_array(positions), false, with_sections()));
  // Angles up to 2047 rad in float32 carry up to 1e-4 of rounding, differently in the two paths.
  EXPECT_LT(max_abs_difference(to_vector(fused), to_vector(general)), 1e-3f);
  EXPECT_LT(max_abs_difference(to_vector(fused), naive(x, positions)), 1e-3f);
}

// Some of a head's numbers turn, by frequencies of any kind, in either order of pairs, and by a factor.
TEST(Rope, PartialPairsEqualTheDefinition) {
  constexpr int T = 4, H = 2, R = 6;
  const std::vector<int> row = {0, 1, 7, 30};
  for (const bool interleaved : {false, true}) {
    Rope rope;
    rope.inverse_frequencies = {1.0f, 0.3f, 0.0f};
    rope.interleaved = interleaved;
    rope.factor = 1.25f;
    const auto x = random_array({T, H, D}, 5);
    auto wanted = to_vector(x);
    for (int t = 0; t < T; ++t)
      for (int h = 0; h < H; ++h)
        for (int i = 0; i < R / 2; ++i) {
          auto* head = wanted.data() + (t * H + h) * D;
          auto &a = interleaved ? head[2 * i] : head[i],
               &b = interleaved ? head[2 * i + 1] : head[i + R / 2];
          const double angle = row[t] * static_cast<double>(rope.inverse_frequencies[i]);
          const double c = 1.25 * std::cos(angle), s = 1.25 * std::sin(angle), first = a,
                       second = b;
          a = static_cast<float>(first * c - second * s);
          b = static_cast<float>(second * c + first * s);
        }
    const auto got = apply_rope(x, rope_angles(to_array({row}), true, rope));
    EXPECT_LT(max_abs_difference(to_vector(got), wanted), 1e-5f) << interleaved;
  }
}

// MLX's fused operation takes part of a head, and neighbours, too.
TEST(Rope, FusedPathTakesPartsAndNeighbours) {
  const std::vector<int> row = {0, 3, 40};
  const auto x = random_array({3, 2, 64}, 6);
  for (const bool interleaved : {false, true}) {
    auto rope = plain_rope(32, base);
    rope.interleaved = interleaved;
    const auto fused = apply_rope(x, rope_angles(to_array({row}), true, rope));
    rope.base.reset();
    const auto general = apply_rope(x, rope_angles(to_array({row}), true, rope));
    EXPECT_LT(max_abs_difference(to_vector(fused), to_vector(general)), 1e-4f) << interleaved;
  }
}

}  // namespace
}  // namespace pippin::kernels
