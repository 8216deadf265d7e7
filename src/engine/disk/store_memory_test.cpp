// No memory is left on the store's threads, or on the engine's where it asks the disk: an entry is lost, or a write, and no more.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "base/failing_memory_testing.h"
#include "base/insist.h"
#include "engine/disk/pages.h"
#include "engine/disk/store.h"
#include "engine/disk/testing.h"

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t size_of_each = 100;

DiskStoreOptions options_in(const fs::path& directory) {
  DiskStoreOptions options;
  options.directory = directory;
  options.num_readers = 1;
  return options;
}

bool put(DiskStore& store, std::uint32_t number) {
  return store.put(EntryKind::page, key_of(number), entry_of(number, size_of_each));
}

std::future<ReadResult> get(DiskStore& store, std::uint32_t number) {
  auto result = std::make_shared<std::promise<ReadResult>>();
  auto coming = result->get_future();
  store.get(EntryKind::page, key_of(number),
            [result](ReadResult read) { result->set_value(std::move(read)); });
  return coming;
}

std::int64_t bytes_below(const fs::path& directory) {
  std::int64_t bytes = 0;
  for (const auto& item : fs::recursive_directory_iterator(directory))
    if (item.is_regular_file()) bytes += static_cast<std::int64_t>(item.file_size());
  return bytes;
}

void expect_sound(DiskStore& store, const fs::path& directory, std::int64_t max_bytes) {
  EXPECT_EQ(store.stats().queued_bytes, 0);
  EXPECT_LE(bytes_below(directory), max_bytes * 5 / 4);
  EXPECT_TRUE(fs::is_empty(unfinished_folder(directory)));
  for (const auto& entry : list_entries(directory))
    EXPECT_EQ(read_entry(directory, entry.name).status, ReadStatus::ok);
  EXPECT_TRUE(put(store, 90)) << "it pauses";
  store.flush();
  const auto read = get(store, 90).get();
  EXPECT_EQ(read.status, ReadStatus::ok) << read.why;
  EXPECT_EQ(read.entry, entry_of(90, size_of_each));
}

// Evicts, too, and lists the folder anew.
TEST(DiskStoreMemory, RunsOutWhileItWrites) {
  int lost = 0;
  const auto count = for_each_allocation([&](std::int64_t number) {
    const Folder folder;
    auto options = options_in(folder.path());
    options.max_bytes = 2 * file_size_of(entry_of(10, size_of_each));
    DiskStore store(options);
    for (std::uint32_t i = 0; i < 2; ++i) put(store, i);
    store.flush();
    const Digest used = key_of(0);
    bool failed = false;
    {
      const FailingMemory memory(number, FailingMemory::Of::other_threads);
      store.use(EntryKind::page, {&used, 1});
      put(store, 3);
      store.flush();
      failed = memory.has_failed();
    }
    lost += !store.contains(EntryKind::page, key_of(3));
    expect_sound(store, folder.path(), options.max_bytes);
    return failed;
  });
  EXPECT_GT(count, 20);
  EXPECT_GT(lost, 5);
}

TEST(DiskStoreMemory, RunsOutWhileItReads) {
  int missed = 0;
  const auto count = for_each_allocation([&](std::int64_t number) {
    const Folder folder;
    DiskStore store(options_in(folder.path()));
    put(store, 1);
    put(store, 2);
    store.flush();
    // Damaged, which is told; absent; whole.
    const auto damaged = path_of(folder.path(), {{}, EntryKind::page, key_of(2)});
    fs::resize_file(damaged, fs::file_size(damaged) - 1);
    bool failed = false;
    {
      const FailingMemory memory(number, FailingMemory::Of::other_threads);
      auto first = get(store, 1), second = get(store, 2), third = get(store, 3);
      const auto read = first.get();
      if (read.status == ReadStatus::ok) {
        EXPECT_EQ(read.entry, entry_of(1, size_of_each));
      } else {
        EXPECT_EQ(read.status, ReadStatus::unreadable);
      }
      missed += read.status != ReadStatus::ok;
      EXPECT_NE(second.get().status, ReadStatus::ok);
      EXPECT_NE(third.get().status, ReadStatus::ok);
      store.flush();
      failed = memory.has_failed();
    }
    EXPECT_TRUE(fs::exists(path_of(folder.path(), {{}, EntryKind::page, key_of(1)})))
        << "no fault of the file's";
    if (fs::exists(damaged)) fs::remove(damaged);
    expect_sound(store, folder.path(), 1 << 20);
    return failed;
  });
  EXPECT_GT(count, 10);
  EXPECT_GT(missed, 2);
}

