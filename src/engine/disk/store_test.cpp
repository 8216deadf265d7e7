// The store as its caller sees it: what was written is found again, whatever happens to files, processes and disks.
#include "engine/disk/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <future>
#include <semaphore>

#include "engine/disk/testing.h"
#include "pippin/error.h"

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;

DiskStoreOptions options_in(const fs::path& directory) {
  DiskStoreOptions options;
  options.directory = directory;
  options.model = key_of(1000);
  return options;
}

bool put(DiskStore& store, std::uint32_t number, std::size_t size = 100,
         EntryKind kind = EntryKind::page) {
  return store.put(kind, key_of(number), entry_of(number, size));
}

ReadResult get(DiskStore& store, std::uint32_t number, EntryKind kind = EntryKind::page) {
  std::promise<ReadResult> result;
  store.get(kind, key_of(number), [&](ReadResult r) { result.set_value(std::move(r)); });
  return result.get_future().get();
}

bool finds(DiskStore& store, std::uint32_t number, std::size_t size = 100) {
  const auto result = get(store, number);
  if (result.status != ReadStatus::ok) return false;
  EXPECT_EQ(result.entry, entry_of(number, size));
  return true;
}

std::int64_t bytes_below(const fs::path& directory) {
  std::int64_t bytes = 0;
  for (const auto& item : fs::recursive_directory_iterator(directory))
    if (item.is_regular_file()) bytes += static_cast<std::int64_t>(item.file_size());
  return bytes;
}

fs::path path_of_page(const fs::path& directory, std::uint32_t number) {
  return path_of(directory, {key_of(1000), EntryKind::page, key_of(number)});
}

TEST(DiskStore, FindsWhatWasPut) {
  const Folder folder;
  DiskStore store(options_in(folder.path()));
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_TRUE(put(store, i, i * 100));
  store.flush();
  for (std::uint32_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(store.contains(EntryKind::page, key_of(i)));
    EXPECT_TRUE(finds(store, i, i * 100));
  }
  EXPECT_FALSE(store.contains(EntryKind::page, key_of(20)));
  EXPECT_FALSE(store.contains(EntryKind::features, key_of(0)));
  EXPECT_EQ(get(store, 20).status, ReadStatus::absent);
  EXPECT_EQ(get(store, 0, EntryKind::features).status, ReadStatus::absent);
  const auto stats = store.stats();
  EXPECT_EQ(stats.writes, 20);
  EXPECT_EQ(stats.hits, 20);
  EXPECT_EQ(stats.absent, 2);
  EXPECT_EQ(stats.entries, 20);
  EXPECT_EQ(store.count(EntryKind::page), 20);
  EXPECT_EQ(store.count(EntryKind::features), 0);
  EXPECT_EQ(stats.bytes, bytes_below(folder.path()));
  EXPECT_EQ(stats.written_bytes, stats.bytes);
  EXPECT_EQ(stats.read_bytes, stats.bytes);
  EXPECT_EQ(stats.queued_bytes, 0);
}

TEST(DiskStore, FindsItAgainAfterARestart) {
  const Folder folder;
  {
    DiskStore store(options_in(folder.path()));
    for (std::uint32_t i = 0; i < 20; ++i) put(store, i);
  }  // what is queued is written
  DiskStore store(options_in(folder.path()));
  EXPECT_EQ(store.stats().entries, 20);
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_TRUE(finds(store, i));
}

TEST(DiskStore, WritesAnEntryOnce) {
  const Folder folder;
  DiskStore store(options_in(folder.path()));
  EXPECT_TRUE(store.wants(EntryKind::page, key_of(1)));
  put(store, 1);
  put(store, 1);
  store.flush();
  put(store, 1);
  store.flush();
  EXPECT_FALSE(store.wants(EntryKind::page, key_of(1)));
  EXPECT_EQ(store.stats().writes, 1);
}

TEST(DiskStore, AnotherModelFindsNothing) {
  const Folder folder;
  auto options = options_in(folder.path());
  DiskStore(options).put(EntryKind::page, key_of(1), entry_of(1));
  options.model = key_of(2000);
  DiskStore store(options);
  EXPECT_FALSE(store.contains(EntryKind::page, key_of(1)));
  EXPECT_EQ(get(store, 1).status, ReadStatus::absent);
  EXPECT_EQ(store.stats().entries, 1) << "but it counts towards the limit";
  EXPECT_EQ(store.count(EntryKind::page), 0);
}

