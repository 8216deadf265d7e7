// Sequences of a model that has layers with a window: the fake model reads every token that a row sees there.
#include "engine/schedule/window_placement.h"

#include <gtest/gtest.h>

#include "engine/schedule/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

constexpr int window = 6, batch = 8;
constexpr WindowNeeds needs{window, page_size, batch};

// With as many window pages as so many sequences may need.
struct WindowMachine : Machine {
  explicit WindowMachine(int sequences, Disk* disk = nullptr, bool reuse = true)
      : Machine(100, {batch, 4}, reuse, 0, disk, window,
                sequences * needs.of_sequence() + needs.of_steps()) {}

  /// Returns how many tokens were cached.
  std::int64_t answer(const std::vector<std::int32_t>& prompt, std::int64_t max_tokens = 6) {
    const auto sequence = make_sequence(prompt, max_tokens);
    scheduler.add(sequence);
    run_dry();
    EXPECT_EQ(answer_of(*sequence), expected_answer(prompt, max_tokens));
    return sequence->output->cached_tokens();
  }
};

TEST(WindowPlacement, ALongContextUsesTheWindowAlone) {
  WindowMachine m(1);
  m.overlap = true;
  const auto sequence = make_sequence(count_up(200), 100);
  m.scheduler.add(sequence);
  while (!m.scheduler.idle()) {
    m.step();
    EXPECT_LE(m.windows.num_pages() - m.windows.num_free() - m.windows.num_cached(),
              needs.of_sequence() + needs.of_steps());
  }
  m.land();
  EXPECT_EQ(answer_of(*sequence), expected_answer(count_up(200), 100));
  EXPECT_LT(m.windows.num_pages(), 300 / page_size / 3);
}

TEST(WindowPlacement, RunsAsManyAtOnceAsHaveRoom) {
  WindowMachine m(2);
  for (int i = 0; i < 4; ++i) m.scheduler.add(make_sequence(count_up(30, 100 * i), 20));
  std::size_t most = 0;
  while (!m.scheduler.idle()) {
    m.step();
    most = std::max(most, m.scheduler.num_running());
  }
  EXPECT_EQ(most, 2u);
}

TEST(WindowPlacement, ShortContextsTakeNoMoreThanTheirPages) {
  WindowMachine m(2);
  for (int i = 0; i < 4; ++i) m.scheduler.add(make_sequence(count_up(3, 100 * i), 3));
  std::size_t most = 0;
  while (!m.scheduler.idle()) {
    m.step();
    most = std::max(most, m.scheduler.num_running());
  }
  EXPECT_EQ(most, 4u);
}

TEST(WindowPlacement, ASecondTurnGoesOnFromTheEndOfTheFirst) {
  for (const int length : {20, 21, 22, 23}) {
    WindowMachine m(2);
    const auto prompt = count_up(length);
    m.answer(prompt);
    m.answer(count_up(40, 500));  // another's, between
    auto longer = prompt;
    for (const auto token : expected_answer(prompt, 6)) longer.push_back(token);
    longer.push_back(9);
    EXPECT_EQ(m.answer(longer), length + 5) << length;
    // Where the answer's last words are put otherwise, too.
    longer.resize(longer.size() - 3);
    longer.insert(longer.end(), {7, 7, 7});
    EXPECT_GE(m.answer(longer), length + 5 - 2 - page_size) << length;
  }
}

TEST(WindowPlacement, TheEndOfAPromptIsKeptWhileItsAnswerGoesOn) {
  WindowMachine m(1);
  const auto prompt = count_up(40);
  m.answer(prompt, 60);
  auto other = prompt;
  other.push_back(900);
  EXPECT_GE(m.answer(other), 36);
}

// The pages are cached, but the window in the middle of them is gone: it is computed again, with all after it.
TEST(WindowPlacement, APrefixWithoutItsWindowIsComputedAgain) {
  WindowMachine m(1);
  m.answer(count_up(160));
  auto parts = count_up(80);
  parts.push_back(900);
  EXPECT_LT(m.answer(parts), 80);
  EXPECT_EQ(m.answer(parts), 80) << "now it is there";
}

