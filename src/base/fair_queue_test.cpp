#include "base/fair_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace pippin {
namespace {

std::vector<int> take_all(FairQueue<int>& queue) {
  std::vector<int> order;
  while (auto turn = queue.pop()) {
    order.push_back(turn->task);
    queue.finished(turn->owner);
  }
  return order;
}

TEST(FairQueue, OwnersTakeTurns) {
  FairQueue<int> queue;
  for (int i = 0; i < 4; ++i) queue.push({"many", "1"}, i);
  queue.push({"few", "2"}, 10);
  queue.push({"few", "2"}, 11);
  EXPECT_EQ(queue.size(), 6u);
  EXPECT_EQ(take_all(queue), (std::vector<int>{0, 10, 1, 11, 2, 3}));
  EXPECT_TRUE(queue.empty());
}

TEST(FairQueue, SoDoAnOwnersConnections) {
  FairQueue<int> queue;
  for (int i = 0; i < 3; ++i) queue.push({"one", "a"}, i);
  queue.push({"one", "b"}, 10);
  queue.push({"two", "c"}, 20);
  EXPECT_EQ(take_all(queue), (std::vector<int>{0, 20, 10, 1, 2}));
}

TEST(FairQueue, WhoHasTheFewestRunningIsNext) {
  FairQueue<int> queue;
  for (int i = 0; i < 3; ++i) queue.push({"busy", ""}, i);
  EXPECT_EQ(queue.pop()->task, 0);
  EXPECT_EQ(queue.pop()->task, 1);
  queue.push({"new", ""}, 10);
  queue.push({"new", ""}, 11);
  EXPECT_EQ(queue.pop()->task, 10);
  EXPECT_EQ(queue.pop()->task, 11);
}

TEST(FairQueue, AnOwnerRunsSoManyAtMost) {
  FairQueue<int> queue(2);
  for (int i = 0; i < 3; ++i) queue.push({"one", ""}, i);
  const auto first = queue.pop();
  EXPECT_EQ(first->task, 0);
  EXPECT_EQ(queue.pop()->task, 1);
  EXPECT_FALSE(queue.pop());
  EXPECT_FALSE(queue.empty());
  queue.finished(first->owner);
  EXPECT_EQ(queue.pop()->task, 2);
}

}  // namespace
}  // namespace pippin
