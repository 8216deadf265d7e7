// Loading a model with its progress shown.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "pippin/engine.h"
#include "pippin/options.h"

namespace pippin {

/// Loads the model of a directory. A terminal on standard error sees the progress; otherwise the log does where
/// it takes long.
std::unique_ptr<Engine> load_model(const std::filesystem::path& dir, const EngineOptions& options);

}  // namespace pippin
