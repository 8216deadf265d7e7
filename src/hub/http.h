// What the hub's client asks of HTTP: one GET at a time, without redirects. The seam where tests put a hub of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "pippin/error.h"

namespace pippin::hub {

struct Request {
  std::string url;
  std::string token;      ///< sent as a bearer token; empty for none
  std::int64_t from = 0;  ///< first byte that is wanted
};

/// Status and headers of an answer.
struct Head {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< by lower-case name

  /// Empty where there is none.
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

/// Takes a piece of the body. It may throw, which ends the transfer.
using Sink = std::function<void(const Head&, std::string_view)>;

/// The connection failed or broke off: asking again may work.
class NetworkError : public Error {
 public:
  explicit NetworkError(const std::string& message) : Error(Code::unavailable, message) {}
};

/// One thread at a time.
class Http {
 public:
  virtual ~Http() = default;
  /// Throws NetworkError, and what the sink throws.
  virtual Head get(const Request& request, const Sink& sink) = 0;
};

/// Makes one for each thread.
using HttpFactory = std::function<std::unique_ptr<Http>()>;

}  // namespace pippin::hub
