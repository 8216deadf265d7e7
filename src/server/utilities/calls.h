// Requests for tokens, texts and prompts: JSON -> native types. Past this point there is no JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/chat/call.h"
#include "server/schema/field_table.h"

namespace pippin::server {

/// POST /tokenize, understood: of a text or of a chat.
struct TokenizeCall {
  std::string model;                      ///< as sent; empty where absent
  std::string text;                       ///< where there is no chat
  bool add_special = false;               ///< what the tokenizer puts around a text (BOS ...)
  std::optional<ChatCall> chat;           ///< whose prompt is meant
  bool with_strings = false;              ///< each token's text, too
  std::vector<std::string> ignored = {};  ///< names that are unknown
};

/// POST /detokenize.
struct DetokenizeCall {
  std::string model;
  std::vector<std::int32_t> tokens;
  std::vector<std::string> ignored;  ///< names that are unknown
};

/// Each throws Error(invalid_argument) naming what is wrong with the body, JSON.
TokenizeCall parse_tokenize(std::string_view body);
DetokenizeCall parse_detokenize(std::string_view body);
/// POST /apply-template: the chat whose prompt is meant.
ChatCall parse_apply_template(std::string_view body);

/// What requests of each route may carry.
std::span<const Field> tokenize_fields();
std::span<const Field> detokenize_fields();
std::span<const Field> template_fields();

}  // namespace pippin::server
