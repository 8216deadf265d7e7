// A server for the commands that need one: the one that runs, or one that is started.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "main/agents.h"
#include "main/process.h"

namespace pippin {

/// What `GET /v1/models` of the server at `url` lists; nullopt where nothing listens there. Throws Error(unavailable) where something
/// else answers, Error(invalid_argument) where it wants another key.
std::optional<std::vector<ServedModel>> list_served(const std::string& url,
                                                    const std::string& api_key);

/// The one of `served` that the user calls `model` (empty: the first). Throws Error(not_found) naming those that there are.
ServedModel choose_served(const std::vector<ServedModel>& served, const std::string& model);

/// A `pippin serve` of our own. It ends with this object.
class StartedServer {
 public:
  /// `program`: this one. `url`: http://HOST:PORT. Returns when it answers. Throws Error(unavailable) with the end of its log where it
  /// ends before, Error(cancelled) where a signal to end came.
  StartedServer(const std::filesystem::path& program, const std::string& model,
                const std::string& url, const std::string& api_key, const HeldSignals& signals);
  ~StartedServer();
  StartedServer(const StartedServer&) = delete;
  StartedServer& operator=(const StartedServer&) = delete;

  const std::filesystem::path& log() const { return log_; }
  const std::vector<ServedModel>& served() const { return served_; }
  bool runs() { return !process_->status(); }

 private:
  std::filesystem::path log_;
  std::unique_ptr<Process> process_;
  std::vector<ServedModel> served_;
};

/// Folder for what Pippin keeps of its user's sessions, made where it is not there; empty where there can be none.
std::filesystem::path state_folder();

}  // namespace pippin
