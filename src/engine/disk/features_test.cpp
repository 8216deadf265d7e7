#include "engine/disk/features.h"

#include <gtest/gtest.h>

#include <thread>

#include "engine/disk/testing.h"

namespace pippin::engine {
namespace {

namespace mx = mlx::core;

models::MediaFeatures features(mx::Dtype dtype, int num_taps = 2) {
  // Transposed, so that memory isn't in row-major order.
  auto x = mx::astype(mx::transpose(mx::reshape(mx::arange(15), {5, 3})), dtype);
  models::MediaFeatures f{x, {}};
  for (int i = 0; i < num_taps; ++i) f.deepstack.push_back(x + mx::array(i + 1, dtype));
  auto arrays = f.deepstack;
  arrays.push_back(f.embeddings);
  mx::eval(arrays);
  return f;
}

void expect_equal(const models::MediaFeatures& a, const models::MediaFeatures& b) {
  ASSERT_EQ(a.deepstack.size(), b.deepstack.size());
  EXPECT_EQ(a.embeddings.dtype(), b.embeddings.dtype());
  EXPECT_TRUE(mx::array_equal(a.embeddings, b.embeddings).item<bool>());
  for (std::size_t i = 0; i < a.deepstack.size(); ++i)
    EXPECT_TRUE(mx::array_equal(a.deepstack[i], b.deepstack[i]).item<bool>());
}

TEST(DiskFeatures, BytesHoldTheFeatures) {
  for (const auto dtype : {mx::float32, mx::float16, mx::bfloat16})
    for (const int taps : {0, 3}) {
      const auto original = features(dtype, taps);
      const auto copy = features_of(entry_of(original));
      ASSERT_TRUE(copy);
      expect_equal(*copy, original);
    }
}

TEST(DiskFeatures, OtherBytesHoldNone) {
  const auto good = entry_of(features(mx::float32));
  const auto refuses = [&](auto change) {
    auto entry = good;
    change(entry);
    return !features_of(entry);
  };
  EXPECT_TRUE(refuses([](Entry& e) { e.description.clear(); }));
  EXPECT_TRUE(refuses([](Entry& e) { e.description.pop_back(); }));
  EXPECT_TRUE(refuses([](Entry& e) { e.payload.pop_back(); }));
  EXPECT_TRUE(refuses([](Entry& e) { e.payload.push_back(0); }));
  for (const std::size_t field : {0, 4, 8})  // dtype, rows, columns of the first array
    for (const char value : {'\x7f', '\x80'})
      EXPECT_TRUE(refuses([&](Entry& e) { e.description[field + 3] = value; })) << field;
}

std::vector<std::pair<Digest, FeaturesPtr>> wait_for(DiskFeatures& disk) {
  for (;;) {
    if (auto arrived = disk.take_arrived(); !arrived.empty()) return arrived;
    std::this_thread::yield();
  }
}

TEST(DiskFeatures, AreFoundAfterARestart) {
  const Folder folder;
  DiskStoreOptions options;
  options.directory = folder.path();
  const auto original = std::make_shared<const models::MediaFeatures>(features(mx::float16));
  {
    DiskFeatures disk(std::make_shared<DiskStore>(options), 1 << 20);
    disk.keep(key_of(1), original);
    EXPECT_TRUE(disk.write_behind());
    EXPECT_FALSE(disk.write_behind());
  }
  DiskFeatures disk(std::make_shared<DiskStore>(options), 1 << 20);
  EXPECT_FALSE(disk.fetch(key_of(2)));
  EXPECT_TRUE(disk.fetch(key_of(1)));
  EXPECT_TRUE(disk.fetch(key_of(1))) << "once is enough";
  const auto arrived = wait_for(disk);
  ASSERT_EQ(arrived.size(), 1u);
  EXPECT_EQ(arrived[0].first, key_of(1));
  expect_equal(*arrived[0].second, *original);
}

// Else they would be read again and again.
TEST(DiskFeatures, WhatTheCallerCannotKeepIsReadOnce) {
  const Folder folder;
  DiskStoreOptions options;
  options.directory = folder.path();
  const auto store = std::make_shared<DiskStore>(options);
  DiskFeatures disk(store, 10);
  disk.keep(key_of(1), std::make_shared<const models::MediaFeatures>(features(mx::float32)));
  disk.write_behind();
  store->flush();
  EXPECT_TRUE(disk.fetch(key_of(1)));
  while (store->stats().hits == 0) std::this_thread::yield();
  while (disk.fetch(key_of(1))) EXPECT_TRUE(disk.take_arrived().empty());
}

}  // namespace
}  // namespace pippin::engine
