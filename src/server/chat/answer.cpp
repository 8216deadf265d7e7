#include "server/chat/answer.h"

namespace pippin::server {

void ChatAnswer::add(const ChatEvent& event) {
  text += event.text;
  reasoning += event.reasoning;
  tokens.insert(tokens.end(), event.tokens.begin(), event.tokens.end());
  if (!event.prompt_tokens.empty()) prompt_tokens = event.prompt_tokens;
  if (!event.prompt_logprobs.empty()) prompt_logprobs = event.prompt_logprobs;
  usage = event.usage;
  if (event.finish) finish = *event.finish;
  if (!event.tool_call) return;
  if (event.tool_call->name.empty())
    tool_calls.back().arguments += event.tool_call->arguments;
  else
    tool_calls.push_back(*event.tool_call);
}

Usage total_usage(const std::vector<ChatAnswer>& answers) {
  Usage usage = answers.front().usage;
  for (std::size_t i = 1; i < answers.size(); ++i) {
    usage.completion_tokens += answers[i].usage.completion_tokens;
    usage.reasoning_tokens += answers[i].usage.reasoning_tokens;
  }
  return usage;
}

}  // namespace pippin::server
