// The disk cache: entries found by digest, again after a restart. Knows neither tensors nor what the bytes mean.
//
// Nothing here waits for the disk but the store's own threads: one writes, some read. Writing is behind, through a queue bounded
// in bytes. A file that can't be trusted is a miss and removed; a disk that can't be written to is left in peace for a while; what there
// is no memory to read is a miss, and what there is none to write is not written. So the worst that any file, disk or shortage can do
// is to make the caller compute again.
//
// Several processes may share a directory, also with other models. There is no lock over it: files appear whole by rename, hold
// the same bytes whoever writes them, are verified when read, and one that has vanished is a miss. Each process evicts by what it
// knows of, and lists the directory anew after writing an eighth of the limit, so by that much each may overshoot it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "engine/disk/entry.h"
#include "engine/disk/index.h"
#include "pippin/engine.h"

namespace pippin::engine {

struct DiskStoreOptions {
  std::filesystem::path directory;                          ///< made where it is missing
  Digest model{};                                           ///< see EntryName::model
  std::int64_t max_bytes = std::int64_t{10} << 30;          ///< of all models' files together
  std::int64_t max_queued_bytes = std::int64_t{256} << 20;  ///< given to put() and not yet written
  int num_readers = 2;
  std::chrono::milliseconds pause = std::chrono::minutes(1);  ///< without writing, after an error
  /// Called by the writer before each file; a test holds it up with this.
  std::function<void()> before_write = {};
};

/// Owns its threads. Every member may be called from any thread, and only flush() and the destructor wait for I/O.
class DiskStore {
 public:
  using Done = std::function<void(ReadResult)>;

  /// Lists the directory. Throws Error(invalid_argument, field cache_dir) where it can't be made, listed or written to.
  explicit DiskStore(DiskStoreOptions options);
  /// Writes what is queued; reads that have not begun are dropped, without a call of their Done.
  ~DiskStore();
  DiskStore(const DiskStore&) = delete;
  DiskStore& operator=(const DiskStore&) = delete;

  /// Whether get() should find the entry. What is queued is not there yet.
  bool contains(EntryKind kind, const Digest& key) const;
  /// Entries of this model that get() should find. Looks at all: for the start.
  std::int64_t count(EntryKind kind) const;
  /// Whether put() has to be called at all: the entry is neither there nor queued.
  bool wants(EntryKind kind, const Digest& key) const;
  /// Whether put() would take an entry of this size now.
  bool has_room(std::int64_t size) const;

  /// Queues an entry to be written. It counts as used when it is; as used just before `parent`, where it is of no use without that
  /// one. false, and `entry` is left as it was, where the queue has no room
  /// or writing pauses: offer it again later. An entry that is there already, or larger than the limit, is dropped. replace: one that
  /// is there makes way. Throws std::bad_alloc where it has queued nothing; `entry` is lost then.
  bool put(EntryKind kind, const Digest& key, Entry&& entry,
           const std::optional<Digest>& parent = {}, bool replace = false);

  /// Reads an entry, into the memory of `room` as far as that reaches, and counts it as used; calls `done` once, from a reader's
  /// thread: it must only pass the result on.
  void get(EntryKind kind, const Digest& key, Done done, RawBytes&& room = {});

  /// Counts entries as used, in this order: the last is evicted last. Those that are not there are passed over.
  void use(EntryKind kind, std::span<const Digest> keys);

  /// From now on calls `progressed` after everything written, given up or read, from the store's threads: it must only pass the word
  /// on.
  void when_progressed(const std::function<void()>& progressed);

  /// Waits until everything queued has been written or given up.
  void flush();

  DiskStats stats() const;

 private:
  struct Write {
    EntryName name;
    Entry entry;
    std::optional<Digest> parent;
  };
  struct Read {
    EntryName name;
    Done done;
    RawBytes room;
  };

  EntryName name_of(EntryKind kind, const Digest& key) const { return {options_.model, kind, key}; }
  bool wants(const EntryName& name) const REQUIRES(mutex_);
  bool takes(std::int64_t size) const REQUIRES(mutex_);
  void tell() REQUIRES(mutex_);
  void write_loop();
  void write_next() REQUIRES(mutex_);
  void write_to_disk(const Write& write) REQUIRES(mutex_);
  void make_room(std::int64_t size) REQUIRES(mutex_);
  void list_again() REQUIRES(mutex_);
  void wrote(const Write& write) REQUIRES(mutex_);
  void failed_to_write(const char* why) REQUIRES(mutex_);
  void lost_a_write() REQUIRES(mutex_);
  void mark_used() REQUIRES(mutex_);
  void read_loop();
  ReadResult read(Read& read) REQUIRES(mutex_);
  ReadResult read_file(Read& read) const;
  void stop();
  void count_use(const EntryName& name) REQUIRES(mutex_);

  const DiskStoreOptions options_;
  mutable Mutex mutex_;
  ConditionVariable writer_wakes_, readers_wake_, writer_rests_;
  DiskIndex index_ GUARDED_BY(mutex_);
  std::deque<Write> writes_ GUARDED_BY(mutex_);
  std::unordered_set<EntryName, EntryNameHash> queued_
      GUARDED_BY(mutex_);  // of writes_ and the one being written
  std::deque<Read> reads_ GUARDED_BY(mutex_);
  std::unordered_map<EntryName, FileTime, EntryNameHash> used_
      GUARDED_BY(mutex_);                   // to be kept on disk
  std::int64_t written_since_listing_ = 0;  // the writer's
  bool writer_busy_ GUARDED_BY(mutex_) = false;
  bool failing_ GUARDED_BY(mutex_) = false;  // the last write failed
  std::chrono::steady_clock::time_point paused_until_ GUARDED_BY(mutex_){};
  std::shared_ptr<const std::function<void()>> progressed_ GUARDED_BY(mutex_);  // null: nobody asks
  bool stopping_ GUARDED_BY(mutex_) = false;
  DiskStats stats_ GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace pippin::engine
