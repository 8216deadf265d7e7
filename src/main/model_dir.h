// Where a model named on the command line is.
#pragma once

#include <filesystem>
#include <string>

namespace pippin {

/// The running program's own file.
std::filesystem::path program_path(const char* argv0);

/// The directory or GGUF file that MODEL means: itself, the only GGUF file of a directory that has no *.safetensors, or for "demo" the built-in model: share/pippin/demo-model or assets/demo-model
/// beside one of the folders above the program, so that it is found installed, unpacked and in the source tree.
/// Throws Error(not_found) saying what a model directory is.
std::filesystem::path find_model(const std::string& model, const std::filesystem::path& program);

}  // namespace pippin
