#include "engine/run/step.h"

#include <gtest/gtest.h>

#include <utility>

#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

TEST(Histogram, CountsAValueInTheFirstRangeThatReachesIt) {
  static constexpr double bounds[] = {1, 2, 5};
  Histogram histogram(bounds);
  for (const double value : {0.0, 1.0, 1.5, 5.0, 5.1, 100.0}) histogram.observe(value);
  const auto counts = histogram.counts();
  EXPECT_EQ(std::vector(counts.begin(), counts.end()), (std::vector<std::int64_t>{2, 1, 1, 2}));
  EXPECT_EQ(histogram.count(), 6);
  EXPECT_DOUBLE_EQ(histogram.sum(), 112.6);
}

TEST(StepStats, SplitHostAndDevice) {
  using std::chrono::milliseconds;
  StepRecord step;
  const auto at = [&](int ms) { return step.begun + milliseconds(ms); };
  step.planned = at(1);
  step.encoded = at(31);
  step.laid_out = at(33);
  step.computed = at(53);
  step.ended = at(57);
  StepStats stats;
  stats.observe(step);
  EXPECT_NEAR(stats.host_seconds.sum(), 0.007, 1e-9);
  EXPECT_NEAR(stats.device_seconds.sum(), 0.050, 1e-9);
  EXPECT_EQ(stats.encoder_ns, 30'000'000);
}

// Planned and launched while the step before was computed: the host's time is hidden, but for what came after that.
TEST(StepStats, CountOfTheHostWhatTheDeviceWaitedFor) {
  using std::chrono::milliseconds;
  const auto step_at = [](int begun, int laid_out, int computed) {
    StepRecord step;
    const auto at = [&](int ms) { return StepRecord::Time{} + milliseconds(ms); };
    step.begun = at(begun);
    step.planned = step.encoded = at(begun + 1);
    step.laid_out = at(laid_out);
    step.computed = at(computed);
    step.ended = at(computed + 2);
    return step;
  };
  auto first = step_at(0, 3, 20);
  first.followed = true;
  auto second = step_at(4, 7, 40);  // launched in time
  second.ahead = second.followed = true;
  second.before = first.computed;
  auto third = step_at(22, 45, 60);  // the host was slower than the device
  third.ahead = true;
  third.before = second.computed;
  StepStats stats;
  const std::pair<double, double> expected[] = {{0.003, 0.017}, {0, 0.020}, {0.007, 0.015}};
  double host = 0, device = 0;
  for (const auto& [step, times] : {std::pair{first, expected[0]}, std::pair{second, expected[1]},
                                    std::pair{third, expected[2]}}) {
    stats.observe(step);
    EXPECT_NEAR(stats.host_seconds.sum(), host += times.first, 1e-9);
    EXPECT_NEAR(stats.device_seconds.sum(), device += times.second, 1e-9);
  }
  EXPECT_EQ(stats.ahead, 2);
  EXPECT_NEAR(host + device, 0.062, 1e-9);  // all the time that passed
}

// What the steps of a loop say of themselves adds up to what was asked of it.
TEST(StepRecord, AddUpToTheWork) {
  Config config;
  config.max_batch_tokens = 24;  // so that prompts take several steps
  config.prefix_cache = false;
  std::vector<StepRecord> steps;
  config.on_step = [&](const StepRecord& step) { steps.push_back(step); };
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (unsigned i = 0; i < 3; ++i)
    sequences.push_back(make_sequence(40, i, i ? std::vector{i} : std::vector<unsigned>{}));
  std::int64_t prompts = 0, generated = 0;
  {
    const auto loop = make_loop(config);
    for (const auto& sequence : sequences) loop->submit(sequence);
    for (const auto& sequence : sequences) {
      prompts += sequence->num_prompt;
      generated += static_cast<std::int64_t>(read_all(*sequence).size());
    }
    const auto stats = idle_stats(*loop);
    EXPECT_EQ(stats.step.rows.sum(), static_cast<double>(prompts + generated - 3));
  }
  std::int64_t prefill = 0, decode = 0, pictures = 0;
  StepRecord::Time last{};
  for (const auto& step : steps) {
    prefill += step.prefill_rows;
    decode += step.decode_rows;
    pictures += step.pictures;
    EXPECT_LE(last, step.begun);
    EXPECT_LE(step.begun, step.planned);
    EXPECT_LE(step.planned, step.encoded);
    EXPECT_LE(step.encoded, step.laid_out);
    EXPECT_LE(step.laid_out, step.computed);
    EXPECT_LE(step.computed, step.ended);
    last = step.ended;
    EXPECT_FALSE(step.failed);
  }
  EXPECT_EQ(prefill, prompts);
  EXPECT_EQ(decode, generated - 3);  // each one's first token comes with its prompt
  EXPECT_GE(pictures, 2);
}

TEST(AnswerTimes, GoForward) {
  const auto loop = make_loop({});
  const auto sequence = make_sequence(20, 1);
  EXPECT_EQ(sequence->output->times().submitted, AnswerTimes::Time{});
  loop->submit(sequence);
  const auto first = sequence->output->next();
  read_all(*sequence);
  const auto times = sequence->output->times();
  EXPECT_NE(times.submitted, AnswerTimes::Time{});
  EXPECT_LE(times.submitted, times.admitted);
  EXPECT_LT(times.admitted, times.first_token);
  EXPECT_EQ(times.first_token, first->at);
  EXPECT_LT(times.first_token, times.last_token);
}

}  // namespace
}  // namespace pippin::engine
