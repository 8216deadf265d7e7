#include "base/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

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

TEST(Memory, TakenAheadIsResidentAndKeepsWhatItHolds) {
  const auto memory = std::make_unique_for_overwrite<std::uint8_t[]>(size);
  memory[size / 2] = 7;
  const auto before = resident_bytes();
  take_memory(memory.get(), size);
  EXPECT_GT(resident_bytes() - before, static_cast<std::int64_t>(size) - slack);
  EXPECT_EQ(memory[size / 2], 7);
}

// A system whose files say these things.
class MemoryLimit : public ::testing::Test {
 protected:
  ~MemoryLimit() override { std::filesystem::remove_all(root_); }
  void write(const std::string& file, const std::string& text) {
    const auto path = root_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  std::int64_t limit() const { return memory_limit_bytes(root_); }

  const std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("pippin-memory-" + std::to_string(::getpid()));
};

TEST_F(MemoryLimit, IsWhatIsInstalledWhereNothingElseIsSaid) {
  const auto installed = limit();
  EXPECT_GT(installed, std::int64_t{64} << 20);
  write("sys/fs/cgroup/memory.max", "max");
  write("proc/self/cgroup", "0::/a\nnonsense\n7:cpu:/a");
  EXPECT_EQ(limit(), installed);
}

TEST_F(MemoryLimit, OfVersion2IsTheLeastUpToTheRoot) {
  write("proc/self/cgroup", "0::/a/b");
  write("sys/fs/cgroup/a/b/memory.max", "50000000");
  EXPECT_EQ(limit(), 50000000);
  write("sys/fs/cgroup/a/memory.max", "40000000");
  EXPECT_EQ(limit(), 40000000);
  write("sys/fs/cgroup/memory.max",
        "30000000");  // of a container that sees its own group as the root
  EXPECT_EQ(limit(), 30000000);
}

TEST_F(MemoryLimit, OfVersion1IsTheMemoryControllers) {
  write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/x\n3:cpuset:/\n0::/");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  write("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "20000000");
  write("sys/fs/cgroup/cpuset/memory.limit_in_bytes", "1");
  EXPECT_EQ(limit(), 20000000);
}

}  // namespace
}  // namespace pippin
