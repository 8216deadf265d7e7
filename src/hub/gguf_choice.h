// Which GGUF file of a repository is meant: such repositories hold a model once for each quantization.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pippin::hub {

/// Whether a path's file holds a model in GGUF: no projector of images (mmproj), no importance matrix.
bool is_gguf_model(std::string_view path);

/// The paths of the file of a quantization, or of its parts in order, among `paths`; others than models are passed over. `quantization`:
/// as file names end, such as Q4_K_M, in any case; empty for Q4_K_M, or the first by name where there is none. Throws
/// Error(invalid_argument) naming those that are there where this one isn't, and the part that is missing.
std::vector<std::string> choose_gguf(const std::vector<std::string>& paths,
                                     const std::string& quantization, const std::string& repo);

}  // namespace pippin::hub
