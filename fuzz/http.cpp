// Bytes of a connection, pipelined requests included: in whatever pieces they come, the same requests are read from them. The
// bodies go on to the APIs. The first line only says how the bytes are cut.
#include "server/http/parser.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "fuzzing.h"
#include "request_readers.h"

namespace pippin::fuzz {
namespace {

using server::HttpRequest;
using server::RequestParser;

// Bodies get over theirs. Heads don't, as a head in pieces may be a start line longer than one at once.
constexpr server::ParserLimits limits{32 << 10, 2 << 10};

// Keeps what was not taken, as a connection does.
class Reader {
 public:
  /// Returns whether more is wanted.
  bool feed(std::string_view bytes) {
    input_ += bytes;
    for (;;) {
      const std::size_t taken = parser_->feed(input_);
      require(taken <= input_.size(), "more taken than there was");
      input_.erase(0, taken);
      if (parser_->failure()) return refuse();
      if (!parser_->done()) return true;
      const bool goes_on = parser_->keep_alive();
      requests_.push_back(parser_->take());
      parser_.emplace(limits);
      if (!goes_on) return false;
      if (input_.empty()) return true;
    }
  }

  std::vector<HttpRequest> take() { return std::move(requests_); }

 private:
  bool refuse() {
    const int status = parser_->failure()->status;
    require(status >= 400 && status < 600, "a refusal that is none");
    return false;
  }

  std::optional<RequestParser> parser_{limits};
  std::string input_;
  std::vector<HttpRequest> requests_;
};

std::vector<HttpRequest> read_whole(std::string_view bytes) {
  Reader reader;
  reader.feed(bytes);
  return reader.take();
}

std::vector<HttpRequest> read_in_pieces(std::string_view bytes, std::uint32_t seed) {
  std::minstd_rand random(seed);
  Reader reader;
  const std::size_t most = 1 + random() % 64;
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(1 + random() % most, bytes.size());
    if (!reader.feed(bytes.substr(0, size))) break;
    bytes.remove_prefix(size);
  }
  return reader.take();
}

void check_request(const HttpRequest& request) {
  require(request.method == "OPTIONS" || request.path.starts_with('/'), "a path from nowhere",
          request.path);
  require(request.path.find('\0') == std::string::npos, "a path with a NUL");
  require(request.body.size() <= limits.max_body_bytes, "a body over the limit");
}

void check_equal(const HttpRequest& a, const HttpRequest& b) {
  require(a.method == b.method && a.path == b.path && a.query == b.query && a.body == b.body &&
              std::equal(a.headers.begin(), a.headers.end(), b.headers.begin(), b.headers.end()),
          "another request when it came in pieces", a.path);
}

// What is malformed may be refused before or when its end comes; a request it is for nobody.
void run(std::string_view bytes, std::uint32_t seed) {
  const auto whole = read_whole(bytes);
  const auto pieces = read_in_pieces(bytes, seed);
  require(whole.size() == pieces.size(), "more or fewer requests when they came in pieces");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const HttpRequest& request = whole[i];
    check_request(request);
    check_equal(request, pieces[i]);
    if (std::find(request_paths.begin(), request_paths.end(), request.path) != request_paths.end())
      read_request(request.path, request.body);
  }
}

}  // namespace
}  // namespace pippin::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const pippin::fuzz::Input input(data, size);
  pippin::fuzz::run(input.rest, pippin::fuzz::hash_of(input.line));
  return 0;
}
