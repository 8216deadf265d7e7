#include "kernels/cpu/recurrent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace pippin::cpu {
namespace {

using Vector = std::vector<float>;

Vector random_vector(std::size_t size, std::mt19937& random, float low = -1, float high = 1) {
  std::uniform_real_distribution<float> uniform(low, high);
  Vector x(size);
  for (auto& v : x) v = uniform(random);
  return x;
}

/// How many rows each part has; a part of the same sequence as the one before goes on in its state.
struct Parts {
  struct One {
    int slot, rows, save;  ///< save -1: none
  };
  std::vector<One> all;

  int rows() const {
    int count = 0;
    for (const auto& one : all) count += one.rows;
    return count;
  }
  std::vector<StatePart> in(Vector& states, int state_size) const {
    std::vector<StatePart> parts;
    int row = 0;
    const auto at = [&](int slot) {
      return slot < 0 ? nullptr : states.data() + slot * state_size;
    };
    for (const auto& one : all) {
      parts.push_back({at(one.slot), at(one.save), row, one.rows});
      row += one.rows;
    }
    return parts;
  }
};

// Sequences in slots 0 to 2, the second one in two parts with a snapshot in slot 3 between them.
const Parts mixed = {{{0, 7, -1}, {1, 2, 3}, {1, 3, -1}, {2, 1, -1}}};
constexpr int num_slots = 4;

struct ConvCase {
  int width, taps;
  bool gated, silu, bias;
};

// One channel's rows of one sequence, in doubles; `past` is its state, oldest first.
std::vector<double> naive_conv(const ConvCase& c, const Vector& x, const Vector& weight,
                               const Vector& bias, int channel, const std::vector<int>& rows,
                               std::vector<double>& past) {
  std::vector<double> out;
  const int stride = c.gated ? 3 * c.width : c.width;
  for (const int row : rows) {
    const auto at = [&](int part) {
      return static_cast<double>(
          x[static_cast<std::size_t>(row * stride + part * c.width + channel)]);
    };
    past.push_back(c.gated ? at(0) * at(2) : at(0));
    double y = c.bias ? bias[static_cast<std::size_t>(channel)] : 0;
    for (int t = 0; t < c.taps; ++t)
      y += static_cast<double>(weight[static_cast<std::size_t>(t * c.width + channel)]) *
           past[static_cast<std::size_t>(t)];
    past.erase(past.begin());
    if (c.gated) y *= at(1);
    if (c.silu) y /= 1 + std::exp(-y);
    out.push_back(y);
  }
  return out;
}

class RecurrentKernelsTest : public ::testing::TestWithParam<Isa> {
 protected:
  Vector run_conv(const ConvCase& c, const Vector& x, const Vector& weight, const Vector& bias,
                  const Parts& parts, Vector& states) {
    const auto in = parts.in(states, (c.taps - 1) * c.width);
    Vector out(static_cast<std::size_t>(parts.rows() * c.width));
    ShortConv conv{};
    conv.x = x.data();
    conv.x_stride = c.gated ? 3 * c.width : c.width;
    conv.gated = c.gated;
    conv.silu = c.silu;
    conv.weight = weight.data();
    conv.bias = c.bias ? bias.data() : nullptr;
    conv.width = c.width;
    conv.taps = c.taps;
    conv.parts = in.data();
    conv.num_parts = static_cast<int>(in.size());
    conv.out = out.data();
    short_conv(team_, kernels_of(GetParam()), conv);
    return out;
  }

