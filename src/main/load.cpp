#include "main/load.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "base/log.h"

namespace pippin {
namespace {

using Clock = std::chrono::steady_clock;

// Shows a fraction as it grows. Used by one thread at a time.
class Progress {
 public:
  explicit Progress(std::string what)
      : what_(std::move(what)), terminal_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (terminal_) std::fputs("\r\033[K", stderr);  // the line is cleared for what follows
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(double fraction) {
    const int percent = static_cast<int>(fraction * 100);
    if (terminal_) {
      std::fprintf(stderr, "\r%s %3d %%", what_.c_str(), percent);
      std::fflush(stderr);
    } else if (Clock::now() - said_ > std::chrono::seconds(2)) {
      said_ = Clock::now();
      spdlog::info("{}: {} %", what_, percent);
    }
  }

 private:
  const std::string what_;
  const bool terminal_;
  Clock::time_point said_ = Clock::now();
};

}  // namespace

std::function<void(double)> show_progress(const std::string& what) {
  return
      [progress = std::make_shared<Progress>(what)](double fraction) { progress->show(fraction); };
}

std::unique_ptr<Engine> load_model(const ModelSource& source, const EngineOptions& options) {
  return Engine::load(source.dir, options, show_progress("Loading " + source.name));
}

std::unique_ptr<Engine> load_for_answers(const ModelSource& source, const AnswerCommand& command) {
  if (command.quiet) spdlog::set_level(spdlog::level::warn);
  return load_model(source, command.engine);
}

}  // namespace pippin
