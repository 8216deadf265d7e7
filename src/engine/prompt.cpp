#include "engine/prompt.h"

#include <utility>

#include "text/messages.h"

namespace pippin::engine {
namespace {

// In bytes, up to a whole character.
std::size_t common_prefix(std::string_view a, std::string_view b) {
  auto size = static_cast<std::size_t>(
      std::mismatch(a.begin(), a.end(), b.begin(), b.end()).second - b.begin());
  const auto within_character = [&] { return size < b.size() && (b[size] & 0xC0) == 0x80; };
  while (size > 0 && within_character()) --size;
  return size;
}

}  // namespace

void PromptBuilder::check_length(std::int64_t num_tokens) const {
  if (num_tokens < max_context) return;
  throw Error(Code::invalid_argument,
              "the prompt has " + std::to_string(num_tokens) + " tokens, but the context holds " +
                  std::to_string(max_context) + " with the answer",
              "messages");
}

std::vector<std::int32_t> PromptBuilder::encode(const std::string& text, bool add_special) const {
  // Normalising may shrink a text, hence the factor; past it no tokenization can fit, and trying would take seconds.
  if (text.size() / 4 > static_cast<std::size_t>(max_context) * max_token_bytes)
    throw Error(Code::invalid_argument,
                "the prompt has " + std::to_string(text.size()) +
                    " bytes, too many for a context of " + std::to_string(max_context) + " tokens",
                "messages");
  auto tokens = tokenizer->encode(text, add_special);
  if (tokens.empty()) throw Error(Code::invalid_argument, "the prompt is empty", "messages");
  for (const auto token : tokens)
    if (token >= vocab_size)
      throw Error(Code::invalid_argument,
                  "the tokenizer gives the id " + std::to_string(token) +
                      ", but the model knows only " + std::to_string(vocab_size) + " tokens",
                  "messages");
  return tokens;
}

// That message's end is found by rendering the messages up to it: the prompt begins alike. What follows it is short, so that
// little is tokenized twice.
std::size_t PromptBuilder::history_end(const ChatRequest& request, text::ChatInput input,
                                       const std::string& prompt, const PromptMedia& media,
                                       std::size_t num_tokens) const {
  const auto last = std::find_if(request.messages.rbegin(), request.messages.rend(),
                                 [](const Message& m) { return m.role == "assistant"; });
  if (last == request.messages.rend()) return 0;
  input.messages_json = text::messages_json(std::vector(request.messages.begin(), last.base()));
  input.add_generation_prompt = false;
  std::size_t shared = 0;
  try {
    shared = common_prefix(chat_template->render(input), prompt);
  } catch (const Error&) {
    return 0;  // the template wants a question at the end
  }
  const auto rest = tokenizer->encode(media.expand_end(prompt.substr(shared))).size();
  return num_tokens - std::min(num_tokens, rest);
}

std::string PromptBuilder::build(const ChatRequest& request, Sequence& sequence) const {
  if (!chat_template)
    throw Error(Code::invalid_argument,
                "this model has no chat template; it can only complete plain text", "messages");
  PromptMedia media(request, vision ? &*vision : nullptr);
  text::ChatInput input;
  input.messages_json = text::messages_json(request.messages);
  input.tools_json = request.tools_json;
  input.kwargs_json = request.template_kwargs_json;
  auto prompt = chat_template->render(input);
  const auto rendered = encode(media.expand(prompt), false);
  media.check_places(rendered);
  const auto history = history_end(request, input, prompt, media, rendered.size());

  std::vector<models::MediaSpan> spans;
  std::vector<const Shown*> shown;
  for (std::size_t i = 0; i < rendered.size(); ++i) {
    if (i == history) sequence.num_history = sequence.num_tokens();
    const Shown* here = media.next(rendered[i]);
    if (here) {
      const auto grid = here->merged_grid();
      spans.push_back({sequence.num_tokens(), grid.num_patches(), grid});
      shown.push_back(here);
    }
    const std::int64_t count = here ? spans.back().length : 1;
    check_length(sequence.num_tokens() + count);
    sequence.tokens.insert(sequence.tokens.end(), static_cast<std::size_t>(count), rendered[i]);
  }
  for (std::size_t i = 0; i < spans.size(); ++i) sequence.media.push_back(shown[i]->item(spans[i]));
  sequence.num_prompt = sequence.num_tokens();
  sequence.positions = models::mrope_positions(sequence.num_prompt, spans);
  return prompt;
}

void PromptBuilder::build(const std::string& text, Sequence& sequence) const {
  sequence.tokens = encode(text, true);
  check_length(sequence.num_tokens());
  sequence.num_prompt = sequence.num_tokens();
  sequence.positions = models::mrope_positions(sequence.num_prompt, {});
}

}  // namespace pippin::engine
