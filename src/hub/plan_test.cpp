#include "hub/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace pippin::hub {
namespace {

std::vector<RemoteFile> files(std::initializer_list<const char*> paths) {
  std::vector<RemoteFile> list;
  for (const char* path : paths) list.push_back({path, 10, std::string(40, '0')});
  return list;
}

std::vector<std::string> names(const std::vector<RemoteFile>& list) {
  std::vector<std::string> names;
  for (const RemoteFile& file : list) names.push_back(file.path);
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

std::string refusal(const std::vector<RemoteFile>& list, const std::string& quantization = "") {
  try {
    plan_files(list, "o/n", quantization);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Plan, TakesWhatAModelNeeds) {
  const Plan plan = plan_files(
      files({".gitattributes", "README.md", "config.json", "tokenizer.json", "tokenizer.model",
             "vocab.json", "chat_template.jinja", "additional_chat_templates/tool.jinja",
             "additional_chat_templates/a/b.jinja", "model.safetensors", "consolidated.safetensors",
             "pytorch_model.bin", "model.pth", "onnx/model.onnx", "modeling_x.py",
             "sub/config.json", "sub/model.safetensors", "preprocessor_config.json"}),
      "o/n");
  EXPECT_EQ(names(plan.small),
            (Names{"additional_chat_templates/tool.jinja", "chat_template.jinja", "config.json",
                   "preprocessor_config.json", "tokenizer.json"}));
  EXPECT_EQ(names(plan.weights), Names{"model.safetensors"});
  EXPECT_EQ(plan.weight_bytes(), 10);
  EXPECT_EQ(plan.bytes(), 60);
}

TEST(Plan, TakesOtherTokenizersWhereThereIsNoTokenizerJson) {
  const auto small = [](std::initializer_list<const char*> paths) {
    return names(plan_files(files(paths), "o/n").small);
  };
  EXPECT_EQ(small({"config.json", "a.safetensors", "vocab.json", "merges.txt"}),
            (Names{"config.json", "merges.txt", "vocab.json"}));
  for (const char* name : {"tekken.json", "tokenizer.model", "tiktoken.model", "qwen.tiktoken"}) {
    EXPECT_EQ(small({"config.json", "a.safetensors", name}), (Names{"config.json", name}));
    EXPECT_EQ(small({"config.json", "a.safetensors", "tokenizer.json", name}),
              (Names{"config.json", "tokenizer.json"}));
  }
  EXPECT_EQ(small({"config.json", "a.safetensors", "sub/qwen.tiktoken"}), Names{"config.json"});
}

TEST(Plan, TakesTheWeightsOfTheIndex) {
  Plan plan = plan_files(files({"config.json", "model.safetensors.index.json", "a.safetensors",
                                "b.safetensors", "consolidated.safetensors"}),
                         "o/n");
  keep_indexed(plan, R"({"weight_map": {"x": "a.safetensors", "y": "b.safetensors",
                                        "z": "a.safetensors"}})");
  EXPECT_EQ(names(plan.weights), (Names{"a.safetensors", "b.safetensors"}));
  for (const char* index : {R"({"weight_map": {"x": "../a.safetensors"}})", "[]", "{}", "{",
                            R"({"weight_map": {"x": 1}})", R"({"weight_map": {"x": "c"}})"})
    EXPECT_THROW(keep_indexed(plan, index), Error) << index;
}

TEST(Plan, SaysWhatIsMissing) {
  EXPECT_NE(refusal(files({"model.safetensors"})).find("config.json"), std::string::npos);
  EXPECT_NE(refusal(files({"config.json", "pytorch_model.bin"})).find("pickle"), std::string::npos);
}

TEST(Plan, TakesAGgufFileWhereOneIsNamedOrNothingElseIsThere) {
  const auto list =
      files({"README.md", "config.json", "tokenizer.json", "x-Q4_K_M.gguf",
             "x-Q8_0-00001-of-00002.gguf", "x-Q8_0-00002-of-00002.gguf", "mmproj.gguf"});
  const Plan usual = plan_files(list, "o/n");
  EXPECT_TRUE(usual.gguf);
  EXPECT_EQ(names(usual.small), Names{"config.json"});
  EXPECT_EQ(names(usual.weights), Names{"x-Q4_K_M.gguf"});
  EXPECT_EQ(names(plan_files(list, "o/n", "q8_0").weights),
            (Names{"x-Q8_0-00001-of-00002.gguf", "x-Q8_0-00002-of-00002.gguf"}));
  const auto both = files({"config.json", "model.safetensors", "x-Q4_K_M.gguf"});
  EXPECT_FALSE(plan_files(both, "o/n").gguf);
  EXPECT_EQ(names(plan_files(both, "o/n", "Q4_K_M").weights), Names{"x-Q4_K_M.gguf"});
  EXPECT_EQ(names(plan_files(files({"x.gguf"}), "o/n").weights), Names{"x.gguf"})
      << "no config.json is needed";
  EXPECT_NE(refusal(files({"config.json", "model.safetensors", "../x-Q8_0.gguf"}), "Q8_0")
                .find("can't be kept"),
            std::string::npos);
  EXPECT_NE(refusal(files({"config.json", "model.safetensors"}), "Q8_0").find("no GGUF file"),
            std::string::npos);
}

TEST(Plan, RefusesNamesThatLeadElsewhere) {
  for (const char* path :
       {"", "/etc/passwd", "..", "../x", "a/../b", "a//b", "a/", "./a", "a\\b", "a\nb", "\x7f"})
    EXPECT_FALSE(is_safe_path(path)) << path;
  EXPECT_FALSE(is_safe_path(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_safe_path(std::string(300, 'a')));
  for (const char* path : {"a", "a/b.c", "..a", "a..b/...c"})
    EXPECT_TRUE(is_safe_path(path)) << path;
  EXPECT_NE(refusal(files({"config.json", "model.safetensors",
                           "additional_chat_templates/\x1b[2J.jinja"}))
                .find("can't be kept: 'additional_chat_templates/?[2J.jinja'"),
            std::string::npos);
  EXPECT_NE(refusal(files({"config.json", "config.json", "model.safetensors"})), "");
}

}  // namespace
}  // namespace pippin::hub
