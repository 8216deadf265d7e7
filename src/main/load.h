// Loading a model with its progress shown.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "pippin/engine.h"
#include "pippin/options.h"

namespace pippin {

/// Shows a fraction as it grows, behind `what`: a terminal on standard error sees it; otherwise the log does where it takes
/// long. To be called by one thread at a time; the terminal's line is cleared when the last copy goes.
std::function<void(double)> show_progress(const std::string& what);

/// Loads the model of a directory. A terminal on standard error sees the progress; otherwise the log does where
/// it takes long.
std::unique_ptr<Engine> load_model(const std::filesystem::path& dir, const EngineOptions& options);

}  // namespace pippin
