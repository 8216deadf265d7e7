// Token ids to text as they are generated.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

struct PippinDetokenizer;

namespace pippin::text {

/// Turns one sequence's ids into text, each id handled once.
/// Owns what is held back (part of a character, a run of byte tokens); shares the tokenizer. One
/// thread at a time. Always: the texts of all pushes and the finish, joined, equal
/// Tokenizer::decode of all ids, and each text is whole UTF-8 characters.
class Detokenizer {
 public:
  /// `skip_special` leaves out tokens marked special.
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true);
  ~Detokenizer();
  Detokenizer(Detokenizer&& other) noexcept;
  Detokenizer& operator=(Detokenizer&&) = delete;

  /// The text that this id settled; may be empty.
  std::string push(std::int32_t id);
  /// The text still held back. The detokenizer is as new afterwards.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  PippinDetokenizer* handle_ = nullptr;
};

}  // namespace pippin::text
