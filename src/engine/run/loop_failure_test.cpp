// What goes wrong on the engine's thread: memory that runs out, steps that hang, readers that don't read, time that is up.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <thread>

#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;
using std::chrono::milliseconds;

std::vector<std::int32_t> alone(unsigned words) {
  return answer(*make_loop({}), make_sequence(20, words));
}

void expect_all_pages_back(const Loop& loop) {
  const auto stats = idle_stats(loop);
  EXPECT_EQ(stats.sequences_running + stats.sequences_waiting, 0);
  EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
}

TEST(LoopFailure, AnAllocationFailureEndsItsStepsSequencesAlone) {
  std::vector<std::vector<std::int32_t>> expected;
  for (unsigned i = 0; i < 8; ++i) expected.push_back(alone(i));
  int step = 0, failed = 0;
  const auto loop = make_loop({.before_step = [&] {
    if (++step % 5 == 0) throw std::bad_alloc();
  }});
  for (int round = 0; round < 10; ++round) {
    std::vector<std::shared_ptr<Sequence>> sequences;
    for (unsigned i = 0; i < 8; ++i) {
      sequences.push_back(make_sequence(20, i));
      loop->submit(sequences.back());
    }
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      try {
        EXPECT_EQ(read_all(*sequences[i]), expected[i]);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unavailable);
        ++failed;
      }
    }
  }
  EXPECT_GT(failed, 0);
  EXPECT_TRUE(loop->stats().healthy);
  EXPECT_GT(loop->stats().step.failed, 0);
  expect_all_pages_back(*loop);
}

// Another sequence's step fails, and then there is no memory for new pools as long as `missing` says.
struct MissingMemory {
  explicit MissingMemory(int times) : missing(times) {
    loop = make_loop({.before_step =
                          [this] {
                            if (fail_step.exchange(false)) throw std::bad_alloc();
                          },
                      .before_reset =
                          [this] {
                            ++asked;
                            if (missing > 0 && missing-- > 0) throw std::bad_alloc();
                          }});
  }
  void fail_one() {
    fail_step = true;
    EXPECT_THROW(answer(*loop, make_sequence(20, 3)), Error);
  }

  std::atomic<bool> fail_step = false;
  std::atomic<int> missing, asked = 0;
  std::unique_ptr<Loop> loop;
};

TEST(LoopFailure, PoolsAreMadeInPlaceOfTheCaches) {
  MissingMemory memory(1);
  answer(*memory.loop, make_sequence(20, 1, {5}));
  EXPECT_GT(memory.loop->stats().media_cache_bytes, 0);
  memory.fail_one();
  EXPECT_EQ(answer(*memory.loop, make_sequence(20, 1)), alone(1));
  EXPECT_EQ(memory.asked, 2);
  EXPECT_TRUE(memory.loop->stats().healthy);
  EXPECT_EQ(memory.loop->stats().media_cache_bytes, 0);
  expect_all_pages_back(*memory.loop);
}

TEST(LoopFailure, WithoutPoolsItIsUnhealthyUntilThereIsMemory) {
  constexpr int always = 1 << 30;
  MissingMemory memory(always);
  memory.fail_one();
  for (int i = 0; i < 2; ++i) {
    try {
      answer(*memory.loop, make_sequence(20, 1));
      FAIL() << "it has no pools";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
      EXPECT_NE(std::string(error.what()).find("no memory"), std::string::npos) << error.what();
    }
    const auto stats = memory.loop->stats();
    EXPECT_FALSE(stats.healthy);
    EXPECT_NE(stats.trouble.find("no memory"), std::string::npos) << stats.trouble;
  }
  memory.missing = 0;
  // By itself: whoever looks at its health may send it nothing before.
  for (int i = 0; i < 5000 && !memory.loop->stats().healthy; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_TRUE(memory.loop->stats().healthy);
  EXPECT_EQ(memory.loop->stats().trouble, "");
  EXPECT_EQ(answer(*memory.loop, make_sequence(20, 1)), alone(1));
  expect_all_pages_back(*memory.loop);
}

TEST(LoopFailure, AStepThatHangsIsUnhealthyUntilItEnds) {
  std::atomic<bool> hang = true;
  const auto loop = make_loop({.before_step =
                                   [&] {
                                     while (hang) std::this_thread::sleep_for(milliseconds(1));
                                   },
                               .stuck_after_s = 0.05});
  EXPECT_TRUE(loop->stats().healthy);  // without work nothing is late
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_TRUE(loop->stats().healthy);
  const auto sequence = make_sequence(20, 1);
  loop->submit(sequence);
  for (int i = 0; i < 5000 && loop->stats().healthy; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_FALSE(loop->stats().healthy);
  EXPECT_NE(loop->stats().trouble, "");
  hang = false;
  EXPECT_EQ(read_all(*sequence), alone(1));
  EXPECT_TRUE(loop->stats().healthy);
}

TEST(LoopFailure, AReaderThatComesBackGetsTheWholeAnswer) {
  const auto expected = alone(1);
  const auto loop = make_loop({});
  const auto sequence = make_sequence(20, 1);
  sequence->output->stall_at(3);
  loop->submit(sequence);
  for (int i = 0; i < 5000 && loop->stats().sequences_held == 0; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(loop->stats().sequences_held, 1);
  EXPECT_EQ(answer(*loop, make_sequence(20, 2)), alone(2));
  std::this_thread::sleep_for(milliseconds(20));
  const auto steps = loop->stats().steps;
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(loop->stats().steps, steps);  // it rests
  EXPECT_EQ(read_all(*sequence), expected);
  expect_all_pages_back(*loop);
}

// The engine's thread sleeps by then: nobody reads, and there is nothing else to do.
TEST(LoopFailure, TimeIsUpWhileTheEngineRests) {
  const auto loop = make_loop({});
  const auto sequence = make_sequence(20, 1);
  sequence->output->stall_at(3);
  sequence->deadline_ms = steady_ms() + 300;
  loop->submit(sequence);
  for (int i = 0; i < 5000 && loop->stats().sequences_held == 0; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(loop->stats().sequences_held, 1);
  expect_all_pages_back(*loop);  // waits for that
  try {
    read_all(*sequence);
    FAIL() << "it has no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::deadline_exceeded);
  }
}

}  // namespace
}  // namespace pippin::engine
