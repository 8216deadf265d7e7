#include "server/responses/reply.h"

#include <utility>

#include "server/http/errors.h"
#include "server/http/sse.h"
#include "server/responses/items.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

using Kind = AnswerBlock::Kind;

json::object usage_object(const Usage& usage) {
  return {
      {"input_tokens", usage.prompt_tokens},
      {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}}},
      {"output_tokens", usage.completion_tokens},
      {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
      {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

void append(json::object& to, json::object members) {
  for (auto& member : members) to[member.key()] = std::move(member.value());
}

// One of the codes that OpenAI has.
std::string_view failure_code(const Error& error) {
  const int status = status_of(error.code());
  if (status == 429) return "rate_limit_exceeded";
  return status < 500 ? "invalid_prompt" : "server_error";
}

}  // namespace

ResponsesReply::ResponsesReply(Options options) : options_(std::move(options)) {}

std::string ResponsesReply::item_id(std::size_t index) const {
  const Kind kind = blocks()[index].kind;
  const char* prefix = kind == Kind::text ? "msg_" : kind == Kind::reasoning ? "rs_" : "fc_";
  return prefix + options_.id + "_" + std::to_string(index);
}

NamespacedName ResponsesReply::called(const AnswerBlock& block) const {
  const auto found = options_.namespaces.find(block.name);
  return found == options_.namespaces.end() ? NamespacedName{"", block.name} : found->second;
}

json::object ResponsesReply::part(const AnswerBlock& block, bool empty) const {
  const std::string text = empty ? "" : valid_utf8(block.text);
  if (block.kind == Kind::reasoning)
    return {{"type", options_.summarize ? "summary_text" : "reasoning_text"}, {"text", text}};
  return {{"type", "output_text"},
          {"text", text},
          {"annotations", json::array()},
          {"logprobs", json::array()}};
}

json::object ResponsesReply::item(std::size_t index, std::string_view status) const {
  const AnswerBlock& block = blocks()[index];
  const bool begins = status == "in_progress";
  json::array parts;
  if (!begins && block.kind != Kind::call) parts.push_back(part(block, false));
  json::object out{{"id", item_id(index)}};
  if (block.kind == Kind::text) {
    append(out, {{"type", "message"},
                 {"status", status},
                 {"role", "assistant"},
                 {"content", std::move(parts)}});
  } else if (block.kind == Kind::reasoning) {
    const bool summary = options_.summarize;
    append(out, {{"type", "reasoning"},
                 {"status", status},
                 {"summary", summary ? parts : json::array()},
                 {"content", summary ? json::array() : parts}});
    if (options_.encrypt)
      out["encrypted_content"] = begins ? "" : encrypted_content(valid_utf8(block.text));
  } else {
    const NamespacedName function = called(block);
    append(out, {{"type", "function_call"},
                 {"status", status},
                 {"call_id", valid_utf8(block.id)},
                 {"name", valid_utf8(function.name)},
                 {"arguments", begins ? "" : valid_utf8(block.text)}});
    if (!function.space.empty()) out["namespace"] = valid_utf8(function.space);
  }
  return out;
}

json::object ResponsesReply::response(std::string_view status) const {
  json::object out{{"id", options_.id},
                   {"object", "response"},
                   {"created_at", options_.created},
                   {"status", status},
                   {"background", false},
                   {"error", nullptr},
                   {"incomplete_details", nullptr},
                   {"model", valid_utf8(options_.model)},
                   {"output", json::array()},
                   {"service_tier", "default"},
                   {"top_logprobs", 0},
                   {"usage", nullptr}};
  append(out, options_.repeated);
  return out;
}

json::object ResponsesReply::ended_response() {
  const bool cut = finish() == FinishReason::length;
  json::object out = response(cut ? "incomplete" : "completed");
  if (cut) out["incomplete_details"] = {{"reason", "max_output_tokens"}};
  json::array output;
  for (std::size_t i = 0; i < blocks().size(); ++i) {
    const bool cut_here = cut && i + 1 == blocks().size();
    output.push_back(item(i, cut_here ? "incomplete" : "completed"));
  }
  out["output"] = std::move(output);
  out["usage"] = usage_object(usage());
  if (options_.keep) options_.keep(out);
  return out;
}

std::string ResponsesReply::event(const std::string& type, json::object members) {
  json::object out{{"type", type}, {"sequence_number", sequence_number_++}};
  append(out, std::move(members));
  return sse_event(type, json::serialize(out));
}

std::string ResponsesReply::part_event(const std::string& type, json::object members) {
  const AnswerBlock& block = blocks().back();
  const std::size_t index = blocks().size() - 1;
  json::object all{{"item_id", item_id(index)}, {"output_index", index}};
  if (block.kind != Kind::call)
    all[block.kind == Kind::reasoning && options_.summarize ? "summary_index" : "content_index"] =
        0;
  append(all, std::move(members));
  return event(type, std::move(all));
}

std::string ResponsesReply::open() {
  const json::object begun = response("in_progress");
  const std::string created = event("response.created", {{"response", begun}});
  return created + event("response.in_progress", {{"response", begun}});
}

std::string ResponsesReply::begin() {
  const AnswerBlock& block = blocks().back();
  const std::size_t index = blocks().size() - 1;
  std::string out = event("response.output_item.added",
                          {{"output_index", index}, {"item", item(index, "in_progress")}});
  if (block.kind == Kind::call) return out;
  const bool summary = block.kind == Kind::reasoning && options_.summarize;
  return out + part_event(summary ? "response.reasoning_summary_part.added"
                                  : "response.content_part.added",
                          {{"part", part(block, true)}});
}

std::string ResponsesReply::grow(std::string_view piece) {
  json::object members{{"delta", valid_utf8(piece)}};
  switch (blocks().back().kind) {
    case Kind::text:
      members["logprobs"] = json::array();
      return part_event("response.output_text.delta", std::move(members));
    case Kind::reasoning:
      return part_event(options_.summarize ? "response.reasoning_summary_text.delta"
                                           : "response.reasoning_text.delta",
                        std::move(members));
    case Kind::call:
      break;
  }
  return part_event("response.function_call_arguments.delta", std::move(members));
}

std::string ResponsesReply::end() {
  const AnswerBlock& block = blocks().back();
  const std::size_t index = blocks().size() - 1;
  const std::string text = valid_utf8(block.text);
  const bool cut = finish() == FinishReason::length;
  std::string out;
  if (block.kind == Kind::call) {
    out += part_event("response.function_call_arguments.done",
                      {{"name", valid_utf8(called(block).name)}, {"arguments", text}});
  } else if (block.kind == Kind::text) {
    out += part_event("response.output_text.done", {{"text", text}, {"logprobs", json::array()}});
    out += part_event("response.content_part.done", {{"part", part(block, false)}});
  } else if (options_.summarize) {
    out += part_event("response.reasoning_summary_text.done", {{"text", text}});
    out += part_event("response.reasoning_summary_part.done", {{"part", part(block, false)}});
  } else {
    out += part_event("response.reasoning_text.done", {{"text", text}});
    out += part_event("response.content_part.done", {{"part", part(block, false)}});
  }
  return out +
         event("response.output_item.done",
               {{"output_index", index}, {"item", item(index, cut ? "incomplete" : "completed")}});
}

std::string ResponsesReply::last() {
  const json::object ended = ended_response();
  const bool cut = finish() == FinishReason::length;
  return event(cut ? "response.incomplete" : "response.completed", {{"response", ended}});
}

std::string ResponsesReply::fail(const Error& error) {
  json::object failed = response("failed");
  failed["error"] = {{"code", failure_code(error)},
                     {"message", valid_utf8(message_naming_field(error))}};
  return event("response.failed", {{"response", std::move(failed)}});
}

std::string ResponsesReply::whole() { return json::serialize(ended_response()); }

}  // namespace pippin::server
