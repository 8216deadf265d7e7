// Oracles: Hugging Face's Qwen2VLImageProcessorPil, through tests/golden/processor (tools/golden)
// and sizes computed with its smart_resize; the definition of the patch order, written out.
#include "media/image_processor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/json.h"
#include "media/resample.h"
#include "media/testing.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

ImageProcessorConfig config_of(std::int64_t min_pixels, std::int64_t max_pixels) {
  ImageProcessorConfig config;
  config.patch_size = 16;
  config.min_pixels = min_pixels;
  config.max_pixels = max_pixels;
  config.mean = config.std = {0.5, 0.5, 0.5};
  return config;
}

ImageProcessorConfig parse(const std::string& text) {
  return ImageProcessorConfig::from_json(parse_json(text, "the test's JSON").as_object());
}

template <class Function>
Code code_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "expected an Error";
  return Code::internal;
}

Pixels counting_picture(int height, int width) {
  Pixels picture{height, width, {}};
  picture.rgb.resize(std::size_t{3} * height * width);
  for (std::size_t i = 0; i < picture.rgb.size(); ++i) {
    picture.rgb[i] = static_cast<std::uint8_t>(i * 31 + i / 97);
  }
  return picture;
}

TEST(SmartResize, EqualsHuggingFace) {
  struct Case {
    ImageSize size;
    std::int64_t min_pixels, max_pixels;
    ImageSize expected;
  };
  const Case cases[] = {
      {{48, 80}, 1024, 16777216, {64, 64}},
      {{112, 144}, 1024, 16777216, {128, 128}},
      {{16, 16}, 1024, 65536, {32, 32}},
      {{1, 1}, 16384, 65536, {128, 128}},
      {{1, 200}, 4096, 65536, {32, 928}},
      {{2000, 10}, 16384, 65536, {1824, 32}},
      {{480, 640}, 16384, 65536, {192, 288}},
      {{3000, 4000}, 65536, 16777216, {3008, 4000}},
      {{6000, 8000}, 65536, 16777216, {3520, 4704}},
      {{37, 53}, 65536, 16777216, {224, 320}},
      {{255, 257}, 65536, 65536, {256, 256}},
      {{256, 256}, 65536, 65536, {256, 256}},
      {{1024, 64}, 16384, 65536, {1024, 64}},
      {{97, 31}, 3136, 1003520, {128, 32}},
      {{720, 1280}, 3136, 1003520, {704, 1280}},
  };
  for (const Case& c : cases) {
    const ImageSize got = smart_resize(c.size, config_of(c.min_pixels, c.max_pixels));
    EXPECT_EQ(got, c.expected) << c.size.height << " x " << c.size.width << " gave " << got.height
                               << " x " << got.width;
  }
}

TEST(SmartResize, RefusesExtremeShapes) {
  const ImageProcessorConfig config = config_of(4096, 65536);
  EXPECT_EQ(code_of([&] { smart_resize({1, 201}, config); }), Code::invalid_argument);
  EXPECT_EQ(code_of([&] { smart_resize({2001, 10}, config); }), Code::invalid_argument);
  EXPECT_EQ(code_of([&] { smart_resize({0, 10}, config); }), Code::invalid_argument);
  EXPECT_EQ(smart_resize({1, 200}, config).width % 32, 0);
}

// Row r, column ((c*Tp + tp)*P + y)*P + x of the patches is one sample of the picture: found here
// from the picture's side, by where each patch stands among the merge blocks.
TEST(MakePatches, OrdersRowsByMergeBlock) {
  ImageProcessorConfig config;
  config.patch_size = 3;
  config.temporal_patch_size = 2;
  config.merge_size = 2;
  config.do_resize = false;
  const Pixels picture = counting_picture(12, 18);  // 4 x 6 patches, 2 x 3 blocks
  const Patches patches = make_patches(picture, config);
  EXPECT_EQ(patches.grid, (PatchGrid{1, 4, 6}));
  const std::size_t row_bytes = 3 * 2 * 3 * 3;
  ASSERT_EQ(patches.values.size(), 24 * row_bytes);
  for (int y = 0; y < 12; ++y) {
    for (int x = 0; x < 18; ++x) {
      const int patch_y = y / 3, patch_x = x / 3;
      const int block = patch_y / 2 * 3 + patch_x / 2;
      const int row = block * 4 + patch_y % 2 * 2 + patch_x % 2;
      for (int c = 0; c < 3; ++c) {
        for (int tp = 0; tp < 2; ++tp) {
          const std::size_t at = row * row_bytes + ((c * 2 + tp) * 3 + y % 3) * 3 + x % 3;
          ASSERT_EQ(patches.values[at], picture.rgb[(y * 18 + x) * 3 + c]) << y << "," << x;
        }
      }
    }
  }
}

