// What every other folder relies on where memory runs out: each allocation fails in turn.
#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/byte_budget.h"
#include "base/failing_memory_testing.h"
#include "base/fair_queue.h"
#include "base/files.h"
#include "base/folder.h"
#include "base/insist.h"
#include "base/thread_pool.h"

namespace pippin {
namespace {

// Longer than what a string holds in itself.
Client client_of(int number) {
  const std::string name = "a client whose name takes memory of its own: ";
  return {name + std::to_string(number), name + "connection"};
}

// Someone who waits for bytes and takes none to get them.
struct Waiter {
  std::optional<ByteBudget::Lease> got;
  bool wanted = true;

  void take(ByteBudget& budget, int number, std::int64_t bytes) {
    budget.take(
        client_of(number), bytes, [this] { return wanted; },
        [this](ByteBudget::Lease lease) { got = std::move(lease); });
  }
};

TEST(NoMemory, BytesThatComeBackGoToThoseWhoWait) {
  const auto count = for_each_allocation([](std::int64_t number) {
    ByteBudget budget(100);
    Waiter holder;
    std::array<Waiter, 6> waiters;
    holder.take(budget, 0, 100);
    for (std::size_t i = 0; i < waiters.size(); ++i)
      waiters[i].take(budget, static_cast<int>(i % 3), 25);
    for (const std::size_t gone : {0u, 3u}) waiters[gone].wanted = false;
    bool failed = false;
    {
      const FailingMemory memory(number, FailingMemory::Of::this_thread, 1000);
      holder.got.reset();
      failed = memory.has_failed();
    }
    for (const std::size_t i : {1u, 2u, 4u, 5u}) EXPECT_TRUE(waiters[i].got) << i;
    EXPECT_EQ(budget.stats().waiting, 0);
    EXPECT_EQ(budget.stats().used, 100);
    return failed;
  });
  EXPECT_EQ(count, 0) << "what comes back in a destructor may take no memory";
}

TEST(NoMemory, WhoCanNotWaitForBytesIsToldSoAlone) {
  const auto count = for_each_allocation([](std::int64_t number) {
    ByteBudget budget(100);
    Waiter holder, late;
    std::array<Waiter, 2> waiters;
    holder.take(budget, 0, 100);
    for (Waiter& waiter : waiters) waiter.take(budget, 1, 10);
    bool failed = false, told = false;
    {
      const FailingMemory memory(number);
      try {
        late.take(budget, 2, 10);
      } catch (const std::bad_alloc&) {
        told = true;
      }
      failed = memory.has_failed();
    }
    EXPECT_EQ(told, failed);
    EXPECT_EQ(budget.stats().waiting, told ? 2 : 3);
    holder.got.reset();
    for (const Waiter& waiter : waiters) EXPECT_TRUE(waiter.got);
    EXPECT_EQ(late.got.has_value(), !told);
    return failed;
  });
  EXPECT_GT(count, 3);
}

TEST(NoMemory, ACallbackThatFailsKeepsNoBytesAndHoldsUpNobody) {
  ByteBudget budget(100);
  Waiter holder, last;
  holder.take(budget, 0, 100);
  budget.take(client_of(1), 100, {}, [](const ByteBudget::Lease&) { throw std::bad_alloc(); });
  last.take(budget, 2, 100);
  holder.got.reset();
  EXPECT_TRUE(last.got);
}

TEST(NoMemory, AQueueGivesEachTaskOnceAndInTurn) {
  const auto count = for_each_allocation([](std::int64_t number) {
    FairQueue<int> queue;
    int pushed = 0;
    bool failed = false;
    {
      std::array<Client, 3> clients{client_of(0), client_of(1), client_of(2)};
      const FailingMemory memory(number);
      for (int i = 0; i < 6; ++i) try {
          queue.push(clients[static_cast<std::size_t>(i % 3)], i);
          ++pushed;
        } catch (const std::bad_alloc&) {
        }
      failed = memory.has_failed();
    }
    EXPECT_EQ(pushed, failed ? 5 : 6);
    EXPECT_EQ(queue.size(), static_cast<std::size_t>(pushed));
    const FailingMemory none(0);
    int popped = 0;
    while (const auto turn = queue.pop()) {
      queue.finished(turn->owner);
      ++popped;
    }
    EXPECT_FALSE(none.has_failed()) << "taking a turn takes no memory";
    EXPECT_EQ(popped, pushed);
    return failed;
  });
  EXPECT_GT(count, 10);
}

TEST(NoMemory, AThreadPoolDoesWhatItWasGiven) {
  const auto count = for_each_allocation([](std::int64_t number) {
    std::atomic<int> done = 0;
    bool failed = false;
    {
      ThreadPool pool({.num_threads = 1, .max_per_owner = 1});
      for (int i = 0; i < 4; ++i) pool.post(client_of(i), [&done] { ++done; });
      const FailingMemory memory(number, FailingMemory::Of::other_threads, 3);
      while (done < 4) std::this_thread::yield();
      failed = memory.has_failed();
    }
    EXPECT_EQ(done, 4);
    return failed;
  });
  EXPECT_EQ(count, 0) << "its threads take no memory of their own";
}

TEST(NoMemory, AFolderIsListedOrNot) {
  const auto folder =
      std::filesystem::path(::testing::TempDir()) / ("pippin_listed_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::string name = "a name that is longer than what a string holds in itself";
  for (const char* end : {"1", "2"}) write_file(folder / (name + end), "");
  const auto count = for_each_allocation([&](std::int64_t number) {
    std::size_t seen = 0;
    bool listed = false;
    const FailingMemory memory(number);
    listed = attempt([&] {
      for_each_name(folder, [&](const std::string& each) { seen += each.starts_with(name); });
    });
    EXPECT_EQ(listed, !memory.has_failed());
    EXPECT_TRUE(seen == 2 || !listed);
    return memory.has_failed();
  });
  EXPECT_GE(count, 1);
  std::filesystem::remove_all(folder);
  for_each_name(folder, [](const std::string&) { ADD_FAILURE() << "it is not there"; });
}

}  // namespace
}  // namespace pippin
