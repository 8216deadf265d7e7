#include "server/schema/error_table.h"

#include <algorithm>
#include <iterator>

namespace pippin::server {
namespace {

// clang-format off
constexpr ErrorCase errors[] = {
    {400, "invalid_value", "The request is malformed, a field has a wrong type or value or is not supported; `param` names the field"},
    {400, "context_length_exceeded", "The prompt is longer than the model's context; the message begins with 'prompt is too long'"},
    {401, "invalid_api_key", "No API key, or an unknown one"},
    {403, "host_not_allowed", "The Host header is no name of this server: this machine's, or one of --allowed-host"},
    {403, "origin_not_allowed", "The request comes from a web page of another site, which --cors-origin does not list"},
    {403, "admin_key_needed", "Only a key of --admin-key may do this, or see this under --cache-per-key"},
    {404, "not_found", "There is no such route, file or stored object, or the object is another API key's"},
    {404, "model_not_found", "The request names a model that is not served"},
    {405, "method_not_allowed", "The route is there, but not for this method; see the Allow header"},
    {408, "request_timeout", "The request took too long to arrive"},
    {413, "payload_too_large", "The body, a picture or a video is over its limit"},
    {415, "unsupported_media_type", "The body is compressed, or its Content-Type is not application/json"},
    {417, "expectation_failed", "An Expect header other than 100-continue"},
    {429, "queue_full", "As many requests wait as may, as many wait for their grammars (64 of one client, its API key or address), or grammars take all memory that they may; try again after Retry-After"},
    {429, "rate_limit_exceeded", "The API key has used up its requests a minute, or its requests at once; try again after Retry-After"},
    {431, "header_too_large", "The request's header is over its limit"},
    {500, "internal_error", "A fault of the server's own; the log says more under the request's id"},
    {501, "not_implemented", "A Transfer-Encoding other than chunked"},
    {503, "unavailable", "The server is starting, stopping or full, has no memory or no room for the body (--bodies-mb), or a step of the engine failed; try again after Retry-After"},
    {503, "model_unavailable", "The model can't be loaded, or there is no room for it while others are in use or pinned; the message says which, and others' requests go on"},
    {504, "timeout", "The answer had not ended within the request's `timeout` or the server's --request-timeout"},
};
// clang-format on

}  // namespace

std::span<const ErrorCase> error_table() { return errors; }

std::string_view default_code(int status) {
  const auto found = std::find_if(std::begin(errors), std::end(errors),
                                  [status](const ErrorCase& e) { return e.status == status; });
  return found == std::end(errors) ? "" : found->code;
}

}  // namespace pippin::server
