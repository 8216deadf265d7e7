#include "base/timer.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace pippin {
namespace {

using std::chrono::milliseconds;

TEST(Timer, CallsInOrderOfTheirTimesAndNotBefore) {
  Timer timer;
  const auto start = Timer::Clock::now();
  std::vector<int> order;
  std::promise<void> done;
  timer.call_at(start + milliseconds(40), [&] {
    order.push_back(2);
    done.set_value();
  });
  timer.call_at(start + milliseconds(20), [&] { order.push_back(1); });
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_GE(Timer::Clock::now() - start, milliseconds(40));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(Timer, MakesNoCallThatWasTakenBack) {
  Timer timer;
  const auto start = Timer::Clock::now();
  bool called = false;
  std::promise<void> done;
  const auto id = timer.call_at(start + milliseconds(10), [&] { called = true; });
  timer.call_at(start + milliseconds(30), [&] { done.set_value(); });
  timer.cancel(id);
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_FALSE(called);
}

TEST(Timer, SurvivesACallThatThrowsAndDropsTheRest) {
  bool called = false;
  {
    Timer timer;
    std::promise<void> done;
    timer.call_at({}, [] { throw std::runtime_error("boom"); });
    timer.call_at({}, [&] { done.set_value(); });
    timer.call_at(Timer::Clock::now() + std::chrono::hours(1), [&] { called = true; });
    ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace pippin
