// Sequences whose prefix goes on on disk.
#include <gtest/gtest.h>

#include "engine/schedule/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

// Leaves the pages of this prompt and its answer on the disk.
void compute(Disk& disk, int prompt, std::int64_t max_tokens) {
  Machine m(64, {64, 4}, true, 0, &disk);
  m.scheduler.add(make_sequence(count_up(prompt), max_tokens));
  m.run_dry();
}

TEST(ColdPages, PagesOnDiskAreNotComputedAgain) {
  Disk disk;
  compute(disk, 30, 6);
  EXPECT_EQ(disk.pages.size(), 8u);  // 35 tokens were computed
  disk.latency = 1;
  Machine m(64, {64, 4}, true, 0, &disk);
  auto again = make_sequence(count_up(30), 6);
  m.scheduler.add(again);
  EXPECT_TRUE(m.step().empty());  // asked for
  EXPECT_EQ(m.scheduler.num_running(), 1u);
  Batch batch;
  while ((batch = m.step()).empty()) continue;
  EXPECT_EQ(batch.num_tokens, 2);  // of 30; the last page is never on disk whole
  m.run_dry();
  EXPECT_EQ(answer_of(*again), expected_answer(count_up(30), 6));
  EXPECT_EQ(again->output->cached_tokens(), 28);
  EXPECT_EQ(m.scheduler.counters().cached_tokens, 28);
  EXPECT_EQ(m.cold->num_outstanding(), 0u);
  EXPECT_EQ(m.cold->last_used.size(), 8u);
  EXPECT_EQ(m.cold->last_used.front(), m.pages.key_of(root_key, {count_up(4), {}, ""}));
  m.scheduler.add(make_sequence(count_up(30), 6));
  m.run_dry();
  EXPECT_EQ(m.cold->num_loads, 7) << "now they are in memory";
}

TEST(ColdPages, ALongerPromptGoesOnFromDisk) {
  Disk disk;
  compute(disk, 10, 3);
  Machine m(64, {64, 4}, true, 0, &disk);
  auto longer = make_sequence(count_up(40), 3);
  m.scheduler.add(longer);
  m.run_dry();
  EXPECT_EQ(answer_of(*longer), expected_answer(count_up(40), 3));
  EXPECT_EQ(longer->output->cached_tokens(), 8);
}

TEST(ColdPages, OthersGoOnWhilePagesAreRead) {
  Disk disk;
  compute(disk, 20, 1);
  disk.latency = 3;
  Machine m(64, {64, 4}, true, 0, &disk);
  auto reading = make_sequence(count_up(20), 4), other = make_sequence(count_up(9, 50), 20);
  m.scheduler.add(reading);
  m.scheduler.add(other);
  for (int i = 0; i < 3; ++i) {
    const auto batch = m.step();
    ASSERT_EQ(batch.chunks.size(), 1u);
    EXPECT_EQ(batch.chunks[0].sequence, other);
  }
  m.run_dry();
  EXPECT_EQ(answer_of(*reading), expected_answer(count_up(20), 4));
  EXPECT_EQ(answer_of(*other), expected_answer(count_up(9, 50), 20));
  EXPECT_EQ(reading->output->cached_tokens(), 16);
}

TEST(ColdPages, PagesFromDiskAreTakenAFewAtATimeBesideDecodeRows) {
  Disk disk;
  compute(disk, 60, 1);
  SchedulerOptions options{64, 4};
  options.placement.max_loads_beside = 2;
  Machine m(64, options, true, 0, &disk);
  auto other = make_sequence(count_up(9, 100), 20), reading = make_sequence(count_up(60), 4);
  m.scheduler.add(other);
  m.step();
  m.scheduler.add(reading);
  for (int loads = 0; loads < 14; loads = m.cold->num_loads) {
    m.step();
    EXPECT_LE(m.cold->num_loads, loads + 2);
  }
  m.run_dry();
  EXPECT_EQ(answer_of(*reading), expected_answer(count_up(60), 4));
}

TEST(ColdPages, APageThatCannotBeReadIsComputed) {
  Disk disk;
  compute(disk, 30, 1);
  Machine m(64, {64, 4}, true, 0, &disk);
  auto sequence = make_sequence(count_up(30), 4);
  PageKey key = root_key;
  for (int i = 0; i < 3; ++i) key = m.pages.key_of(key, {count_up(4, 4 * i + 1), {}, ""});
  disk.broken.insert(key);
  m.scheduler.add(sequence);
  m.run_dry();
  EXPECT_EQ(answer_of(*sequence), expected_answer(count_up(30), 4));
  EXPECT_EQ(sequence->output->cached_tokens(), 8);
  EXPECT_EQ(m.cold->num_outstanding(), 0u);
}

TEST(ColdPages, ASequenceCancelledWhileReadingLeavesNothing) {
  Disk disk;
  compute(disk, 30, 1);
  disk.latency = 10;
  Machine m(64, {64, 4}, true, 0, &disk);
  auto sequence = make_sequence(count_up(30), 4);
  m.scheduler.add(sequence);
  m.step();
  EXPECT_EQ(m.cold->num_outstanding(), 7u);
  sequence->output->cancel();
  EXPECT_TRUE(m.step().empty());
  EXPECT_TRUE(m.scheduler.idle());
  EXPECT_EQ(m.cold->num_outstanding(), 0u);
  EXPECT_EQ(m.pages.num_available(), 64);
}

// What has no room yet must not read in vain at every step.
TEST(ColdPages, NothingIsReadForASequenceWithoutRoom) {
  Disk disk;
  compute(disk, 30, 1);
  Machine m(12, {64, 4}, true, 0, &disk);
  m.scheduler.add(make_sequence(count_up(20, 50), 20));
  m.scheduler.add(make_sequence(count_up(30), 4));
  m.step();
  m.step();
  EXPECT_EQ(m.scheduler.num_waiting(), 1u);
  EXPECT_EQ(m.cold->num_outstanding(), 0u);
}

}  // namespace
}  // namespace pippin::engine
