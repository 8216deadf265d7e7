#include "engine/prompt.h"

#include <algorithm>

#include "base/digest.h"
#include "media/digest.h"
#include "text/messages.h"

namespace pippin::engine {
namespace {

std::vector<std::shared_ptr<const Pixels>> pictures_of(const ChatRequest& request) {
  std::vector<std::shared_ptr<const Pixels>> pictures;
  for (const auto& message : request.messages)
    for (const auto& part : message.content)
      if (part.image) pictures.push_back(part.image);
  return pictures;
}

MediaItem make_item(const PromptBuilder& builder, const Pixels& picture, std::int64_t begin) {
  const auto& processor = *builder.image_processor;
  auto patches = std::make_shared<media::Patches>(media::make_patches(picture, processor));
  media::PatchGrid merged = patches->grid;
  merged.h /= processor.merge_size;
  merged.w /= processor.merge_size;
  // The same pixels cut up otherwise are other features.
  Hasher hasher;
  hasher.update(media::pixel_digest(picture));
  hasher.update(builder.image_processor_digest);
  return {{begin, merged.num_patches(), merged}, hasher.finish(), std::move(patches)};
}

void check_placeholders(std::ptrdiff_t found, std::size_t pictures) {
  if (static_cast<std::size_t>(found) == pictures) return;
  throw Error(Code::invalid_argument,
              "the messages hold " + std::to_string(pictures) +
                  " pictures, but the prompt has places for " + std::to_string(found) +
                  " (does a text spell out the model's image token?)",
              "messages");
}

void finish(Sequence& sequence) {
  if (sequence.tokens.empty())
    throw Error(Code::invalid_argument, "the prompt is empty", "messages");
  sequence.num_prompt = sequence.num_tokens();
  std::vector<models::MediaSpan> spans;
  for (const auto& item : sequence.media) spans.push_back(item.span);
  sequence.positions = models::mrope_positions(sequence.num_prompt, spans);
}

}  // namespace

void PromptBuilder::build(const ChatRequest& request, Sequence& sequence) const {
  if (!chat_template)
    throw Error(Code::invalid_argument,
                "this model has no chat template; it can only complete plain text", "messages");
  const auto pictures = pictures_of(request);
  if (!pictures.empty() && !image_processor)
    throw Error(Code::invalid_argument, "this model takes no pictures", "messages");
  text::ChatInput input;
  input.messages_json = text::messages_json(request.messages);
  input.tools_json = request.tools_json;
  input.kwargs_json = request.template_kwargs_json;
  const auto rendered = tokenizer->encode(chat_template->render(input));

  const bool places = image_processor.has_value();
  check_placeholders(places ? std::count(rendered.begin(), rendered.end(), image_token) : 0,
                     pictures.size());
  for (const auto token : rendered) {
    if (!places || token != image_token) {
      sequence.tokens.push_back(token);
      continue;
    }
    auto item = make_item(*this, *pictures[sequence.media.size()], sequence.num_tokens());
    sequence.tokens.insert(sequence.tokens.end(), static_cast<std::size_t>(item.span.length),
                           image_token);
    sequence.media.push_back(std::move(item));
  }
  finish(sequence);
}

void PromptBuilder::build(const std::string& text, Sequence& sequence) const {
  sequence.tokens = tokenizer->encode(text, true);
  finish(sequence);
}

}  // namespace pippin::engine
