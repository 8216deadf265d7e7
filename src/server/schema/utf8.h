// Guarding JSON output: what leaves the server is always valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace pippin::server {

/// `text` with every byte that is not part of well-formed UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// `text` with NUL, at which an error's message would end, written as JSON does: \u0000.
std::string without_nul(std::string_view text);

/// The first bytes of what a client sent, short enough to be quoted in an error; valid UTF-8 without NUL.
std::string excerpt(std::string_view text);

}  // namespace pippin::server
