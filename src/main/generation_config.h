// How a checkpoint wants to be sampled.
#pragma once

#include <filesystem>

#include "pippin/request.h"

namespace pippin {

/// The sampling that the model's generation_config.json recommends (temperature, top_p, top_k, min_p; greedy where do_sample
/// is false): what requests get that don't say otherwise, as in vLLM. Without the file, the defaults of SamplingOptions.
/// Values out of range are left out, with a warning.
SamplingOptions recommended_sampling(const std::filesystem::path& model_dir);

}  // namespace pippin
