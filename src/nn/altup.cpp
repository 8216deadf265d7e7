#include "nn/altup.h"

#include <utility>

namespace pippin::nn {
namespace {

std::vector<Linear> load_projections(const char* name, int count, int size,
                                     Checkpoint& checkpoint) {
  std::vector<Linear> all;
  for (int i = 0; i < count; ++i)
    all.push_back(
        Linear::load(checkpoint, std::string(name) + "." + std::to_string(i), size, size));
  return all;
}

// The mean of squares over the last axis, which is kept.
mx::array mean_square(const mx::array& x) {
  return mx::mean(mx::square(mx::astype(x, mx::float32)), -1, true);
}

// x as large as `like`, by the roots of their mean squares.
mx::array as_large_as(const mx::array& x, const mx::array& like) {
  const mx::array least(1e-5f);  // transformers'
  const auto factor = mx::sqrt(mean_square(like) / mx::maximum(mean_square(x), least));
  return x * mx::astype(factor, x.dtype());
}

mx::array stream(const mx::array& streams, int i) {
  return mx::reshape(mx::slice(streams, {0, i, 0}, {streams.shape(0), i + 1, streams.shape(2)}),
                     {streams.shape(0), streams.shape(2)});
}

mx::array load_coefs(const AltUpConfig& c, int rows, Checkpoint& checkpoint,
                     const std::string& name) {
  auto coefs = mx::astype(checkpoint.take(name + ".weight", {rows, c.num_streams}), mx::float32);
  if (c.coef_clip) coefs = mx::clip(coefs, mx::array(-*c.coef_clip), mx::array(*c.coef_clip));
  coefs.eval();
  return coefs;
}

}  // namespace

AltUp::AltUp(const AltUpConfig& c, int hidden_size, Checkpoint& checkpoint)
    : projections_(
          load_projections("model.altup_projections", c.num_streams - 1, hidden_size, checkpoint)),
      unembed_projections_(load_projections("model.altup_unembed_projections", c.num_streams - 1,
                                            hidden_size, checkpoint)) {}

mx::array AltUp::widen(const mx::array& h) const {
  std::vector<mx::array> streams = {h};
  for (const auto& projection : projections_) streams.push_back(as_large_as(projection(h), h));
  return mx::stack(streams, 1);
}

mx::array AltUp::narrow(const mx::array& streams) const {
  const auto first = stream(streams, 0);
  std::vector<mx::array> all = {first};
  for (std::size_t i = 0; i < unembed_projections_.size(); ++i)
    all.push_back(
        as_large_as(unembed_projections_[i](stream(streams, static_cast<int>(i) + 1)), first));
  return mx::mean(mx::stack(all, 1), 1);
}

AltUpLayer::AltUpLayer(const AltUpConfig& c, int hidden_size, float eps, Checkpoint& checkpoint,
                       const std::string& name)
    : config_(c),
      prediction_coefs_(
          load_coefs(c, c.num_streams * c.num_streams, checkpoint, name + ".prediction_coefs")),
      correction_coefs_(load_coefs(c, c.num_streams, checkpoint, name + ".correction_coefs")),
      modality_router_(
          Linear::load_plain(checkpoint, name + ".modality_router", hidden_size, c.num_streams)),
      router_norm_(RmsNorm::load(checkpoint, name + ".router_norm", hidden_size, eps, false,
                                 1 / static_cast<float>(hidden_size))) {
  if (c.output_scale)
    output_scale_ = checkpoint.take(name + ".correct_output_scale", {hidden_size});
}

mx::array AltUpLayer::modalities(const mx::array& x) const {
  return mx::tanh(mx::astype(modality_router_.exact(router_norm_(x)), mx::float32));
}

mx::array AltUpLayer::active(const mx::array& streams) const {
  return stream(streams, config_.active);
}

// Each stream gets a mixture of all, whose weights follow from the active one.
mx::array AltUpLayer::predict(const mx::array& streams) const {
  const int count = config_.num_streams;
  const auto mixed = mx::matmul(modalities(active(streams)), mx::transpose(prediction_coefs_));
  const auto x = mx::astype(streams, mx::float32);
  const auto moved = mx::matmul(mx::reshape(mixed, {-1, count, count}), x);
  return mx::astype(x + moved, streams.dtype());
}

mx::array AltUpLayer::correct(const mx::array& predictions, const mx::array& activated) const {
  const auto coefs =
      mx::matmul(modalities(activated), mx::transpose(correction_coefs_)) + mx::array(1.0f);
  const auto innovation = mx::astype(activated - active(predictions), mx::float32);
  const auto moved = mx::expand_dims(innovation, 1) * mx::expand_dims(coefs, 2);
  return mx::astype(mx::astype(predictions, mx::float32) + moved, activated.dtype());
}

mx::array AltUpLayer::output(const mx::array& streams) const {
  const auto x = active(streams);
  return output_scale_ ? x * *output_scale_ : x;
}

mx::array AltUpLayer::add_to_others(const mx::array& streams, const mx::array& y) const {
  const auto parts = mx::split(streams, mx::Shape{1}, 1);
  return mx::concatenate({parts[0], parts[1] + mx::expand_dims(y, 1)}, 1);
}

}  // namespace pippin::nn
