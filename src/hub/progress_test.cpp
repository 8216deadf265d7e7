#include "hub/progress.h"

#include <gtest/gtest.h>

#include <vector>

namespace pippin::hub {
namespace {

using namespace std::chrono_literals;

class ProgressTest : public ::testing::Test {
 protected:
  Screen screen(bool terminal) {
    return {terminal, [this](const std::string& line) { lines_.push_back(line); },
            [this] { ++clears_; }};
  }
  Progress::Now now() {
    return [this] { return now_; };
  }

  Progress::Clock::time_point now_{1000s};
  std::vector<std::string> lines_;
  int clears_ = 0;
};

TEST_F(ProgressTest, ATerminalSeesRateAndTimeLeft) {
  {
    Progress progress("o/n", screen(true), now());
    progress.expect(1'000'000'000);
    progress.found(100'000'000);
    progress.arrived(0);
    for (int i = 0; i < 10; ++i) {
      now_ += 100ms;
      progress.arrived(10'000'000);
    }
  }
  EXPECT_EQ(lines_.size(), 11u);
  EXPECT_EQ(lines_.front(), "o/n: 100 MB of 1.00 GB, 10 %");
  EXPECT_EQ(lines_.back(), "o/n: 200 MB of 1.00 GB, 20 %, 100 MB/s, 8 s left");
  EXPECT_EQ(clears_, 1);
}

TEST_F(ProgressTest, ALogSeesALineNowAndThen) {
  Progress progress("o/n", screen(false), now());
  progress.expect(1'000'000);
  for (int i = 0; i < 100; ++i) {
    now_ += 100ms;
    progress.arrived(1000);
  }
  EXPECT_EQ(lines_.size(), 1u);
  EXPECT_EQ(progress.num_arrived(), 100'000);
}

TEST_F(ProgressTest, WhatCameInVainIsTakenBack) {
  Progress progress("o/n", screen(true), now());
  progress.expect(1000);
  progress.arrived(400);
  now_ += 1s;
  progress.arrived(-400);
  EXPECT_EQ(lines_.back(), "o/n: 0 bytes of 1.00 KB, 0 %");
}

TEST(Readable, NumbersAreShort) {
  EXPECT_EQ(readable_bytes(0), "0 bytes");
  EXPECT_EQ(readable_bytes(999), "999 bytes");
  EXPECT_EQ(readable_bytes(1500), "1.50 KB");
  EXPECT_EQ(readable_bytes(335'432'123), "335 MB");
  EXPECT_EQ(readable_bytes(12'345'678'901), "12.3 GB");
  EXPECT_EQ(readable_bytes(999'600), "1.00 MB");
  EXPECT_EQ(readable_time(4.2), "5 s");
  EXPECT_EQ(readable_time(61), "1 min 1 s");
  EXPECT_EQ(readable_time(7325), "2 h 2 min");
}

}  // namespace
}  // namespace pippin::hub
