#include "server/anthropic/reply.h"

#include <span>
#include <string_view>
#include <utility>

#include "base/digest.h"
#include "server/http/errors.h"
#include "server/http/sse.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

using Kind = AnswerBlock::Kind;

std::string event(std::string_view type, json::object members) {
  json::object out{{"type", type}};
  for (auto& member : members) out[member.key()] = std::move(member.value());
  return sse_event(type, json::serialize(out));
}

// Clients send it back with the thinking, and some drop thinking without one. Nothing here depends on it.
std::string signature_of(std::string_view thinking) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(thinking.data());
  return to_hex(blake3({bytes, thinking.size()}));
}

// What was cut off or is malformed is no object.
json::value input_of(const AnswerBlock& call) {
  try {
    json::value input = parse_json(call.text.empty() ? "{}" : call.text, "arguments");
    if (input.is_object()) return input;
  } catch (const Error&) {
  }
  return json::object();
}

}  // namespace

AnthropicReply::AnthropicReply(Options options) : options_(std::move(options)) {}

json::object AnthropicReply::usage_object() const {
  return {{"input_tokens", usage().prompt_tokens - usage().cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage().cached_tokens},
          {"output_tokens", options_.prompt_only ? 0 : usage().completion_tokens},
          {"output_tokens_details", {{"thinking_tokens", usage().reasoning_tokens}}},
          {"service_tier", "standard"}};
}

json::object AnthropicReply::block_object(const AnswerBlock& block) const {
  if (block.kind == Kind::text) return {{"type", "text"}, {"text", valid_utf8(block.text)}};
  if (block.kind == Kind::reasoning)
    return {{"type", "thinking"},
            {"thinking", options_.omit_thinking ? "" : valid_utf8(block.text)},
            {"signature", signature_of(block.text)}};
  return {{"type", "tool_use"},
          {"id", valid_utf8(block.id)},
          {"name", valid_utf8(block.name)},
          {"input", input_of(block)}};
}

void AnthropicReply::add_stop(json::object& object) const {
  const bool stopped = stop_string() && *stop_string() < options_.stop_sequences.size();
  object["stop_sequence"] = nullptr;
  if (stopped) object["stop_sequence"] = valid_utf8(options_.stop_sequences[*stop_string()]);
  if (finish() == FinishReason::length || options_.prompt_only)
    object["stop_reason"] = "max_tokens";
  else if (finish() == FinishReason::tool_calls)  // they are whole: a text behind them was stopped
    object["stop_reason"] = "tool_use";
  else
    object["stop_reason"] = stopped ? "stop_sequence" : "end_turn";
}

std::string AnthropicReply::first() {
  json::object message{{"id", options_.id},        {"type", "message"},
                       {"role", "assistant"},      {"model", valid_utf8(options_.model)},
                       {"content", json::array()}, {"stop_reason", nullptr},
                       {"stop_sequence", nullptr}, {"usage", usage_object()}};
  return event("message_start", {{"message", std::move(message)}});
}

std::string AnthropicReply::begin() {
  const AnswerBlock& block = blocks().back();
  json::object start = block_object({block.kind, "", block.id, block.name});
  if (block.kind == Kind::reasoning) start["signature"] = "";
  std::string out = event("content_block_start",
                          {{"index", blocks().size() - 1}, {"content_block", std::move(start)}});
  if (blocks().size() == 1) out += event("ping", {});
  return out;
}

std::string AnthropicReply::grow(std::string_view piece) {
  json::object delta;
  switch (blocks().back().kind) {
    case Kind::text:
      delta = {{"type", "text_delta"}, {"text", valid_utf8(piece)}};
      break;
    case Kind::reasoning:
      if (options_.omit_thinking) return {};
      delta = {{"type", "thinking_delta"}, {"thinking", valid_utf8(piece)}};
      break;
    case Kind::call:
      delta = {{"type", "input_json_delta"}, {"partial_json", valid_utf8(piece)}};
  }
  return event("content_block_delta",
               {{"index", blocks().size() - 1}, {"delta", std::move(delta)}});
}

std::string AnthropicReply::end() {
  const AnswerBlock& block = blocks().back();
  const std::size_t index = blocks().size() - 1;
  std::string out;
  if (block.kind == Kind::reasoning) {
    json::object delta{{"type", "signature_delta"}, {"signature", signature_of(block.text)}};
    out += event("content_block_delta", {{"index", index}, {"delta", std::move(delta)}});
  }
  return out + event("content_block_stop", {{"index", index}});
}

std::string AnthropicReply::last() {
  json::object delta;
  add_stop(delta);
  return event("message_delta", {{"delta", std::move(delta)}, {"usage", usage_object()}}) +
         event("message_stop", {});
}

std::string AnthropicReply::fail(const Error& error) {
  return sse_event("error", anthropic_error_body(error, options_.request_id));
}

std::string AnthropicReply::whole() {
  json::array content;
  if (!options_.prompt_only)
    for (const AnswerBlock& block : blocks()) content.push_back(block_object(block));
  json::object message{{"id", options_.id},
                       {"type", "message"},
                       {"role", "assistant"},
                       {"model", valid_utf8(options_.model)},
                       {"content", std::move(content)}};
  add_stop(message);
  message["usage"] = usage_object();
  return json::serialize(message);
}

}  // namespace pippin::server
