// Loading a model with its progress shown.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "pippin/engine.h"
#include "pippin/options.h"

namespace pippin {

/// Finds MODEL (see find_model) and loads it. A terminal on standard error sees the progress; otherwise the log does where
/// it takes long.
std::unique_ptr<Engine> load_model(const std::string& model, const std::filesystem::path& program,
                                   const EngineOptions& options);

}  // namespace pippin
