// Loading a model with its progress shown.
#pragma once

#include <memory>

#include "main/command_line.h"
#include "main/model_source.h"
#include "pippin/engine.h"
#include "pippin/options.h"

namespace pippin {

/// Loads the model. A terminal on standard error sees the progress; otherwise the log does where
/// it takes long.
std::unique_ptr<Engine> load_model(const ModelSource& source, const EngineOptions& options);

/// The same for an answer on the terminal: from here on only warnings are logged, unless the user wants more.
std::unique_ptr<Engine> load_for_answers(const ModelSource& source, const AnswerCommand& command);

}  // namespace pippin
