// Pages go to the disk and come back: the very bytes, to the sequence that asks for them, and to nobody else.
#include "engine/disk/pages.h"

#include <gtest/gtest.h>

#include <map>
#include <semaphore>
#include <thread>

#include "engine/disk/testing.h"

namespace pippin::engine {
namespace {

constexpr std::size_t page_bytes = 64;
constexpr auto for_ever = std::chrono::steady_clock::time_point::max();

DiskStoreOptions options_in(const std::filesystem::path& directory) {
  DiskStoreOptions options;
  options.directory = directory;
  return options;
}

// Pools, a page cache, and a chain of published pages: page i holds bytes that begin with i, and tokens that are all i.
struct Machine {
  explicit Machine(std::shared_ptr<DiskStore> s, std::size_t max_bytes_coming = 1 << 20)
      : store(std::move(s)),
        disk(store,
             {page_bytes, [this](PageId page, auto out) { copy(pools[page], out.begin()); },
              [this](PageId page, auto bytes) { pools[page].assign(bytes.begin(), bytes.end()); },
              [this](PageId) { return whole; }},
             EntryKind::page, max_bytes_coming) {}

  static void copy(const std::vector<std::uint8_t>& from, auto to) {
    std::copy(from.begin(), from.end(), to);
  }
  static PageContent content(int i) { return {std::vector<std::int32_t>(4, i), {}, ""}; }
  static std::vector<std::uint8_t> bytes(int i) {
    const auto payload = entry_of(static_cast<std::uint32_t>(i), page_bytes).payload;
    return {payload.begin(), payload.end()};
  }

  std::vector<PageKey> publish(int count) {
    std::vector<PageKey> keys;
    for (int i = 0; i < count; ++i) {
      const auto parent = keys.empty() ? root_key : keys.back();
      keys.push_back(page_key(parent, content(i)));
      const auto page = *cache.allocate();
      pools[page] = bytes(i);
      cache.publish(page, parent, keys.back(), content(i));
      disk.published(keys.back());
    }
    return keys;
  }

  ColdPages::State wait_for(const PageKey& key) {
    while (disk.state(key) == ColdPages::State::coming) std::this_thread::yield();
    return disk.state(key);
  }