TEST(DiskStore, DamagedFilesAreMissesAndRemoved) {
  const Folder folder;
  DiskStore store(options_in(folder.path()));
  for (const std::uint32_t i : {1u, 2u, 3u}) put(store, i);
  store.flush();
  fs::resize_file(path_of_page(folder.path(), 1), 150);
  std::ofstream(path_of_page(folder.path(), 2)) << "somebody else's";
  for (const std::uint32_t i : {1u, 2u}) {
    EXPECT_EQ(get(store, i).status, ReadStatus::damaged);
    EXPECT_FALSE(fs::exists(path_of_page(folder.path(), i)));
    EXPECT_FALSE(store.contains(EntryKind::page, key_of(i)));
    EXPECT_TRUE(put(store, i)) << "and can be written anew";
  }
  store.flush();
  for (const std::uint32_t i : {1u, 2u, 3u}) EXPECT_TRUE(finds(store, i));
  EXPECT_EQ(store.stats().damaged, 2);
}

TEST(DiskStore, LeavesOtherFilesAlone) {
  const Folder folder;
  const auto model = folder.path() / std::string(64, 'a');
  const std::string key(64, 'b');
  const fs::path others[] = {folder.path() / "notes.txt",
                             folder.path() / "unfinished/notes.txt",
                             folder.path() / key,
                             model / key,
                             model / "pages/bb/notes.txt",
                             model / "pages/cc" / key,
                             model / "pages/bb" / (key + "b"),
                             model / "photos/bb" / key,
                             folder.path() / "photos/pages/bb" / key};
  for (const auto& file : others) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << std::string(1000, 'x');
  }
  auto options = options_in(folder.path());
  options.max_bytes = 500;
  DiskStore store(options);
  EXPECT_EQ(store.stats().entries, 0);
  for (std::uint32_t i = 0; i < 10; ++i) put(store, i);
  store.flush();
  for (const auto& file : others) EXPECT_TRUE(fs::exists(file)) << file;
}

TEST(DiskStore, RemovesFilesOfKilledProcessesAtTheStartAndNoOthers) {
  const Folder folder;
  DiskStore first(options_in(folder.path()));
  const auto left = unfinished_folder(folder.path()) / "pippin-abcdef",
             living = unfinished_folder(folder.path()) / "pippin-ghijkl";
  std::ofstream(left) << "half a pa";
  std::ofstream(living) << "half a page";
  const int fd = ::open(living.c_str(), O_RDWR);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);  // as who writes it does
  DiskStore second(options_in(folder.path()));
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(living));
  ::close(fd);
}

TEST(DiskStore, KeepsToItsLimit) {
  const Folder folder;
  auto options = options_in(folder.path());
  const auto size = file_size_of(entry_of(10));
  options.max_bytes = 10 * size;
  DiskStore store(options);
  for (std::uint32_t i = 10; i < 60; ++i) {
    put(store, i);
    store.flush();
    EXPECT_LE(bytes_below(folder.path()), options.max_bytes);
  }
  EXPECT_EQ(store.stats().bytes, bytes_below(folder.path()));
  for (std::uint32_t i = 10; i < 60; ++i)
    EXPECT_EQ(store.contains(EntryKind::page, key_of(i)), i >= 50);
  EXPECT_TRUE(put(store, 60, 5000)) << "larger than the limit: dropped";
  store.flush();
  EXPECT_TRUE(finds(store, 59));
}

TEST(DiskStore, EvictsWhatWasUsedLeastRecentlyAlsoAfterARestart) {
  const Folder folder;
  auto options = options_in(folder.path());
  options.max_bytes = 4 * file_size_of(entry_of(1));
  {
    DiskStore store(options);
    for (const std::uint32_t i : {1u, 2u, 3u, 4u}) {
      put(store, i);
      store.flush();
    }
    EXPECT_TRUE(finds(store, 2));
    const Digest used[] = {key_of(9), key_of(1)};
    store.use(EntryKind::page, used);
    store.flush();
  }
  DiskStore store(options);  // from the oldest on: 3, 4, 2, 1
  for (const std::uint32_t i : {5u, 6u, 7u}) put(store, i);
  store.flush();
  for (const std::uint32_t i : {1u, 5u, 6u, 7u}) EXPECT_TRUE(finds(store, i)) << i;
  for (const std::uint32_t i : {2u, 3u, 4u}) EXPECT_FALSE(finds(store, i)) << i;
}