// Whatever is computed in between.
TEST(WindowPlacement, WherePromptsPartOnceOthersMayPartToo) {
  WindowMachine m(3);
  m.answer(count_up(160));
  m.answer(count_up(80, 2000));
  for (const int last : {900, 901, 902}) {
    auto parts = count_up(80);
    parts.push_back(last);
    const auto cached = m.answer(parts);
    if (last > 900) {
      EXPECT_EQ(cached, 80) << last;
    }
    m.answer(count_up(80, 10 * last));
  }
}

TEST(WindowPlacement, NothingIsSharedWithoutReuse) {
  WindowMachine m(2, nullptr, false);
  m.answer(count_up(30));
  EXPECT_EQ(m.answer(count_up(30)), 0);
}

TEST(WindowPlacement, APromptGoesOnFromDisk) {
  Disk disk;
  {
    WindowMachine m(2, &disk);
    m.answer(count_up(50));
  }
  disk.latency = 1;
  WindowMachine m(2, &disk);
  EXPECT_EQ(m.answer(count_up(50)), 48);
}

// It comes a page a step, since an answer goes on, and a long prompt is computed meanwhile.
TEST(WindowPlacement, WhatComesFromDiskStaysUntilAllHasCome) {
  constexpr WindowNeeds large{40, page_size, 32};
  const int num_window_pages = 3 * large.of_sequence() + large.of_steps();
  SchedulerOptions options{large.max_batch_tokens, 4};
  options.placement.max_loads_beside = 1;
  Disk disk;
  const auto prompt = count_up(120);
  {
    Machine m(100, options, true, 0, &disk, large.window, num_window_pages);
    m.scheduler.add(make_sequence(prompt, 2));
    m.run_dry();
  }
  Machine m(1000, options, true, 0, &disk, large.window, num_window_pages);
  m.scheduler.add(make_sequence(count_up(3, 9000), 100));
  m.step();
  m.step();
  m.scheduler.add(make_sequence(count_up(1500, 2000), 1));
  const auto sequence = make_sequence(prompt, 2);
  sequence->priority = -1;
  m.scheduler.add(sequence);
  m.run_dry();
  EXPECT_EQ(answer_of(*sequence), expected_answer(prompt, 2));
  EXPECT_EQ(sequence->output->cached_tokens(), 116);
}

// The pages are on disk, but no window with the last of them.
TEST(WindowPlacement, WhereTheWindowIsNotOnDiskTheRestIsComputed) {
  Disk disk;
  {
    WindowMachine m(2, &disk);
    m.answer(count_up(50));
  }
  PageKey key = root_key;
  for (int i = 0; i < 12; ++i) {
    WindowMachine m(1);
    key = m.pages.key_of(key, {count_up(4, 4 * i + 1), {}, ""});
    if (i > 8) disk.pages.at(key).resize(page_size);
  }
  WindowMachine m(2, &disk);
  EXPECT_EQ(m.answer(count_up(50)), 36);
  for (auto& [unused, slots] : disk.pages) slots.resize(page_size);
  WindowMachine without(2, &disk);
  EXPECT_EQ(without.answer(count_up(50)), 0);
}

// Pages that are handed out anew still have the windows of what they held.
TEST(WindowPlacement, AnEvictedPagesWindowIsNobodyElses) {
  Disk disk;
  {
    WindowMachine m(2, &disk);
    m.answer(count_up(50));
  }
  for (auto& [unused, slots] : disk.pages) slots.resize(page_size);
  WindowMachine m(2, &disk);
  m.answer(count_up(50, 500));
  m.pages.forget_cached();
  EXPECT_EQ(m.answer(count_up(50)), 0);
}

}  // namespace
}  // namespace pippin::engine
