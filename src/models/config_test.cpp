#include "models/config.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "models/decoder_model.h"
#include "models/families.h"
#include "models/qwen3_vl_vision.h"
#include "models/registry.h"
#include "nn/testing.h"
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

std::string message_of(const json::object& config) {
  try {
    ConfigFields fields(config, "text_config");
    qwen3_decoder(fields);
    fields.max_context();
    fields.check_rest();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    return error.what();
  }
  return "";
}

nn::RopeOptions rope_of(const json::object& config, std::array<int, 3>* sections = nullptr) {
  return ConfigFields(config, "").rope(16, 10000.0, sections);
}

TEST(ConfigFields, ReadBothSpellingsOfRope) {
  auto config = small_config();
  EXPECT_FLOAT_EQ(rope_of(config).theta, 5000);
  config.erase("rope_theta");
  config["rope_parameters"] = parse_json(
      R"({"rope_type": "default", "rope_theta": 7000, "mrope_section": [4, 2, 2]})", "test");
  std::array<int, 3> sections{};
  EXPECT_FLOAT_EQ(rope_of(config, &sections).theta, 7000);
  EXPECT_EQ(sections, (std::array<int, 3>{4, 2, 2}));
}

TEST(ConfigFields, NameWhatIsWrong) {
  const auto with = [](const char* key, const char* value) {
    auto config = small_config();
    config[key] = parse_json(value, "test");
    return message_of(config);
  };
  EXPECT_EQ(message_of(small_config()), "");
  for (const auto& [key, value] :
       {std::pair{"hidden_size", "null"},
        {"vocab_size", "-1"},
        {"vocab_size", R"("many")"},
        {"num_key_value_heads", "3"},
        {"max_position_embeddings", "-5"},
        {"rope_scaling", R"({"type": "spiral"})"},
        {"rope_scaling", R"({"type": "linear"})"},
        {"rope_scaling", R"({"type": "yarn", "factor": 4})"},
        {"rope_scaling", R"({"type": "longrope", "original_max_position_embeddings": 64})"},
        {"rope_parameters", R"({"full_attention": {"rope_theta": 3}})"}})
    EXPECT_NE(with(key, value).find(std::string("text_config.") + key), std::string::npos)
        << key << " " << value << ": " << with(key, value);
}

// What changes the computation in some family, and is nothing that this one knows.
TEST(ConfigFields, NameWhatThisFamilyDoesNotDo) {
  const auto with = [](const char* key, json::value value) {
    auto config = small_config();
    config[key] = std::move(value);
    return message_of(config);
  };
  for (const auto& [key, value] :
       {std::pair<const char*, json::value>{"attention_bias", true},
        {"use_sliding_window", true},
        {"final_logit_softcapping", 30.0},
        {"hidden_act", "gelu_of_mine"},
        {"layer_types", json::array{"full_attention", "sliding_attention"}},
        {"num_experts", 8},
        {"kv_lora_rank", 24},
        {"q_lora_rank", 24},
        {"rope_interleave", true},
        {"moe_layer_freq", 2},
        {"index_topk", 64},
        {"partial_rotary_factor", 0.5},
        {"query_pre_attn_scalar", 256}})
    EXPECT_NE(with(key, value).find(std::string("text_config.") + key), std::string::npos) << key;
  for (const auto& [key, value] : {std::pair<const char*, json::value>{"attention_bias", false},
                                   {"use_sliding_window", nullptr},
                                   {"hidden_act", "silu"},
                                   {"layer_types", json::array{"full_attention", "full_attention"}},
                                   {"partial_rotary_factor", 1.0}})
    EXPECT_EQ(with(key, value), "") << key;
}

TEST(MistralDecoder, SeesItsWindowInEveryLayer) {
  auto config = small_config();
  config["sliding_window"] = 40;
  ConfigFields fields(config, "");
  EXPECT_EQ(mistral_decoder(fields).kinds.front().window, 40);
  EXPECT_EQ(llama_decoder(fields).kinds.front().window, 0);
}

// mlx-lm leaves the windows out, so that no golden shows them.
TEST(Gemma2Decoder, SeesItsWindowInEveryOtherLayer) {
  auto config = small_config();
  config["sliding_window"] = 40;
  ConfigFields fields(config, "");
  const auto decoder = gemma2_decoder(fields);
  EXPECT_EQ(decoder.layers, (std::vector<int>{1, 0}));
  EXPECT_EQ(decoder.kinds[0].window, 0);
  EXPECT_EQ(decoder.kinds[1].window, 40);
}