const std::filesystem::path kGolden = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden";

TEST(MakePatches, EqualsHuggingFace) {
  const GoldenArrays arrays(kGolden / "processor/processor.safetensors");
  const json::object index = read_json_object(kGolden / "processor/processor.json");
  int num_normalized = 0;
  for (const json::value& entry : index.at("cases").as_array()) {
    const std::string name(entry.at("name").as_string());
    SCOPED_TRACE(name);
    const ImageProcessorConfig config =
        config_of(entry.at("min_pixels").as_int64(), entry.at("max_pixels").as_int64());
    const Pixels picture = arrays.pixels(name + ".rgb");
    const Pixels resized = arrays.pixels(name + ".resized");
    const ImageSize size = smart_resize({picture.height, picture.width}, config);
    ASSERT_EQ(size, (ImageSize{resized.height, resized.width}));
    EXPECT_EQ(resize_bicubic(picture, size.height, size.width), resized);
    const Patches patches = make_patches(picture, config);
    EXPECT_EQ(patches.grid, (PatchGrid{1, size.height / 16, size.width / 16}));
    if (!entry.at("has_pixel_values").as_bool()) continue;
    expect_normalized(patches, config, arrays.values<float>(name + ".pixel_values"));
    ++num_normalized;
  }
  EXPECT_GE(num_normalized, 2);
}

TEST(MakePatches, GivesTheGoldenModelsInputs) {
  const auto config = ImageProcessorConfig::load(kGolden / "qwen3_vl-f32");
  const GoldenArrays arrays(kGolden / "pictures.safetensors");
  int num_pictures = 0;
  for (const auto& member : arrays.header()) {
    const std::string key(member.key());
    if (!key.ends_with(".rgb") || arrays.shape(key).size() != 3) continue;  // a clip
    const std::string name = key.substr(0, key.size() - 4);
    SCOPED_TRACE(name);
    const Patches patches = make_patches(arrays.pixels(key), config);
    const auto grid = arrays.values<std::int32_t>(name + ".grid_thw");
    EXPECT_EQ(patches.grid, (PatchGrid{grid.at(0), grid.at(1), grid.at(2)}));
    expect_normalized(patches, config, arrays.values<float>(name + ".pixel_values"));
    ++num_pictures;
  }
  EXPECT_GE(num_pictures, 2);
}

TEST(MakePatches, ResizesFirst) {
  ImageProcessorConfig config = config_of(32 * 32, 64 * 64);
  const Pixels picture = counting_picture(70, 45);
  const Patches patches = make_patches(picture, config);
  config.do_resize = false;
  EXPECT_EQ(patches.values, make_patches(resize_bicubic(picture, 64, 32), config).values);
}

TEST(MakePatches, WithoutResizingWantsWholeBlocks) {
  ImageProcessorConfig config = config_of(1024, 65536);
  config.do_resize = false;
  EXPECT_EQ(code_of([&] { make_patches(counting_picture(32, 48), config); }),
            Code::invalid_argument);
}

TEST(ImageProcessorConfig, ReadsBothSpellingsOfTheBounds) {
  const auto config = parse(R"({"size": {"shortest_edge": 65536, "longest_edge": 16777216},
      "patch_size": 16, "temporal_patch_size": 2, "merge_size": 2,
      "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
      "processor_class": "Qwen3VLProcessor", "image_processor_type": "Qwen2VLImageProcessorFast"})");
  EXPECT_EQ(config, config_of(65536, 16777216));
  EXPECT_EQ(parse(R"({"min_pixels": 3136, "max_pixels": 12845056})").max_pixels, 12845056);
  const auto both =
      parse(R"({"min_pixels": 5000, "size": {"shortest_edge": 1, "longest_edge": 9999}})");
  EXPECT_EQ(both.min_pixels, 5000);
  EXPECT_EQ(both.max_pixels, 9999);
}

