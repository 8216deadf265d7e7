// Qwen3-VL (dense text model). Reference: transformers models/qwen3_vl, mlx-vlm models/qwen3_vl.
#pragma once

#include <memory>

#include "models/model.h"
#include "nn/checkpoint.h"

#include <boost/json.hpp>
#include <filesystem>
#include <functional>

namespace pippin::models {

/// Opens a directory whose config.json says model_type "qwen3_vl".
std::unique_ptr<Model> load_qwen3_vl(const std::filesystem::path& model_dir,
                                     const boost::json::object& config,
                                     const nn::LoadOptions& options);

}  // namespace pippin::models
