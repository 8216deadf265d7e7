// Base64 (RFC 4648) to bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace pippin {

/// The bytes of `text`. White space, missing padding and the URL alphabet (- and _) are tolerated. Throws
/// Error(invalid_argument) saying what is wrong, and Error(payload_too_large) over `max_bytes`, before taking memory for them.
std::vector<std::uint8_t> decode_base64(std::string_view text, std::int64_t max_bytes);

/// Whether a character is one of either alphabet, white space or padding.
bool is_base64(char c);

}  // namespace pippin
