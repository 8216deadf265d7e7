#include "base/memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace pippin {
namespace {

constexpr std::size_t size = std::size_t{64} << 20;
// What the process itself may take or give meanwhile.
constexpr std::int64_t slack = std::int64_t{4} << 20;

TEST(Memory, GivenBackIsNoLongerResidentAndMayBeWrittenAgain) {
  const auto memory = std::make_unique_for_overwrite<char[]>(size);
  const auto before = resident_bytes();
  std::memset(memory.get(), 7, size);
  const auto full = resident_bytes();
  EXPECT_GT(full - before, static_cast<std::int64_t>(size) - slack);
  give_back(memory.get(), size);
  EXPECT_GT(full - resident_bytes(), static_cast<std::int64_t>(size) - slack);
  std::memset(memory.get(), 9, size);
  EXPECT_EQ(memory[0], 9);
  EXPECT_EQ(memory[size - 1], 9);
}

TEST(Memory, WhatLiesBesideWholePagesStays) {
  const auto memory = std::make_unique<char[]>(1 << 20);
  std::memset(memory.get(), 7, 1 << 20);
  give_back(memory.get() + 1, (1 << 20) - 2);
  EXPECT_EQ(memory[0], 7);
  EXPECT_EQ(memory[(1 << 20) - 1], 7);
  give_back(memory.get() + 1, 10);  // no whole page in it
  EXPECT_EQ(memory[0], 7);
}

}  // namespace
}  // namespace pippin
