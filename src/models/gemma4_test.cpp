// What Gemma 4's config may say, and what its layers keep.
#include <gtest/gtest.h>

#include "base/json.h"
#include "models/registry.h"
#include "nn/model_state.h"
#include "nn/testing.h"

namespace pippin::models {
namespace {

const auto golden = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden";

// What loading says of a checkpoint's config where one member is another.
std::string message_with(const char* checkpoint, const char* key, const json::value& value) {
  auto config = read_json_object(golden / checkpoint / "config.json");
  auto* text = config.if_contains("text_config");
  (text ? text->as_object() : config)[key] = value;
  testing::TempDir dir;
  dir.write("config.json", json::serialize(config));
  return testing::error_message([&] { load_model(dir.path(), {}); });
}

json::value parsed(const char* text) { return parse_json(text, "test"); }

TEST(Gemma4Config, NamesWhatIsWrong) {
  const auto full = parsed(R"({"rope_type": "proportional", "rope_theta": 5})");
  for (const auto& [key, value] : {
           std::pair<const char*, json::value>{"global_head_dim", 0},
           {"global_head_dim", 23},
           {"num_kv_shared_layers", 5},
           {"num_kv_shared_layers", 3},  // no full layer is left to share with
           {"num_kv_shared_layers", -1},
           {"layer_types", nullptr},
           {"layer_types", parsed(R"(["full_attention"])")},
           {"layer_types", parsed(R"(["full_attention", "sliding_attention", "linear_attention",
                                      "sliding_attention", "full_attention"])")},
           {"layer_types", parsed(R"(["full_attention", "sliding_attention", "full_attention",
                                      "full_attention", "sliding_attention"])")},
           {"use_bidirectional_attention", "all"},
           {"enable_moe_block", true},  // without a number of experts
           {"hidden_activation", "tanh"},
           {"hidden_size_per_layer_input", -2},
           {"vocab_size_per_layer_input", 0},
           {"attention_bias", true},
           {"final_logit_softcapping", "much"},
           {"per_layer_config", parsed(R"({"1": {"head_dim": 16}})")},
           {"attn_logit_softcapping", 50.0},
           {"rope_parameters", parsed(R"({"rope_type": "default", "rope_theta": 10})")},
           {"rope_parameters", json::object{{"full_attention", full}}},
           {"rope_parameters",
            json::object{{"full_attention", full},
                         {"sliding_attention", parsed(R"({"partial_rotary_factor": 0.5})")}}},
       }) {
    const auto message = message_with("gemma4_text-bf16", key, value);
    const bool experts = std::string(key) == "enable_moe_block";
    EXPECT_NE(message.find(experts ? "num_experts" : key), std::string::npos)
        << key << " " << value << ": " << message;
  }
  for (const auto& [key, value] :
       {std::pair<const char*, json::value>{"num_global_key_value_heads", 4},
        {"top_k_experts", 6},
        {"moe_intermediate_size", nullptr}}) {
    const auto message = message_with("gemma4-bf16", key, value);
    EXPECT_NE(message.find(std::string("text_config.") + key), std::string::npos)
        << key << ": " << message;
  }
}

// The last two layers read what layers 1 and 2 keep.
TEST(Gemma4, KeysAndValuesOfSharedLayersAreStoredOnce) {
  const auto model = load_model(golden / "gemma4_text-bf16", {});
  const auto& layers = model->traits().layers;
  ASSERT_EQ(layers.size(), 5u);
  EXPECT_EQ(std::get<nn::SharedKv>(layers[3]).layer, 1);
  EXPECT_EQ(std::get<nn::SharedKv>(layers[4]).layer, 2);
  const nn::KvStorage storage{mx::float16};
  constexpr std::int64_t sliding = 2 * 8, full = 2 * 16, page = 16, bytes = 2;
  EXPECT_EQ(nn::page_bytes(layers, storage, page), (2 * sliding + full) * page * bytes);
  EXPECT_EQ(nn::window_page_bytes(layers, storage, page), 2 * sliding * page * bytes);
  nn::ModelState state(layers, {7, page, 0, 5}, storage);
  EXPECT_EQ(state.pages().page_bytes(), static_cast<std::size_t>(full * page * bytes));
  EXPECT_EQ(state.window_pages().page_bytes(),
            static_cast<std::size_t>(2 * sliding * page * bytes));
  EXPECT_EQ(&state.keys(4), &state.keys(2));
  EXPECT_EQ(&state.values(3), &state.values(1));
}

}  // namespace
}  // namespace pippin::models