  Team team_{3};
};

TEST_P(RecurrentKernelsTest, AShortConvolutionEqualsTheDefinition) {
  std::mt19937 random(1);
  for (const auto& c : {ConvCase{16, 3, true, false, false}, ConvCase{37, 3, true, false, true},
                        ConvCase{5, 4, false, true, false}, ConvCase{200, 4, false, true, true},
                        ConvCase{33, 2, false, false, true}, ConvCase{48, 8, true, false, true}}) {
    SCOPED_TRACE(std::to_string(c.width) + " channels, " + std::to_string(c.taps) + " taps");
    const auto width = static_cast<std::size_t>(c.width);
    const auto x = random_vector(13 * width * (c.gated ? 3 : 1), random);
    const auto weight = random_vector(width * static_cast<std::size_t>(c.taps), random);
    const auto bias = random_vector(width, random);
    const int state_size = (c.taps - 1) * c.width;
    auto states = random_vector(static_cast<std::size_t>(num_slots * state_size), random);
    const auto before = states;
    const auto out = run_conv(c, x, weight, bias, mixed, states);
    const std::vector<int> rows[] = {{0, 1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11}, {12}};
    for (int channel = 0; channel < c.width; ++channel)
      for (int slot = 0; slot < 3; ++slot) {
        std::vector<double> past;
        for (int t = 0; t + 1 < c.taps; ++t)
          past.push_back(
              before[static_cast<std::size_t>(slot * state_size + t * c.width + channel)]);
        const auto wanted = naive_conv(c, x, weight, bias, channel, rows[slot], past);
        for (std::size_t i = 0; i < wanted.size(); ++i)
          ASSERT_NEAR(out[static_cast<std::size_t>(rows[slot][i]) * width +
                          static_cast<std::size_t>(channel)],
                      wanted[i], 2e-6);
        for (int t = 0; t + 1 < c.taps; ++t)
          ASSERT_NEAR(states[static_cast<std::size_t>(slot * state_size + t * c.width + channel)],
                      past[static_cast<std::size_t>(t)], 1e-6);
      }
  }
}

// The same sequence in one part, cut in several, and alone: equal bits, and a snapshot is the state there.
TEST_P(RecurrentKernelsTest, AConvolutionsBitsDoNotDependOnTheCut) {
  std::mt19937 random(2);
  const ConvCase c{50, 4, false, true, true};
  const auto x = random_vector(12 * 50, random), weight = random_vector(200, random),
             bias = random_vector(50, random);
  Vector whole_states(num_slots * 150, 0.0f), cut_states = whole_states,
                                              first_states = whole_states;
  const auto whole = run_conv(c, x, weight, bias, {{{0, 12, -1}}}, whole_states);
  const auto cut =
      run_conv(c, x, weight, bias, {{{0, 1, -1}, {0, 2, -1}, {0, 2, 3}, {0, 7, -1}}}, cut_states);
  EXPECT_EQ(whole, cut);
  run_conv(c, x, weight, bias, {{{0, 5, -1}}}, first_states);
  EXPECT_TRUE(
      std::equal(first_states.begin(), first_states.begin() + 150, cut_states.begin() + 450));
  EXPECT_TRUE(std::equal(whole_states.begin(), whole_states.begin() + 150, cut_states.begin()));
}

struct DeltaCase {
  int key_heads, value_heads, key_dim, value_dim;
};

struct DeltaData {
  Vector q, k, v, decay, beta;
  DeltaData(const DeltaCase& c, int rows, std::mt19937& random) {
    const auto n = static_cast<std::size_t>(rows);
    const auto keys = n * static_cast<std::size_t>(c.key_heads * c.key_dim),
               heads = n * static_cast<std::size_t>(c.value_heads);
    // Normalized keys, as models have them: else the rule is unstable.
    const float unit = 1.7f / std::sqrt(static_cast<float>(c.key_dim));
    q = random_vector(keys, random, -unit, unit);
    k = random_vector(keys, random, -unit, unit);
    v = random_vector(heads * static_cast<std::size_t>(c.value_dim), random);
    decay = random_vector(heads, random, 0.7f, 1.0f);
    beta = random_vector(heads, random, 0.0f, 1.0f);
  }
};

Vector run_delta(Team& team, Isa isa, const DeltaCase& c, const DeltaData& data, const Parts& parts,
                 Vector& states) {
  const auto in = parts.in(states, c.value_heads * c.key_dim * c.value_dim);
  Vector out(static_cast<std::size_t>(parts.rows() * c.value_heads * c.value_dim));
  GatedDelta d{};
  d.q = data.q.data();
  d.k = data.k.data();
  d.v = data.v.data();
  d.q_stride = d.k_stride = c.key_heads * c.key_dim;
  d.v_stride = c.value_heads * c.value_dim;
  d.decay = data.decay.data();
  d.beta = data.beta.data();
  d.num_key_heads = c.key_heads;
  d.num_value_heads = c.value_heads;
  d.key_dim = c.key_dim;
  d.value_dim = c.value_dim;
  d.parts = in.data();
  d.num_parts = static_cast<int>(in.size());
  d.out = out.data();
  gated_delta(team, kernels_of(isa), d);
  return out;
}

// S [Dk, Dv] of one head through one row, in doubles.
std::vector<double> naive_delta(const DeltaCase& c, const DeltaData& data, int row, int head,
                                std::vector<double>& s) {
  const int key_head = head / (c.value_heads / c.key_heads);
  const auto key = [&](const Vector& x, int i) {
    return static_cast<double>(
        x[static_cast<std::size_t>((row * c.key_heads + key_head) * c.key_dim + i)]);
  };
  const auto scalar = static_cast<std::size_t>(row * c.value_heads + head);
  std::vector<double> out;
  for (int j = 0; j < c.value_dim; ++j) {
    const auto at = [&](int i) -> double& {
      return s[static_cast<std::size_t>(i * c.value_dim + j)];
    };
    double known = 0, y = 0;
    for (int i = 0; i < c.key_dim; ++i) known += key(data.k, i) * (at(i) *= data.decay[scalar]);
    const double delta =
        data.beta[scalar] *
        (data.v[scalar * static_cast<std::size_t>(c.value_dim) + static_cast<std::size_t>(j)] -
         known);
    for (int i = 0; i < c.key_dim; ++i) y += key(data.q, i) * (at(i) += key(data.k, i) * delta);
    out.push_back(y);
  }
  return out;
}

TEST_P(RecurrentKernelsTest, TheGatedDeltaRuleEqualsTheDefinition) {
  std::mt19937 random(3);
  for (const auto& c : {DeltaCase{1, 1, 16, 16}, DeltaCase{2, 6, 24, 20}, DeltaCase{3, 3, 5, 33}}) {
    SCOPED_TRACE(std::to_string(c.key_dim) + " x " + std::to_string(c.value_dim));
    const DeltaData data(c, 13, random);
    const int head_size = c.key_dim * c.value_dim, state_size = c.value_heads * head_size;
    auto states = random_vector(static_cast<std::size_t>(num_slots * state_size), random);
    const auto before = states;
    const auto out = run_delta(team_, GetParam(), c, data, mixed, states);
    const int first[] = {0, 7, 12, 13};
    for (int slot = 0; slot < 3; ++slot)
      for (int head = 0; head < c.value_heads; ++head) {
        const auto begin = before.begin() + slot * state_size + head * head_size;
        std::vector<double> s(begin, begin + head_size);
        for (int row = first[slot]; row < first[slot + 1]; ++row) {
          const auto wanted = naive_delta(c, data, row, head, s);
          for (int j = 0; j < c.value_dim; ++j)
            ASSERT_NEAR(
                out[static_cast<std::size_t>((row * c.value_heads + head) * c.value_dim + j)],
                wanted[static_cast<std::size_t>(j)], 1e-5);
        }
        for (int i = 0; i < head_size; ++i)
          ASSERT_NEAR(states[static_cast<std::size_t>(slot * state_size + head * head_size + i)],
                      s[static_cast<std::size_t>(i)], 1e-5);
      }
  }
}

TEST_P(RecurrentKernelsTest, TheGatedDeltaRulesBitsDoNotDependOnTheCut) {
  std::mt19937 random(4);
  const DeltaCase c{2, 4, 24, 20};
  const DeltaData data(c, 12, random);
  constexpr std::size_t size = 4 * 24 * 20;
  Vector whole_states(num_slots * size, 0.0f), cut_states = whole_states;
  const auto whole = run_delta(team_, GetParam(), c, data, {{{0, 12, -1}}}, whole_states);
  const auto cut = run_delta(team_, GetParam(), c, data,
                             {{{0, 1, -1}, {0, 2, -1}, {0, 2, 3}, {0, 7, -1}}}, cut_states);
  EXPECT_EQ(whole, cut);
  EXPECT_TRUE(std::equal(whole_states.begin(), whole_states.begin() + size, cut_states.begin()));
  EXPECT_FALSE(
      std::equal(whole_states.begin(), whole_states.begin() + size, cut_states.begin() + 3 * size));
}

INSTANTIATE_TEST_SUITE_P(Isas, RecurrentKernelsTest, ::testing::ValuesIn(available_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
