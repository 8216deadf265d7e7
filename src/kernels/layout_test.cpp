#include "kernels/layout.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using testing::to_vector;

TEST(Layout, GroupsDecodeRowsAndKeepsChunksApart) {
  const std::vector<std::int32_t> a = {5, 2}, b = {7}, c = {1, 0, 3};
  const auto layout = make_layout({{a, 6, 1}, {b, 3, 1}, {c, 10, 4}}, 4);
  EXPECT_EQ(to_vector(layout.write_slots), (std::vector<float>{9, 30, 2, 3, 12, 13}));
  ASSERT_EQ(layout.groups.size(), 2u);

  const auto& decode = layout.groups[0];
  EXPECT_EQ(decode.first_row, 0);
  EXPECT_EQ(decode.num_sequences, 2);
  const auto slots = to_vector(decode.slots), mask = to_vector(*decode.mask);
  EXPECT_EQ(std::vector<float>(slots.begin(), slots.begin() + 6),
            (std::vector<float>{20, 21, 22, 23, 8, 9}));
  EXPECT_EQ(std::vector<float>(slots.begin() + 6, slots.begin() + 9),
            (std::vector<float>{28, 29, 30}));
  EXPECT_EQ(mask, (std::vector<float>{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}));

  const auto& chunk = layout.groups[1];
  EXPECT_EQ(chunk.first_row, 2);
  EXPECT_EQ(chunk.rows_per_sequence, 4);
  EXPECT_EQ(to_vector(chunk.slots), (std::vector<float>{4, 5, 6, 7, 0, 1, 2, 3, 12, 13}));
  EXPECT_FALSE(chunk.mask);
}

TEST(Layout, OneLongContextDoesNotPadTheShortOnes) {
  const std::vector<std::int32_t> long_pages(2000, 1), short_pages = {2};
  std::vector<ContextRows> parts = {{long_pages, 32000, 1}};
  for (int i = 0; i < 63; ++i) parts.push_back({short_pages, 16, 1});
  std::int64_t gathered = 0;
  int rows = 0;
  for (const auto& group : make_layout(parts, 16).groups) {
    EXPECT_EQ(group.first_row, rows);
    rows += group.num_sequences;
    gathered += static_cast<std::int64_t>(group.slots.size());
  }
  EXPECT_EQ(rows, 64);
  EXPECT_LT(gathered, 80000);
}

TEST(Layout, EqualLengthsNeedNoMask) {
  const std::vector<std::int32_t> a = {0}, b = {1};
  EXPECT_FALSE(make_layout({{a, 3, 1}, {b, 3, 1}}, 4).groups[0].mask);
}

}  // namespace
}  // namespace pippin::kernels
