#include "text/grammar.h"

#include <sstream>
#include <utility>

#include "base/rust.h"

namespace pippin::text {
namespace {

constexpr const char* where = "grammar";

}  // namespace

Matcher::Matcher(Matcher&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), field_(std::move(other.field_)) {}

Matcher& Matcher::operator=(Matcher&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(field_, other.field_);
  return *this;
}

Matcher::~Matcher() { pippin_matcher_free(handle_); }

Matcher Matcher::copy() const {
  PippinMatcher* copy = nullptr;
  rust::Buffer error;
  rust::check(pippin_matcher_copy(handle_, &copy, error.out()), error, where, field_);
  Matcher matcher(copy);
  matcher.field_ = field_;
  return matcher;
}

void Matcher::fill(std::span<std::uint32_t> words) {
  rust::Buffer error;
  const auto status = pippin_matcher_fill(handle_, words.data(), words.size(), error.out());
  rust::check(status, error, where, field_);
}

bool Matcher::allows(std::int32_t token) {
  std::int32_t allowed = 0;
  rust::Buffer error;
  rust::check(pippin_matcher_allows(handle_, token, &allowed, error.out()), error, where, field_);
  return allowed != 0;
}

void Matcher::accept(std::int32_t token) {
  rust::Buffer error;
  rust::check(pippin_matcher_consume(handle_, token, error.out()), error, where, field_);
}

std::vector<std::int32_t> Matcher::forced() {
  PippinIds raw{nullptr, 0};
  rust::Buffer error;
  rust::check(pippin_matcher_forced(handle_, &raw, error.out()), error, where, field_);
  const std::unique_ptr<PippinIds, void (*)(PippinIds*)> owner(&raw, pippin_ids_free);
  return {raw.data, raw.data + raw.size};
}

bool Matcher::finished() const { return pippin_matcher_is_finished(handle_) != 0; }

std::vector<std::string> Matcher::ignored() const {
  rust::Buffer lines;
  pippin_matcher_ignored(handle_, lines.out());
  std::vector<std::string> parts;
  std::istringstream stream{std::string(lines.view())};
  for (std::string line; std::getline(stream, line);) parts.push_back(line);
  return parts;
}

std::int64_t Matcher::bytes() const {
  return static_cast<std::int64_t>(pippin_matcher_bytes(handle_));
}

}  // namespace pippin::text
