// No memory is left on the engine's thread while it plans or commits a step: that step fails, and the engine goes on.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/failing_memory_testing.h"
#include "engine/disk/testing.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

// What the engine's thread allocates between two of the loop's callbacks, of all steps, counted through; one of these fails. Beside
// these MLX frees arrays, for which it takes memory of its own in destructors: nobody can save that.
class Starving {
 public:
  void begin(std::int64_t number) {
    left_ = number;
    failed_ = false;
    is_on_ = true;
  }
  void end() { is_on_ = false; }
  bool failed() const { return failed_; }

  // By the engine's thread.
  double open() {
    if (is_on_ && !failed_ && !memory_) memory_.emplace(left_);
    return steady_ms();
  }
  void close() {
    if (!memory_) return;
    failed_ = failed_ || memory_->has_failed();
    left_ -= memory_->num_seen();
    memory_.reset();
  }

 private:
  std::atomic<std::int64_t> left_ = 0;
  std::atomic<bool> failed_ = false, is_on_ = false;
  std::optional<FailingMemory> memory_;
};

std::shared_ptr<Sequence> short_sequence(unsigned words,
                                         const std::vector<unsigned>& pictures = {}) {
  auto sequence = make_sequence(40, words, pictures);
  sequence->max_tokens = 3;
  return sequence;
}

// Returns whether it was answered.
bool is_right_or_refused(const Sequence& sequence, const std::vector<std::int32_t>& expected) {
  try {
    EXPECT_EQ(read_all(sequence), expected);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable) << error.what();
    return false;
  }
}

// Every allocation of the first steps, fewer of the later ones, which are alike.
void expect_others_unharmed(Loop& loop, Starving& starving) {
  const auto first = answer(loop, short_sequence(1)), second = answer(loop, short_sequence(2)),
             third = answer(loop, short_sequence(3, {5}));
  int refused = 0, rounds = 0, failures = 0;
  for (std::int64_t number = 0;; number += 1 + number / 4, ++rounds) {
    ASSERT_LT(rounds, 100);
    const ::testing::ScopedTrace trace(__FILE__, __LINE__,
                                       "allocation " + std::to_string(number) + " fails");
    loop.clear_caches().get();
    starving.begin(number);
    const std::shared_ptr<Sequence> sequences[] = {short_sequence(1), short_sequence(2),
                                                   short_sequence(3, {5})};
    for (const auto& sequence : sequences) loop.submit(sequence);
    int refused_now = 0;
    refused_now += !is_right_or_refused(*sequences[0], first);
    refused_now += !is_right_or_refused(*sequences[1], second);
    refused_now += !is_right_or_refused(*sequences[2], third);
    starving.end();
    const auto last = short_sequence(2);  // as the window may still be open
    loop.submit(last);
    refused_now += !is_right_or_refused(*last, second);
    refused += refused_now;
    ASSERT_EQ(answer(loop, short_sequence(1)), first);
    const auto stats = idle_stats(loop);
    ASSERT_TRUE(stats.healthy) << stats.trouble;
    ASSERT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
    if (!starving.failed()) break;
    ++failures;
  }
  EXPECT_GT(failures, 10);
  EXPECT_GT(refused, 0);
}

TEST(LoopMemory, RunsOutWhileAStepIsPlanned) {
  Starving starving;
  const auto loop = make_loop({.before_step = [&] { starving.close(); },
                               .before_reset = [&] { starving.close(); },
                               .now_ms = [&] { return starving.open(); }});
  expect_others_unharmed(*loop, starving);
}

TEST(LoopMemory, RunsOutWhileAStepIsPlannedFromTheDisk) {
  const Folder folder;
  Starving starving;
  const auto loop = make_loop({.cache_dir = folder.path(),
                               .before_step = [&] { starving.close(); },
                               .before_reset = [&] { starving.close(); },
                               .now_ms = [&] { return starving.open(); }});
  expect_others_unharmed(*loop, starving);
}

TEST(LoopMemory, RunsOutWhileAStepIsCommitted) {
  Starving starving;
  const auto loop = make_loop({.on_step = [&](const StepRecord&) { starving.close(); },
                               .before_read = [&] { starving.open(); }});
  expect_others_unharmed(*loop, starving);
}

}  // namespace
}  // namespace pippin::engine
