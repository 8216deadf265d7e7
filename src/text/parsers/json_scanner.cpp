#include "text/parsers/json_scanner.h"

#include <boost/json/basic_parser_impl.hpp>

#include <cstddef>
#include <utility>

namespace pippin::text {
namespace {

namespace json = boost::json;
using ErrorCode = boost::system::error_code;
using Kind = JsonEvent::Kind;

/// Boost.JSON's events with their depth. The names are the library's.
struct Handler {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_object_begin(ErrorCode&) { return open(Kind::object_begin); }
  bool on_object_end(std::size_t, ErrorCode&) { return close(Kind::object_end); }
  bool on_array_begin(ErrorCode&) { return open(Kind::array_begin); }
  bool on_array_end(std::size_t, ErrorCode&) { return close(Kind::array_end); }
  bool on_key_part(json::string_view part, std::size_t, ErrorCode&) { return add(part); }
  bool on_key(json::string_view part, std::size_t, ErrorCode&) {
    return add(part) && end(Kind::key);
  }
  bool on_string_part(json::string_view part, std::size_t, ErrorCode&) { return add(part); }
  bool on_string(json::string_view part, std::size_t, ErrorCode&) {
    return add(part) && end(Kind::string);
  }
  bool on_number_part(json::string_view, ErrorCode&) { return true; }
  bool on_int64(std::int64_t, json::string_view, ErrorCode&) { return end(Kind::scalar); }
  bool on_uint64(std::uint64_t, json::string_view, ErrorCode&) { return end(Kind::scalar); }
  bool on_double(double, json::string_view, ErrorCode&) { return end(Kind::scalar); }
  bool on_bool(bool, ErrorCode&) { return end(Kind::scalar); }
  bool on_null(ErrorCode&) { return end(Kind::scalar); }
  bool on_comment_part(json::string_view, ErrorCode&) { return true; }
  bool on_comment(json::string_view, ErrorCode&) { return true; }

  bool open(Kind kind) {
    events.push_back({kind, depth++, ""});
    return true;
  }
  bool close(Kind kind) {
    events.push_back({kind, --depth, ""});
    return true;
  }
  bool add(json::string_view part) {
    text.append(part.data(), part.size());
    return true;
  }
  bool end(Kind kind) {
    events.push_back({kind, depth, std::exchange(text, {})});
    return true;
  }

  std::vector<JsonEvent> events;
  std::string text;
  int depth = 0;
};

json::parse_options options() {
  json::parse_options options;
  options.max_depth = 64;  // as for requests: a client parses what comes out here
  return options;
}

}  // namespace

struct JsonScanner::Impl {
  json::basic_parser<Handler> parser{options()};
  Status status = Status::open;
};

JsonScanner::JsonScanner() : impl_(std::make_unique<Impl>()) {}
JsonScanner::~JsonScanner() = default;
JsonScanner::JsonScanner(JsonScanner&&) noexcept = default;
JsonScanner& JsonScanner::operator=(JsonScanner&&) noexcept = default;

JsonScanner::Status JsonScanner::push(char byte) {
  auto& handler = impl_->parser.handler();
  handler.events.clear();
  if (impl_->status == Status::broken) return Status::broken;
  ErrorCode error;
  const auto taken = impl_->parser.write_some(true, &byte, 1, error);
  if (error || taken == 0)  // it leaves what follows the end
    impl_->status = Status::broken;
  else if (impl_->parser.done())
    impl_->status = Status::done;
  return impl_->status;
}

JsonScanner::Status JsonScanner::status() const { return impl_->status; }

const std::vector<JsonEvent>& JsonScanner::events() const { return impl_->parser.handler().events; }

void JsonScanner::reset() { impl_ = std::make_unique<Impl>(); }

}  // namespace pippin::text
