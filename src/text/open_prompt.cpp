#include "text/open_prompt.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "pippin/error.h"
#include "text/messages.h"

namespace pippin::text {
namespace {

// What marks the text's end in a rendering. transformers' own: a template sees what it would see there. The space tells whether
// the template strips what it shows.
constexpr std::string_view mark = "CONTINUE_FINAL_MESSAGE_TAG ";
constexpr auto bare_mark = mark.substr(0, mark.size() - 1);

[[noreturn]] void refuse(const std::string& why) {
  throw Error(Code::invalid_argument, "the last message can't be continued: " + why, "messages");
}

// What Python's str.strip() takes off.
constexpr std::string_view spaces[] = {" ",      "\t",     "\n",     "\r",     "\f",     "\v",
                                       "\x1c",   "\x1d",   "\x1e",   "\x1f",   "\u0085", "\u00a0",
                                       "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004",
                                       "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
                                       "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

std::string_view stripped_end(std::string_view text) {
  const auto ends = [&](std::string_view space) { return text.ends_with(space); };
  for (;;) {
    const auto found = std::find_if(std::begin(spaces), std::end(spaces), ends);
    if (found == std::end(spaces)) return text;
    text.remove_suffix(found->size());
  }
}

std::string_view stripped(std::string_view text) {
  const auto begins = [&](std::string_view space) { return text.starts_with(space); };
  for (;;) {
    const auto found = std::find_if(std::begin(spaces), std::end(spaces), begins);
    if (found == std::end(spaces)) return stripped_end(text);
    text.remove_prefix(found->size());
  }
}

bool has_text(const Message& message) {
  return std::any_of(message.content.begin(), message.content.end(), [](const ContentPart& part) {
    return part.image || part.video || !part.text.empty();
  });
}

json::object extra_of(const Message& message) {
  if (message.extra_json.empty()) return {};
  return parse_json(message.extra_json, "extra_json").as_object();
}

bool has_calls(const json::object& extra) {
  const auto* calls = extra.if_contains("tool_calls");
  return calls && calls->is_array() && !calls->get_array().empty();
}

// The reasoning of a message that says nothing else; empty where the message does.
std::string lone_reasoning(const Message& message) {
  const auto extra = extra_of(message);
  const auto* reasoning = extra.if_contains("reasoning_content");
  if (has_text(message) || !reasoning || !reasoning->is_string()) return {};
  return std::string(reasoning->get_string());
}

void mark_reasoning(Message& message) {
  auto extra = extra_of(message);
  extra.at("reasoning_content").as_string().append(mark);
  message.extra_json = json::serialize(extra);
}

// Returns the text as it was.
std::string mark_text(Message& message) {
  if (message.content.empty()) message.content.emplace_back();
  auto& part = message.content.back();
  if (part.image || part.video) refuse("it does not end with a text");
  return std::exchange(part.text, part.text + std::string(mark));
}

// Up to the mark.
std::string cut_at_mark(std::string prompt, std::string_view text) {
  const auto at = prompt.rfind(bare_mark);
  if (at == std::string::npos || prompt.find(stripped(text)) == std::string::npos)
    refuse("this model's template does not show it as it is");
  const bool keeps_space = std::string_view(prompt).substr(at).starts_with(mark);
  prompt.resize(at);
  if (!keeps_space) prompt.resize(stripped_end(prompt).size());
  return prompt;
}

// As for an answer of which nothing is given.
std::string render_asking(const ChatTemplate& chat_template, std::vector<Message> messages,
                          ChatInput input) {
  messages.pop_back();
  input.messages_json = messages_json(messages);
  input.add_generation_prompt = true;
  return chat_template.render(input);
}

// Where the answer would begin if nothing were given of it. Templates put other words before an answer that is asked for than before
// one that is shown: then it begins where the two part, though not within a tag.
std::size_t answer_begin(std::string_view prompt, std::string_view asking) {
  if (prompt.starts_with(asking)) return asking.size();
  const auto parted = std::mismatch(asking.begin(), asking.end(), prompt.begin(), prompt.end());
  const auto shared = prompt.substr(0, static_cast<std::size_t>(parted.second - prompt.begin()));
  const auto tag = shared.find_last_of("<[");
  const bool in_tag =
      tag != std::string_view::npos && shared.find_first_of(">]", tag) == std::string_view::npos;
  return in_tag ? tag : shared.size();
}

std::size_t answer_begin(const ChatTemplate& chat_template, const std::vector<Message>& messages,
                         const ChatInput& input, std::string_view prompt, std::string_view text) {
  try {
    return answer_begin(prompt, render_asking(chat_template, messages, input));
  } catch (const Error&) {  // it wants a question
    return prompt.size() - (prompt.ends_with(text) ? text.size() : 0);
  }
}

/// Up to the end of `text`, which stands in `marked` with the mark behind it.
OpenPrompt render_marked(const ChatTemplate& chat_template, const std::vector<Message>& messages,
                         const std::vector<Message>& marked, ChatInput input,
                         std::string_view text) {
  input.messages_json = messages_json(marked);
  input.add_generation_prompt = false;
  OpenPrompt prompt{cut_at_mark(chat_template.render(input), text)};
  prompt.answer = answer_begin(chat_template, messages, input, prompt.text, text);
  return prompt;
}

OpenPrompt render_thought(const ChatTemplate& chat_template, const std::vector<Message>& messages,
                          const ChatInput& input, std::string_view thought_tag) {
  const auto text = lone_reasoning(messages.back());
  auto marked = messages;
  mark_reasoning(marked.back());
  try {
    return render_marked(chat_template, messages, marked, input, text);
  } catch (const Error&) {
    auto asking = render_asking(chat_template, messages, input);
    if (thought_tag.empty() || !stripped_end(asking).ends_with(stripped(thought_tag))) throw;
    return {asking + text, asking.size()};
  }
}

}  // namespace

OpenPrompt render_open(const ChatTemplate& chat_template, const std::vector<Message>& messages,
                       ChatInput input, std::string_view thought_tag) {
  if (messages.empty()) refuse("there is none");
  const auto& last = messages.back();
  if (last.role != "assistant") refuse("it is not the assistant's");
  if (has_calls(extra_of(last))) refuse("it calls tools, behind its text");
  if (!lone_reasoning(last).empty())
    return render_thought(chat_template, messages, input, thought_tag);
  auto marked = messages;
  const auto text = mark_text(marked.back());
  return render_marked(chat_template, messages, marked, std::move(input), text);
}

}  // namespace pippin::text
