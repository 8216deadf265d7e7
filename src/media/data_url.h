// data: URLs (RFC 2397): the file itself, inside the URL.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace pippin::media {

/// The bytes of "data:[<type>][;<parameter>]...[;base64],<data>". In base64, white space and missing
/// padding are tolerated. Throws Error(invalid_argument) saying what is wrong, and
/// Error(payload_too_large) over `max_bytes`, before taking memory for them.
std::vector<std::uint8_t> decode_data_url(std::string_view url, std::int64_t max_bytes);

}  // namespace pippin::media
