#include "server/observe/metrics.h"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>

namespace pippin::server {
namespace {

using std::chrono::milliseconds;

RequestRecord::Time at(int ms) { return RequestRecord::Time{} + milliseconds(1000 + ms); }

// The value of the sample whose line begins with `series`; NaN where there is none.
double value_of(const std::string& text, const std::string& series) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size()));
  return std::numeric_limits<double>::quiet_NaN();
}

RequestRecord answered() {
  RequestRecord record;
  record.method = "POST";
  record.route = "/v1/chat/completions";
  record.status = 200;
  record.complete = true;
  record.begun = at(0);
  record.times = {at(10), at(30), at(100), at(400)};
  record.ended = at(401);
  record.usage = {50, 4, 16};
  record.finish = FinishReason::length;
  return record;
}

TEST(Metrics, SplitARequestsTime) {
  Metrics metrics("tiny");
  metrics.request_ended(answered());
  const std::string text = metrics.text({});
  const auto sum = [&](const std::string& name) {
    return value_of(text, "pippin:" + name + R"(_sum{model_name="tiny"})");
  };
  EXPECT_NEAR(sum("e2e_request_latency_seconds"), 0.401, 1e-9);
  EXPECT_NEAR(sum("request_queue_time_seconds"), 0.020, 1e-9);
  EXPECT_NEAR(sum("request_prefill_time_seconds"), 0.070, 1e-9);
  EXPECT_NEAR(sum("request_decode_time_seconds"), 0.300, 1e-9);
  EXPECT_NEAR(sum("request_inference_time_seconds"), 0.370, 1e-9);
  EXPECT_NEAR(sum("request_time_per_output_token_seconds"), 0.100, 1e-9);
  EXPECT_EQ(sum("request_prompt_tokens"), 50);
  EXPECT_EQ(sum("request_generation_tokens"), 4);
}

ChatEvent event(std::string text, std::optional<FinishReason> finish, const Usage& usage,
                AnswerTimes::Time at) {
  ChatEvent event{std::move(text), finish, usage};
  event.at = at;
  return event;
}

TEST(Metrics, SeeTokensAsTheyCome) {
  Metrics metrics("tiny");
  AnswerProgress progress{answered().begun};
  metrics.answer_went_on(progress, event("a", {}, {50, 1, 0}, at(100)),
                         {at(10), at(30), at(100), at(100)});
  progress.completion_tokens = 1;
  progress.last_token = at(100);
  metrics.answer_went_on(progress, event("bc", {}, {50, 3, 0}, at(180)),
                         {at(10), at(30), at(100), at(180)});
  progress.completion_tokens = 3;
  metrics.answer_went_on(progress, event("", FinishReason::length, {50, 3, 0}, at(180)),
                         {});  // no token
  const std::string text = metrics.text({});
  EXPECT_NEAR(value_of(text, R"(pippin:time_to_first_token_seconds_sum{model_name="tiny"})"), 0.1,
              1e-9);
  EXPECT_EQ(value_of(text, R"(pippin:inter_token_latency_seconds_count{model_name="tiny"})"), 2);
  EXPECT_NEAR(value_of(text, R"(pippin:inter_token_latency_seconds_sum{model_name="tiny"})"), 0.08,
              1e-9);
}

TEST(Metrics, CountRequestsByTheirEnd) {
  Metrics metrics("tiny");
  metrics.request_ended(answered());
  RequestRecord left = answered();
  left.finish.reset();
  left.complete = false;
  metrics.request_ended(left);
  RequestRecord broken = left;
  broken.error = "the engine could not compute this request";
  metrics.request_ended(broken);
  RequestRecord refused;
  refused.method = "POST";
  refused.route = "/v1/chat/completions";
  refused.status = 400;
  metrics.request_ended(refused);
  RequestRecord unknown;
  unknown.method = "BREW\"}";
  unknown.status = 404;
  metrics.request_ended(unknown);
  const std::string text = metrics.text({});
  const auto ended = [&](const std::string& reason) {
    return value_of(text, R"(pippin:request_success_total{model_name="tiny",finished_reason=")" +
                              reason + "\"}");
  };
  EXPECT_EQ(ended("length"), 1);
  EXPECT_EQ(ended("abort"), 1);
  EXPECT_EQ(ended("error"), 1);
  EXPECT_EQ(ended("stop"), 0);
  EXPECT_NE(text.find(R"(method="POST",route="/v1/chat/completions",status="400"} 1)"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("BREW"), std::string::npos);
}

TEST(Metrics, ShowTheEnginesCounters) {
  EngineStats stats;
  stats.pages_total = 10;
  stats.pages_free = 3;
  stats.pages_cached = 2;
  stats.window_pages = 7;
  stats.window_pages_free = 1;
  stats.window_pages_cached = 2;
  stats.prompt_tokens = 70;
  stats.cached_tokens = 48;
  StepRecord step;
  step.decode_rows = 3;
  step.prefill_rows = 40;
  step.prefills = 1;
  step.planned = step.encoded = step.begun + milliseconds(1);
  step.laid_out = step.begun + milliseconds(2);
  step.computed = step.begun + milliseconds(22);
  step.ended = step.begun + milliseconds(23);
  stats.step.observe(step);
  stats.step.ahead = 1;
  stats.wasted_tokens = 4;
  const std::string text = Metrics("a \"model\"\n").text(stats);
  const std::string label = R"({model_name="a \"model\"\n"})";
  EXPECT_EQ(value_of(text, "pippin:kv_cache_usage_perc" + label), 0.5);
  const std::string used = R"({model_name="a \"model\"\n",state="used"})";
  EXPECT_EQ(value_of(text, "pippin:kv_pages" + used), 5);
  EXPECT_EQ(value_of(text, "pippin:window_pages" + used), 4);
  EXPECT_EQ(value_of(text, "pippin:prefix_cache_queries_total" + label), 70);
  EXPECT_EQ(value_of(text, "pippin:prefix_cache_hits_total" + label), 48);
  EXPECT_EQ(value_of(text, "pippin:iteration_tokens_total_sum" + label), 43);
  EXPECT_EQ(value_of(text, "pippin:batch_sequences_sum" + label), 4);
  EXPECT_NEAR(value_of(text, "pippin:step_host_seconds_sum" + label), 0.003, 1e-9);
  EXPECT_EQ(value_of(text, "pippin:steps_ahead_total" + label), 1);
  EXPECT_EQ(value_of(text, "pippin:rows_in_vain_total" + label), 4);
  EXPECT_NEAR(value_of(text, "pippin:step_device_seconds_sum" + label), 0.020, 1e-9);
  // Buckets are cumulative and end with all.
  EXPECT_NE(text.find(R"(\n",le="64"} 1)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"(\n",le="32"} 0)"), std::string::npos);
  EXPECT_NE(text.find(R"(\n",le="+Inf"} 1)"), std::string::npos);
}

}  // namespace
}  // namespace pippin::server
