#include "server/http/sse.h"

namespace pippin::server {
namespace {

// Every line of `text` (ended by \n, \r or \r\n) behind `prefix`.
std::string prefix_lines(std::string_view prefix, std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t end = text.find_first_of("\r\n");
    out += prefix;
    out += text.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos) return out;
    const bool pair = text.substr(end, 2) == "\r\n";
    text.remove_prefix(end + (pair ? 2 : 1));
  }
}

}  // namespace

std::string sse_event(std::string_view data) { return prefix_lines("data: ", data) + '\n'; }

std::string sse_event(std::string_view name, std::string_view data) {
  return prefix_lines("event: ", name) + sse_event(data);
}

std::string sse_comment(std::string_view text) { return prefix_lines(": ", text) + '\n'; }

}  // namespace pippin::server
