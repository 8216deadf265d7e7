// The architectures that Pippin knows, by the model_type of config.json.
#pragma once

#include <mlx/mlx.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "models/model.h"
#include "nn/checkpoint.h"

namespace pippin::models {

/// Reads the directory's config.json and loads its model.
/// Throws Error(not_found) where it is no model directory, Error(invalid_argument) where something
/// in it is wrong or not supported, always naming it.
std::unique_ptr<Model> load_model(const std::filesystem::path& model_dir,
                                  const nn::LoadOptions& options);

/// The model_types that load_model knows, with commas.
std::string supported_model_types();

/// Throws as load_model does where the directory has no config.json, or its model_type is not supported: in time for
/// that to be said before anything else that is missing.
void check_model_type(const std::filesystem::path& model_dir);

/// The dtype in which the directory says its weights are (config's dtype or torch_dtype; bfloat16
/// where it is silent).
mx::Dtype checkpoint_dtype(const std::filesystem::path& model_dir);

}  // namespace pippin::models
