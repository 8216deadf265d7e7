// Qwen3-VL, dense and with experts. Reference: transformers models/qwen3_vl and models/qwen3_vl_moe, mlx-vlm
// models/qwen3_vl and models/qwen3_vl_moe.

#include "base/json.h"
#include "media/image_processor.h"
#include "media/video_processor.h"
#include "models/decoder_model.h"
#include "models/families.h"
#include "models/positions.h"
#include "models/qwen3_vl_vision.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

class Qwen3VL final : public DecoderModel {
 public:
  Qwen3VL(ModelTraits traits, const nn::DecoderConfig& text, const VisionConfig& vision,
          nn::Checkpoint& checkpoint)
      : DecoderModel(std::move(traits), text, checkpoint), visual_(vision, checkpoint) {}

  std::unique_ptr<Encoding> start_encoding(
      std::span<const media::Patches* const> pictures) const override {
    return visual_.start(pictures);
  }

 private:
  Qwen3VLVision visual_;
};

std::string experts_tensor(const std::string& name) {
  if (name.ends_with(".mlp.experts.gate_up_proj") || name.ends_with(".mlp.experts.down_proj"))
    return replaced(name, {{".experts.", ".experts.stored_"}}) + ".weight";
  return qwen3_moe_tensor(name);
}

// Hugging Face: model.language_model.*, model.visual.*, lm_head.*. MLX: language_model.model.*,
// vision_tower.*, language_model.lm_head.*. Ours: model.*, visual.*, lm_head.*, as the text model
// alone is named.
std::string sanitize(const std::string& name, const nn::DecoderConfig& text) {
  static constexpr std::pair<const char*, const char*> prefixes[] = {
      {"model.language_model.", "model."},
      {"language_model.model.", "model."},
      {"language_model.lm_head.", "lm_head."},
      {"model.visual.", "visual."},
      {"vision_tower.", "visual."}};
  std::string ours = name;
  for (const auto& [theirs, mine] : prefixes)
    if (name.starts_with(theirs)) ours = mine + name.substr(std::string(theirs).size());
  if (text.tied.value_or(false) && ours == "lm_head") return "";  // a quantized module's name
  if (ours.ends_with("position_ids")) return "";
  if (text.moe && ours.starts_with("model.")) ours = experts_tensor(ours);
  return decoder_tensor(ours, text);
}

// Hugging Face's banks, which are stored [E, in, out].
nn::SplitFn split_experts(const nn::DecoderConfig& text) {
  if (!text.moe) return {};
  const int width = text.moe->width;
  return split_modules({{".mlp.experts.stored_gate_up_proj.",
                         {{".mlp.experts.gate_proj.", width}, {".mlp.experts.up_proj.", width}},
                         false,
                         true},
                        {".mlp.experts.stored_down_proj.",
                         {{".mlp.experts.down_proj.", text.hidden_size}},
                         false,
                         true}});
}

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

using ReadText = nn::DecoderConfig(ConfigFields& fields, std::array<int, 3>* sections);

std::unique_ptr<Model> load(const std::filesystem::path& model_dir, const json::object& json,
                            const nn::LoadOptions& options, ReadText* read_text) {
  const Members members(json);
  const auto *text_json = members.object("text_config"),
             *vision_json = members.object("vision_config");
  if (!text_json || !vision_json)
    throw Error(Code::invalid_argument, "[config] Qwen3-VL needs text_config and vision_config");
  ConfigFields fields(*text_json, "text_config");
  std::array<int, 3> sections = {0, 0, 0};
  auto text = read_text(fields, &sections);
  fields.check_rest();
  text.tied = *text.tied || members.boolean("tie_word_embeddings").value_or(false);
  auto vision = VisionConfig::from_json(*vision_json, "vision_config");
  if (vision.out_hidden_size != text.hidden_size)
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

  auto traits = decoder_traits(model_dir, json, fields, text, options);
  traits.position_axes = 3;
  traits.positions = mrope_positions;
  traits.image_token = static_cast<std::int32_t>(members.required_integer("image_token_id"));
  if (members.find("video_token_id"))
    traits.video_tokens = {
        static_cast<std::int32_t>(members.required_integer("vision_start_token_id")),
        static_cast<std::int32_t>(members.required_integer("vision_end_token_id")),
        static_cast<std::int32_t>(members.required_integer("video_token_id"))};
  traits.merge_size = vision.spatial_merge_size;
  const auto rename = [&](const std::string& name) { return sanitize(name, text); };
  nn::Checkpoint checkpoint(model_dir, nn::QuantizationConfig::from_json(json), rename, options,
                            split_experts(text));
  auto model = std::make_unique<Qwen3VL>(std::move(traits), text, vision, checkpoint);
  checkpoint.check_empty();
  return model;
}

}  // namespace

std::unique_ptr<Model> load_qwen3_vl(const std::filesystem::path& model_dir,
                                     const json::object& json, const nn::LoadOptions& options) {
  return load(model_dir, json, options, qwen3_decoder);
}

std::unique_ptr<Model> load_qwen3_vl_moe(const std::filesystem::path& model_dir,
                                         const json::object& json, const nn::LoadOptions& options) {
  return load(model_dir, json, options, qwen3_moe_decoder);
}

}  // namespace pippin::models