  std::shared_ptr<DiskStore> store;
  std::map<PageId, std::vector<std::uint8_t>> pools;
  bool whole = true;  ///< pages have all of their bytes
  PageCache cache{64, 4};
  DiskPages disk;
};

std::vector<PageKey> write_pages(const Folder& folder, int count) {
  Machine m(std::make_shared<DiskStore>(options_in(folder.path())));
  const auto keys = m.publish(count);
  while (m.disk.write_behind(m.cache, for_ever)) continue;
  m.store->flush();
  return keys;
}

TEST(DiskPages, ComeBackAsTheyWere) {
  const Folder folder;
  const auto keys = write_pages(folder, 10);
  Machine m(std::make_shared<DiskStore>(options_in(folder.path())));
  for (const auto& key : keys) EXPECT_TRUE(m.disk.request(key));
  EXPECT_FALSE(m.disk.request(key_of(1)));
  for (int i = 0; i < 10; ++i) {
    const auto& key = keys[static_cast<std::size_t>(i)];
    const auto parent = i == 0 ? root_key : keys[static_cast<std::size_t>(i) - 1];
    EXPECT_EQ(m.wait_for(key), ColdPages::State::here);
    EXPECT_TRUE(m.disk.load(key, parent, Machine::content(i), i));
    EXPECT_EQ(m.pools[i], Machine::bytes(i));
    m.disk.forget(key);
    EXPECT_EQ(m.disk.state(key), ColdPages::State::absent);
  }
}

// As if two pages had the same key.
TEST(DiskPages, AreComparedWithWhatIsWanted) {
  const Folder folder;
  const auto keys = write_pages(folder, 2);
  Machine m(std::make_shared<DiskStore>(options_in(folder.path())));
  m.disk.request(keys[1]);
  m.wait_for(keys[1]);
  EXPECT_FALSE(m.disk.load(keys[1], keys[0], Machine::content(2), 0));
  EXPECT_FALSE(m.disk.load(keys[1], root_key, Machine::content(1), 0));
  auto adapted = Machine::content(1);
  adapted.adapter = "another";
  EXPECT_FALSE(m.disk.load(keys[1], keys[0], adapted, 0));
  EXPECT_TRUE(m.pools.empty());
  EXPECT_TRUE(m.disk.load(keys[1], keys[0], Machine::content(1), 0));
}

TEST(DiskPages, ADamagedOneIsAbsent) {
  const Folder folder;
  const auto keys = write_pages(folder, 1);
  std::filesystem::resize_file(path_of(folder.path(), {{}, EntryKind::page, keys[0]}), 100);
  Machine m(std::make_shared<DiskStore>(options_in(folder.path())));
  EXPECT_TRUE(m.disk.request(keys[0]));
  EXPECT_EQ(m.wait_for(keys[0]), ColdPages::State::absent);
  m.disk.forget(keys[0]);
  EXPECT_FALSE(m.disk.request(keys[0]));
}

TEST(DiskPages, SeveralMayAskForOne) {
  const Folder folder;
  const auto keys = write_pages(folder, 1);
  Machine m(std::make_shared<DiskStore>(options_in(folder.path())));
  m.disk.request(keys[0]);
  m.disk.request(keys[0]);
  EXPECT_EQ(m.wait_for(keys[0]), ColdPages::State::here);
  m.disk.forget(keys[0]);
  EXPECT_EQ(m.disk.state(keys[0]), ColdPages::State::here);
  m.disk.forget(keys[0]);
  EXPECT_EQ(m.store->stats().hits, 1);
}

TEST(DiskPages, OnlySoManyAreHeldAtOnce) {
  const Folder folder;
  const auto keys = write_pages(folder, 10);
  Machine m(std::make_shared<DiskStore>(options_in(folder.path())), 3 * page_bytes);
  for (const auto& key : keys) m.disk.request(key);
  for (int i = 0; i < 3; ++i) m.wait_for(keys[static_cast<std::size_t>(i)]);
  EXPECT_EQ(m.store->stats().hits, 3);
  m.disk.forget(keys[9]);  // never begun
  m.disk.forget(keys[0]);
  EXPECT_EQ(m.wait_for(keys[3]), ColdPages::State::here);
  EXPECT_EQ(m.store->stats().hits, 4);
  for (std::size_t i = 1; i < 9; ++i) {
    EXPECT_EQ(m.wait_for(keys[i]), ColdPages::State::here);
    m.disk.forget(keys[i]);
  }
  EXPECT_EQ(m.store->stats().hits, 9);
}

TEST(DiskPages, WaitForTheStoreAndPassOverWhatIsEvictedMeanwhile) {
  const Folder folder;
  std::counting_semaphore<> may_write(0);
  auto options = options_in(folder.path());
  options.max_queued_bytes = 1;  // one at a time
  options.before_write = [&] { may_write.acquire(); };
  Machine m(std::make_shared<DiskStore>(options));
  const auto keys = m.publish(4);
  EXPECT_TRUE(m.disk.write_behind(m.cache, for_ever));
  EXPECT_FALSE(m.disk.write_behind(m.cache, for_ever)) << "the store has no room";
  const PageId last[] = {m.cache.published(keys[3])->page};
  m.cache.release(last);
  m.cache.forget_cached();
  may_write.release(10);
  for (int i = 0; i < 3; ++i) {
    m.store->flush();
    m.disk.write_behind(m.cache, for_ever);
  }
  m.store->flush();
  EXPECT_EQ(m.store->stats().writes, 3);
  EXPECT_FALSE(m.store->contains(EntryKind::page, keys[3]));
}

TEST(DiskPages, AreWrittenOnePageAtLeastEachTime) {
  const Folder folder;
  Machine m(std::make_shared<DiskStore>(options_in(folder.path())));
  m.publish(3);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_TRUE(m.disk.write_behind(m.cache, {}));
    m.store->flush();
    EXPECT_EQ(m.store->stats().writes, i);
  }
  EXPECT_FALSE(m.disk.write_behind(m.cache, {}));
}

// By the process that wrote it in part, and by one that found it so.
TEST(DiskPages, WhatWasWrittenInPartIsWrittenAgainOnceItIsWhole) {
  const Folder folder;
  const auto write = [](Machine& m) {
    while (m.disk.write_behind(m.cache, for_ever)) continue;
    m.store->flush();
    return m.store->stats().writes;
  };
  {
    Machine m(std::make_shared<DiskStore>(options_in(folder.path())));
    m.whole = false;
    const auto keys = m.publish(2);
    EXPECT_EQ(write(m), 2);
    m.disk.published(keys[0]);
    EXPECT_EQ(write(m), 2) << "as it was";
    m.whole = true;
    m.disk.published(keys[0]);
    EXPECT_EQ(write(m), 3);
    m.disk.published(keys[0]);
    EXPECT_EQ(write(m), 3);
    EXPECT_EQ(m.store->stats().entries, 2);
  }
  Machine m(std::make_shared<DiskStore>(options_in(folder.path())));
  const auto keys = m.publish(2);
  EXPECT_EQ(write(m), 0) << "nobody knows yet";
  m.whole = false;
  ASSERT_TRUE(m.disk.request(keys[1]));
  ASSERT_EQ(m.wait_for(keys[1]), ColdPages::State::here);
  ASSERT_TRUE(m.disk.load(keys[1], keys[0], Machine::content(1), 9));
  m.disk.forget(keys[1]);
  m.whole = true;
  m.disk.published(keys[1]);
  EXPECT_EQ(write(m), 1);
}

}  // namespace
}  // namespace pippin::engine
