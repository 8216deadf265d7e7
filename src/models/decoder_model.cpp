#include "models/decoder_model.h"

#include <utility>

namespace pippin::models {
namespace {

// Lays each picture's embeddings over its placeholders' rows.
mx::array place_media(mx::array h, const std::vector<MediaRows>& media) {
  for (const auto& m : media)
    h = mx::scatter(h, m.rows, mx::expand_dims(mx::astype(m.features.embeddings, h.dtype()), 1), 0);
  return h;
}

// DeepStack: the vision tower's intermediate features join after the first text layers.
mx::array add_deepstack(mx::array h, const std::vector<MediaRows>& media, std::size_t layer) {
  for (const auto& m : media)
    if (layer < m.features.deepstack.size())
      h = mx::scatter_add(
          h, m.rows, mx::expand_dims(mx::astype(m.features.deepstack[layer], h.dtype()), 1), 0);
  return h;
}

}  // namespace

DecoderModel::DecoderModel(ModelTraits traits, const nn::DecoderConfig& config,
                           nn::Checkpoint& checkpoint)
    : traits_(std::move(traits)), decoder_(config, checkpoint), size_(checkpoint.size()) {}

mx::array DecoderModel::forward(const StepInput& input, nn::KVCache& cache) const {
  nn::DecoderStep step{input.positions, input.text_positions, input.layout};
  if (!input.media.empty())
    step.after_layer = [&](mx::array h, std::size_t layer) {
      return add_deepstack(std::move(h), input.media, layer);
    };
  const auto h =
      decoder_.forward(place_media(decoder_.embed(input.tokens), input.media), step, cache);
  // Only the wanted rows go through the output layer, the largest matrix of a small model.
  return decoder_.logits(input.logit_rows ? mx::take(h, *input.logit_rows, 0) : h);
}

ModelTraits decoder_traits(const std::filesystem::path& model_dir,
                           const boost::json::object& config, const ConfigFields& fields,
                           const nn::DecoderConfig& decoder) {
  ModelTraits traits;
  traits.model_type = Members(config).string("model_type").value_or("");
  traits.vocab_size = decoder.vocab_size;
  traits.num_layers = static_cast<int>(decoder.layers.size());
  traits.num_kv_heads = decoder.kinds.front().num_kv_heads;
  traits.head_dim = decoder.kinds.front().head_dim;
  traits.max_context = fields.max_context();
  traits.end_tokens = read_end_tokens(model_dir, config);
  return traits;
}

std::string decoder_tensor(const std::string& name, const nn::DecoderConfig& config) {
  if (config.tied.value_or(false) && name.starts_with("lm_head.")) return "";
  if (name.ends_with(".rotary_emb.inv_freq")) return "";
  return name;
}

std::unique_ptr<Model> load_text_model(const std::filesystem::path& model_dir,
                                       const boost::json::object& config,
                                       const ConfigFields& fields, const nn::DecoderConfig& decoder,
                                       const nn::LoadOptions& options, const nn::RenameFn& rename) {
  fields.check_rest();
  const auto ours = [&](const std::string& name) {
    return decoder_tensor(rename ? rename(name) : name, decoder);
  };
  nn::Checkpoint checkpoint(model_dir, nn::QuantizationConfig::from_json(config), ours, options);
  auto model = std::make_unique<DecoderModel>(decoder_traits(model_dir, config, fields, decoder),
                                              decoder, checkpoint);
  checkpoint.check_empty();
  return model;
}

}  // namespace pippin::models
