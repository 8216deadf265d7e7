// Lines to a file descriptor that nobody may be reading.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/mutex.h"

namespace pippin {

/// Writes lines and never waits: a line that a pipe has no room for is dropped and counted, so that whoever logs goes on when the reader
/// of the log does not. Neither changes the descriptor's flags, which other processes share. Thread-safe.
class LogWriter {
 public:
  /// The descriptor stays open and the caller's.
  explicit LogWriter(int fd);

  /// Returns whether all of the line was written.
  bool write(std::string_view line);
  /// The lines dropped so far.
  std::int64_t num_dropped() const;

 private:
  bool has_room() const;
  bool write_now(std::string_view text);
  bool write_pieces(std::string_view line) REQUIRES(mutex_);

  const int fd_;
  mutable Mutex mutex_;
  std::int64_t num_dropped_ GUARDED_BY(mutex_) = 0;
  bool line_is_cut_ GUARDED_BY(mutex_) = false;  // the last one's end was dropped
};

}  // namespace pippin
