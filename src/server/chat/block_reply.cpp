#include "server/chat/block_reply.h"

#include <utility>

namespace pippin::server {

struct BlockReply::Piece {
  AnswerBlock block;      ///< as it begins, where it is new
  std::string_view text;  ///< that it grows by
  bool starts_call = false;
};

std::optional<BlockReply::Piece> BlockReply::piece_of(const ChatEvent& event) {
  using Kind = AnswerBlock::Kind;
  if (!event.text.empty()) return Piece{{Kind::text, {}, {}, {}}, event.text};
  if (!event.reasoning.empty()) return Piece{{Kind::reasoning, {}, {}, {}}, event.reasoning};
  if (!event.tool_call) return {};
  const ToolCallDelta& call = *event.tool_call;
  return Piece{{Kind::call, {}, call.id, call.name}, call.arguments, !call.name.empty()};
}

bool BlockReply::is_new(const Piece& piece) const {
  return piece.starts_call || blocks_.empty() || blocks_.back().kind != piece.block.kind;
}

void BlockReply::note_finish(const ChatEvent& event) {
  if (event.finish) finish_ = *event.finish;
  stop_string_ = event.stop_string;
}

std::string BlockReply::add(std::size_t, const ChatEvent& event) {
  usage_ = event.usage;
  std::string out;
  if (!std::exchange(begun_, true)) out += first();
  if (auto piece = piece_of(event)) {
    if (is_new(*piece)) {
      if (!blocks_.empty()) out += end();
      blocks_.push_back(std::move(piece->block));
      out += begin();
    }
    blocks_.back().text += piece->text;
    if (!piece->text.empty()) out += grow(piece->text);
  }
  note_finish(event);
  return out;
}

void BlockReply::fold(std::size_t, const ChatEvent& event) {
  usage_ = event.usage;
  if (auto piece = piece_of(event)) {
    if (is_new(*piece)) blocks_.push_back(std::move(piece->block));
    blocks_.back().text += piece->text;
  }
  note_finish(event);
}

std::string BlockReply::close() {
  std::string out;
  if (!blocks_.empty()) out += end();
  return out + last();
}

}  // namespace pippin::server
