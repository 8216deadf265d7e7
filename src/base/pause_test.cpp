#include "base/pause.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>

namespace pippin {
namespace {

TEST(Pauses, TheInnermostOfThisThreadIsCalled) {
  int outer = 0, inner = 0;
  const std::function<void()> first = [&] { ++outer; }, second = [&] { ++inner; };
  pause_point();
  const Pauses pauses(first);
  pause_point();
  {
    const Pauses within(second);
    pause_point();
    pause_point();
  }
  pause_point();
  std::thread(pause_point).join();
  EXPECT_EQ(outer, 2);
  EXPECT_EQ(inner, 2);
}

}  // namespace
}  // namespace pippin
