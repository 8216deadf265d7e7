#include "models/config.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "models/qwen3_vl_vision.h"
#include "models/registry.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

json::object small_config() {
  return parse_json(
             R"({"model_type": "qwen3", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 151,
    "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 5000})",
             "test")
      .as_object();
}

std::string message_of(json::object config) {
  try {
    DecoderConfig::from_json(config, "text_config");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    return error.what();
  }
  return "";
}

TEST(DecoderConfig, ReadsBothSpellingsOfRope) {
  auto config = small_config();
  EXPECT_FLOAT_EQ(DecoderConfig::from_json(config, "").rope_theta, 5000);
  config.erase("rope_theta");
  config["rope_parameters"] = parse_json(
      R"({"rope_type": "default", "rope_theta": 7000, "mrope_section": [4, 2, 2]})", "test");
  const auto parsed = DecoderConfig::from_json(config, "");
  EXPECT_FLOAT_EQ(parsed.rope_theta, 7000);
  EXPECT_EQ(parsed.mrope_section, (std::array<int, 3>{4, 2, 2}));
}

TEST(DecoderConfig, NamesWhatIsWrong) {
  const auto with = [](const char* key, json::value value) {
    auto config = small_config();
    config[key] = std::move(value);
    return message_of(config);
  };
  EXPECT_EQ(message_of(small_config()), "");
  EXPECT_NE(with("hidden_size", nullptr).find("text_config.hidden_size"), std::string::npos);
  EXPECT_NE(with("vocab_size", -1).find("text_config.vocab_size"), std::string::npos);
  EXPECT_NE(with("vocab_size", "many").find("text_config.vocab_size"), std::string::npos);
  EXPECT_NE(with("num_key_value_heads", 3).find("num_key_value_heads"), std::string::npos);
  EXPECT_NE(with("rope_scaling", parse_json(R"({"type": "yarn"})", "test")).find("yarn"),
            std::string::npos);
  EXPECT_NE(with("attention_bias", true).find("attention_bias"), std::string::npos);
}

TEST(VisionConfig, NamesWhatIsWrong) {
  const auto with = [](const char* key, json::value value) {
    auto config =
        parse_json(R"({"depth": 4, "hidden_size": 64, "num_heads": 4, "intermediate_size": 96,
      "out_hidden_size": 64, "patch_size": 16, "temporal_patch_size": 2, "spatial_merge_size": 2,
      "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 3]})",
                   "test")
            .as_object();
    config[key] = std::move(value);
    try {
      return std::to_string(VisionConfig::from_json(config, "vision_config").depth);
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_EQ(with("depth", 4), "4");
  for (const auto& [key, value] : {std::pair<const char*, json::value>{"num_heads", 3},
                                   {"num_heads", 32},
                                   {"depth", 0},
                                   {"patch_size", 100000},
                                   {"in_channels", 1},
                                   {"deepstack_visual_indexes", json::array{4}},
                                   {"deepstack_visual_indexes", json::array{"one"}}})
    EXPECT_NE(with(key, value).find(std::string("vision_config.") + key), std::string::npos) << key;
}

TEST(Registry, SaysWhatItKnows) {
  try {
    load_model(std::filesystem::path(PIPPIN_SOURCE_DIR) / "src", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
    EXPECT_NE(std::string(error.what()).find("config.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace pippin::models
