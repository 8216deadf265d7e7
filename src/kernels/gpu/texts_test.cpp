// What the languages of GPUs would not take, and g++ would.
#include "kernels/gpu/texts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>

namespace pippin::kernels::gpu {
namespace {

const char* const kernels[] = {text::prelude,
                               text::paged_decode,
                               text::paged_decode_parts_call,

                               text::merge_parts_call,
                               text::qk_norm_rope_write,
                               text::qk_norm_rope_write_call,
                               text::qk_norm_rope_rows_call,
                               text::gated,
                               text::gated_call,
                               text::product,
                               text::product_call,
                               text::rms_norm,
                               text::rms_norm_call,
                               text::embed,
                               text::embed_call,
                               text::rope_angles,
                               text::rope_angles_call,
                               text::argmax,
                               text::argmax_parts_call,
                               text::argmax_merge_call,
                               text::pick_tokens,
                               text::pick_tokens_call,
                               text::sample,
                               text::sample_bins_call,
                               text::sample_sums_call,
                               text::sample_draw_call,
                               text::edit_logits,
                               text::edit_logits_call};

// Keywords of MSL or CUDA, and what MSL 3.1 lacks.
const std::set<std::string> forbidden = {
    "thread",       "device",   "constant", "threadgroup", "kernel", "vertex", "fragment",
    "sampler",      "texture",  "half",     "bfloat",      "packed", "double", "long",
    "static",       "virtual",  "throw",    "try",         "catch",  "new",    "delete",
    "goto",         "auto",     "volatile", "std",         "metal",  "cuda",   "fabs",
    "dynamic_cast", "operator", "requires", "concept"};

std::string code_of(const std::string& text) {
  return std::regex_replace(text, std::regex("//[^\n]*"), "");
}

std::set<std::string> words_of(const std::string& code) {
  static const std::regex word("[A-Za-z_][A-Za-z_0-9]*");
  return {std::sregex_token_iterator(code.begin(), code.end(), word), std::sregex_token_iterator()};
}

TEST(KernelTexts, UseNoWordOfOneLanguageAlone) {
  for (const std::string text : kernels) {
    ASSERT_FALSE(text.empty());
    for (const auto& word : words_of(code_of(text)))
      EXPECT_FALSE(forbidden.contains(word)) << word << " in " << text.substr(0, 200);
  }
}

TEST(KernelTexts, HaveNoLambdaAndNoDirective) {
  for (const std::string text : kernels) {
    const auto code = code_of(text);
    EXPECT_EQ(code.find("[&"), std::string::npos);
    EXPECT_EQ(code.find("[="), std::string::npos);
    EXPECT_EQ(code.find('#'), std::string::npos) << code.substr(0, 200);
  }
}

// Apple's strings are ASCII; MLX adds arguments for names that end so.
TEST(KernelTexts, AreWhatMlxTakes) {
  const char* const all[] = {text::prelude_cuda, text::prelude_metal};
  for (const std::string text : all)
    EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c > 0; }));
  for (const std::string text : kernels) {
    EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c > 0; }));
    for (const auto& word : words_of(code_of(text)))
      for (const std::string end : {"_shape", "_strides", "_ndim"})
        EXPECT_FALSE(word.ends_with(end)) << word;
  }
}

TEST(KernelTexts, ThePreludesHaveTheSameWords) {
  for (const std::string word :
       {"FN",           "DEVICE",        "SHARED",        "THREAD",     "SHARED_ARRAY",
        "UNROLL",       "group_barrier", "exp2_fast",     "rsqrt_fast", "lane_xor",
        "load_numbers", "SIZE_OF",       "INFINITE",      "cosine",     "sine",
        "inputs_ready", "load_shared",   "load_words",    "numbers_of", "codes_of",
        "code_offset",  "bits_of",       "float_of_bits", "shared_add"})
    for (const std::string text : {text::prelude_cuda, text::prelude_metal})
      EXPECT_TRUE(words_of(text).contains(word)) << word;
}

}  // namespace
}  // namespace pippin::kernels::gpu
