#include "models/vision_language.h"

#include <utility>

#include "base/json.h"
#include "media/image_processor.h"
#include "media/video_processor.h"
#include "models/positions.h"
#include "models/qwen3_vl_vision.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

class VisionLanguageModel final : public DecoderModel {
 public:
  VisionLanguageModel(ModelTraits traits, const nn::DecoderConfig& text, const VisionConfig& vision,
                      nn::Checkpoint& checkpoint)
      : DecoderModel(std::move(traits), text, checkpoint), visual_(vision, checkpoint) {}

  std::unique_ptr<Encoding> start_encoding(
      std::span<const media::Patches* const> pictures) const override {
    return visual_.start(pictures);
  }

 private:
  Qwen3VLVision visual_;
};

// One tower reads both, and normalises its input itself.
void check_video_processor(const std::filesystem::path& model_dir,
                           const media::ImageProcessorConfig& pictures) {
  auto videos = media::VideoProcessorConfig::load(model_dir).frames;
  videos.min_pixels = pictures.min_pixels;
  videos.max_pixels = pictures.max_pixels;
  videos.do_resize = pictures.do_resize;
  if (!(videos == pictures))
    throw Error(Code::invalid_argument,
                "[config] video_preprocessor_config.json and preprocessor_config.json disagree on "
                "patches or colours");
}

// The tower and what its input is made of, which have to agree with each other and the decoder.
VisionConfig read_vision(const std::filesystem::path& model_dir, const json::object& config,
                         int hidden_size) {
  auto vision = VisionConfig::from_json(config, "vision_config");
  if (vision.out_hidden_size != hidden_size)
    throw Error(Code::invalid_argument,
                "[config] vision_config.out_hidden_size must equal text_config.hidden_size");
  const auto processor = media::ImageProcessorConfig::load(model_dir);
  if (processor.patch_size != vision.patch_size ||
      processor.merge_size != vision.spatial_merge_size ||
      processor.temporal_patch_size != vision.temporal_patch_size)
    throw Error(Code::invalid_argument,
                "[config] preprocessor_config.json and vision_config disagree on patch, merge or "
                "temporal patch size");
  vision.normalization = processor.normalization();
  check_video_processor(model_dir, processor);
  return vision;
}

void add_media_traits(const Members& members, int merge_size, ModelTraits& traits) {
  const auto token = [&](const char* key) {
    return static_cast<std::int32_t>(members.required_integer(key));
  };
  traits.position_axes = 3;
  traits.positions = mrope_positions;
  traits.image_token = token("image_token_id");
  if (members.find("video_token_id"))
    traits.video_tokens = {token("vision_start_token_id"), token("vision_end_token_id"),
                           token("video_token_id")};
  traits.merge_size = merge_size;
}

}  // namespace

std::string vision_language_tensor(const std::string& name) {
  static constexpr std::pair<const char*, const char*> prefixes[] = {
      {"model.language_model.visual.", "visual."},
      {"model.language_model.", "model."},
      {"language_model.model.", "model."},
      {"language_model.lm_head.", "lm_head."},
      {"model.visual.", "visual."},
      {"vision_tower.", "visual."}};
  for (const auto& [theirs, ours] : prefixes)
    if (name.starts_with(theirs)) return ours + name.substr(std::string_view(theirs).size());
  return name;
}

std::unique_ptr<Model> load_vision_language(const std::filesystem::path& model_dir,
                                            const json::object& json, const ConfigFields& fields,
                                            const LanguagePart& text,
                                            const nn::LoadOptions& options) {
  const Members members(json);
  const auto* vision_json = members.object("vision_config");
  if (!vision_json) throw Error(Code::invalid_argument, "[config] pictures need vision_config");
  fields.check_rest();
  const auto vision = read_vision(model_dir, *vision_json, text.decoder.hidden_size);
  auto traits = decoder_traits(model_dir, json, fields, text.decoder, options);
  add_media_traits(members, vision.spatial_merge_size, traits);
  const auto rename = [&](const std::string& name) -> std::string {
    const auto ours = vision_language_tensor(name);
    if (ours.ends_with("position_ids")) return "";
    if (ours.starts_with("visual.")) return ours;
    return decoder_tensor(text.rename ? text.rename(ours) : ours, text.decoder);
  };
  nn::Checkpoint checkpoint(model_dir, nn::QuantizationConfig::from_json(json), rename, options,
                            text.split);
  auto model =
      std::make_unique<VisionLanguageModel>(std::move(traits), text.decoder, vision, checkpoint);
  checkpoint.check_empty();
  return model;
}

}  // namespace pippin::models
