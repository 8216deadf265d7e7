// URLs, as far as the hub needs them.
#pragma once

#include <string>
#include <string_view>

namespace pippin::hub {

/// Scheme, host and port, as "https://host:443"; empty where `url` is none of http or https.
std::string origin_of(const std::string& url);

/// What the header `Location: reference` of an answer from `base` leads to; empty where that is no URL of http or https.
std::string resolve_url(const std::string& base, const std::string& reference);

/// `text` with every byte but letters, digits, "-._~" and those in `kept` as %XX.
std::string percent_encoded(std::string_view text, std::string_view kept = "");

}  // namespace pippin::hub
