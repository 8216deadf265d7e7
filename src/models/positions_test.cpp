#include "models/positions.h"

#include <gtest/gtest.h>

namespace pippin::models {
namespace {

TEST(Positions, TextCountsOn) {
  const auto positions = mrope_positions(4, {});
  for (int axis = 0; axis < 3; ++axis)
    EXPECT_EQ(positions.prompt[axis], (std::vector<std::int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(positions.delta, 0);
  EXPECT_EQ(positions.at(1, 9), 9);
  EXPECT_TRUE(positions.one_axis(0, 10));
}

TEST(Positions, APictureCountsRowsAndColumns) {
  // Two tokens, a 2 x 3 picture, one token, a 1 x 2 picture.
  const auto positions = mrope_positions(11, {{2, 6, {1, 2, 3}}, {9, 2, {1, 1, 2}}});
  EXPECT_EQ(positions.prompt[0], (std::vector<std::int32_t>{0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 6}));
  EXPECT_EQ(positions.prompt[1], (std::vector<std::int32_t>{0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 6}));
  EXPECT_EQ(positions.prompt[2], (std::vector<std::int32_t>{0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(positions.delta, 8 - 11);
  EXPECT_EQ(positions.at(2, 11), 8);
  EXPECT_FALSE(positions.one_axis(0, 4));
  EXPECT_TRUE(positions.one_axis(8, 10));
  EXPECT_FALSE(positions.one_axis(8, 11));
}

}  // namespace
}  // namespace pippin::models
