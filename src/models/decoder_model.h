// A model that is a decoder (nn/decoder.h), with or without pictures laid into its prompt.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

/// `name` where each of `pairs`, in order, has its second text in place of the first occurrence of its first.
std::string replaced(std::string name,
                     std::initializer_list<std::pair<const char*, const char*>> pairs);

/// A module that a checkpoint stores as one, and the model has as several: what their outputs are called and how many
/// there are of each, in order.
struct FusedModule {
  const char* theirs;  ///< part of the renamed tensor's name, with its dots
  std::vector<std::pair<const char*, int>> ours;
  bool interleaved = false;  ///< the parts' outputs alternate, else they follow each other
  bool transposed = false;   ///< weights are stored [in, out]
};

/// mlp.gate_up_proj, gate first.
FusedModule gate_up_of(const nn::DecoderConfig& config);

/// The parts of such modules' .blocks, .weight, .scales, .biases and .bias.
nn::SplitFn split_modules(std::vector<FusedModule> modules);

/// Loads a text model whose tensors have the names of nn::Decoder, or get them by `rename` (an empty result drops the
/// tensor). Every family of text models ends here: refuses fields that the family did not read, and tensors that
/// nobody took.
std::unique_ptr<Model> load_text_model(const std::filesystem::path& model_dir,
                                       const boost::json::object& config,
                                       const ConfigFields& fields, const nn::DecoderConfig& decoder,
                                       const nn::LoadOptions& options,
                                       const nn::RenameFn& rename = {},
                                       const nn::SplitFn& split = {});

}  // namespace pippin::models
