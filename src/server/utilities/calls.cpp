#include "server/utilities/calls.h"

#include <iterator>
#include <limits>
#include <utility>

#include "base/json.h"
#include "server/openai/chat_parser.h"
#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

using namespace field_tests;

// clang-format off
constexpr Field of_tokenize[] = {
    {"model", any, ""}, {"prompt", any, ""}, {"content", any, ""}, {"messages", any, ""},
    {"add_special_tokens", any, ""}, {"add_special", any, ""}, {"return_token_strs", any, ""},
    {"tools", any, ""}, {"chat_template_kwargs", any, ""}, {"mm_processor_kwargs", any, ""},
    {"reasoning_effort", any, ""},
    {"add_generation_prompt", any, ""}, {"continue_final_message", any, ""},
    {"chat_template", never, "absent"},
    {"parse_special", is_true, "true"},
    {"with_pieces", is_false, "false (see 'return_token_strs')"},
};
constexpr Field of_detokenize[] = {{"model", any, ""}, {"tokens", any, ""}};
constexpr Field of_template[] = {
    {"model", any, ""}, {"messages", any, ""}, {"tools", any, ""}, {"chat_template_kwargs", any, ""},
    {"mm_processor_kwargs", any, ""}, {"reasoning_effort", any, ""},
    {"add_generation_prompt", any, ""}, {"continue_final_message", any, ""},
    {"chat_template", never, "absent"},
};
// clang-format on

// The chat of a body that has other fields beside it; `ignored` are those that are unknown.
ChatCall chat_of(const json::object& body, std::vector<std::string> ignored) {
  json::object chat;
  for (const char* name :
       {"model", "messages", "tools", "chat_template_kwargs", "mm_processor_kwargs",
        "reasoning_effort", "add_generation_prompt", "continue_final_message"})
    if (const auto* value = body.if_contains(name)) chat[name] = *value;
  ChatCall call = parse_chat(json::serialize(chat));
  call.ignored.insert(call.ignored.begin(), std::make_move_iterator(ignored.begin()),
                      std::make_move_iterator(ignored.end()));
  return call;
}

std::vector<std::int32_t> parse_tokens(const Members& body) {
  std::vector<std::int32_t> tokens;
  for (const json::value& id : required_array(body, "tokens")) {
    const bool fits = id.is_int64() && id.as_int64() >= 0 &&
                      id.as_int64() <= std::numeric_limits<std::int32_t>::max();
    if (!fits) refuse("tokens", "must be an array of token ids");
    tokens.push_back(static_cast<std::int32_t>(id.as_int64()));
  }
  return tokens;
}

}  // namespace

std::span<const Field> tokenize_fields() { return of_tokenize; }
std::span<const Field> detokenize_fields() { return of_detokenize; }
std::span<const Field> template_fields() { return of_template; }

TokenizeCall parse_tokenize(std::string_view text) {
  const RequestBody request(text);
  const json::object& object = request.object();
  TokenizeCall call;
  call.ignored = check_fields(object, of_tokenize);
  const Members body(object);
  call.model = body.string("model").value_or("");
  call.with_strings = body.boolean("return_token_strs").value_or(false);
  const bool is_llama_cpps = body.find("content");
  const auto prompt = body.string(is_llama_cpps ? "content" : "prompt");
  const auto special = body.boolean("add_special_tokens");
  const auto other_special = body.boolean("add_special");
  if (prompt) {
    for (const char* other :
         {"messages", "tools", "chat_template_kwargs", "mm_processor_kwargs", "reasoning_effort",
          "add_generation_prompt", "continue_final_message"})
      if (body.find(other)) refuse(other, "can't be there beside a prompt");
    if (is_llama_cpps && body.find("prompt")) refuse("prompt", "can't be there beside 'content'");
    call.text = *prompt;
    call.add_special = special.value_or(other_special.value_or(!is_llama_cpps));
    return call;
  }
  if (!body.find("messages")) refuse_absent(body, "prompt");
  // A rendered template has its own.
  if (special.value_or(false)) refuse("add_special_tokens", "must be false for messages");
  call.chat = chat_of(object, call.ignored);
  return call;
}

DetokenizeCall parse_detokenize(std::string_view text) {
  const RequestBody request(text);
  auto ignored = check_fields(request.object(), of_detokenize);
  const Members body(request.object());
  return {body.string("model").value_or(""), parse_tokens(body), std::move(ignored)};
}

ChatCall parse_apply_template(std::string_view text) {
  const RequestBody request(text);
  auto ignored = check_fields(request.object(), of_template);
  return chat_of(request.object(), std::move(ignored));
}

}  // namespace pippin::server
