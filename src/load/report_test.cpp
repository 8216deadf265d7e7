#include "load/report.h"

#include <gtest/gtest.h>

#include "pippin/error.h"

namespace pippin {
namespace {

// Answers of 11 tokens each, sent a second apart; the i-th's first text came after i * 100 ms, the rest in one second.
std::vector<RequestResult> four_answers() {
  std::vector<RequestResult> results;
  for (int i = 0; i < 4; ++i) {
    RequestResult result;
    result.conversation = i;
    result.sent = i;
    result.first = i + 0.1 * i;
    result.ended = result.first + 1;
    result.gaps.assign(10, 0.1);
    result.prompt_tokens = 20;
    result.cached_tokens = 5;
    result.output_tokens = 11;
    result.has_usage = true;
    results.push_back(result);
  }
  return results;
}

RequestResult failed(const std::string& error) {
  RequestResult result;
  result.sent = 0.5;
  result.ended = 0.6;
  result.error = error;
  return result;
}

TEST(LoadReport, AddsUp) {
  auto results = four_answers();
  results.push_back(failed("http 429"));
  results.push_back(failed("http 429"));
  const auto report = make_report(results, {});
  EXPECT_EQ(report.requests, 6u);
  EXPECT_EQ(report.failed, 2u);
  EXPECT_EQ(report.errors.at("http 429"), 2u);
  EXPECT_NEAR(report.seconds, 4.3, 1e-9);
  EXPECT_EQ(report.output_tokens, 44);
  EXPECT_EQ(report.prompt_tokens, 80);
  EXPECT_TRUE(report.by_usage);
  EXPECT_NEAR(report.ttft.at(50), 150, 1e-6);
  EXPECT_NEAR(report.ttft.at(100), 300, 1e-6);
  EXPECT_EQ(report.gap.ascending.size(), 40u);
  EXPECT_NEAR(report.per_token.mean(), 100, 1e-6);
  EXPECT_NEAR(report.latency.at(0), 1000, 1e-6);
}

TEST(LoadReport, CountsWhatKeepsTheServiceLevels) {
  auto results = four_answers();
  results.push_back(failed("timeout"));
  const auto good = [&](const char* levels) {
    return make_report(results, ServiceLevels::parse(levels)).good;
  };
  EXPECT_EQ(good("ttft=150"), 2u);
  EXPECT_EQ(good("tpot=99"), 0u);
  EXPECT_EQ(good("tpot=101,e2e=1250"), 3u);
  EXPECT_EQ(good("ttft=10000"), 4u);
}

TEST(LoadReport, RefusesMalformedLevels) {
  for (const char* text :
       {"ttft", "ttft=", "ttft=x", "ttft=5x", "ttft=-1", "itl=5", "=5", "ttft=5,,"})
    EXPECT_THROW(ServiceLevels::parse(text), Error) << text;
  EXPECT_FALSE(ServiceLevels::parse("").any());
}

TEST(LoadReport, OfNothingIsEmpty) {
  const auto report = make_report({}, {});
  EXPECT_EQ(as_json(report).at("output_tokens_per_s").as_double(), 0);
  EXPECT_NE(as_table(report).find("0 requests"), std::string::npos);
  EXPECT_NE(as_svg(report, {}, "nothing").find("</svg>"), std::string::npos);
}

TEST(LoadReport, DrawsEveryDiagram) {
  const auto results = four_answers();
  const auto svg = as_svg(make_report(results, {}), results, "a < b & c");
  EXPECT_NE(svg.find("a &lt; b &amp; c"), std::string::npos);
  std::size_t curves = 0;
  for (std::size_t at = 0; (at = svg.find("<polyline", at)) != std::string::npos; ++at) ++curves;
  EXPECT_EQ(curves, 3u);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace pippin
