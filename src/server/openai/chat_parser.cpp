#include "server/openai/chat_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/json.h"
#include "server/chat/thinking.h"
#include "server/openai/chat_fields.h"
#include "server/openai/response_format.h"
#include "server/openai/tool_choice.h"
#include "server/schema/request_fields.h"
#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

// How the answer's tokens are told.
void parse_token_fields(const Members& body, ChatCall& call) {
  call.tokens.logprobs = body.boolean("logprobs").value_or(false);
  call.tokens.ids = body.boolean("return_token_ids").value_or(false);
  call.tokens.named_by_id = body.boolean("return_tokens_as_token_ids").value_or(false);
  const auto top = body.integer("top_logprobs");
  if (top && (*top < 0 || *top > max_top_logprobs))
    refuse("top_logprobs", "must be between 0 and " + std::to_string(max_top_logprobs));
  if (top && *top > 0 && !call.tokens.logprobs)
    refuse("top_logprobs", "is only allowed when 'logprobs' is true");
  if (call.tokens.logprobs) call.request.sampling.top_logprobs = static_cast<int>(top.value_or(0));
  call.request.sampling.prompt_logprobs = parse_prompt_logprobs(body, call.stream);
  call.tokens.prompt_logprobs = call.request.sampling.prompt_logprobs >= 0;
  call.request.list_tokens = call.tokens.ids;
}

// reasoning_effort in the words of templates; what the request itself says to its template counts more.
void parse_template_kwargs(const Members& body, ChatCall& call) {
  json::object kwargs;
  if (const auto effort = body.string("reasoning_effort"))
    set_effort(kwargs, *effort, "reasoning_effort");
  if (const json::object* said = body.object("chat_template_kwargs"))
    for (const auto& [name, value] : *said) kwargs[name] = value;
  if (!kwargs.empty()) call.request.template_kwargs_json = json::serialize(kwargs);
}

// In vLLM's words.
PromptEnd parse_prompt_end(const Members& body) {
  const bool goes_on = body.boolean("continue_final_message").value_or(false);
  const bool asks = body.boolean("add_generation_prompt").value_or(!goes_on);
  if (goes_on && asks)
    refuse("add_generation_prompt", "must be false where 'continue_final_message' is true");
  if (goes_on) return PromptEnd::last_message;
  return asks ? PromptEnd::answer : PromptEnd::messages;
}

// vLLM's way to say how all videos of a request are sampled.
VideoWishes parse_processor_kwargs(const Members& body) {
  const json::object* kwargs = body.object("mm_processor_kwargs");
  if (!kwargs) return {};
  const Members members(*kwargs, "mm_processor_kwargs");
  constexpr std::string_view known[] = {"fps", "min_frames", "max_frames", "num_frames"};
  for (const auto& member : *kwargs)
    if (std::find(std::begin(known), std::end(known), std::string_view(member.key())) ==
        std::end(known))
      refuse(members.path_of(member.key()),
             "is not supported (only fps, min_frames, max_frames and num_frames are)");
  return parse_video_wishes(members);
}

}  // namespace

ChatCall parse_chat(std::string_view text, const SamplingDefaults& defaults) {
  const RequestBody request(text);
  const Members body(request.object());
  ChatCall call;
  call.ignored = check_chat_fields(request.object());
  call.model = body.string("model").value_or("");
  const Streaming streaming = parse_streaming(body);
  call.stream = streaming.stream;
  call.include_usage = streaming.include_usage;
  call.num_choices = parse_choices(body);
  call.request.sampling = parse_sampling(body, defaults.of(call.model));
  call.request.stop = parse_stop(body);
  parse_tool_fields(body, call);
  call.request.format = parse_response_format(body);
  call.request.thinking_budget = parse_thinking_budget(body);
  parse_token_fields(body, call);
  parse_template_kwargs(body, call);
  call.request.priority = parse_priority(body);
  call.request.cache_salt = parse_cache_salt(body);
  call.request.prompt_end = parse_prompt_end(body);
  ParsedMessages parsed = parse_messages(required_array(body, "messages"));
  call.request.messages = std::move(parsed.messages);
  call.media = std::move(parsed.media);
  const VideoWishes wishes = parse_processor_kwargs(body);
  for (MediaSource& source : call.media) source.sampling = source.sampling.or_else(wishes);
  request.add_unread(call.ignored);
  return call;
}

}  // namespace pippin::server
