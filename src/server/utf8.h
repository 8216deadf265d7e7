// Guarding JSON output: what leaves the server is always valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace pippin::server {

/// `text` with every byte that is not part of well-formed UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

}  // namespace pippin::server
