// JSON followed byte by byte: where things begin and end, and whether it still can be JSON.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace pippin::text {

/// What a byte of JSON completed or opened.
struct JsonEvent {
  enum class Kind { object_begin, object_end, array_begin, array_end, key, string, scalar };

  Kind kind;
  int depth;         ///< objects and arrays around it
  std::string text;  ///< of a key or string, without its escapes
};

/// Checks one JSON object or array as strictly as any JSON parser (it is Boost.JSON's), nested at most 64 deep.
class JsonScanner {
 public:
  enum class Status { open, done, broken };

  JsonScanner();
  ~JsonScanner();
  JsonScanner(JsonScanner&&) noexcept;
  JsonScanner& operator=(JsonScanner&&) noexcept;

  /// Takes the next byte. Anything but white space after the end is broken, and so is all after that.
  Status push(char byte);
  Status status() const;
  /// What the last byte brought, in order.
  const std::vector<JsonEvent>& events() const;
  /// Begins anew.
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pippin::text
