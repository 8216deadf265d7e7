#include "base/pause.h"

#include <utility>

namespace pippin {
namespace {

thread_local const std::function<void()>* current = nullptr;

}  // namespace

Pauses::Pauses(const std::function<void()>& pause) : before_(std::exchange(current, &pause)) {}

Pauses::~Pauses() { current = before_; }

void pause_point() {
  if (current) (*current)();
}

}  // namespace pippin
