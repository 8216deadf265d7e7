#include "kernels/gpu/choice.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace pippin::kernels::gpu {
namespace {

const Use use = {Operation::product, mx::Dtype::Val::bfloat16, {4, 1024, 4096, 4, 0}};

mx::array row(std::vector<float> numbers, mx::Dtype dtype = mx::float32) {
  return mx::astype(mx::array(numbers.begin(), {1, static_cast<int>(numbers.size())}, mx::float32),
                    dtype);
}

Proof proof_of(const mx::array& own, const mx::array& mlx) {
  Trial trial({}, 0);
  const auto got = proved(use, [&] { return std::vector{own}; }, [&] { return std::vector{mlx}; });
  EXPECT_TRUE(mx::array_equal(got.front(), mlx, true).item<bool>()) << "the model gets MLX's";
  return trial.proofs().front();
}

TEST(Choice, TellsWhatItIsFor) {
  EXPECT_EQ(text_of(use), "product of 4 x 4096 by 1024, 4 bits, bfloat16");
  EXPECT_EQ(text_of({Operation::attention, mx::Dtype::Val::float16, {0, 8, 2, 64, 0}}),
            "attention of prompts, 8/2 heads of 64, float16");
  EXPECT_EQ(text_of({Operation::norm, mx::Dtype::Val::float32, {16, 640, 0, 0, 0}}),
            "norm of 16 x 640, float32");
}

TEST(Choice, ErrorsAreByARowsLargestNumber) {
  const auto rounded = proof_of(row({100, 1.001f}), row({100, 1}));
  EXPECT_NEAR(rounded.error, 1e-5, 1e-7);
  EXPECT_TRUE(rounded.right());
  EXPECT_FALSE(proof_of(row({100, 1.5f}), row({100, 1})).right());
  EXPECT_TRUE(proof_of(row({100, 1.5f}, mx::bfloat16), row({100, 1}, mx::bfloat16)).right());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(proof_of(row({100, nan}), row({100, 1})).right());
  EXPECT_FALSE(proof_of(mx::array({3, 4}), mx::array({3, 5})).right()) << "places have no rounding";
  EXPECT_TRUE(proof_of(mx::array({3, 4}), mx::array({3, 4})).right());
}

TEST(Choice, AKernelThatThrowsIsNoReasonToStop) {
  Trial trial({}, 0);
  const auto mlx = row({1, 2});
  const auto got = proved(
      use, []() -> std::vector<mx::array> { throw std::runtime_error("does not compile"); },
      [&] { return std::vector{mlx}; });
  EXPECT_EQ(got.size(), 1u);
  EXPECT_EQ(trial.proofs().front().failure, "does not compile");
  EXPECT_FALSE(trial.proofs().front().right());
}

// Once it has compared well, the first time that it is timed; what was timed then is over.
TEST(Choice, AKernelThatThrowsWhileItIsTimedIsMlxs) {
  Trial trial({}, 2);
  const auto mlx = row({1, 2});
  const auto by_mlx = [&] { return std::vector{mlx}; };
  const auto got = proved(
      use,
      [&] {
        if (times()) throw std::runtime_error("out of memory");
        return std::vector{mlx};
      },
      by_mlx);
  EXPECT_EQ(got.size(), 1u);
  EXPECT_EQ(trial.proofs().front().failure, "out of memory");
  EXPECT_FALSE(trial.proofs().front().right());
  EXPECT_FALSE(times());
  auto other = use;
  other.numbers[0] = 2;
  proved(other, by_mlx, by_mlx);
  for (const auto& proof : trial.proofs()) EXPECT_EQ(proof.right(), proof.use == other);
}

TEST(Choice, EachUseIsTriedOnce) {
  Proof known{use, 0, 1, 2, 3, {}};
  Trial trial({known}, 0);
  int tried = 0;
  const auto own = [&] {
    ++tried;
    return std::vector{row({1})};
  };
  const auto mlx = [&] { return std::vector{row({1})}; };
  proved(use, own, mlx);
  EXPECT_EQ(tried, 0);
  auto other = use;
  other.numbers[0] = 2;
  proved(other, own, mlx);
  proved(other, own, mlx);
  EXPECT_EQ(tried, 1);
  EXPECT_EQ(trial.proofs().size(), 2u);
}

// Operations within one side's turn are that side's.
TEST(Choice, ASideIsItsOwnAllTheWayDown) {
  Trial trial({}, 0);
  proved(
      use,
      [] {
        EXPECT_TRUE(chosen(use));
        EXPECT_FALSE(compares());
        return std::vector{row({1})};
      },
      [] {
        EXPECT_FALSE(chosen(use));
        return std::vector{row({1})};
      });
  EXPECT_TRUE(chosen(use) && compares());
}

TEST(Choice, WhatIsNotProvedIsMlxs) {
  EXPECT_TRUE(chosen(use)) << "nobody has proved anything";
  auto unknown = use;
  unknown.numbers[0] = 32;
  use_only({use});
  EXPECT_TRUE(chosen(use));
  EXPECT_FALSE(chosen(unknown));
  forget_proofs();
  EXPECT_TRUE(chosen(unknown));
}

}  // namespace
}  // namespace pippin::kernels::gpu
