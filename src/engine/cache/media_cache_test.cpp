#include "engine/cache/media_cache.h"

#include <gtest/gtest.h>

namespace pippin::engine {
namespace {

std::shared_ptr<const models::MediaFeatures> features_of_bytes(int bytes) {
  return std::make_shared<models::MediaFeatures>(models::MediaFeatures{
      models::mx::zeros({bytes / 8, 1}), {models::mx::zeros({bytes / 8, 1})}});
}

Digest key(std::uint8_t value) {
  Digest digest{};
  digest[31] = value;  // the hash reads other bytes: all keys here collide
  return digest;
}

TEST(MediaCache, KeepsTheMostRecentlyUsedWithinItsBytes) {
  MediaCache cache(100);
  cache.insert(key(1), features_of_bytes(40));
  cache.insert(key(2), features_of_bytes(40));
  EXPECT_EQ(cache.num_bytes(), 80);
  EXPECT_TRUE(cache.find(key(1)));
  cache.insert(key(3), features_of_bytes(40));  // the least recently used goes: 2
  EXPECT_TRUE(cache.find(key(1)));
  EXPECT_FALSE(cache.find(key(2)));
  EXPECT_TRUE(cache.find(key(3)));
  EXPECT_EQ(cache.num_bytes(), 80);
  EXPECT_EQ(cache.evictions(), 1);
}

TEST(MediaCache, LeavesOutWhatIsTooLargeAndCountsAKeyOnce) {
  MediaCache cache(100);
  cache.insert(key(1), features_of_bytes(400));
  EXPECT_FALSE(cache.find(key(1)));
  cache.insert(key(2), features_of_bytes(40));
  cache.insert(key(2), features_of_bytes(40));
  EXPECT_EQ(cache.num_bytes(), 40);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(MediaCache, ClearedItIsAsNew) {
  MediaCache cache(100);
  cache.insert(key(1), features_of_bytes(80));
  cache.clear();
  EXPECT_FALSE(cache.find(key(1)));
  EXPECT_EQ(cache.num_bytes(), 0);
  cache.insert(key(2), features_of_bytes(80));
  EXPECT_TRUE(cache.find(key(2)));
  EXPECT_EQ(cache.evictions(), 0);
}

}  // namespace
}  // namespace pippin::engine
