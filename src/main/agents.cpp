#include "main/agents.h"

#include <algorithm>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin {
namespace {

constexpr std::int64_t longest_answer = 8192;     // tokens
constexpr std::int64_t unknown_context = 32'768;  // tokens

std::string key_of(const ServedModel& model) {
  return model.api_key.empty() ? "none" : model.api_key;  // agents want one
}

std::int64_t context_of(const ServedModel& model) {
  return model.context > 0 ? model.context : unknown_context;
}

// An answer must leave room for what it answers to.
std::int64_t answer_of(const ServedModel& model) {
  return std::min(longest_answer, std::max<std::int64_t>(1, context_of(model) / 4));
}

std::string quoted(const std::string& text) { return json::serialize(json::string(text)); }

AgentSetup claude(const ServedModel& model) {
  return {"claude",
          {},
          {{"ANTHROPIC_BASE_URL", model.url},
           {"ANTHROPIC_AUTH_TOKEN", key_of(model)},
           {"ANTHROPIC_MODEL", model.id},
           {"ANTHROPIC_DEFAULT_OPUS_MODEL", model.id},
           {"ANTHROPIC_DEFAULT_SONNET_MODEL", model.id},
           {"ANTHROPIC_DEFAULT_HAIKU_MODEL", model.id},
           {"CLAUDE_CODE_MAX_OUTPUT_TOKENS", std::to_string(answer_of(model))}},
          {"ANTHROPIC_API_KEY"}};
}

// Values of -c are TOML, whose strings are written as JSON's.
AgentSetup codex(const ServedModel& model) {
  const std::string provider = "{name=\"Pippin\",base_url=" + quoted(model.url + "/v1") +
                               ",wire_api=\"responses\",env_key=\"PIPPIN_API_KEY\"}";
  return {"codex",
          {"-c", "model=" + quoted(model.id), "-c", "model_provider=\"pippin\"", "-c",
           "model_providers.pippin=" + provider, "-c",
           "model_context_window=" + std::to_string(context_of(model)), "-c",
           "web_search=\"disabled\""},
          {{"PIPPIN_API_KEY", key_of(model)}},
          {}};
}

AgentSetup opencode(const ServedModel& model) {
  const json::object limit{{"context", context_of(model)}, {"output", answer_of(model)}};
  const json::object options{{"baseURL", model.url + "/v1"}, {"apiKey", "{env:PIPPIN_API_KEY}"}};
  const json::object provider{{"npm", "@ai-sdk/openai-compatible"},
                              {"name", "Pippin"},
                              {"options", options},
                              {"models", {{model.id, {{"limit", limit}}}}}};
  const json::object config{{"model", "pippin/" + model.id}, {"provider", {{"pippin", provider}}}};
  return {"opencode",
          {},
          {{"PIPPIN_API_KEY", key_of(model)}, {"OPENCODE_CONFIG_CONTENT", json::serialize(config)}},
          {}};
}

AgentSetup aider(const ServedModel& model) {
  return {"aider",
          {"--model", "openai/" + model.id},
          {{"OPENAI_API_BASE", model.url + "/v1"}, {"OPENAI_API_KEY", key_of(model)}},
          {}};
}

struct Agent {
  const char* name;
  AgentSetup (*set_up)(const ServedModel&);
  const char* install;
  std::int64_t first_tokens;
};

constexpr Agent agents[] = {
    {"claude", claude, "npm install -g @anthropic-ai/claude-code", 20'000},
    {"codex", codex, "npm install -g @openai/codex", 8'000},
    {"opencode", opencode, "npm install -g opencode-ai", 10'000},
    {"aider", aider, "pipx install aider-chat", 3'000},
};

const Agent& find(const std::string& name) {
  for (const Agent& agent : agents)
    if (name == agent.name) return agent;
  throw Error(Code::invalid_argument, "there is nothing to launch by the name '" + name + "'");
}

// In quotation marks where a shell would split or change it.
std::string for_shell(const std::string& text) {
  constexpr const char* plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

std::vector<std::string> agent_names() {
  std::vector<std::string> names;
  for (const Agent& agent : agents) names.emplace_back(agent.name);
  return names;
}

AgentSetup set_up_agent(const std::string& name, const ServedModel& model) {
  return find(name).set_up(model);
}

std::string install_hint(const std::string& name) { return find(name).install; }

std::int64_t first_tokens(const std::string& name) { return find(name).first_tokens; }

std::string shown(const AgentSetup& setup, const std::string& api_key) {
  std::string text;
  for (const std::string& name : setup.removed) text += "unset " + name + "\n";
  for (const auto& [name, value] : setup.variables)
    text += "export " + name + "=" +
            (!api_key.empty() && value == api_key ? "..." : for_shell(value)) + "\n";
  text += setup.program;
  for (const std::string& argument : setup.arguments) text += " " + for_shell(argument);
  return text + "\n";
}

}  // namespace pippin
