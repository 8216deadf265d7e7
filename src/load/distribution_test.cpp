#include "load/distribution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "pippin/error.h"

namespace pippin {
namespace {

std::vector<double> samples(const std::string& text, int count = 20'000) {
  const auto distribution = Distribution::parse(text);
  std::mt19937_64 random(1);
  std::vector<double> values;
  for (int i = 0; i < count; ++i)
    values.push_back(static_cast<double>(distribution.sample(random)));
  std::sort(values.begin(), values.end());
  return values;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST(Distribution, FixedIsAlwaysTheSame) {
  const auto values = samples("128");
  EXPECT_EQ(values.front(), 128);
  EXPECT_EQ(values.back(), 128);
}

TEST(Distribution, UniformReachesBothEnds) {
  const auto values = samples("uniform:5:9");
  EXPECT_EQ(values.front(), 5);
  EXPECT_EQ(values.back(), 9);
  for (double value = 5; value <= 9; ++value)  // a fifth each, within 4 standard deviations
    EXPECT_NEAR(static_cast<double>(std::count(values.begin(), values.end(), value)), 4000, 230);
}

// The median, and the share within one sigma of it, which is that of a normal distribution.
TEST(Distribution, LognormalHasItsMedianAndSigma) {
  const auto values = samples("lognormal:1000:0.5");
  EXPECT_NEAR(percentile(values, 50), 1000, 20);
  EXPECT_NEAR(percentile(values, 84.13), 1000 * std::exp(0.5), 40);
  EXPECT_NEAR(percentile(values, 15.87), 1000 * std::exp(-0.5), 20);
}

TEST(Distribution, ExponentialHasItsMean) {
  const auto values = samples("exponential:200");
  EXPECT_NEAR(mean(values), 200, 6);
  EXPECT_NEAR(percentile(values, 50), 200 * std::log(2), 6);
  EXPECT_GE(values.front(), 1);
}

TEST(Distribution, EqualSeedsGiveEqualNumbers) {
  EXPECT_EQ(samples("lognormal:100:1", 50), samples("lognormal:100:1", 50));
}

TEST(Distribution, RefusesWhatIsNone) {
  for (const char* text : {"", "x", "-1", "1e99", "nan", "5x", "uniform:1", "uniform:9:5",
                           "lognormal:0:1", "uniform:1:2:3", "exponential", "gamma:1:2"})
    EXPECT_THROW(Distribution::parse(text), Error) << text;
}

TEST(Percentile, IsLinearBetweenValues) {
  const std::vector<double> values = {10, 20, 30, 40};  // numpy.percentile's results
  EXPECT_DOUBLE_EQ(percentile(values, 0), 10);
  EXPECT_DOUBLE_EQ(percentile(values, 50), 25);
  EXPECT_DOUBLE_EQ(percentile(values, 90), 37);
  EXPECT_DOUBLE_EQ(percentile(values, 100), 40);
  EXPECT_DOUBLE_EQ(percentile(std::vector{7.0}, 99), 7);
  EXPECT_DOUBLE_EQ(percentile({}, 50), 0);
}

}  // namespace
}  // namespace pippin
