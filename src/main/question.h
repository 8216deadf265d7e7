// What run and chat put before a model.
#pragma once

#include <filesystem>
#include <string>

#include "main/command_line.h"
#include "pippin/request.h"

namespace pippin {

/// A picture of a file or URL. Throws Error(not_found) or Error(invalid_argument) naming it.
ContentPart load_picture(const std::string& name);
/// A clip, sampled as the model of the directory wants it.
ContentPart load_clip(const std::string& name, const std::filesystem::path& model_dir);

/// What the user chose, and the model's recommendation for the rest.
SamplingOptions sampling_of(const AnswerCommand& command, const std::filesystem::path& model_dir);

}  // namespace pippin
