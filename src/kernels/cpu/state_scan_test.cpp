#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/recurrent.h"

namespace pippin::cpu {
namespace {

using Vector = std::vector<float>;

Vector random_vector(int size, std::mt19937& random, float low = -1, float high = 1) {
  std::uniform_real_distribution<float> uniform(low, high);
  Vector x(static_cast<std::size_t>(size));
  for (auto& v : x) v = uniform(random);
  return x;
}

struct Shape {
  int heads, groups, head_dim, state_dim;
  int row() const { return heads * head_dim + 2 * groups * state_dim; }
  int state() const { return heads * head_dim * state_dim; }
};

constexpr int num_slots = 3, step_stride = 11, first_step = 2;

struct Rows {
  Shape shape;
  int count;
  Vector x, steps, bias, rate, skip;

  Rows(const Shape& s, int rows, std::mt19937& random)
      : shape(s),
        count(rows),
        x(random_vector(rows * s.row(), random)),
        steps(random_vector(rows * step_stride, random, -3, 3)),
        bias(random_vector(s.heads, random)),
        rate(random_vector(s.heads, random, 0.1f, 2)),
        skip(random_vector(s.heads, random)) {}
};

struct Part {
  int slot, rows, save = -1;
};

constexpr float min_step = 0.1f, max_step = 2.0f;

class StateScanTest : public ::testing::TestWithParam<Isa> {
 protected:
  // Returns [rows, H, Dh]; states hold num_slots.
  Vector run(const Rows& rows, const std::vector<Part>& parts, Vector& states) {
    const auto& s = rows.shape;
    std::vector<StatePart> all;
    int row = 0;
    const auto at = [&](int slot) { return slot < 0 ? nullptr : states.data() + slot * s.state(); };
    for (const auto& part : parts) {
      all.push_back({at(part.slot), at(part.save), row, part.rows});
      row += part.rows;
    }
    Vector out(static_cast<std::size_t>(rows.count * s.heads * s.head_dim), NAN);
    StateScan scan{};
    scan.x = rows.x.data();
    scan.b = scan.x + s.heads * s.head_dim;
    scan.c = scan.b + s.groups * s.state_dim;
    scan.row_stride = s.row();
    scan.step = rows.steps.data() + first_step;
    scan.step_stride = step_stride;
    scan.step_bias = rows.bias.data();
    scan.rate = rows.rate.data();
    scan.skip = rows.skip.data();
    scan.min_step = min_step;
    scan.max_step = max_step;
    scan.num_heads = s.heads;
    scan.num_groups = s.groups;
    scan.head_dim = s.head_dim;
    scan.state_dim = s.state_dim;
    scan.parts = all.data();
    scan.num_parts = static_cast<int>(all.size());
    scan.out = out.data();
    state_scan(team_, kernels_of(GetParam()), scan);
    return out;
  }

