#include "hub/fit.h"

#include <gtest/gtest.h>

#include "pippin/error.h"

namespace pippin::hub {
namespace {

constexpr const char* config = R"({"model_type": "qwen3", "num_hidden_layers": 28, "head_dim": 128,
  "num_attention_heads": 16, "num_key_value_heads": 8, "hidden_size": 1024,
  "max_position_embeddings": 40960})";
constexpr std::int64_t per_token = 2 * 28 * 8 * 128;  // numbers
constexpr std::int64_t gb = 1'000'000'000;

TEST(Fit, NeedsAreTheConfigs) {
  const Needs needs = read_needs(config);
  EXPECT_EQ(needs.model_type, "qwen3");
  EXPECT_EQ(needs.context, 40960);
  EXPECT_EQ(needs.per_token, per_token);
  const Needs latent = read_needs(R"({"num_hidden_layers": 3, "num_attention_heads": 20,
    "hidden_size": 64, "kv_lora_rank": 512, "qk_rope_head_dim": 64})");
  EXPECT_EQ(latent.per_token, 3 * (512 + 64));
  const Needs inner = read_needs(R"({"model_type": "x_vl", "text_config": {"num_hidden_layers": 2,
    "num_attention_heads": 4, "hidden_size": 64, "max_position_embeddings": 8}})");
  EXPECT_EQ(inner.model_type, "x_vl");
  EXPECT_EQ(inner.per_token, 2 * 2 * 4 * 16);
}

TEST(Fit, NonsenseIsNotKnown) {
  for (const char* text :
       {"{}", R"({"num_hidden_layers": -1, "head_dim": "x"})",
        R"({"num_hidden_layers": 9e99, "num_attention_heads": 9223372036854775807,
                               "head_dim": 9223372036854775807})",
        R"({"num_hidden_layers": 2, "kv_lora_rank": 9223372036854775807})",
        R"({"text_config": []})"})
    EXPECT_EQ(read_needs(text).numbers(1), 0) << text;
  EXPECT_THROW(read_needs("[]"), Error);
  EXPECT_THROW(read_needs("{"), Error);
}

TEST(Fit, LayersKeepWhatTheyLookAt) {
  const Needs needs =
      read_needs(R"({"num_hidden_layers": 6, "num_attention_heads": 4, "head_dim": 8,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "linear_attention",
                    "chunked_attention", "full_attention"], "sliding_window": 100,
    "max_position_embeddings": 1000})");
  constexpr std::int64_t layer = 2 * 4 * 8;
  EXPECT_EQ(needs.numbers(50), (2 + 3) * layer * 50);
  EXPECT_EQ(needs.numbers(1000), 2 * layer * 1000 + 3 * layer * 100);
  const Fit fit = judge_fit(needs, 0, {2 * (2 * layer * 300 + 3 * layer * 100), 0});
  EXPECT_EQ(fit.max_tokens, 300) << "the windows are full by then";
  EXPECT_EQ(judge_fit(needs, 0, {0, 0, 8}).cache_bytes, needs.numbers(1000)) << "in 8 bits";
  const Needs hybrid = read_needs(R"({"num_hidden_layers": 24, "full_attention_interval": 4,
    "num_attention_heads": 4, "head_dim": 8})");
  EXPECT_EQ(hybrid.per_token, 6 * layer);
}

// Gemma 4's: the last layers keep nothing, and layers without a window have heads of their own.
TEST(Fit, SharedLayersKeepNothing) {
  const Needs needs = read_needs(R"({"num_attention_heads": 8, "num_key_value_heads": 2,
    "num_global_key_value_heads": 1, "head_dim": 16, "global_head_dim": 40, "sliding_window": 100,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention",
                    "full_attention"], "num_kv_shared_layers": 2})");
  EXPECT_EQ(needs.per_token, 2 * 1 * 40);
  EXPECT_EQ(needs.per_window_token, 2 * (2 * 2 * 16));
  EXPECT_EQ(read_needs(R"({"num_attention_heads": 1, "head_dim": 8, "num_hidden_layers": 5,
    "num_kv_shared_layers": 9})")
                .per_token,
            0);
}

TEST(Fit, IsSaidInNumbers) {
  const Needs needs = read_needs(config);
  const Fit whole = judge_fit(needs, 335'000'000, {8 * gb, 0});
  EXPECT_EQ(whole.verdict, Verdict::fits);
  EXPECT_EQ(whole.text,
            "It takes 335 MB for its weights and 4.70 GB for a context of 40960 tokens; this "
            "machine has 8.00 GB for both: it fits.");
  const Fit part = judge_fit(needs, 335'000'000, {2 * gb, 0});
  EXPECT_EQ(part.verdict, Verdict::short_context);
  EXPECT_EQ(part.max_tokens, (2 * gb - 335'000'000) / (2 * per_token));
  EXPECT_NE(part.text.find(std::to_string(part.max_tokens) + " tokens at most"), std::string::npos);
  EXPECT_EQ(judge_fit(needs, 335'000'000, {2 * gb, 4096}).verdict, Verdict::fits);
  EXPECT_EQ(judge_fit(needs, 3 * gb, {2 * gb, 4096}).verdict, Verdict::too_large);
  EXPECT_EQ(judge_fit({}, gb, {2 * gb, 0}).verdict, Verdict::fits);
}

}  // namespace
}  // namespace pippin::hub