TEST(DiskStore, EvictsTheEndOfAChainBeforeItsBeginning) {
  const Folder folder;
  auto options = options_in(folder.path());
  options.max_bytes = 4 * file_size_of(entry_of(1));
  DiskStore store(options);
  for (const std::uint32_t i : {1u, 2u, 3u, 4u})
    store.put(EntryKind::page, key_of(i), entry_of(i), key_of(i - 1));
  for (const std::uint32_t i : {5u, 6u}) put(store, i);
  store.flush();
  for (const std::uint32_t i : {1u, 2u, 5u, 6u}) EXPECT_TRUE(finds(store, i)) << i;
  for (const std::uint32_t i : {3u, 4u}) EXPECT_FALSE(finds(store, i)) << i;
}

TEST(DiskStore, TellsOfProgress) {
  const Folder folder;
  DiskStore store(options_in(folder.path()));
  std::counting_semaphore<> progress(0);
  store.when_progressed([&] { progress.release(); });
  put(store, 1);
  progress.acquire();
  EXPECT_TRUE(finds(store, 1));
  progress.acquire();
  get(store, 2);
  progress.acquire();
}

TEST(DiskStore, ALimitThatWasLoweredHoldsFromTheNextWrite) {
  const Folder folder;
  auto options = options_in(folder.path());
  {
    DiskStore store(options);
    for (std::uint32_t i = 0; i < 20; ++i) put(store, i);
  }
  options.max_bytes = 1000;
  DiskStore store(options);
  put(store, 20);
  store.flush();
  EXPECT_LE(bytes_below(folder.path()), 1000);
  EXPECT_TRUE(finds(store, 20));
}

TEST(DiskStore, TwoOnOneDirectoryDoNoHarm) {
  const Folder folder;
  auto options = options_in(folder.path());
  options.max_bytes = 40 * file_size_of(entry_of(10));
  DiskStore first(options), second(options);
  for (std::uint32_t i = 0; i < 200; ++i) {
    put(first, i);
    put(second, i % 2 ? i : i + 1000);
    finds(first, i / 2);  // or not, but nothing wrong
    finds(second, i / 2);
  }
  first.flush();
  second.flush();
  EXPECT_EQ(first.stats().damaged + second.stats().damaged, 0);
  EXPECT_EQ(first.stats().write_errors + second.stats().write_errors, 0);
  EXPECT_LE(bytes_below(folder.path()), options.max_bytes * 5 / 4) << "each may be an eighth over";
}

