// What Anthropic's Messages and OpenAI's Responses have in common: an answer is a list of blocks, told one after the other.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/chat/reply.h"

namespace pippin::server {

/// A run of text, of reasoning, or one tool call.
struct AnswerBlock {
  enum class Kind { text, reasoning, call };

  Kind kind = Kind::text;
  std::string text;      ///< of a call its arguments
  std::string id, name;  ///< of a call
};

/// Cuts the one choice's events into blocks, and has the subclass say where they begin, grow and end.
class BlockReply : public Reply {
 public:
  std::string add(std::size_t choice, const ChatEvent& event) final;
  void fold(std::size_t choice, const ChatEvent& event) final;
  /// Says the end of the last block, then last().
  std::string close() final;

 protected:
  /// Before the first event is told; the usage says what of the prompt was cached.
  virtual std::string first() { return {}; }
  /// The beginning of blocks().back(), which has no text yet.
  virtual std::string begin() = 0;
  /// The same block has grown by `piece`.
  virtual std::string grow(std::string_view piece) = 0;
  /// It is complete.
  virtual std::string end() = 0;
  virtual std::string last() = 0;

  const std::vector<AnswerBlock>& blocks() const { return blocks_; }
  const Usage& usage() const { return usage_; }
  /// How the answer ended; stop while it goes on.
  FinishReason finish() const { return finish_; }
  const std::optional<std::size_t>& stop_string() const { return stop_string_; }

 private:
  struct Piece;
  static std::optional<Piece> piece_of(const ChatEvent& event);
  /// Whether the piece begins a block.
  bool is_new(const Piece& piece) const;
  void note_finish(const ChatEvent& event);

  std::vector<AnswerBlock> blocks_;
  Usage usage_;
  FinishReason finish_ = FinishReason::stop;
  std::optional<std::size_t> stop_string_;
  bool begun_ = false;  ///< first() has been said
};

}  // namespace pippin::server
