// data: URLs (RFC 2397): the file itself, inside the URL.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace pippin::media {

/// A data: URL's parts, which refer to it.
struct DataUrl {
  std::string_view type;   ///< "image/png", as sent but for blanks around it; may be empty
  bool is_base64 = false;  ///< by its last parameter
  std::string_view data;   ///< encoded
};

/// Takes "data:[<type>][;<parameter>]...[;base64],<data>" apart, in any case and with blanks around type and parameters. Throws
/// Error(invalid_argument) where it is none.
DataUrl parse_data_url(std::string_view url);

/// Whether that is the URL's media type, in any case. False for what is no data: URL.
bool has_data_type(std::string_view url, std::string_view type);

/// The bytes of "data:[<type>][;<parameter>]...[;base64],<data>". In base64, white space, missing
/// padding and the URL alphabet (- and _) are tolerated, and blanks around the word base64. Throws Error(invalid_argument) saying what is wrong, and
/// Error(payload_too_large) over `max_bytes`, before taking memory for them.
std::vector<std::uint8_t> decode_data_url(std::string_view url, std::int64_t max_bytes);

/// Whether the text is base64 by itself, without the head of a data: URL. False for short texts.
bool is_base64_data(std::string_view text);

}  // namespace pippin::media