TEST(MoeConfig, NamesWhatIsWrong) {
  const auto with = [](const char* key, json::value value) {
    auto config = small_config();
    for (const auto& [name, number] :
         {std::pair{"num_experts", 4}, {"num_experts_per_tok", 2}, {"moe_intermediate_size", 8}})
      config[name] = number;
    config[key] = std::move(value);
    try {
      ConfigFields fields(config, "");
      qwen3_moe_decoder(fields);
      fields.check_rest();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(with("norm_topk_prob", true), "");
  for (const auto& [key, value] : {std::pair<const char*, json::value>{"num_experts_per_tok", 5},
                                   {"num_experts", 0},
                                   {"mlp_only_layers", json::array{"one"}},
                                   {"n_shared_experts", 1},
                                   {"routed_scaling_factor", 2.0},
                                   {"scoring_func", "sigmoid"}})
    EXPECT_NE(with(key, value).find(key), std::string::npos) << key;
}

// Before any weight is looked for.
TEST(LatentConfigs, NameWhatIsWrong) {
  const auto with = [](LoadFn* load, const char* key, json::value value) {
    auto config =
        parse_json(
            R"({"hidden_size": 48, "num_hidden_layers": 2, "intermediate_size": 96, "vocab_size": 151,
        "num_attention_heads": 3, "q_lora_rank": null, "kv_lora_rank": 24, "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 12, "v_head_dim": 20, "n_routed_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 8})",
            "test")
            .as_object();
    if (value.is_string() && value.as_string() == "absent")
      config.erase(key);
    else
      config[key] = std::move(value);
    try {
      load("/no/such/model", config, {});
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(with(load_deepseek_v3, "n_group", 1).find("/no/such/model"), std::string::npos);
  for (const auto& [load, key, value] :
       {std::tuple<LoadFn*, const char*, json::value>{load_deepseek_v3, "q_lora_rank", "absent"},
        {load_deepseek_v3, "index_topk", 64},
        {load_deepseek_v3, "qk_rope_head_dim", 7},
        {load_deepseek_v3, "topk_method", "greedy"},
        {load_deepseek_v3, "scoring_func", "softmax"},
        {load_deepseek_v3, "n_group", 3},
        {load_glm4_moe_lite, "kv_lora_rank", 0},
        {load_glm4_moe_lite, "partial_rotary_factor", 0.5},
        {load_deepseek_v2, "topk_method", "noaux_tc"},
        {load_deepseek_v2, "scoring_func", "sigmoid"},
        {load_deepseek_v2, "norm_topk_prob", true},
        {load_mistral4, "rope_parameters", "absent"},
        {load_glm4_moe, "kv_lora_rank", 24}})
    EXPECT_NE(with(load, key, value).find(key), std::string::npos) << key << with(load, key, value);
}

// Which outputs of a stored module are whose, in each of its tensors.
TEST(FusedModules, ComeApartByOutputs) {
  const auto split = split_modules({{".ab.", {{".a.", 2}, {".b.", 3}}},
                                    {".cd.", {{".c.", 2}, {".d.", 2}}, true},
                                    {".e.", {{".f.", 4}}, false, true}});
  const auto text = [&](const std::string& name) {
    std::string all;
    for (const auto& part : split(name))
      all += part.name + " " + std::to_string(part.axis) + " " + std::to_string(part.begin) + " " +
             std::to_string(part.end) + " " + std::to_string(part.step) +
             (part.transposed ? " transposed;" : ";");
    return all;
  };
  EXPECT_EQ(text("x.other.weight"), "");
  EXPECT_EQ(text("x.ab.weight"), "x.a.weight -2 0 2 1;x.b.weight -2 2 5 1;");
  EXPECT_EQ(text("x.ab.scales"), "x.a.scales -2 0 2 1;x.b.scales -2 2 5 1;");
  EXPECT_EQ(text("x.ab.bias"), "x.a.bias -1 0 2 1;x.b.bias -1 2 5 1;");
  EXPECT_EQ(text("x.cd.blocks"), "x.c.blocks -3 0 4 2;x.d.blocks -3 1 4 2;");
  EXPECT_EQ(text("x.e.weight"), "x.f.weight -1 0 4 1 transposed;");
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

// Read before any tensor is.
TEST(HybridConfigs, NameWhatIsWrong) {
  const auto golden = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden";
  const auto with = [&](const char* checkpoint, const char* key, json::value value) {
    auto config = read_json_object(golden / checkpoint / "config.json");
    config[key] = std::move(value);
    testing::TempDir dir;
    dir.write("config.json", json::serialize(config));
    return testing::error_message([&] { load_model(dir.path(), {}); });
  };
  for (const auto& [key, value] : {std::pair<const char*, json::value>{"n_groups", 4},
                                   {"ssm_state_size", 1000},
                                   {"conv_kernel", 9},
                                   {"hybrid_override_pattern", "MX"},
                                   {"hybrid_override_pattern", nullptr},
                                   {"mamba_hidden_act", "gelu"},
                                   {"mlp_hidden_act", "tanh"},
                                   {"use_bias", true},
                                   {"mlp_bias", true},
                                   {"sliding_window", 64},
                                   {"time_step_limit", json::array{0.1}},
                                   {"topk_group", 9}}) {
    const auto message = with("nemotron_h_moe-bf16", key, value);
    const bool groups = std::string(key) == "topk_group";
    EXPECT_NE(message.find(groups ? "n_group" : key), std::string::npos) << key << ": " << message;
  }
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

TEST(Registry, NamesTheModelTypesBeforeAnythingElse) {
  testing::TempDir dir;
  dir.write("config.json", R"({"model_type": "unheard_of"})");
  for (const auto& message : {testing::error_message([&] { check_model_type(dir.path()); }),
                              testing::error_message([&] { load_model(dir.path(), {}); })}) {
    EXPECT_NE(message.find("unheard_of"), std::string::npos);
    for (const char* known :
         {"llama", "mistral", "qwen2", "qwen3", "qwen3_vl", "gemma3_text", "ministral3"})
      EXPECT_NE(message.find(known), std::string::npos) << known;
  }
}

}  // namespace
}  // namespace pippin::models
