// The keys that `pippin serve` asks for: from the command line, a file and the environment.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pippin {

/// All keys: those given, those of `file` (one a line; empty lines and those that begin with # are passed over; an empty path is no
/// file) and those of the environment's variable PIPPIN_API_KEYS (with commas). Throws Error(invalid_argument) for a key with white space
/// or of no characters, and where the file or the variable holds none: whoever asks for keys is never served without.
std::vector<std::string> collect_api_keys(std::vector<std::string> keys,
                                          const std::filesystem::path& file);

/// The keys of --admin-key and --admin-key-file, likewise; no variable holds any.
std::vector<std::string> collect_admin_keys(std::vector<std::string> keys,
                                            const std::filesystem::path& file);

}  // namespace pippin
