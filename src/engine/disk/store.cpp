#include "engine/disk/store.h"

#include <signal.h>

#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "pippin/error.h"

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_unusable(const fs::path& directory, const std::string& why) {
  throw Error(Code::invalid_argument, "cannot keep a cache in '" + directory.string() + "': " + why,
              "cache_dir");
}

// Finds out at the start what would otherwise be known at the first write.
void check_usable(const fs::path& directory) {
  std::error_code error;
  if (fs::create_directories(directory, error); error) throw_unusable(directory, error.message());
  if (fs::directory_iterator(directory, error); error) throw_unusable(directory, error.message());
  try {
    probe_writing(directory);
  } catch (const Error& failure) {
    throw_unusable(directory, failure.what());
  }
}

// Under a limit on the size of files, a write beyond it fails in these threads instead of ending the process.
void ignore_file_size_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void drop_useless(const fs::path& directory, const EntryName& name, const ReadResult& result) {
  if (result.status == ReadStatus::ok || result.status == ReadStatus::absent) return;
  const auto path = path_of(directory, name);
  spdlog::warn("[disk_store] does not use {}: {}", path.string(), result.why);
  std::error_code error;
  if (result.status == ReadStatus::damaged) fs::remove(path, error);
}

std::int64_t& misses_of(ReadStatus status, DiskStats& stats) {
  if (status == ReadStatus::absent) return stats.absent;
  return status == ReadStatus::damaged ? stats.damaged : stats.unreadable;
}

// The store's threads go on, whatever becomes of who is told.
template <class Call, class... Args>
void call(const Call& callback, Args&&... args) {
  try {
    callback(std::forward<Args>(args)...);
  } catch (const std::exception& bug) {
    insist([&] { spdlog::error("[disk_store] a caller's step failed: {}", bug.what()); });
  }
}

}  // namespace

DiskStore::DiskStore(DiskStoreOptions options) : options_(std::move(options)) {
  check_usable(options_.directory);
  remove_unfinished(options_.directory);
  index_ = DiskIndex(list_entries(options_.directory));
  spdlog::info("[disk_store] {} holds {} entries, {} MB", options_.directory.string(),
               index_.size(), index_.num_bytes() >> 20);
  try {
    threads_.emplace_back([this] { write_loop(); });
    for (int i = 0; i < options_.num_readers; ++i) threads_.emplace_back([this] { read_loop(); });
  } catch (...) {
    stop();
    throw;
  }
}

DiskStore::~DiskStore() { stop(); }

void DiskStore::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    reads_.clear();
  }
  writer_wakes_.notify_all();
  readers_wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool DiskStore::contains(EntryKind kind, const Digest& key) const {
  const MutexLock lock(mutex_);
  return index_.contains(name_of(kind, key));
}

std::int64_t DiskStore::count(EntryKind kind) const {
  const MutexLock lock(mutex_);
  return index_.count(options_.model, kind);
}

bool DiskStore::wants(EntryKind kind, const Digest& key) const {
  const MutexLock lock(mutex_);
  return wants(name_of(kind, key));
}

bool DiskStore::wants(const EntryName& name) const {
  return !index_.contains(name) && queued_.count(name) == 0;
}

bool DiskStore::has_room(std::int64_t size) const {
  const MutexLock lock(mutex_);
  return takes(size);
}

// One entry always fits, however large: else it would never be written.
bool DiskStore::takes(std::int64_t size) const {
  if (std::chrono::steady_clock::now() < paused_until_) return false;
  return stats_.queued_bytes == 0 || stats_.queued_bytes + size <= options_.max_queued_bytes;
}

bool DiskStore::put(EntryKind kind, const Digest& key, Entry&& entry,
                    const std::optional<Digest>& parent, bool replace) {
  const auto name = name_of(kind, key);
  const auto size = file_size_of(entry);
  {
    const MutexLock lock(mutex_);
    const bool wanted = replace ? queued_.count(name) == 0 : wants(name);
    if (!wanted || size > options_.max_bytes) return true;
    if (!takes(size)) return false;
    queued_.insert(name);
    try {
      writes_.push_back({name, std::move(entry), parent});
    } catch (...) {
      queued_.erase(name);
      throw;
    }
    stats_.queued_bytes += size;
  }
  writer_wakes_.notify_one();
  return true;
}

void DiskStore::get(EntryKind kind, const Digest& key, Done done, RawBytes&& room) {
  {
    const MutexLock lock(mutex_);
    reads_.push_back({name_of(kind, key), std::move(done), std::move(room)});
  }
  readers_wake_.notify_one();
}

void DiskStore::use(EntryKind kind, std::span<const Digest> keys) {
  {
    const MutexLock lock(mutex_);
    for (const auto& key : keys) count_use(name_of(kind, key));
  }
  writer_wakes_.notify_one();
}

void DiskStore::count_use(const EntryName& name) {
  if (const auto time = index_.use(name)) attempt([&]() REQUIRES(mutex_) { used_[name] = *time; });
}

void DiskStore::when_progressed(const std::function<void()>& progressed) {
  auto shared = std::make_shared<const std::function<void()>>(progressed);
  const MutexLock lock(mutex_);
  progressed_ = std::move(shared);
}

void DiskStore::tell() {
  if (!progressed_) return;
  const auto progressed = progressed_;
  const MutexUnlock unlock(mutex_);
  call(*progressed);
}

void DiskStore::flush() {
  const MutexLock lock(mutex_);
  writer_rests_.wait(mutex_, [this]() REQUIRES(mutex_) {
    return writes_.empty() && used_.empty() && !writer_busy_;
  });
}

