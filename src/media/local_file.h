// Local files that a request may name: only those under one folder. Internal to media/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace pippin::media {

/// Reads a file: URL or a plain path, which must lie under `root` once symbolic links are resolved: component by component from the open
/// root on, so that nothing that is renamed or linked meanwhile leads out of it. A relative path counts from `root`. An empty root refuses every file. Throws Error(invalid_argument)
/// naming the rule that was broken, and Error(payload_too_large) over `max_bytes`.
std::vector<std::uint8_t> read_local_file(std::string_view url_or_path,
                                          const std::filesystem::path& root,
                                          std::int64_t max_bytes);

}  // namespace pippin::media
