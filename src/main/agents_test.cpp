#include "main/agents.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin {
namespace {

const ServedModel model{"http://127.0.0.1:9", "org/name", 16'384, "secret key"};

std::string variable(const AgentSetup& setup, const std::string& name) {
  for (const auto& [key, value] : setup.variables)
    if (key == name) return value;
  return "(none)";
}

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(Agents, ClaudeIsToldByItsEnvironment) {
  const AgentSetup setup = set_up_agent("claude", model);
  EXPECT_EQ(variable(setup, "ANTHROPIC_BASE_URL"), "http://127.0.0.1:9");
  EXPECT_EQ(variable(setup, "ANTHROPIC_AUTH_TOKEN"), "secret key");
  EXPECT_EQ(variable(setup, "ANTHROPIC_DEFAULT_HAIKU_MODEL"), "org/name");
  EXPECT_EQ(variable(setup, "CLAUDE_CODE_MAX_OUTPUT_TOKENS"), "4096") << "a quarter of the context";
  EXPECT_TRUE(has(setup.removed, "ANTHROPIC_API_KEY")) << "it would go before the token";
}

TEST(Agents, CodexIsToldByItsArguments) {
  ServedModel quoted = model;
  quoted.id = "a\"b";
  const AgentSetup setup = set_up_agent("codex", quoted);
  EXPECT_TRUE(has(setup.arguments, "model=\"a\\\"b\""));
  EXPECT_TRUE(has(setup.arguments, "model_provider=\"pippin\""));
  EXPECT_TRUE(has(setup.arguments, "model_context_window=16384"));
  EXPECT_EQ(variable(setup, "PIPPIN_API_KEY"), "secret key");
}

TEST(Agents, OpencodeIsToldByAConfig) {
  const AgentSetup setup = set_up_agent("opencode", model);
  const auto config = parse_json(variable(setup, "OPENCODE_CONFIG_CONTENT"), "config");
  EXPECT_EQ(config.at("model"), "pippin/org/name");
  const auto& provider = config.at("provider").at("pippin");
  EXPECT_EQ(provider.at("options").at("baseURL"), "http://127.0.0.1:9/v1");
  EXPECT_EQ(provider.at("models").at("org/name").at("limit").at("context"), 16'384);
  EXPECT_EQ(variable(setup, "OPENCODE_CONFIG_CONTENT").find("secret"), std::string::npos);
}

TEST(Agents, AiderIsToldByBoth) {
  const AgentSetup setup = set_up_agent("aider", {"http://h:1", "m", 0, ""});
  EXPECT_EQ(setup.arguments, (std::vector<std::string>{"--model", "openai/m"}));
  EXPECT_EQ(variable(setup, "OPENAI_API_BASE"), "http://h:1/v1");
  EXPECT_EQ(variable(setup, "OPENAI_API_KEY"), "none") << "it wants one";
}

TEST(Agents, WhatIsShownCanBeTypedAndHoldsNoKey) {
  for (const std::string& name : agent_names()) {
    const std::string text = shown(set_up_agent(name, model), "secret key");
    EXPECT_EQ(text.find("secret"), std::string::npos) << text;
    EXPECT_NE(text.find("org/name"), std::string::npos) << text;
    EXPECT_FALSE(install_hint(name).empty());
    EXPECT_GT(first_tokens(name), 0);
  }
  AgentSetup setup{"p", {"it's", ""}, {{"A", "b c"}}, {"D"}};
  EXPECT_EQ(shown(setup, ""), "unset D\nexport A='b c'\np 'it'\\''s' ''\n");
  EXPECT_THROW(set_up_agent("emacs", model), Error);
}

}  // namespace
}  // namespace pippin