DiskStats DiskStore::stats() const {
  const MutexLock lock(mutex_);
  DiskStats stats = stats_;
  stats.entries = static_cast<std::int64_t>(index_.size());
  stats.bytes = index_.num_bytes();
  return stats;
}

void DiskStore::write_loop() {
  ignore_file_size_signal();
  const MutexLock lock(mutex_);
  for (;;) {
    writer_busy_ = false;
    if (writes_.empty() && used_.empty()) writer_rests_.notify_all();
    writer_wakes_.wait(mutex_, [this]() REQUIRES(mutex_) {
      return stopping_ || !writes_.empty() || !used_.empty();
    });
    writer_busy_ = true;
    if (!used_.empty())
      mark_used();
    else if (!writes_.empty())
      write_next();
    else
      return;
  }
}

void DiskStore::write_next() {
  const Write write = std::move(writes_.front());
  writes_.pop_front();
  try {
    write_to_disk(write);
  } catch (const std::bad_alloc&) {
    lost_a_write();
  } catch (const std::exception& error) {
    failed_to_write(error.what());
  }
  stats_.queued_bytes -= file_size_of(write.entry);
  queued_.erase(write.name);
  tell();
}

void DiskStore::write_to_disk(const Write& write) {
  make_room(file_size_of(write.entry));
  {
    const MutexUnlock unlock(mutex_);
    if (options_.before_write) options_.before_write();
    write_entry(options_.directory, write.name, write.entry);
  }
  wrote(write);
}

// Evicts before writing, so that the limit holds at every moment.
void DiskStore::make_room(std::int64_t size) {
  if (written_since_listing_ > options_.max_bytes / 8)
    attempt([&]() REQUIRES(mutex_) { list_again(); });
  while (index_.size() > 0 && index_.num_bytes() + size > options_.max_bytes) {
    const EntryName name = index_.oldest();
    const auto path = path_of(options_.directory, name);  // takes memory: before it is forgotten
    index_.erase(name);
    ++stats_.evictions;
    const MutexUnlock unlock(mutex_);
    std::error_code gone;  // or removed by another process: all the better
    fs::remove(path, gone);
  }
}

// Learns what other processes wrote and removed meanwhile.
void DiskStore::list_again() {
  mark_used();
  DiskIndex listed;
  {
    const MutexUnlock unlock(mutex_);
    listed = DiskIndex(list_entries(options_.directory));
  }
  std::swap(index_, listed);
  written_since_listing_ = 0;
  const MutexUnlock unlock(mutex_);
  listed = {};  // takes its time, and nobody waits for it
}

void DiskStore::wrote(const Write& write) {
  const auto size = file_size_of(write.entry);
  const auto parent = write.parent ? name_of(write.name.kind, *write.parent) : write.name;
  written_since_listing_ += size;
  ++stats_.writes;
  stats_.written_bytes += size;
  const auto time = index_.insert(write.name, size, parent);
  // Kept on disk as well: the file's own time may be as coarse as a clock tick.
  attempt([&]() REQUIRES(mutex_) { used_[write.name] = time; });
  if (std::exchange(failing_, false)) spdlog::info("[disk_store] writes again");
}

// Said once, however often it is tried again; what is queued would fail likewise.
void DiskStore::failed_to_write(const char* why) {
  paused_until_ = std::chrono::steady_clock::now() + options_.pause;
  ++stats_.write_errors;
  for (const auto& write : writes_) stats_.queued_bytes -= file_size_of(write.entry);
  writes_.clear();
  queued_.clear();
  if (!std::exchange(failing_, true))
    insist([&] { spdlog::warn("[disk_store] pauses writing: {}", why); });
}

void DiskStore::lost_a_write() {
  ++stats_.write_errors;
  insist([] { spdlog::warn("[disk_store] no memory is left to write an entry"); });
}

// A time that there is no memory for is lost.
void DiskStore::mark_used() {
  const auto used = std::exchange(used_, {});
  const MutexUnlock unlock(mutex_);
  std::error_code gone;  // or evicted meanwhile
  for (const auto& each : used)
    attempt(
        [&] { fs::last_write_time(path_of(options_.directory, each.first), each.second, gone); });
}

void DiskStore::read_loop() {
  ignore_file_size_signal();
  const MutexLock lock(mutex_);
  for (;;) {
    readers_wake_.wait(mutex_, [this]() REQUIRES(mutex_) { return stopping_ || !reads_.empty(); });
    if (stopping_) return;
    Read next = std::move(reads_.front());
    reads_.pop_front();
    auto result = read(next);
    {
      const MutexUnlock unlock(mutex_);
      writer_wakes_.notify_one();
      call(next.done, std::move(result));
    }
    tell();
  }
}

ReadResult DiskStore::read(Read& read) {
  const auto& name = read.name;
  const auto before = index_.time_of(name);
  ReadResult result;
  {
    const MutexUnlock unlock(mutex_);
    result = read_file(read);
  }
  if (result.status == ReadStatus::ok) {
    count_use(name);
    ++stats_.hits;
    stats_.read_bytes += file_size_of(result.entry);
  } else {
    // A file that was written meanwhile is not the one that was missed.
    if (before && index_.time_of(name) == before) index_.erase(name);
    ++misses_of(result.status, stats_);
  }
  return result;
}

ReadResult DiskStore::read_file(Read& read) const {
  try {
    auto result = read_entry(options_.directory, read.name, std::move(read.room));
    drop_useless(options_.directory, read.name, result);
    return result;
  } catch (const std::bad_alloc&) {
    return {ReadStatus::unreadable, {}, {}};
  }
}

}  // namespace pippin::engine