TEST(ImageProcessorConfig, DefaultsAreHuggingFaces) {
  const ImageProcessorConfig config = parse("{}");
  EXPECT_EQ(config.patch_size, 14);
  EXPECT_EQ(config.min_pixels, 3136);
  EXPECT_EQ(config.max_pixels, 1003520);
  EXPECT_FLOAT_EQ(static_cast<float>(config.mean[2]), 0.40821073f);
}

TEST(ImageProcessorConfig, LooksInsideProcessorConfig) {
  EXPECT_EQ(parse(R"({"processor_class": "X", "image_processor": {"patch_size": 16}})").patch_size,
            16);
}

TEST(ImageProcessorConfig, RefusesNonsense) {
  for (const char* text :
       {R"({"patch_size": 0})", R"({"patch_size": 100000})", R"({"merge_size": "two"})",
        R"({"min_pixels": 0})", R"({"min_pixels": 5000, "max_pixels": 4999})",
        R"({"max_pixels": 1e15})", R"({"resample": 2})", R"({"image_mean": [0.5]})",
        R"({"image_std": [0.5, 0, 0.5]})", R"({"image_std": ["a", "b", "c"]})", R"({"size": 7})"}) {
    EXPECT_EQ(code_of([&] { parse(text); }), Code::invalid_argument) << text;
  }
}

TEST(ImageProcessorConfig, NormalizationFollowsTheSwitches) {
  ImageProcessorConfig config = config_of(1024, 65536);
  EXPECT_FLOAT_EQ(config.normalization().scale[0], 2.0f / 255);
  EXPECT_FLOAT_EQ(config.normalization().offset[0], -1.0f);
  config.do_normalize = false;
  EXPECT_FLOAT_EQ(config.normalization().scale[1], 1.0f / 255);
  EXPECT_FLOAT_EQ(config.normalization().offset[1], 0.0f);
  config.do_rescale = false;
  EXPECT_FLOAT_EQ(config.normalization().scale[2], 1.0f);
}

TEST(PatchesDigest, DependsOnAllThatChangesThePatches) {
  const std::vector<Pixels> frames{counting_picture(32, 64), counting_picture(40, 40)};
  const ImageProcessorConfig base;
  const auto digest = [&](std::span<const Pixels> shown, ImageSize size, const auto& config) {
    return patches_digest(shown, size, config);
  };
  const Digest first = digest(frames, {28, 56}, base);
  EXPECT_EQ(digest(std::vector<Pixels>(frames), {28, 56}, base), first);
  EXPECT_NE(digest(frames, {56, 28}, base), first);
  EXPECT_NE(digest(std::span(frames).first(1), {28, 56}, base), first);
  EXPECT_NE(digest(std::vector<Pixels>{frames[1], frames[0]}, {28, 56}, base), first);
  const auto changed = [&](auto change) {
    ImageProcessorConfig config;
    change(config);
    return digest(frames, {28, 56}, config) != first;
  };
  EXPECT_TRUE(changed([](auto& c) { c.patch_size = 16; }));
  EXPECT_TRUE(changed([](auto& c) { c.temporal_patch_size = 1; }));
  EXPECT_TRUE(changed([](auto& c) { c.merge_size = 1; }));
  EXPECT_TRUE(changed([](auto& c) { c.do_rescale = false; }));
  EXPECT_TRUE(changed([](auto& c) { c.do_normalize = false; }));
  EXPECT_TRUE(changed([](auto& c) { c.rescale_factor = 1; }));
  EXPECT_TRUE(changed([](auto& c) { c.mean[1] = 0; }));
  EXPECT_TRUE(changed([](auto& c) { c.std[2] = 1; }));
  // What only leads to the size: a longer clip has another budget for each frame.
  EXPECT_FALSE(changed([](auto& c) { c.max_pixels += 1; }));
}

}  // namespace
}  // namespace pippin::media
