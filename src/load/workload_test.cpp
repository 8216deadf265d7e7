#include "load/workload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "media/data_url.h"
#include "pippin/pixels.h"

namespace pippin {
namespace {

std::int64_t num_words(const std::string& text) {
  return text.empty() ? 0 : 1 + std::count(text.begin(), text.end(), ' ');
}

TEST(Workload, EqualOptionsGiveEqualTraffic) {
  WorkloadOptions options;
  options.rate = 5;
  options.prompt_tokens = Distribution::parse("uniform:5:50");
  options.images = 1;
  options.image_side = 16;
  const Workload a(options), b(options);
  options.seed = 1;
  const Workload other(options);
  EXPECT_EQ(a.turn(7, 0).question, b.turn(7, 0).question);
  EXPECT_EQ(a.turn(7, 0).images, b.turn(7, 0).images);
  EXPECT_EQ(a.arrival(7), b.arrival(7));
  EXPECT_NE(a.turn(7, 0).question, other.turn(7, 0).question);
  EXPECT_NE(a.turn(7, 0).images, other.turn(7, 0).images);
  EXPECT_NE(a.arrival(7), other.arrival(7));
}

// A Poisson process has gaps of mean 1 / rate whose standard deviation is their mean.
TEST(Workload, ArrivalsArePoisson) {
  WorkloadOptions options;
  options.requests = 20'001;
  options.rate = 4;
  const Workload workload(options);
  double sum = 0, squares = 0;
  for (int i = 0; i < 20'000; ++i) {
    const double gap = workload.arrival(i + 1) - workload.arrival(i);
    ASSERT_GT(gap, 0);
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / 20'000;
  EXPECT_NEAR(mean, 0.25, 0.008);
  EXPECT_NEAR(std::sqrt(squares / 20'000 - mean * mean), 0.25, 0.015);
}

TEST(Workload, RequestsAreDividedIntoTurns) {
  WorkloadOptions options;
  options.requests = 10;
  options.turns = 4;
  const Workload workload(options);
  ASSERT_EQ(workload.num_conversations(), 3);
  EXPECT_EQ(workload.num_turns(0), 4);
  EXPECT_EQ(workload.num_turns(2), 2);
  EXPECT_NE(workload.turn(0, 0).question, workload.turn(0, 1).question);
}

TEST(Workload, WordsMakeUpTheTokensThatWereAskedFor) {
  WorkloadOptions options;
  options.prompt_tokens = Distribution::parse("310");
  const Workload workload(options, {.per_word = 1.5, .fixed = 10});
  EXPECT_EQ(num_words(workload.turn(0, 0).question), 200);
}

TEST(Workload, GroupsShareTheirPrefix) {
  WorkloadOptions options;
  options.prompt_tokens = Distribution::parse("100");
  options.shared = 0.8;
  options.groups = 2;
  const Workload workload(options);
  const auto first = workload.turn(0, 0), second = workload.turn(1, 0), third = workload.turn(2, 0);
  EXPECT_EQ(num_words(first.prefix), 80);
  EXPECT_EQ(num_words(first.question), 20);
  EXPECT_EQ(first.prefix, third.prefix);
  EXPECT_NE(first.prefix, second.prefix);
  EXPECT_NE(first.question, third.question);
  EXPECT_TRUE(workload.turn(0, 1).prefix.empty());
}

TEST(Workload, PicturesAreReadableAndComeFromTheirPool) {
  WorkloadOptions options;
  options.images = 2;
  options.image_side = 30;
  options.image_pool = 3;
  const Workload workload(options);
  std::set<std::string> seen;
  for (int i = 0; i < 9; ++i)
    for (const auto& image : workload.turn(i, 0).images) seen.insert(image);
  EXPECT_EQ(seen.size(), 3u);
  const Pixels pixels = decode_image(media::decode_data_url(*seen.begin(), 1 << 20));
  EXPECT_EQ(pixels.width, 30);
  EXPECT_EQ(pixels.height, 30);
}

}  // namespace
}  // namespace pippin
