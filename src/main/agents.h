// How coding agents are told of a server: what each takes by its environment and its arguments, so that no file of theirs changes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pippin {

/// What an agent is told.
struct ServedModel {
  std::string url;           ///< of the server, without /v1
  std::string id;            ///< by which requests name the model
  std::int64_t context = 0;  ///< tokens; 0: not known
  std::string api_key;       ///< empty for none
};

struct AgentSetup {
  std::string program;
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> variables;  ///< set for it
  std::vector<std::string> removed;  ///< variables that would go before these
};

/// claude, codex, opencode, aider.
std::vector<std::string> agent_names();

/// Throws Error(invalid_argument) for a name that agent_names lacks.
AgentSetup set_up_agent(const std::string& name, const ServedModel& model);

/// How to install it, as its makers say.
std::string install_hint(const std::string& name);

/// Tokens that it reads before the first question, about.
std::int64_t first_tokens(const std::string& name);

/// As a shell would take it; keys are left out.
std::string shown(const AgentSetup& setup, const std::string& api_key);

}  // namespace pippin
