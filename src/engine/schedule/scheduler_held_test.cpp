// Sequences whose readers are too slow, and those that take too long.
#include <gtest/gtest.h>

#include <random>

#include "engine/schedule/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

std::shared_ptr<Sequence> unread(std::vector<std::int32_t> prompt, std::int64_t max_tokens,
                                 std::size_t stall_at = 4) {
  auto sequence = make_sequence(std::move(prompt), max_tokens);
  sequence->output->stall_at(stall_at);
  return sequence;
}

// Steps until nothing is planned any more.
void run_until_quiet(Machine& m) {
  for (int steps = 0; !m.step().empty(); ++steps) ASSERT_LT(steps, 10000);
}

TEST(SchedulerHeld, ASlowReaderStopsItsOwnSequenceOnly) {
  Machine m(64, {64, 4});
  auto slow = unread(count_up(9), 20), other = make_sequence(count_up(7, 50), 20);
  m.scheduler.add(slow);
  m.scheduler.add(other);
  run_until_quiet(m);
  EXPECT_EQ(slow->num_generated(), 4);
  EXPECT_EQ(m.scheduler.num_stalled(), 1u);
  EXPECT_FALSE(slow->pages.empty());
  EXPECT_EQ(answer_of(*other), expected_answer(count_up(7, 50), 20));
  EXPECT_FALSE(m.scheduler.idle());
}

TEST(SchedulerHeld, GoesOnOnceItsReaderHasCaughtUp) {
  Machine m(64, {64, 4});
  auto slow = unread(count_up(9), 20);
  m.scheduler.add(slow);
  std::vector<std::int32_t> answer;
  while (!m.scheduler.idle()) {
    run_until_quiet(m);
    const auto some = answer_of(*slow);
    answer.insert(answer.end(), some.begin(), some.end());
  }
  EXPECT_EQ(answer, expected_answer(count_up(9), 20));
  EXPECT_EQ(m.scheduler.counters().preemptions, 0);
}

// Though it came first.
TEST(SchedulerHeld, IsPreemptedFirstWhenPagesRunOut) {
  Machine m(8, {64, 8}, false);
  auto slow = unread(count_up(8), 16);
  m.scheduler.add(slow);
  run_until_quiet(m);
  auto other =
      make_sequence(count_up(8, 50), 20);  // seven pages in the end; three are the slow one's
  m.scheduler.add(other);
  run_until_quiet(m);
  EXPECT_EQ(answer_of(*other), expected_answer(count_up(8, 50), 20));
  EXPECT_EQ(m.scheduler.counters().preemptions, 1);
  EXPECT_TRUE(slow->pages.empty());
  std::vector<std::int32_t> answer;
  while (!m.scheduler.idle()) {
    const auto some = answer_of(*slow);
    answer.insert(answer.end(), some.begin(), some.end());
    run_until_quiet(m);
  }
  const auto rest = answer_of(*slow);
  answer.insert(answer.end(), rest.begin(), rest.end());
  EXPECT_EQ(answer, expected_answer(count_up(8), 16));
}

TEST(SchedulerHeld, GivesItsPlaceToThoseThatWait) {
  Machine m(64, {64, 2});
  for (int i = 0; i < 2; ++i) m.scheduler.add(unread(count_up(8, 10 * i + 1), 16));
  run_until_quiet(m);
  EXPECT_EQ(m.scheduler.num_running(), 2u);
  auto other = make_sequence(count_up(8, 50), 5);
  m.scheduler.add(other);
  run_until_quiet(m);
  EXPECT_EQ(answer_of(*other), expected_answer(count_up(8, 50), 5));
  EXPECT_EQ(m.scheduler.num_stalled(), 2u);
}

TEST(SchedulerHeld, ACancelledOneIsGoneInTheNextStep) {
  Machine m(16, {64, 2});
  auto slow = unread(count_up(8), 16);
  m.scheduler.add(slow);
  run_until_quiet(m);
  slow->output->cancel();
  m.step();
  EXPECT_TRUE(m.scheduler.idle());
  EXPECT_EQ(m.pages.num_available(), 16);
}

TEST(SchedulerDeadline, EndsWhatTakesTooLongRunningOrWaiting) {
  double now_ms = 0;
  SchedulerOptions options{64, 1};
  options.now_ms = [&] { return now_ms; };
  Machine m(64, options);
  auto running = make_sequence(count_up(9), 100), waiting = make_sequence(count_up(3), 100),
       patient = make_sequence(count_up(5), 3);
  running->deadline_ms = 50;
  waiting->deadline_ms = 40;
  for (const auto& sequence : {running, waiting, patient}) m.scheduler.add(sequence);
  EXPECT_EQ(m.scheduler.earliest_deadline_ms(), 40);
  for (; now_ms < 60; now_ms += 10) m.step();
  for (const auto& sequence : {running, waiting}) {
    try {
      answer_of(*sequence);
      FAIL() << "it has no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::deadline_exceeded);
    }
  }
  m.run_dry();
  EXPECT_EQ(answer_of(*patient), expected_answer(count_up(5), 3));
  EXPECT_EQ(m.pages.num_available(), 64);
}

// Readers of every speed, pools that are too small: answers are those of sequences alone, and no page is lost.
TEST(SchedulerHeld, AnswersAreTheSameWhoeverReadsHowFast) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const int num_pages = 14 + static_cast<int>(random() % 30);
    Machine m(num_pages, {4 + static_cast<int>(random() % 30), 1 + static_cast<int>(random() % 5)},
              random() % 3 != 0);
    std::vector<std::shared_ptr<Sequence>> sequences;
    std::vector<std::vector<std::int32_t>> prompts, answers;
    for (int i = 0; i < 12; ++i) {
      prompts.push_back(
          count_up(1 + static_cast<int>(random() % 20), 1 + static_cast<int>(random() % 3)));
      sequences.push_back(
          unread(prompts.back(), 1 + static_cast<std::int64_t>(random() % 20), random() % 6));
      m.scheduler.add(sequences.back());
    }
    answers.resize(sequences.size());
    for (int steps = 0; !m.scheduler.idle(); ++steps) {
      ASSERT_LT(steps, 20000) << "seed " << seed;
      m.step();
      const auto reader = random() % sequences.size();
      if (const auto event = sequences[reader]->output->poll(); event && !event->finish)
        answers[reader].push_back(event->token);
    }
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const auto rest = answer_of(*sequences[i]);
      answers[i].insert(answers[i].end(), rest.begin(), rest.end());
      ASSERT_EQ(answers[i], expected_answer(prompts[i], sequences[i]->max_tokens))
          << "seed " << seed;
    }
    ASSERT_EQ(m.pages.num_available(), num_pages) << "seed " << seed;
  }
}

}  // namespace
}  // namespace pippin::engine
