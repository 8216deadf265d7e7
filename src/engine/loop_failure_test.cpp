// What goes wrong on the engine's thread: memory that runs out, steps that hang, readers that don't read, time that is up.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <new>
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
  hang = false;
  EXPECT_EQ(read_all(*sequence), alone(1));
  EXPECT_TRUE(loop->stats().healthy);
}

TEST(LoopFailure, AReaderThatComesBackGetsTheWholeAnswer) {
  const auto expected = alone(1);
  const auto loop = make_loop({});
  const auto sequence = make_sequence(20, 1);
  sequence->output->hold_at(3);
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
  sequence->output->hold_at(3);
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