  Team team_{3};
};

// One head through one row, in doubles; `state` is [N, Dh].
std::vector<double> naive_row(const Rows& rows, int row, int head, std::vector<double>& state) {
  const auto& s = rows.shape;
  const auto h = static_cast<std::size_t>(head);
  const auto x = [&](int i) {
    return static_cast<double>(rows.x[static_cast<std::size_t>(row * s.row() + i)]);
  };
  const int b = s.heads * s.head_dim + head / (s.heads / s.groups) * s.state_dim,
            c = b + s.groups * s.state_dim;
  const double wide =
      static_cast<double>(
          rows.steps[static_cast<std::size_t>(row * step_stride + first_step + head)]) +
      static_cast<double>(rows.bias[h]);
  const double dt = std::clamp(std::log1p(std::exp(wide)), static_cast<double>(min_step),
                               static_cast<double>(max_step));
  std::vector<double> out;
  for (int j = 0; j < s.head_dim; ++j) {
    double y = static_cast<double>(rows.skip[h]) * x(head * s.head_dim + j);
    for (int i = 0; i < s.state_dim; ++i) {
      auto& number = state[static_cast<std::size_t>(i * s.head_dim + j)];
      number = std::exp(-static_cast<double>(rows.rate[h]) * dt) * number +
               dt * x(b + i) * x(head * s.head_dim + j);
      y += x(c + i) * number;
    }
    out.push_back(y);
  }
  return out;
}

// Sequences of 37 rows (three chunks) and of two, each in its slot.
TEST_P(StateScanTest, EqualsTheDefinition) {
  std::mt19937 random(1);
  for (const auto& shape : {Shape{4, 2, 20, 13}, Shape{3, 1, 16, 16}, Shape{2, 2, 5, 1}}) {
    SCOPED_TRACE(std::to_string(shape.head_dim) + " x " + std::to_string(shape.state_dim));
    const Rows rows(shape, 39, random);
    auto states = random_vector(num_slots * shape.state(), random);
    const auto before = states;
    const auto out = run(rows, {{1, 37}, {0, 2}}, states);
    const int head_size = shape.head_dim * shape.state_dim;
    for (const auto& [slot, first, last] : {std::tuple{1, 0, 37}, {0, 37, 39}})
      for (int head = 0; head < shape.heads; ++head) {
        const auto begin = before.begin() + slot * shape.state() + head * head_size;
        std::vector<double> state(begin, begin + head_size);
        for (int row = first; row < last; ++row) {
          const auto wanted = naive_row(rows, row, head, state);
          for (int j = 0; j < shape.head_dim; ++j)
            ASSERT_NEAR(
                out[static_cast<std::size_t>((row * shape.heads + head) * shape.head_dim + j)],
                wanted[static_cast<std::size_t>(j)], 2e-5)
                << row;
        }
        for (int i = 0; i < head_size; ++i)
          ASSERT_NEAR(states[static_cast<std::size_t>(slot * shape.state() + head * head_size + i)],
                      state[static_cast<std::size_t>(i)], 2e-5);
      }
  }
}

// Whole, in parts of any length, with a snapshot: equal bits.
TEST_P(StateScanTest, BitsDoNotDependOnTheCut) {
  std::mt19937 random(2);
  const Shape shape{4, 2, 20, 13};
  const Rows rows(shape, 39, random);
  const auto start = random_vector(num_slots * shape.state(), random);
  auto whole_states = start, cut_states = start;
  const auto whole = run(rows, {{0, 39}}, whole_states);
  const auto cut = run(rows, {{0, 1}, {0, 17, 2}, {0, 16}, {0, 5}}, cut_states);
  EXPECT_EQ(whole, cut);
  const auto size = static_cast<std::size_t>(shape.state());
  const auto slot = [&](const Vector& states, std::size_t i) {
    return Vector(states.begin() + static_cast<std::ptrdiff_t>(i * size),
                  states.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
  };
  EXPECT_EQ(slot(whole_states, 0), slot(cut_states, 0));
  Rows first = rows;
  first.count = 18;
  auto first_states = start;
  run(first, {{0, 18}}, first_states);
  EXPECT_EQ(slot(cut_states, 2), slot(first_states, 0));
}

TEST_P(StateScanTest, AGatedNormEqualsTheDefinition) {
  std::mt19937 random(3);
  constexpr int num_rows = 5, stride = 200, first = 7;
  constexpr float eps = 1e-3f;
  for (const bool gate_first : {false, true})
    for (const auto& [groups, width, weights] :
         {std::tuple{3, 37, 1}, {3, 37, 3}, {2, 64, 2}, {1, 5, 0}}) {
      const auto x = random_vector(num_rows * groups * width, random),
                 gates = random_vector(num_rows * stride, random, -4, 4),
                 weight = random_vector(weights * width, random);
      Vector out(x.size(), NAN);
      gated_norm(team_, kernels_of(GetParam()),
                 {x.data(), gates.data() + first, stride, weights ? weight.data() : nullptr,
                  weights > 1, gate_first, groups, width, eps, out.data()},
                 num_rows);
      for (int row = 0; row < num_rows; ++row)
        for (int group = 0; group < groups; ++group) {
          std::vector<double> values, silus;
          double squares = 0;
          const int at = (row * groups + group) * width;
          for (int i = 0; i < width; ++i) {
            const double z = static_cast<double>(
                gates[static_cast<std::size_t>(row * stride + first + group * width + i)]);
            silus.push_back(z / (1 + std::exp(-z)));
            values.push_back(static_cast<double>(x[static_cast<std::size_t>(at + i)]) *
                             (gate_first ? silus.back() : 1));
            squares += values.back() * values.back();
          }
          const double scale = weights ? 1 / std::sqrt(squares / width + eps) : 1;
          for (int i = 0; i < width; ++i) {
            const double w =
                weights
                    ? static_cast<double>(
                          weight[static_cast<std::size_t>((weights > 1 ? group * width : 0) + i)])
                    : 1;
            const auto n = static_cast<std::size_t>(i);
            ASSERT_NEAR(out[static_cast<std::size_t>(at + i)],
                        values[n] * scale * w * (gate_first ? 1 : silus[n]), 1e-5)
                << groups << " groups of " << width;
          }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Isas, StateScanTest, ::testing::ValuesIn(available_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
