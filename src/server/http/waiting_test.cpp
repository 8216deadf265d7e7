// Which connection goes when there are too many that wait.
#include "server/http/waiting.h"

#include <gtest/gtest.h>

namespace pippin::server {
namespace {

using Stage = WaitingConnections::Stage;

WaitingConnections::Clock::time_point at(int ms) {
  return WaitingConnections::Clock::time_point{} + std::chrono::milliseconds(ms);
}

TEST(WaitingConnections, AnAddressHasSoManyAndItsOldestGoes) {
  WaitingConnections waiting(2);
  EXPECT_FALSE(waiting.add(1, "a", Stage::header, at(0)));
  EXPECT_FALSE(waiting.add(2, "a", Stage::header, at(1)));
  EXPECT_FALSE(waiting.add(3, "b", Stage::header, at(2)));
  EXPECT_EQ(waiting.add(4, "a", Stage::header, at(3)), 1u);
  EXPECT_EQ(waiting.add(5, "a", Stage::header, at(4)), 2u);
  // Those whose header is whole, and idle ones, count no more.
  waiting.remove(4);
  waiting.add(5, "a", Stage::idle, at(5));
  EXPECT_FALSE(waiting.add(6, "a", Stage::header, at(6)));
  EXPECT_FALSE(waiting.add(7, "a", Stage::header, at(7)));
  EXPECT_EQ(waiting.add(8, "a", Stage::header, at(8)), 6u);
}

TEST(WaitingConnections, TheOldestGoesWhateverItsAddress) {
  WaitingConnections waiting(9);
  EXPECT_FALSE(waiting.take_oldest(at(0)));
  waiting.add(1, "a", Stage::header, at(0));
  waiting.add(2, "b", Stage::idle, at(1));
  waiting.add(3, "a", Stage::header, at(2));
  EXPECT_EQ(waiting.take_oldest(at(3)), 1u);
  EXPECT_EQ(waiting.take_oldest(at(3)), 2u);
  EXPECT_EQ(waiting.take_oldest(at(3)), 3u);
  EXPECT_FALSE(waiting.take_oldest(at(3)));
}

TEST(WaitingConnections, ALateHeaderGoesBeforeIdleOnes) {
  WaitingConnections waiting(9);
  waiting.add(1, "a", Stage::idle, at(0));
  waiting.add(2, "a", Stage::header, at(10));
  waiting.add(3, "a", Stage::header, at(1000));
  EXPECT_EQ(waiting.take_oldest(at(1010)), 2u);
  EXPECT_EQ(waiting.take_oldest(at(1010)), 1u);
  waiting.remove(3);
  EXPECT_FALSE(waiting.take_oldest(at(1010)));
}

}  // namespace
}  // namespace pippin::server
