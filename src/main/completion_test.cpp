#include "main/completion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "main/command_line.h"
#include "pippin/error.h"

namespace pippin {
namespace {

using Words = std::vector<std::string>;

Words models() { return {"demo", "qwen3-0.6b"}; }

Candidates completed(const Words& words) { return complete(describe_program(), words, models); }

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(Completion, OfCommandsAndOptions) {
  EXPECT_EQ(completed({"cha"}).words, Words{"chat"});
  EXPECT_TRUE(has(completed({""}).words, "serve"));
  EXPECT_EQ(completed({"--vers"}).words, Words{"--version"});
  EXPECT_EQ(completed({"serve", "--no-p"}).words, (Words{"--no-page", "--no-prefix-cache"}));
  EXPECT_TRUE(has(completed({"run", "demo", "--"}).words, "--log-level"));
  EXPECT_TRUE(completed({"nothing", ""}).words.empty());
  EXPECT_TRUE(completed({}).words.empty());
}

TEST(Completion, OfModels) {
  for (const char* command : {"serve", "run", "chat", "bench", "pull", "rm", "inspect"}) {
    EXPECT_EQ(completed({command, ""}).words, models()) << command;
    EXPECT_TRUE(completed({command, ""}).files);
  }
  EXPECT_EQ(completed({"serve", "--port", "1", "q"}).words, Words{"qwen3-0.6b"});
  EXPECT_EQ(completed({"rm", "demo", ""}).words, models()) << "any number of them";
  EXPECT_TRUE(completed({"run", "demo", ""}).words.empty()) << "a prompt";
}

TEST(Completion, OfValues) {
  EXPECT_EQ(completed({"serve", "--device", ""}).words, (Words{"cpu", "gpu"}));
  EXPECT_EQ(completed({"serve", "--device", "=", "g"}).words, Words{"gpu"}) << "as bash splits it";
  EXPECT_EQ(completed({"serve", "--device", "="}).words, (Words{"cpu", "gpu"}));
  EXPECT_TRUE(completed({"serve", "--tls-cert", ""}).files);
  EXPECT_TRUE(completed({"serve", "--port", ""}).words.empty());
  EXPECT_FALSE(completed({"serve", "--port", ""}).files);
  EXPECT_TRUE(has(completed({"completions", ""}).words, "fish"));
}

TEST(Completion, IsPrintedForScripts) {
  EXPECT_EQ(print({{"a", "b"}, true}), "a\nb\n:files\n");
  EXPECT_EQ(print({{}, false}), "");
  for (const char* shell : {"bash", "fish", "zsh"})
    EXPECT_NE(completion_script(shell).find("__complete"), std::string::npos);
  EXPECT_THROW(completion_script("csh"), Error);
}

TEST(Completion, KnowsModelsWhateverTheVariablesSay) {
  ::setenv("HF_ENDPOINT", "no url", 1);
  EXPECT_TRUE(has(known_models(), "qwen3-0.6b"));
  ::unsetenv("HF_ENDPOINT");
  EXPECT_TRUE(has(known_models(), "demo"));
}

}  // namespace
}  // namespace pippin
