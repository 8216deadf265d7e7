// Pillow's resampling (its source: src/libImaging/Resample.c), rebuilt so that pixels agree with
// the processors that models were trained with. Each output sample is a weighted sum of the input
// samples within the filter's reach, which grows with the scale when shrinking. First all rows,
// then all columns; between the two passes values are rounded to 8 bits, as are the results.
// Weights are computed in double precision and applied as 32-bit integers with 22 fractional bits.
#include "media/resample.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace pippin::media {
namespace {

constexpr int kFractionBits = 22;
constexpr double kReach = 2.0;  // of the cubic, in input samples, where it does not shrink

// Keys' cubic convolution with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// For every output sample: which input samples it is made of, and how much of each.
struct Weights {
  struct Span {
    int first, count;
  };
  std::vector<Span> spans;          // [outputs]
  std::size_t stride = 0;           // of `fixed`, the longest span
  std::vector<std::int32_t> fixed;  // [outputs, stride], scaled by 2^22
  const std::int32_t* of(int output) const { return &fixed[stride * output]; }
};

Weights compute_weights(int num_inputs, int num_outputs) {
  const double scale = static_cast<double>(num_inputs) / num_outputs;
  const double stretch = std::max(scale, 1.0);
  const double reach = kReach * stretch;
  const double inverse = 1.0 / stretch;
  Weights weights;
  weights.stride = static_cast<std::size_t>(std::ceil(reach)) * 2 + 1;
  weights.spans.resize(num_outputs);
  weights.fixed.resize(weights.stride * num_outputs);
  std::vector<double> exact(weights.stride);
  for (int i = 0; i < num_outputs; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - reach + 0.5), 0);
    const int count = std::min(static_cast<int>(center + reach + 0.5), num_inputs) - first;
    double sum = 0.0;
    for (int k = 0; k < count; ++k) {
      exact[k] = cubic((k + first - center + 0.5) * inverse);
      sum += exact[k];
    }
    for (int k = 0; k < count; ++k) {
      const double weight = (sum != 0.0 ? exact[k] / sum : exact[k]) * (1 << kFractionBits);
      weights.fixed[weights.stride * i + k] =
          static_cast<std::int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    weights.spans[i] = {first, count};
  }
  return weights;
}

constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

Pixels resize_width(const Pixels& picture, int width) {
  const Weights weights = compute_weights(picture.width, width);
  Pixels out{picture.height, width, {}};
  out.rgb.resize(static_cast<std::size_t>(out.height) * width * 3);
  std::uint8_t* to = out.rgb.data();
  for (int y = 0; y < out.height; ++y) {
    const std::uint8_t* row = &picture.rgb[static_cast<std::size_t>(y) * picture.width * 3];
    for (int x = 0; x < width; ++x, to += 3) {
      const auto [first, count] = weights.spans[x];
      const std::int32_t* weight = weights.of(x);
      const std::uint8_t* from = row + static_cast<std::size_t>(first) * 3;
      std::int32_t red = kHalf, green = kHalf, blue = kHalf;
      for (int k = 0; k < count; ++k, from += 3) {
        red += from[0] * weight[k];
        green += from[1] * weight[k];
        blue += from[2] * weight[k];
      }
      to[0] = to_byte(red);
      to[1] = to_byte(green);
      to[2] = to_byte(blue);
    }
  }
  return out;
}

Pixels resize_height(const Pixels& picture, int height) {
  const Weights weights = compute_weights(picture.height, height);
  Pixels out{height, picture.width, {}};
  const std::size_t row_bytes = static_cast<std::size_t>(picture.width) * 3;
  out.rgb.resize(row_bytes * height);
  std::vector<std::int32_t> sums(row_bytes);  // whole rows at a time: the loops vectorise
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    const auto [first, count] = weights.spans[y];
    for (int k = 0; k < count; ++k) {
      const std::int32_t weight = weights.of(y)[k];
      const std::uint8_t* from = &picture.rgb[row_bytes * (first + k)];
      for (std::size_t i = 0; i < row_bytes; ++i) sums[i] += from[i] * weight;
    }
    std::transform(sums.begin(), sums.end(), &out.rgb[row_bytes * y], to_byte);
  }
  return out;
}

}  // namespace

Pixels resize_bicubic(const Pixels& picture, int height, int width) {
  if (width == picture.width && height == picture.height) return picture;
  if (width == picture.width) return resize_height(picture, height);
  if (height == picture.height) return resize_width(picture, width);
  // The pass that comes second sees rounded values, so the order shows. Since Pillow 13.0.0 (pull
  // request 9549) the height goes first where it loses more than twice what the width loses.
  const int lost_rows = picture.height - height;
  const int lost_columns = picture.width - width;
  if (lost_rows > 0 && lost_rows > std::int64_t{2} * lost_columns) {
    return resize_width(resize_height(picture, height), width);
  }
  return resize_height(resize_width(picture, width), height);
}

}  // namespace pippin::media
