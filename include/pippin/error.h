// The one error type of Pippin. Thrown inside a thread; carried as a value where it crosses one.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace pippin {

/// What went wrong, in the caller's terms. The HTTP status follows from it in one place
/// (server/http/errors).
enum class Code {
  invalid_argument,    ///< the request (or an option) is malformed or unsupported: 400
  context_exceeded,    ///< the prompt is longer than the model's context: 400
  not_found,           ///< a model, file or route that does not exist: 404
  payload_too_large,   ///< a body, picture or prompt over a stated limit: 413
  resource_exhausted,  ///< a queue is full; trying again later may work: 429
  cancelled,           ///< the consumer went away
  deadline_exceeded,   ///< not done in the time that the request may take: 504
  unavailable,         ///< the engine is stopping or a step failed: 503
  internal,            ///< a bug or a broken machine: 500
};

/// An error with its kind and, where one is to blame, the request field ("messages.0.content").
class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message, std::string field = "")
      : std::runtime_error(message), code_(code), field_(std::move(field)) {}

  Code code() const { return code_; }
  /// Path of the offending request field; empty when no single field is to blame.
  const std::string& field() const { return field_; }

 private:
  Code code_;
  std::string field_;
};

}  // namespace pippin
