// The bodies of all APIs' requests, read as the server reads them.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace pippin::fuzz {

inline const std::array<std::string, 8> request_paths{
    "/v1/chat/completions",      "/v1/completions", "/v1/responses", "/v1/messages",
    "/v1/messages/count_tokens", "/tokenize",       "/detokenize",   "/apply-template"};

/// Reads a body sent to one of the paths. Fails where what was read makes no sense to the engine, or where it is refused with
/// anything but a well-formed error of the client's.
void read_request(const std::string& path, std::string_view body);

}  // namespace pippin::fuzz
