// A model that is a decoder (nn/decoder.h), with or without pictures laid into its prompt.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/config.h"
#include "models/model.h"
#include "nn/decoder.h"

namespace pippin::models {

class DecoderModel : public Model {
 public:
  DecoderModel(ModelTraits traits, const nn::DecoderConfig& config, nn::Checkpoint& checkpoint);

  const ModelTraits& traits() const override { return traits_; }
  std::int64_t num_parameters() const override { return size_.num_parameters; }
  std::int64_t weight_bytes() const override { return size_.bytes; }
  mx::array forward(const StepInput& input, nn::ModelState& state) const override;

 private:
  ModelTraits traits_;
  nn::Decoder decoder_;
  nn::CheckpointSize size_;
};

/// The traits that follow from the decoder. options: how the model is loaded. `config` is the whole config.json, `fields` its part that describes the
/// decoder.
ModelTraits decoder_traits(const std::filesystem::path& model_dir,
                           const boost::json::object& config, const ConfigFields& fields,
                           const nn::DecoderConfig& decoder, const nn::LoadOptions& options);

/// `name` without what a decoder's checkpoint may carry in vain: a tied output layer, old files' rotary frequencies.
/// Empty: drop it.
std::string decoder_tensor(const std::string& name, const nn::DecoderConfig& config);

/// Loads a text model whose tensors have the names of nn::Decoder, or get them by `rename` (an empty result drops the
/// tensor). Every family of text models ends here: refuses fields that the family did not read, and tensors that
/// nobody took.
std::unique_ptr<Model> load_text_model(const std::filesystem::path& model_dir,
                                       const boost::json::object& config,
                                       const ConfigFields& fields, const nn::DecoderConfig& decoder,
                                       const nn::LoadOptions& options,
                                       const nn::RenameFn& rename = {});

}  // namespace pippin::models
