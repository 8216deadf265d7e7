// Other programs that this one starts.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/descriptor.h"

namespace pippin {

struct ProcessOptions {
  std::filesystem::path program;  ///< a path, or a name to be found in PATH
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> variables;  ///< set beside the own ones
  std::vector<std::string> removed;                            ///< variables that it does not get
  std::filesystem::path
      log;  ///< takes its output, and its input is empty; where not set, it has this program's
  bool apart = false;  ///< in a group of its own, which a terminal's Ctrl-C does not reach
};

/// A child process. It is not ended by this object's end.
class Process {
 public:
  /// Throws Error(unavailable) where it can't be started.
  explicit Process(const ProcessOptions& options);

  /// Its exit status, 128 and more where a signal has ended it; nullopt while it runs.
  std::optional<int> status();
  void send(int signal) const;
  /// Asks it to end, and makes it after a time.
  void end(std::chrono::seconds patience);

 private:
  pid_t id_ = -1;
  std::optional<int> status_;
};

/// Takes SIGINT, SIGTERM, SIGHUP and SIGCHLD while it lives, whatever thread they come to: they end nothing, but are asked for. Other programs
/// that are started meanwhile don't inherit that. One at a time.
class HeldSignals {
 public:
  /// Throws Error(unavailable) where the system has no pipe left.
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  /// Whether a signal to end has come.
  bool end_wanted() const;
  /// Waits for a signal and returns it.
  int wait() const;

 private:
  static constexpr std::array held = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};

  Descriptor pipe_{-1};
  std::array<struct sigaction, held.size()> before_{};
};

}  // namespace pippin
