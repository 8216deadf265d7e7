#include "media/watch.h"

#include <ctime>
#include <string>

#include "pippin/error.h"

namespace pippin::media {

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void Watch::check(std::string_view format) const {
  if (!over()) return;
  const std::string where = "[" + std::string(format) + "] ";
  if (!wanted()) throw Error(Code::cancelled, where + "nobody waits for it any more");
  throw Error(Code::payload_too_large, where + "decoding takes longer than is allowed");
}

bool Watch::over() const noexcept { return left() <= 0 || !wanted(); }

}  // namespace pippin::media
