#include "engine/prompt/prompt.h"

#include <limits>
#include <utility>

#include "text/messages.h"
#include "text/template_fault.h"

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

void PromptBuilder::check_length(std::int64_t num_tokens, const std::string& field) const {
  if (num_tokens < max_context) return;
  // Agents look for these first words, and shorten their conversation then.
  throw Error(Code::context_exceeded,
              "prompt is too long: " + std::to_string(num_tokens) +
                  " tokens, but the context holds " + std::to_string(max_context) +
                  " with the answer",
              field);
}

std::vector<std::int32_t> PromptBuilder::encode(const std::string& text, bool add_special,
                                                const std::string& field) const {
  // Normalising may shrink a text, hence the factor; past it no tokenization can fit, and trying would take seconds.
  if (text.size() / 4 > static_cast<std::size_t>(max_context) * max_token_bytes)
    throw Error(Code::context_exceeded,
                "prompt is too long: " + std::to_string(text.size()) +
                    " bytes are too many for a context of " + std::to_string(max_context) +
                    " tokens",
                field);
  auto tokens = tokenizer->encode(text, add_special);
  if (tokens.empty()) throw Error(Code::invalid_argument, "the prompt is empty", field);
  for (const auto token : tokens)
    if (token >= vocab_size)
      throw Error(Code::invalid_argument,
                  "the tokenizer gives the id " + std::to_string(token) +
                      ", but the model knows only " + std::to_string(vocab_size) + " tokens",
                  field);
  return tokens;
}

// That message's end is found by rendering the messages up to it: the prompt begins alike. What follows it is short, so that
// little is tokenized twice.
std::size_t PromptBuilder::history_end(const ChatRequest& request, text::ChatInput input,
                                       const std::string& prompt, const PromptMedia& media,
                                       std::size_t num_tokens) const {
  const bool goes_on = request.prompt_end == PromptEnd::last_message;
  const auto last =
      std::find_if(request.messages.rbegin() + (goes_on ? 1 : 0), request.messages.rend(),
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

text::OpenPrompt PromptBuilder::rendered(const ChatRequest& request, text::ChatInput input) const {
  try {
    return render_messages(request, input);
  } catch (const Error& fault) {
    if (!fault.field().empty() && fault.field() != "messages") throw;
    const auto index = text::message_at_fault(*chat_template, request.messages, input, fault);
    const std::string& message = index ? request.messages[*index].field : request.field;
    throw Error(fault.code(), fault.what(), message.empty() ? request.field : message);
  }
}

text::OpenPrompt PromptBuilder::render_messages(const ChatRequest& request,
                                                text::ChatInput input) const {
  if (request.prompt_end == PromptEnd::last_message)
    return text::render_open(*chat_template, request.messages, std::move(input), thought_tag);
  input.messages_json = text::messages_json(request.messages);
  input.add_generation_prompt = request.prompt_end == PromptEnd::answer;
  text::OpenPrompt prompt{chat_template->render(input)};
  prompt.answer = prompt.text.size();
  return prompt;
}

text::OpenPrompt PromptBuilder::build(const ChatRequest& request, Sequence& sequence) const {
  if (!chat_template)
    throw Error(Code::invalid_argument,
                "this model has no chat template; it can only complete plain text", request.field);
  PromptMedia media(request, vision ? &*vision : nullptr);
  text::ChatInput input;
  input.tools_json = request.template_tools_json.value_or(request.tools_json);
  input.kwargs_json = request.template_kwargs_json;
  auto prompt = rendered(request, input);
  const auto tokens = encode(media.expand(prompt.text), false, request.field);
  media.check_places(tokens);
  const auto history = history_end(request, std::move(input), prompt.text, media, tokens.size());

  std::vector<models::MediaSpan> spans;
  std::vector<const Shown*> shown;
  std::int64_t num_tokens = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i == history) sequence.num_history = sequence.num_tokens();
    const Shown* here = media.next(tokens[i]);
    if (here) {
      const auto grid = here->merged_grid();
      spans.push_back({sequence.num_tokens(), grid.num_patches(), grid});
      shown.push_back(here);
    }
    const std::int64_t count = here ? spans.back().length : 1;
    num_tokens += count;
    if (num_tokens < max_context)  // else only counted, for the error
      sequence.tokens.insert(sequence.tokens.end(), static_cast<std::size_t>(count), tokens[i]);
  }
  const ShownPart& largest = media.largest();  // to blame where it does not even fit alone
  check_length(num_tokens, largest.num_tokens >= max_context && !largest.field.empty()
                               ? largest.field
                               : request.field);
  for (std::size_t i = 0; i < spans.size(); ++i) sequence.media.push_back(shown[i]->item(spans[i]));
  sequence.num_prompt = sequence.num_tokens();
  part_cache(sequence, request.cache_salt);
  sequence.positions = positions(sequence.num_prompt, spans);
  return prompt;
}

void PromptBuilder::build(const CompletionRequest& request, Sequence& sequence) const {
  if (request.tokens.empty()) {
    sequence.tokens =
        encode(request.suffix.empty() ? request.text : with_gap(request.text, request.suffix), true,
               "prompt");
  } else {
    check_tokens(request.tokens, "prompt");
    sequence.tokens = request.tokens;
  }
  check_length(sequence.num_tokens(), "prompt");
  sequence.num_prompt = sequence.num_tokens();
  part_cache(sequence, request.cache_salt);
  sequence.positions = positions(sequence.num_prompt, {});
}

// By the markers in the vocabulary: Qwen's (CodeGemma's, too) or StarCoder's.
std::string PromptBuilder::with_gap(const std::string& text, const std::string& suffix) const {
  constexpr const char* families[][3] = {{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
                                         {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"}};
  for (const auto& [before, after, gap] : families)
    if (tokenizer->token_to_id(before) && tokenizer->token_to_id(after) &&
        tokenizer->token_to_id(gap))
      return before + text + after + suffix + gap;
  throw Error(Code::invalid_argument,
              "'suffix' is not supported: this model was not taught to fill gaps", "suffix");
}

RenderedPrompt PromptBuilder::render(const ChatRequest& request) const {
  RenderedPrompt rendered;
  PromptBuilder endless = *this;
  endless.max_context = std::numeric_limits<std::int32_t>::max();
  Sequence sequence;
  rendered.text = endless.build(request, sequence).text;
  rendered.tokens = std::move(sequence.tokens);
  return rendered;
}

void PromptBuilder::check_tokens(const std::vector<std::int32_t>& tokens, const char* field) const {
  for (const auto token : tokens)
    if (token < 0 || token >= vocab_size)
      throw Error(Code::invalid_argument,
                  "there is no token " + std::to_string(token) + "; the model knows " +
                      std::to_string(vocab_size),
                  field);
}

std::string PromptBuilder::decode(const std::vector<std::int32_t>& tokens) const {
  check_tokens(tokens, "tokens");
  return tokenizer->decode(tokens, false);
}

}  // namespace pippin::engine
