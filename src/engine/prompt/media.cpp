#include "engine/prompt/media.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "pippin/error.h"

namespace pippin::engine {
namespace {

bool spells(const Message& message, const std::string& spelling) {
  return std::any_of(message.content.begin(), message.content.end(), [&](const ContentPart& part) {
    return !spelling.empty() && part.text.find(spelling) != std::string::npos;
  });
}

// The message whose text spells out a model's token, else all of them.
const std::string& field_that_spells(const ChatRequest& request, const std::string& spelling) {
  for (const Message& message : request.messages)
    if (!message.field.empty() && spells(message, spelling)) return message.field;
  return request.field;
}

// Errors of `work` name the field, where it is known.
template <class Work>
void blaming(const std::string& field, const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), field.empty() ? error.field() : field);
  }
}

std::ptrdiff_t count(std::string_view text, std::string_view part) {
  std::ptrdiff_t n = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

}  // namespace

media::PatchGrid Shown::merged_grid() const {
  const int side = processor->patch_size * processor->merge_size;
  return {1, size.height / side, size.width / side};
}

MediaItem Shown::item(const models::MediaSpan& span) const {
  auto cut = [frames = frames, owner = owner, size = size, processor = *processor] {
    return media::make_patches(frames, size, processor);
  };
  return {span, media::patches_digest(frames, size, *processor),
          std::make_shared<LazyPatches>(std::move(cut)), field};
}

PromptMedia::PromptMedia(const ChatRequest& request, const VisionInput* input)
    : request_(request), input_(input) {
  for (const Message& message : request.messages)
    for (const ContentPart& part : message.content) {
      const std::size_t pictures = pictures_.size(), temporal_patches = temporal_patches_.size();
      blaming(part.field, [&] {
        if (part.image) add(part.image, part.field);
        if (part.video) add(part.video, part.field);
      });
      measure(part, pictures, temporal_patches);
    }
}

// `part` added what is behind the first so many pictures and temporal patches.
void PromptMedia::measure(const ContentPart& part, std::size_t pictures,
                          std::size_t temporal_patches) {
  std::int64_t tokens = 0;
  for (; pictures < pictures_.size(); ++pictures)
    tokens += pictures_[pictures].merged_grid().num_patches();
  for (; temporal_patches < temporal_patches_.size(); ++temporal_patches)
    tokens += temporal_patches_[temporal_patches].merged_grid().num_patches();
  if (tokens > largest_.num_tokens) largest_ = {tokens, part.field};
}

void PromptMedia::check_count(std::ptrdiff_t places, std::size_t shown, const std::string& what,
                              const std::string& spelling) const {
  if (static_cast<std::size_t>(places) == shown) return;
  throw Error(Code::invalid_argument,
              "the messages hold " + std::to_string(shown) + " " + what +
                  ", but the prompt has places for " + std::to_string(places) +
                  " (does a text spell out the model's own token for them?)",
              field_that_spells(request_, spelling));
}

void PromptMedia::add(const std::shared_ptr<const Pixels>& picture, const std::string& field) {
  if (!input_) throw Error(Code::invalid_argument, "this model takes no pictures", "messages");
  const media::ImageProcessorConfig& processor = input_->image_processor;
  const auto size = media::target_size({picture->height, picture->width}, processor);
  pictures_.push_back({{picture.get(), 1}, picture, size, &processor, field});
}

void PromptMedia::add(const std::shared_ptr<const Video>& shown, const std::string& field) {
  const Video& video = *shown;
  if (!input_ || !input_->video_processor)
    throw Error(Code::invalid_argument, "this model takes no videos", "messages");
  if (video.frames.empty() || video.seconds.size() != video.frames.size())
    throw Error(Code::invalid_argument, "a video needs frames, and a time for each", "messages");
  const media::VideoProcessorConfig& processor = *input_->video_processor;
  const std::size_t num_frames = video.frames.size();
  const auto size = media::video_frame_size(
      num_frames, {video.frames[0].height, video.frames[0].width}, processor);
  for (std::size_t i = 0; i < media::num_temporal_patches(num_frames, processor); ++i)
    temporal_patches_.push_back(
        {media::temporal_patch(video.frames, i, processor), shown, size, &processor.frames, field});
  videos_.push_back(&video);
}

std::string PromptMedia::text_of(const Video& video) const {
  const media::VideoProcessorConfig& processor = *input_->video_processor;
  std::string text;
  for (std::size_t i = 0; i < media::num_temporal_patches(video.frames.size(), processor); ++i)
    text += media::timestamp_text(video.seconds, i, processor) + input_->start_text +
            input_->video_text + input_->end_text;
  return text;
}

std::string PromptMedia::expand(const std::string& rendered) const {
  if (!input_ || !input_->video_processor) return rendered;
  check_count(count(rendered, input_->video_text), videos_.size(), "videos", input_->video_text);
  return expand(rendered, videos_);
}

std::string PromptMedia::expand_end(const std::string& rendered) const {
  if (!input_ || !input_->video_processor) return rendered;
  const auto places = static_cast<std::size_t>(count(rendered, input_->video_text));
  return expand(rendered, std::span(videos_).last(std::min(places, videos_.size())));
}

std::string PromptMedia::expand(const std::string& rendered,
                                std::span<const Video* const> videos) const {
  const std::string wrapped = input_->start_text + input_->video_text + input_->end_text;
  std::string out;
  std::size_t done = 0;
  for (const Video* video : videos) {
    std::size_t at = rendered.find(input_->video_text, done), length = input_->video_text.size();
    // Its times and marks replace those that the template has put around it.
    const std::size_t before = input_->start_text.size();
    if (at >= done + before && rendered.compare(at - before, wrapped.size(), wrapped) == 0) {
      at -= before;
      length = wrapped.size();
    }
    out.append(rendered, done, at - done).append(text_of(*video));
    done = at + length;
  }
  return out.append(rendered, done);
}

void PromptMedia::check_places(std::span<const std::int32_t> tokens) const {
  if (!input_) return;
  check_count(std::count(tokens.begin(), tokens.end(), input_->image_token), pictures_.size(),
              "pictures", input_->image_text);
  if (input_->video_processor)
    check_count(std::count(tokens.begin(), tokens.end(), input_->video_token),
                temporal_patches_.size(), "pairs of a video's frames", input_->video_text);
}

const Shown* PromptMedia::next(std::int32_t token) {
  if (!input_) return nullptr;
  if (token == input_->image_token) return &pictures_[next_picture_++];
  if (input_->video_processor && token == input_->video_token)
    return &temporal_patches_[next_temporal_patch_++];
  return nullptr;
}

}  // namespace pippin::engine
