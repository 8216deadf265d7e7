#include "nn/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "pippin/error.h"

namespace pippin::nn {
namespace {

using kernels::Rope;

// Each frequency of a plain embedding through `scaled(frequency, index)`.
template <class Scaled>
Rope with_frequencies(const RopeOptions& o, const Scaled& scaled) {
  auto rope = kernels::plain_rope(o.dims, o.theta);
  rope.base.reset();
  int index = 0;
  for (auto& frequency : rope.inverse_frequencies)
    frequency = static_cast<float>(scaled(static_cast<double>(frequency), index++));
  return rope;
}

double in(float value) { return static_cast<double>(value); }

// Long waves are stretched, short ones stay, those between are blended.
Rope llama3(const RopeOptions& o) {
  const double longest = o.original_context / in(o.low_freq_factor),
               shortest = o.original_context / in(o.high_freq_factor);
  return with_frequencies(o, [&](double frequency, int) {
    const double wave = 2 * std::numbers::pi / frequency;
    if (wave < shortest) return frequency;
    if (wave > longest) return frequency / in(o.factor);
    const double smooth = (o.original_context / wave - in(o.low_freq_factor)) /
                          in(o.high_freq_factor - o.low_freq_factor);
    return frequency * ((1 - smooth) / in(o.factor) + smooth);
  });
}

double yarn_scale(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

Rope yarn(const RopeOptions& o) {
  // The index whose wave turns so often within the original context.
  const auto index_of = [&](float turns) {
    return o.dims * std::log(o.original_context / (in(turns) * 2 * std::numbers::pi)) /
           (2 * std::log(in(o.theta)));
  };
  const auto first = index_of(o.beta_fast), last = index_of(o.beta_slow);
  const double low = std::max(o.truncate ? std::floor(first) : first, 0.0),
               high = std::min(o.truncate ? std::ceil(last) : last, o.dims - 1.0);
  const double width = low == high ? 0.001 : high - low;
  auto rope = with_frequencies(o, [&](double frequency, int i) {
    const double stretched = std::clamp((i - low) / width, 0.0, 1.0);
    return frequency * (1 - stretched) + frequency / in(o.factor) * stretched;
  });
  rope.factor = static_cast<float>(yarn_scale(in(o.factor), in(o.mscale)) /
                                   yarn_scale(in(o.factor), in(o.mscale_all_dim)));
  return rope;
}

Rope longrope(const RopeOptions& o) {
  auto rope = with_frequencies(o, [&](double frequency, int i) {
    return frequency / in(o.long_factors[static_cast<std::size_t>(i)]);
  });
  const double stretch = static_cast<double>(o.max_context) / o.original_context;
  if (stretch > 1)
    rope.factor =
        static_cast<float>(std::sqrt(1 + std::log(stretch) / std::log(o.original_context)));
  return rope;
}

// The first pairs turn at the frequencies of the whole head, the others not at all.
Rope proportional(const RopeOptions& o) {
  const int turning = static_cast<int>(static_cast<float>(o.dims) * o.rotated_share) / 2;
  return with_frequencies(
      o, [&](double frequency, int i) { return i < turning ? frequency / in(o.factor) : 0.0; });
}

Rope linear(const RopeOptions& o) {
  return with_frequencies(o, [&](double frequency, int) { return frequency / in(o.factor); });
}

Rope of_type(const RopeOptions& o) {
  if (o.type == "default" || o.type == "dynamic") return kernels::plain_rope(o.dims, o.theta);
  if (o.type == "linear") return linear(o);
  if (o.type == "llama3") return llama3(o);
  if (o.type == "yarn") return yarn(o);
  if (o.type == "longrope") return longrope(o);
  if (o.type == "proportional") return proportional(o);
  throw Error(Code::invalid_argument, "[config] rope_type '" + o.type + "' is not supported");
}

}  // namespace

kernels::Rope make_rope(const RopeOptions& options) {
  auto rope = of_type(options);
  rope.interleaved = options.interleaved;
  return rope;
}

}  // namespace pippin::nn
