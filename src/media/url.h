// Small operations on the text of URLs. Internal to media/.
#pragma once

#include <string>
#include <string_view>

namespace pippin::media {

/// Whether `text` begins with `prefix` (given in lower case), in whatever case.
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);

/// Undoes %41 and the like. Throws Error(invalid_argument) on a percent sign without two digits.
std::string percent_decode(std::string_view text);

/// At most 200 bytes of a URL, whole UTF-8 characters: what an error message may quote of a request.
std::string shortened(std::string_view url);

}  // namespace pippin::media
