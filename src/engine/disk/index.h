// What a cache directory holds, and what of it was used least recently; kept in memory, so that asking costs no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/disk/entry.h"

namespace pippin::engine {

using FileTime = std::filesystem::file_time_type;

/// An entry's file as a directory listing shows it.
struct IndexedEntry {
  EntryName name;
  std::int64_t size = 0;  ///< bytes of the file
  FileTime used;          ///< last use; kept as the file's time of modification
};

/// Every entry below `directory`, of all models. Looks at names and sizes only, so that 100,000 files take well under a second;
/// files that no entry would be named like are somebody else's and left alone.
std::vector<IndexedEntry> list_entries(const std::filesystem::path& directory);

/// Not thread-safe. Of two entries, the one used later has the later time.
class DiskIndex {
 public:
  DiskIndex() = default;
  explicit DiskIndex(std::vector<IndexedEntry> entries);

  bool contains(const EntryName& name) const { return by_name_.count(name) > 0; }
  std::size_t size() const { return by_name_.size(); }
  std::int64_t num_bytes() const { return num_bytes_; }
  /// Entries of one model and kind.
  std::int64_t count(const Digest& model, EntryKind kind) const;

  /// Adds or replaces an entry, as the one used last, or just before `parent` where that is there: of a chain, the end is evicted
  /// first. Returns its time of use. Changes nothing where it throws std::bad_alloc.
  FileTime insert(const EntryName& name, std::int64_t size, const EntryName& parent);
  /// Marks an entry as the one used last; returns the time, or nullopt where there is no such entry.
  std::optional<FileTime> use(const EntryName& name);
  /// An entry's time of use; nullopt where there is no such entry.
  std::optional<FileTime> time_of(const EntryName& name) const;
  void erase(const EntryName& name);

  /// The entry used least recently. There must be one.
  const EntryName& oldest() const { return order_.front().name; }

 private:
  FileTime next_time();

  std::list<IndexedEntry> order_;  ///< least recently used first
  std::unordered_map<EntryName, std::list<IndexedEntry>::iterator, EntryNameHash> by_name_;
  std::int64_t num_bytes_ = 0;
};

}  // namespace pippin::engine
