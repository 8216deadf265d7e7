// What cached KV and encoder outputs depend on besides tokens and pixels.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pippin/pixels.h"

namespace pippin::engine {

/// BLAKE3 of the model directory's config.json and weights, names and whole contents (quantization is part of both), and of `setup`:
/// whatever else decides the numbers or how they lie in memory. Whole contents, since a sample would miss an edited tensor and then
/// give wrong answers; reading gigabytes that are about to be loaded anyway costs a second for two or three. Throws Error(not_found).
Digest model_fingerprint(const std::filesystem::path& model_dir,
                         const std::vector<std::string>& setup);

}  // namespace pippin::engine
