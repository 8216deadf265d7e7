// Oracle: transformers' own sample_frames, through tests/golden/processor/video.json (tools/golden).
#include "media/video_sampling.h"

#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "media/testing.h"
#include "media/video_processor.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

VideoSampling sampling_of(const json::value& c) {
  return {c.at("fps").to_number<double>(), c.at("min_frames").to_number<int>(),
          c.at("max_frames").to_number<int>(), c.at("num_frames").to_number<int>()};
}

std::string timestamps_of(const std::vector<std::int64_t>& indices, double rate) {
  std::vector<double> seconds;
  for (const std::int64_t index : indices) seconds.push_back(static_cast<double>(index) / rate);
  const VideoProcessorConfig config;
  std::string text;
  for (std::size_t i = 0; i < num_temporal_patches(seconds.size(), config); ++i)
    text += timestamp_text(seconds, i, config);
  return text;
}

TEST(SampleFrames, EqualsTransformers) {
  const auto golden = read_json_object(std::filesystem::path(PIPPIN_SOURCE_DIR) /
                                       "tests/golden/processor/video.json");
  const json::array& cases = golden.at("sampling").as_array();
  ASSERT_GT(cases.size(), 100u);
  for (const json::value& c : cases) {
    SCOPED_TRACE(json::serialize(c).substr(0, 120));
    const double rate = c.at("rate").to_number<double>();
    const auto indices =
        sample_frames(c.at("total").to_number<std::int64_t>(), rate, sampling_of(c));
    std::string text;
    for (const std::int64_t index : indices)
      text += (text.empty() ? "" : " ") + std::to_string(index);
    EXPECT_EQ(text, c.at("indices").as_string());
    EXPECT_EQ(timestamps_of(indices, rate), c.at("timestamps").as_string());
  }
}

TEST(SampleFrames, RefusesWhatMakesNoSense) {
  for (const VideoSampling sampling :
       {VideoSampling{.fps = 0}, VideoSampling{.fps = -1}, VideoSampling{.fps = 1e9},
        VideoSampling{.min_frames = 0}, VideoSampling{.max_frames = 0},
        VideoSampling{.max_frames = 1 << 20}, VideoSampling{.num_frames = -1}})
    EXPECT_THROW(sample_frames(10, 10, sampling), Error);
}

TEST(SampleFrames, TheMostWinsOverTheLeast) {
  EXPECT_EQ(sample_frames(100, 10, {.min_frames = 8, .max_frames = 3}).size(), 3u);
}

}  // namespace
}  // namespace pippin::media
