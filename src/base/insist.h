// What becomes of work that there is no memory for: it must not be lost, or it may.
#pragma once

#include <chrono>
#include <new>
#include <thread>

#include "base/mutex.h"

namespace pippin {

/// Runs `work`, again and again until it gets the memory that it needs, and returns what it returns. For steps that others wait for and
/// that take little, as to hand a task over: what is large is refused elsewhere and gives its memory back.
template <class Work>
PIPPIN_UNCHECKED auto insist(const Work& work) -> decltype(work()) {
  constexpr std::chrono::milliseconds pause{1};
  for (;;) {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(pause);
    }
  }
}

/// Runs `work`; false where it got no memory. For what may be left out then, and changes nothing where it throws.
template <class Work>
PIPPIN_UNCHECKED bool attempt(const Work& work) {
  try {
    work();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace pippin
