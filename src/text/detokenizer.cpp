#include "text/detokenizer.h"

#include <utility>

#include "base/rust.h"

namespace pippin::text {
namespace {

std::string copy(const std::uint8_t* text, std::size_t size) {
  return {reinterpret_cast<const char*>(text), size};
}

}  // namespace

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)) {
  rust::Buffer error;
  const auto status =
      pippin_detokenizer_new(tokenizer_->handle(), skip_special ? 1 : 0, &handle_, error.out());
  rust::check(status, error, "detokenizer");
}

Detokenizer::~Detokenizer() { pippin_detokenizer_free(handle_); }

Detokenizer::Detokenizer(Detokenizer&& other) noexcept
    : tokenizer_(std::move(other.tokenizer_)), handle_(std::exchange(other.handle_, nullptr)) {}

std::string Detokenizer::push(std::int32_t id) {
  const std::uint8_t* text = nullptr;
  std::size_t size = 0;
  rust::Buffer error;
  rust::check(pippin_detokenizer_push(handle_, id, &text, &size, error.out()), error,
              "detokenizer");
  return copy(text, size);
}

std::string Detokenizer::finish() {
  const std::uint8_t* text = nullptr;
  std::size_t size = 0;
  rust::Buffer error;
  rust::check(pippin_detokenizer_finish(handle_, &text, &size, error.out()), error, "detokenizer");
  return copy(text, size);
}

}  // namespace pippin::text
