// The pictures and videos of a chat on their way into its prompt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/schedule/sequence.h"
#include "media/image_processor.h"
#include "media/video_processor.h"
#include "pippin/request.h"

namespace pippin::engine {

/// How a model sees. Immutable.
struct VisionInput {
  media::ImageProcessorConfig image_processor;
  std::int32_t image_token = -1;  ///< stands once for a picture in the rendered prompt
  std::string image_text = {};    ///< how the prompt spells it

  /// Absent: the model takes no videos.
  std::optional<media::VideoProcessorConfig> video_processor;
  std::int32_t video_token = -1;  ///< stands once for a video in the rendered prompt
  /// How the prompt spells it, and what templates put around it.
  std::string video_text, start_text, end_text;
};

/// What one run of placeholders shows: a picture, or a temporal patch of a video. There is no other
/// difference between the two past this point: each temporal patch is encoded, cached and placed by
/// itself, which is exact since the tower attends within one alone.
struct Shown {
  std::span<const Pixels> frames;
  std::shared_ptr<const void> owner;  ///< of the frames
  media::ImageSize size;              ///< at which they are cut up
  const media::ImageProcessorConfig* processor;
  std::string field = {};  ///< ContentPart::field

  /// The rows that it will take, known without cutting it up.
  media::PatchGrid merged_grid() const;
  /// Its patches are cut when they are asked for.
  MediaItem item(const models::MediaSpan& span) const;
};

/// What a message shows.
struct ShownPart {
  std::int64_t num_tokens = 0;  ///< that it takes in the prompt, all of a video's together
  std::string field = {};       ///< ContentPart::field
};

/// Refers to the request and the model's VisionInput (null: it sees nothing), which must outlive it.
class PromptMedia {
 public:
  /// Throws Error(invalid_argument) where the model doesn't take what the request holds, or where a
  /// picture's shape is refused.
  PromptMedia(const ChatRequest& request, const VisionInput* input);

  /// The rendered prompt with the place of each video made one place for each of its temporal patches,
  /// behind its time: "<0.2 seconds><|vision_start|><|video_pad|><|vision_end|><1.2 seconds>...", as
  /// transformers' Qwen3VLProcessor. Throws Error(invalid_argument) where there are more or fewer places
  /// than videos.
  std::string expand(const std::string& rendered) const;
  /// The same of the end of a rendered prompt, in which the last videos have their places.
  std::string expand_end(const std::string& rendered) const;

  /// Throws Error(invalid_argument) where `tokens` don't hold one place for each picture and temporal patch.
  void check_places(std::span<const std::int32_t> tokens) const;

  /// The picture or video that takes the most tokens; none of no tokens.
  const ShownPart& largest() const { return largest_; }

  /// What stands at the next place, if `token` is one: to be asked of each token in order.
  const Shown* next(std::int32_t token);

 private:
  void add(const std::shared_ptr<const Pixels>& picture, const std::string& field);
  void add(const std::shared_ptr<const Video>& video, const std::string& field);
  std::string expand(const std::string& rendered, std::span<const Video* const> videos) const;
  void check_count(std::ptrdiff_t places, std::size_t shown, const std::string& what,
                   const std::string& spelling) const;
  void measure(const ContentPart& part, std::size_t pictures, std::size_t temporal_patches);
  std::string text_of(const Video& video) const;

  const ChatRequest& request_;
  const VisionInput* input_;
  ShownPart largest_;
  std::vector<const Video*> videos_;
  std::vector<Shown> pictures_, temporal_patches_;
  std::size_t next_picture_ = 0, next_temporal_patch_ = 0;
};

}  // namespace pippin::engine
