// Answers of the Responses API on disk, one file each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/mutex.h"

namespace pippin::server {

struct StoredResponse;

/// Files "<id>.json" of two lines, {"blake3": checksum of the second} and the answer. They are readable by the user only, and written
/// under another name and renamed, so that each is there whole or not at all. Past the limit the oldest are deleted. What can't be written is logged and otherwise as if it had been deleted.
/// Thread-safe.
class ResponseFolder {
 public:
  /// Creates the folder. Throws Error(invalid_argument) where it can't be made or written to.
  ResponseFolder(std::filesystem::path folder, std::int64_t max_bytes);

  void write(const StoredResponse& response);
  /// The answer without those before it; `previous` gets the id of the one before it, or "". Null where there is no good file.
  std::shared_ptr<StoredResponse> read(const std::string& id, std::string& previous) const;
  /// Returns whether the owner had it.
  bool erase(const std::string& id, const std::string& owner);

 private:
  std::filesystem::path file_of(const std::string& id) const;
  void make_room() REQUIRES(mutex_);

  const std::filesystem::path folder_;
  const std::int64_t max_bytes_;
  Mutex mutex_;
  std::int64_t bytes_ GUARDED_BY(mutex_) = 0;  // of the files, at most what is said
};

}  // namespace pippin::server
