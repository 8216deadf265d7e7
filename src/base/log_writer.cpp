#include "base/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace pippin {
namespace {

#ifdef F_SETPIPE_SZ
// What a pipe holds while its reader is busy with something else.
constexpr int pipe_bytes = 1 << 20;
#endif

}  // namespace

LogWriter::LogWriter(int fd) : fd_(fd) {
#ifdef F_SETPIPE_SZ
  ::fcntl(fd, F_SETPIPE_SZ, pipe_bytes);  // fails for all that is no pipe
#endif
}

bool LogWriter::write(std::string_view line) {
  const MutexLock lock(mutex_);
  if (line_is_cut_) line_is_cut_ = !write_now("\n");
  if (!line_is_cut_ && write_pieces(line)) return true;
  ++num_dropped_;
  return false;
}

bool LogWriter::write_pieces(std::string_view line) {
  for (bool begun = false; !line.empty(); begun = true) {
    // A pipe that can be written to has room for PIPE_BUF bytes.
    const std::string_view piece = line.substr(0, PIPE_BUF);
    if (!write_now(piece)) {
      line_is_cut_ = begun;
      return false;
    }
    line.remove_prefix(piece.size());
  }
  return true;
}

std::int64_t LogWriter::num_dropped() const {
  const MutexLock lock(mutex_);
  return num_dropped_;
}

bool LogWriter::has_room() const {
  pollfd wanted{fd_, POLLOUT, 0};
  return ::poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLOUT) != 0;
}

bool LogWriter::write_now(std::string_view text) {
  while (!text.empty()) {
    if (!has_room()) return false;
    const ssize_t written = ::write(fd_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;  // the reader has left, the disk is full
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace pippin
