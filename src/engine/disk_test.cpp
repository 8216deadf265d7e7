// The whole engine below the tokenizer, started anew: what the last one computed is found on disk, and is what would be computed.
#include <gtest/gtest.h>

#include <fstream>

#include "engine/disk/testing.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;
namespace fs = std::filesystem;

class Restart : public ::testing::TestWithParam<How> {
 protected:
  std::unique_ptr<Loop> start() const {
    return make_loop({.how = GetParam(), .cache_dir = folder_.path()});
  }

  // Questions with words and pictures, prefixes of each other among them.
  static std::vector<std::shared_ptr<Sequence>> questions() {
    return {make_sequence(100, 1), make_sequence(40, 2, {3}), make_sequence(70, 4, {3, 5}),
            make_sequence(5, 6)};
  }

  // The first start's answers; what it leaves on disk is whole, since it ends in order.
  std::vector<std::vector<std::int32_t>> first_answers() const {
    const auto loop = start();
    std::vector<std::vector<std::int32_t>> answers;
    for (const auto& question : questions()) answers.push_back(answer(*loop, question));
    return answers;
  }

  std::vector<fs::path> files() const {
    std::vector<fs::path> files;
    for (const auto& entry : list_entries(folder_.path()))
      files.push_back(path_of(folder_.path(), entry.name));
    return files;
  }

  const Folder folder_;
};

TEST_P(Restart, FindsPagesAndPicturesOnDisk) {
  const auto expected = first_answers();
  EXPECT_FALSE(files().empty());
  const auto loop = start();
  std::size_t i = 0;
  for (const auto& question : questions()) {
    EXPECT_EQ(answer(*loop, question), expected[i++]);
    // All full pages but the last token's.
    EXPECT_GE(question->output->cached_tokens(), (question->num_prompt - 1) / 16 * 16);
  }
  const auto stats = idle_stats(*loop);
  EXPECT_EQ(stats.encoder_runs, 0);
  EXPECT_GT(stats.disk.hits, 10);
  EXPECT_EQ(stats.disk.damaged + stats.disk.unreadable, 0);
}

TEST_P(Restart, FindsAPictureUnderOtherWords) {
  first_answers();
  const auto other = make_sequence(30, 77, {3});
  const auto expected = answer(*make_loop({.how = GetParam()}), make_sequence(30, 77, {3}));
  const auto loop = start();
  EXPECT_EQ(answer(*loop, other), expected);
  EXPECT_EQ(other->output->cached_tokens(), 0);
  EXPECT_EQ(idle_stats(*loop).encoder_runs, 0);
}

TEST_P(Restart, WhatAnotherSaltComputedIsNotFound) {
  const auto asked = [](std::string_view salt) {
    auto sequence = make_sequence(100, 1, {3});
    part_cache(*sequence, salt);
    return sequence;
  };
  std::vector<std::int32_t> expected;
  {
    const auto loop = start();
    for (const char* salt : {"a", "b", ""}) {
      const auto first = asked(salt), second = asked(salt);
      const auto tokens = answer(*loop, first);
      if (expected.empty()) expected = tokens;
      EXPECT_EQ(tokens, expected);
      EXPECT_EQ(first->output->cached_tokens(), 0) << salt;
      EXPECT_EQ(answer(*loop, second), expected);
      EXPECT_GE(second->output->cached_tokens(), 96) << salt;
    }
    EXPECT_EQ(idle_stats(*loop).encoder_runs, 3);
  }
  const auto loop = start();
  const auto known = asked("b"), other = asked("c");
  EXPECT_EQ(answer(*loop, known), expected);
  EXPECT_GE(known->output->cached_tokens(), 96);
  EXPECT_EQ(idle_stats(*loop).encoder_runs, 0);
  EXPECT_EQ(answer(*loop, other), expected);
  EXPECT_EQ(other->output->cached_tokens(), 0);
  EXPECT_EQ(idle_stats(*loop).encoder_runs, 1);
}

TEST_P(Restart, DamagedFilesAreComputedAgain) {
  const auto expected = first_answers();
  std::mt19937 random(1);
  for (const auto& file : files()) {
    const auto size = fs::file_size(file);
    if (random() % 3 == 0) fs::resize_file(file, random() % size);
    if (random() % 3 == 0) {
      std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(static_cast<std::streamoff>(random() % size));
      bytes.put('?');
    }
  }
  const auto loop = start();
  std::size_t i = 0;
  for (const auto& question : questions()) EXPECT_EQ(answer(*loop, question), expected[i++]);
  EXPECT_GT(loop->stats().disk.damaged, 0);
}

TEST_P(Restart, AllAtOnceAreAnsweredRight) {
  const auto expected = first_answers();
  const auto loop = start();
  std::vector<std::shared_ptr<Sequence>> asked;
  for (int round = 0; round < 3; ++round)
    for (const auto& question : questions()) asked.push_back(question);
  for (const auto& question : asked) loop->submit(question);
  for (std::size_t i = 0; i < asked.size(); ++i)
    EXPECT_EQ(read_all(*asked[i]), expected[i % expected.size()]);
  EXPECT_EQ(idle_stats(*loop).encoder_runs, 0);
}

TEST_P(Restart, ARequestCancelledWhileItsPagesAreReadLeavesNothing) {
  first_answers();
  const auto loop = start();
  for (const auto& question : questions()) {
    loop->submit(question);
    question->output->cancel();
  }
  answer(*loop, make_sequence(20, 88));  // taken after those
  const auto stats = idle_stats(*loop);
  EXPECT_EQ(stats.sequences_running + stats.sequences_waiting, 0);
  EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
}

std::vector<How> ways() {
  if (mx::default_device() == mx::Device::gpu) return {How::mlx};
  return {How::mlx, How::cpu_float32, How::cpu_int8, How::mlx_kv4, How::cpu_kv8, How::cpu_kv4};
}

INSTANTIATE_TEST_SUITE_P(Kernels, Restart, ::testing::ValuesIn(ways()), name_of);

TEST(CacheOfAnotherSetup, IsNotFound) {
  const Folder folder;
  answer(*make_loop({.how = How::mlx, .cache_dir = folder.path()}), make_sequence(100, 1, {3}));
  const auto loop = make_loop({.how = How::cpu_float32, .cache_dir = folder.path()});
  const auto sequence = make_sequence(100, 1, {3});
  answer(*loop, sequence);
  EXPECT_EQ(sequence->output->cached_tokens(), 0);
  EXPECT_EQ(idle_stats(*loop).encoder_runs, 1);
}

TEST(CacheOnAFullDisk, DisturbsNobody) {
  const Folder folder;
  const auto directory = folder.path() / "cache";
  const auto expected = answer(*make_loop({}), make_sequence(100, 1, {3}));
  const auto loop = make_loop({.cache_dir = directory});
  fs::remove_all(directory);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(answer(*loop, make_sequence(100, 1, {3})), expected);
  while (loop->stats().disk.write_errors == 0) std::this_thread::yield();
}

}  // namespace
}  // namespace pippin::engine
