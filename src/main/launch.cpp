// pippin launch: a coding agent on a model of this machine.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>
#include <system_error>

#include "base/log.h"
#include "main/agents.h"
#include "main/commands.h"
#include "main/model_source.h"
#include "main/process.h"
#include "main/running_server.h"
#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

constexpr int interrupted_status = 130;  // as shells have it

bool is_installed(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  return false;
}

void check_installed(const std::string& agent) {
  if (!is_installed(agent))
    throw Error(Code::not_found,
                agent + " is not installed (it is not in PATH): " + install_hint(agent));
}

void warn_of_context(const std::string& agent, const ServedModel& model) {
  if (model.context > 0 && model.context < 2 * first_tokens(agent))
    spdlog::warn("{} reads some {} tokens before the first question; {} holds {} in all", agent,
                 first_tokens(agent), model.id, model.context);
}

// What it does is said in lines that can be typed, too.
void say(const AgentSetup& setup, const std::string& api_key) {
  std::istringstream lines(shown(setup, api_key));
  for (std::string line; std::getline(lines, line);) spdlog::info("{}", line);
}

// The terminal is the agent's: Ctrl-C is for it alone. What ends this program ends it.
int wait_for(Process& agent, const HeldSignals& signals) {
  while (true) {
    if (const auto status = agent.status()) return *status;
    const int signal = signals.wait();
    if (signal == SIGTERM || signal == SIGHUP) agent.send(signal);
  }
}

int run_agent(AgentSetup setup, const LaunchCommand& command, const HeldSignals& signals) {
  setup.arguments.insert(setup.arguments.end(), command.arguments.begin(), command.arguments.end());
  say(setup, command.api_key);
  Process agent({setup.program, setup.arguments, setup.variables, setup.removed, "", false});
  return wait_for(agent, signals);
}

std::string model_of(const LaunchCommand& command) {
  return command.model.empty() ? "demo" : command.model;
}

// The model is there before the server starts: a download has its progress on this terminal.
std::string fetched(const LaunchCommand& command, const fs::path& program) {
  const std::string model = model_of(command);
  get_model(model, program, {}, command.offline);
  return model;
}

int with_started(const LaunchCommand& command, const fs::path& program) {
  const std::string model = fetched(command, program);
  const HeldSignals signals;
  spdlog::info("no server answers at {}; starting one for {}", command.url, model);
  StartedServer server(program, model, command.url, command.api_key, signals);
  spdlog::info("it ends with {}; its log is {}", command.agent, server.log().string());
  const ServedModel served = server.served().front();
  warn_of_context(command.agent, served);
  const int status = run_agent(set_up_agent(command.agent, served), command, signals);
  if (!server.runs())
    spdlog::warn("the server has ended before {}; its log is {}", command.agent,
                 server.log().string());
  return status;
}

int with_running(const LaunchCommand& command, const std::vector<ServedModel>& served) {
  const ServedModel model = choose_served(served, command.model);
  spdlog::info("a server runs at {}; {} uses its model {}", command.url, command.agent, model.id);
  warn_of_context(command.agent, model);
  const HeldSignals signals;
  return run_agent(set_up_agent(command.agent, model), command, signals);
}

}  // namespace

int launch(const LaunchCommand& command, const fs::path& program) try {
  if (!command.print) check_installed(command.agent);
  const auto served = list_served(command.url, command.api_key);
  if (command.print) {
    const ServedModel model = served
                                  ? choose_served(*served, command.model)
                                  : ServedModel{command.url, model_of(command), 0, command.api_key};
    std::cout << shown(set_up_agent(command.agent, model), command.api_key);
    return EXIT_SUCCESS;
  }
  return served ? with_running(command, *served) : with_started(command, program);
} catch (const Error& error) {
  if (error.code() == Code::cancelled) return interrupted_status;
  throw;
}

}  // namespace pippin