TEST(DiskStoreMemory, RunsOutWhereItIsAsked) {
  const auto count = for_each_allocation([&](std::int64_t number) {
    const Folder folder;
    DiskStore store(options_in(folder.path()));
    put(store, 1);
    store.flush();
    auto entry = entry_of(2, size_of_each);
    const Digest used = key_of(1);
    int told = 0, asked = 0;
    std::promise<void> read;
    bool failed = false;
    {
      const FailingMemory memory(number);
      try {
        store.use(EntryKind::page, {&used, 1});
        store.put(EntryKind::page, key_of(2), std::move(entry));
        store.get(EntryKind::page, key_of(1), [&](const ReadResult&) { read.set_value(); });
        ++asked;
      } catch (const std::bad_alloc&) {
        ++told;
      }
      failed = memory.has_failed();
    }
    if (asked > 0) read.get_future().wait();
    store.flush();
    EXPECT_TRUE(store.wants(EntryKind::page, key_of(2)) ==
                !store.contains(EntryKind::page, key_of(2)))
        << "it is queued for ever";
    EXPECT_LE(told, failed ? 1 : 0);
    expect_sound(store, folder.path(), 1 << 20);
    return failed;
  });
  EXPECT_GT(count, 3);
}

TEST(DiskStoreMemory, AnIndexHoldsWhatItHeld) {
  const auto name = [](std::uint32_t number) {
    return EntryName{{}, EntryKind::page, key_of(number)};
  };
  const auto count = for_each_allocation([&](std::int64_t number) {
    DiskIndex index;
    for (std::uint32_t i = 0; i < 12; ++i) index.insert(name(i), 10, name(i));
    int added = 0;
    bool failed = false;
    {
      const FailingMemory memory(number);
      for (std::uint32_t i = 10; i < 16; ++i)  // two are there already
        added += attempt([&] { index.insert(name(i), 7, name(1)); });
      failed = memory.has_failed();
    }
    EXPECT_EQ(added, failed ? 5 : 6);
    int left = 0;
    for (; index.size() > 0 && left < 100; ++left) index.erase(EntryName(index.oldest()));
    EXPECT_GE(left, 15);
    EXPECT_LE(left, 16);
    EXPECT_EQ(index.num_bytes(), 0);
    return failed;
  });
  EXPECT_GE(count, 10);
}

// What the engine's thread does with it; a page that can't be had is computed.
TEST(DiskStoreMemory, RunsOutWherePagesAreWantedAndGiven) {
  constexpr std::size_t page_bytes = 64;
  const PageContent content{{1, 2, 3, 4}, {}, ""};
  const PageKey key = page_key(root_key, content), other = page_key(key, content);
  int lost = 0;
  const auto count = for_each_allocation([&](std::int64_t number) {
    const Folder folder;
    const auto store = std::make_shared<DiskStore>(options_in(folder.path()));
    PageCache cache(8, 4);
    std::map<PageId, std::vector<std::uint8_t>> pools;
    DiskPages pages(
        store, {page_bytes,
                [&](PageId page, auto out) {
                  std::copy(pools[page].begin(), pools[page].end(), out.begin());
                },
                [&](PageId page, auto bytes) { pools[page].assign(bytes.begin(), bytes.end()); }});
    const auto page = *cache.allocate();
    pools[page] = std::vector<std::uint8_t>(page_bytes, 7);
    cache.publish(page, root_key, key, content);
    const auto end = std::chrono::steady_clock::time_point::max();
    const auto read = [&] {
      if (!pages.request(key)) return false;
      while (pages.state(key) == ColdPages::State::coming) std::this_thread::yield();
      const bool here =
          pages.state(key) == ColdPages::State::here && pages.load(key, root_key, content, page);
      pages.forget(key);
      return here;
    };
    bool failed = false, found = false;
    {
      const FailingMemory memory(number);
      pages.published(key);
      pages.published(other);
      pages.write_behind(cache, end);
      store->flush();
      std::fill(pools[page].begin(), pools[page].end(), std::uint8_t{0});
      found = read();
      pages.used({&key, 1});
      failed = memory.has_failed();
    }
    if (found) {
      EXPECT_EQ(pools[page], std::vector<std::uint8_t>(page_bytes, 7));
    }
    EXPECT_TRUE(found || failed);
    lost += !found;
    EXPECT_FALSE(pages.request(other)) << "it was never there";
    // It goes on as if nothing had been.
    pages.published(key);
    pages.write_behind(cache, end);
    store->flush();
    EXPECT_TRUE(read());
    return failed;
  });
  EXPECT_GT(count, 5);
  EXPECT_GT(lost, 0);
}

}  // namespace
}  // namespace pippin::engine
