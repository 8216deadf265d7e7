// Oracles: transformers' own smart_resize and mlx-vlm's Qwen3VLVideoProcessor, through tests/golden
// (tools/golden).
#include "media/video_processor.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "media/testing.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden";

ImageProcessorConfig pictures() {
  ImageProcessorConfig config;
  config.patch_size = 16;
  config.mean = config.std = {0.5, 0.5, 0.5};
  return config;
}

VideoProcessorConfig parse(const std::string& text) {
  return VideoProcessorConfig::from_json(parse_json(text, "the test's JSON").as_object(),
                                         pictures());
}

TEST(VideoFrameSize, EqualsTransformers) {
  const auto golden = read_json_object(kGolden / "processor/video.json");
  ASSERT_GT(golden.at("sizes").as_array().size(), 100u);
  for (const json::value& c : golden.at("sizes").as_array()) {
    VideoProcessorConfig config = parse("{}");
    config.frames.min_pixels = c.at("min_pixels").to_number<std::int64_t>();
    config.frames.max_pixels = c.at("max_pixels").to_number<std::int64_t>();
    config.cap_pixels_per_frame = c.at("cap_pixels_per_frame").as_bool();
    const auto of = [&](const char* key) -> ImageSize {
      return {c.at(key).at(0).to_number<int>(), c.at(key).at(1).to_number<int>()};
    };
    EXPECT_EQ(video_frame_size(c.at("frames").to_number<std::size_t>(), of("size"), config),
              of("resized"))
        << json::serialize(c);
  }
}

TEST(VideoFrameSize, TakesAClipOfOneFrameAsTwo) {
  const VideoProcessorConfig config = parse("{}");
  EXPECT_EQ(video_frame_size(1, {480, 640}, config), video_frame_size(2, {480, 640}, config));
}

TEST(VideoFrameSize, RefusesExtremeShapes) {
  EXPECT_THROW(video_frame_size(4, {10, 3000}, parse("{}")), Error);
  EXPECT_THROW(video_frame_size(4, {0, 10}, parse("{}")), Error);
  EXPECT_THROW(video_frame_size(4, {33, 64}, parse(R"({"do_resize": false})")), Error);
}

TEST(MakePatches, GivesTheGoldenModelsClips) {
  const auto config = VideoProcessorConfig::load(kGolden / "qwen3_vl-f32");
  const GoldenArrays arrays(kGolden / "pictures.safetensors");
  int num_clips = 0;
  for (const auto& member : arrays.header()) {
    const std::string key(member.key());
    if (!key.ends_with(".rgb") || arrays.shape(key).size() != 4) continue;
    SCOPED_TRACE(key);
    const std::vector<Pixels> frames = arrays.frames(key);
    const ImageSize size =
        video_frame_size(frames.size(), {frames[0].height, frames[0].width}, config);
    Patches all;
    for (std::size_t i = 0; i < num_temporal_patches(frames.size(), config); ++i) {
      const Patches one = make_patches(temporal_patch(frames, i, config), size, config.frames);
      all.grid = {all.grid.t + 1, one.grid.h, one.grid.w};
      all.values.insert(all.values.end(), one.values.begin(), one.values.end());
    }
    const std::string name = key.substr(0, key.size() - 4);
    const auto grid = arrays.values<std::int32_t>(name + ".grid_thw");
    EXPECT_EQ(all.grid, (PatchGrid{grid.at(0), grid.at(1), grid.at(2)}));
    expect_normalized(all, config.frames, arrays.values<float>(name + ".pixel_values"));
    ++num_clips;
  }
  EXPECT_EQ(num_clips, 2);
}

TEST(MakePatches, PutsTheFramesOfATemporalPatchSideBySide) {
  ImageProcessorConfig config = pictures();
  config.do_resize = false;
  const Pixels first = load_image(kTestdata / "rgb.png"),
               second = load_image(kTestdata / "444.jpg");
  const ImageSize size{32, 64};
  const std::vector<Pixels> both{first, second};
  const Patches pair = make_patches(both, size, config);
  const Patches one = make_patches({&first, 1}, size, config);
  const Patches other = make_patches({&second, 1}, size, config);
  ASSERT_EQ(pair.values.size(), one.values.size());
  ASSERT_NE(one.values, other.values);
  // Inner order [C, Tp, P, P]: pixels of a frame lie in runs of P * P.
  for (std::size_t i = 0; i < pair.values.size(); ++i)
    ASSERT_EQ(pair.values[i], (i / 256 % 2 ? other : one).values[i]) << i;
}

TEST(VideoProcessorConfig, ReadsACheckpointsFiles) {
  const auto config =
      VideoProcessorConfig::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");
  EXPECT_EQ(config.frames.max_pixels, 524288);
  EXPECT_EQ(config.frames.min_pixels, 4096);
  EXPECT_EQ(config.frames.patch_size, 16);
  EXPECT_EQ(config.sampling, (VideoSampling{.fps = 2, .min_frames = 4, .max_frames = 32}));
}

TEST(VideoProcessorConfig, TakesTheRestFromThePictures) {
  const auto config = parse(R"({"video_processor": {"fps": 1, "size": {"longest_edge": 999999}}})");
  EXPECT_EQ(config.sampling.fps, 1);
  EXPECT_EQ(config.frames.max_pixels, 999999);
  EXPECT_EQ(config.frames.min_pixels, 131072);
  EXPECT_EQ(config.frames.patch_size, 16);
  EXPECT_EQ(config.frames.mean, pictures().mean);
}

TEST(VideoProcessorConfig, RefusesWhatMakesNoSense) {
  for (const char* text :
       {R"({"fps": 0})", R"({"min_frames": 0})", R"({"max_frames": 1000000})",
        R"({"num_frames": -1})", R"({"max_video_tokens": 0})", R"({"fps": "2"})"})
    EXPECT_THROW(parse(text), Error) << text;
}

TEST(TimestampText, IsTheMiddleOfATemporalPatch) {
  const std::vector<double> seconds{0, 0.5, 1, 1.5, 2};
  const VideoProcessorConfig config;
  EXPECT_EQ(timestamp_text(seconds, 0, config), "<0.2 seconds>");  // 0.25, halves to even
  EXPECT_EQ(timestamp_text(seconds, 1, config), "<1.2 seconds>");
  EXPECT_EQ(timestamp_text(seconds, 2, config), "<2.0 seconds>");
}

}  // namespace
}  // namespace pippin::media
