// Long work that lets others, who wait for its thread, go on between its parts.
#pragma once

#include <functional>

namespace pippin {

/// While it lives, pause_point() calls `pause` on this thread. One within another counts alone. `pause` must outlive it.
class Pauses {
 public:
  explicit Pauses(const std::function<void()>& pause);
  ~Pauses();
  Pauses(const Pauses&) = delete;
  Pauses& operator=(const Pauses&) = delete;

 private:
  const std::function<void()>* const before_;
};

/// Called by long work after each part, where it shares nothing that is half done with others on this thread. Where nobody waits it costs nothing.
void pause_point();

}  // namespace pippin
