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

mx::array DecoderModel::forward(const StepInput& input, nn::ModelState& state) const {
  nn::DecoderStep step{input.positions, input.text_positions, input.layout,
                       input.window_layout ? &*input.window_layout : nullptr, input.states};
  if (!input.media.empty())
    step.after_layer = [&](mx::array h, std::size_t layer) {
      return add_deepstack(std::move(h), input.media, layer);
    };
  const auto begin = place_media(decoder_.embed(input.tokens), input.media);
  step.layer_inputs = decoder_.layer_inputs(input.tokens, begin);
  const auto h = decoder_.forward(begin, step, state);
  // Only the wanted rows go through the output layer, the largest matrix of a small model.
  return decoder_.logits(input.logit_rows ? mx::take(h, *input.logit_rows, 0) : h);
}

ModelTraits decoder_traits(const std::filesystem::path& model_dir,
                           const boost::json::object& config, const ConfigFields& fields,
                           const nn::DecoderConfig& decoder, const nn::LoadOptions& options) {
  ModelTraits traits;
  traits.model_type = Members(config).string("model_type").value_or("");
  traits.vocab_size = decoder.vocab_size;
  traits.layers = nn::layer_states(decoder, options);
  traits.max_context = fields.max_context();
  traits.end_tokens = read_end_tokens(model_dir, config);
  return traits;
}

std::string decoder_tensor(const std::string& name, const nn::DecoderConfig& config) {
  if (config.tied.value_or(false) && name.starts_with("lm_head.")) return "";
  if (name.ends_with(".rotary_emb.inv_freq")) return "";
  return name;
}

std::string replaced(std::string name,
                     std::initializer_list<std::pair<const char*, const char*>> pairs) {
  for (const auto& [theirs, ours] : pairs)
    if (const auto at = name.find(theirs); at != std::string::npos)
      name.replace(at, std::char_traits<char>::length(theirs), ours);
  return name;
}

namespace {

// The part of a module's tensor whose outputs begin at `first`; `tail` is the name after the module's.
nn::TensorPart part_of(const FusedModule& module, std::size_t index, int first,
                       const std::string& name, const std::string& tail) {
  const bool transposed = module.transposed && tail == "weight";
  const int axis = tail == "bias" || transposed ? -1 : tail == "blocks" ? -3 : -2;
  nn::TensorPart part{name, axis, first, first};
  part.end += module.ours[index].second;
  part.transposed = transposed;
  if (!module.interleaved) return part;
  part.step = static_cast<int>(module.ours.size());
  part.begin = static_cast<int>(index);
  part.end = part.step * module.ours[index].second;
  return part;
}

}  // namespace

FusedModule gate_up_of(const nn::DecoderConfig& config) {
  const int width = config.intermediate_size;
  return {".mlp.gate_up_proj.", {{".mlp.gate_proj.", width}, {".mlp.up_proj.", width}}};
}

nn::SplitFn split_modules(std::vector<FusedModule> modules) {
  return [modules = std::move(modules)](const std::string& name) {
    std::vector<nn::TensorPart> parts;
    for (const auto& module : modules) {
      const auto at = name.find(module.theirs);
      if (at == std::string::npos) continue;
      const auto tail = name.substr(at + std::char_traits<char>::length(module.theirs));
      int first = 0;
      for (std::size_t i = 0; i < module.ours.size(); ++i) {
        parts.push_back(
            part_of(module, i, first, name.substr(0, at) + module.ours[i].first + tail, tail));
        first += module.ours[i].second;
      }
    }
    return parts;
  };
}

std::unique_ptr<Model> load_text_model(const std::filesystem::path& model_dir,
                                       const boost::json::object& config,
                                       const ConfigFields& fields, const nn::DecoderConfig& decoder,
                                       const nn::LoadOptions& options, const nn::RenameFn& rename,
                                       const nn::SplitFn& split) {
  fields.check_rest();
  const auto ours = [&](const std::string& name) {
    return decoder_tensor(rename ? rename(name) : name, decoder);
  };
  nn::Checkpoint checkpoint(model_dir, nn::QuantizationConfig::from_json(config), ours, options,
                            split);
  auto model = std::make_unique<DecoderModel>(
      decoder_traits(model_dir, config, fields, decoder, options), decoder, checkpoint);
  checkpoint.check_empty();
  return model;
}

}  // namespace pippin::models
