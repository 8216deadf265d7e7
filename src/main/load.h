// Loading a model with its progress shown.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "main/command_line.h"
#include "main/model_source.h"
#include "pippin/engine.h"
#include "pippin/options.h"

namespace pippin {

/// Shows a fraction as it grows, behind `what`: a terminal on standard error sees it; otherwise the log does where it takes
/// long. To be called by one thread at a time; the terminal's line is cleared when the last copy goes.
std::function<void(double)> show_progress(const std::string& what);

/// Loads the model. A terminal on standard error sees the progress; otherwise the log does where
/// it takes long.
std::unique_ptr<Engine> load_model(const ModelSource& source, const EngineOptions& options);

/// The same for an answer on the terminal: from here on only warnings are logged, unless the user wants more.
std::unique_ptr<Engine> load_for_answers(const ModelSource& source, const AnswerCommand& command);

}  // namespace pippin