TEST(DiskStore, AFullQueueRefusesInsteadOfWaiting) {
  const Folder folder;
  std::counting_semaphore<> may_write(0);
  auto options = options_in(folder.path());
  options.max_queued_bytes = 2500;
  options.before_write = [&] { may_write.acquire(); };
  DiskStore store(options);
  EXPECT_TRUE(put(store, 1, 10'000)) << "one fits, however large";
  auto refused = entry_of(2);
  EXPECT_FALSE(store.put(EntryKind::page, key_of(2), std::move(refused)));
  EXPECT_EQ(refused, entry_of(2));
  EXPECT_FALSE(store.has_room(file_size_of(refused)));
  EXPECT_TRUE(store.wants(EntryKind::page, key_of(2)));
  EXPECT_FALSE(store.wants(EntryKind::page, key_of(1))) << "it is queued";
  EXPECT_FALSE(store.contains(EntryKind::page, key_of(1))) << "but not there yet";
  EXPECT_FALSE(finds(store, 1)) << "and reading goes on";
  may_write.release();
  store.flush();
  EXPECT_TRUE(put(store, 2));
  EXPECT_TRUE(put(store, 3));
  may_write.release(2);
  store.flush();
  EXPECT_EQ(store.stats().writes, 3);
  EXPECT_EQ(store.stats().queued_bytes, 0);
}

TEST(DiskStore, AFullDiskPausesWritingAndNothingElse) {
  const Folder folder;
  auto options = options_in(folder.path());
  options.pause = std::chrono::milliseconds(0);
  DiskStore store(options);
  put(store, 1);
  store.flush();
  struct rlimit unlimited{};
  ::getrlimit(RLIMIT_FSIZE, &unlimited);
  const struct rlimit tight{1000, unlimited.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  put(store, 2, 5000);
  store.flush();
  ::setrlimit(RLIMIT_FSIZE, &unlimited);
  EXPECT_EQ(store.stats().write_errors, 1);
  EXPECT_FALSE(store.contains(EntryKind::page, key_of(2)));
  EXPECT_TRUE(fs::is_empty(unfinished_folder(folder.path())));
  EXPECT_TRUE(finds(store, 1));
  EXPECT_TRUE(put(store, 2, 5000)) << "the pause is over";
  store.flush();
  EXPECT_TRUE(finds(store, 2, 5000));
}

TEST(DiskStore, NothingIsQueuedDuringThePause) {
  const Folder folder;
  DiskStore store(options_in(folder.path() / "mounted"));
  fs::remove_all(folder.path() / "mounted");
  put(store, 1);
  store.flush();
  EXPECT_EQ(store.stats().write_errors, 1);
  EXPECT_FALSE(put(store, 2));
  EXPECT_FALSE(store.has_room(1));
  EXPECT_EQ(store.stats().queued_bytes, 0);
  EXPECT_EQ(get(store, 1).status, ReadStatus::absent);
  EXPECT_FALSE(fs::exists(folder.path() / "mounted")) << "a mount point is not filled";
}

TEST(DiskStore, AnUnusableDirectoryIsNamedAtTheStart) {
  const Folder folder;
  std::ofstream(folder.path() / "file") << "x";
  for (const auto& directory : {folder.path() / "file", folder.path() / "file/below"}) {
    try {
      DiskStore store(options_in(directory));
      FAIL() << directory;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      EXPECT_EQ(error.field(), "cache_dir");
      EXPECT_NE(std::string(error.what()).find(directory.string()), std::string::npos);
    }
  }
}

TEST(DiskStore, ManyThreadsGetRightBytesOrNone) {
  const Folder folder;
  auto options = options_in(folder.path());
  options.max_bytes = 30 * file_size_of(entry_of(10, 500));
  DiskStore store(options);
  std::atomic<int> wrong = 0, found = 0, outstanding = 0;
  const auto read = [&](std::uint32_t number) {
    ++outstanding;
    store.get(EntryKind::page, key_of(number), [&, number](const ReadResult& result) {
      if (result.status == ReadStatus::ok) {
        ++found;
        if (result.entry != entry_of(number, 500)) ++wrong;
      } else if (result.status != ReadStatus::absent) {
        ++wrong;
      }
      --outstanding;
    });
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 300; ++i) {
        const auto number = static_cast<std::uint32_t>(random() % 60);
        put(store, number, 500);
        const Digest key = key_of(number);
        if (random() % 4 == 0) store.use(EntryKind::page, {&key, 1});
        read(number);
      }
    });
  for (auto& thread : threads) thread.join();
  store.flush();
  for (std::uint32_t number = 0; number < 60; ++number) read(number);  // now some are there
  while (outstanding > 0) std::this_thread::yield();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(found, 0);
  EXPECT_EQ(store.stats().bytes, bytes_below(folder.path()));
}

// Writes entries for ever and reports each that it could read; ended by a signal.
[[noreturn]] void write_until_killed(const fs::path& directory, int report, std::uint32_t first) {
  DiskStore store(options_in(directory));
  for (std::uint32_t i = first;; ++i) {
    while (!put(store, i, 20'000)) std::this_thread::yield();
    if (i % 3 == 0) store.flush();
    if (get(store, i).status == ReadStatus::ok && ::write(report, &i, sizeof i) < 0) ::_exit(1);
  }
}

TEST(DiskStore, AKilledProcessLosesNothingThatCouldBeRead) {
  const Folder folder;
  std::vector<std::uint32_t> readable;
  for (std::uint32_t round = 0; round < 5; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const auto child = ::fork();
    if (child == 0) write_until_killed(folder.path(), pipe[1], round * 10'000);
    ::close(pipe[1]);
    std::uint32_t number = 0;
    for (std::uint32_t i = 0; i < 10 + 7 * round; ++i) {
      ASSERT_EQ(::read(pipe[0], &number, sizeof number), static_cast<ssize_t>(sizeof number));
      readable.push_back(number);
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(pipe[0]);
  }
  DiskStore store(options_in(folder.path()));
  EXPECT_TRUE(fs::is_empty(unfinished_folder(folder.path())));
  for (const auto number : readable) EXPECT_TRUE(finds(store, number, 20'000)) << number;
  for (const auto& entry : list_entries(folder.path()))
    EXPECT_EQ(read_entry(folder.path(), entry.name).status, ReadStatus::ok);
}

}  // namespace
}  // namespace pippin::engine
