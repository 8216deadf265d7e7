// The text of an answer that has arrived and is not settled yet.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pippin::text {

/// A queue of bytes in which tags are looked for while later bytes are still to come.
/// Always: what a look-up says of the bytes at hand stays true whatever arrives.
class Input {
 public:
  enum class Match { yes, no, maybe };  ///< maybe: the bytes at hand begin the tag

  struct Found {
    std::size_t before = 0;          ///< bytes that precede the first tag, or surely belong to none
    std::optional<std::size_t> tag;  ///< index of the tag that follows them
  };

  void append(std::string_view text);
  /// Nothing more will arrive, so that nothing need be held back.
  void close() { closed_ = true; }

  bool closed() const { return closed_; }
  bool empty() const { return at_ == bytes_.size(); }
  std::string_view rest() const { return std::string_view(bytes_).substr(at_); }
  char front() const { return bytes_[at_]; }

  /// Whether the rest begins with the tag.
  Match at(std::string_view tag) const;
  /// The first of the tags, wherever it begins.
  Found find(std::span<const std::string_view> tags) const;

  std::string take(std::size_t size);
  /// Moves so many bytes behind `text`, but for those that would make it longer than `limit` by more than one: a text that gets
  /// too long does so at the same byte, however much has arrived.
  void move(std::size_t size, std::string& text, std::size_t limit);
  char take_byte();
  void skip_space();

  /// Keeps a copy of what is taken from here on, behind `prefix`.
  void record(std::string prefix);
  /// The copy so far; ends it.
  std::string stop_recording();

 private:
  void advance(std::size_t size);

  std::string bytes_;
  std::size_t at_ = 0;  ///< of bytes_, those taken
  bool closed_ = false;
  std::optional<std::string> recorded_;
};

inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Without white space at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace pippin::text
