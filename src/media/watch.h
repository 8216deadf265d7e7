// What decoding one file may cost. Internal to media/.
#pragma once

#include <functional>
#include <string_view>

namespace pippin::media {

/// CPU seconds that this thread has taken.
double thread_seconds();

/// Counts from when it is made, for the thread that made it. Refers to `wanted`, which must outlive it.
class Watch {
 public:
  /// seconds: of this thread's CPU time; wanted: as ImageLimits::wanted.
  Watch(double seconds, const std::function<bool()>& wanted)
      : end_(thread_seconds() + seconds), wanted_(wanted) {}

  /// To be called often. Throws Error(payload_too_large) once the time is over, Error(cancelled) once nobody wants the result.
  /// `format` names the decoder in errors.
  void check(std::string_view format) const;

  /// The same for libraries that no exception may pass.
  bool over() const noexcept;

  /// Seconds of CPU time that are left.
  double left() const { return end_ - thread_seconds(); }

 private:
  bool wanted() const { return !wanted_ || wanted_(); }

  double end_;
  const std::function<bool()>& wanted_;
};

}  // namespace pippin::media
