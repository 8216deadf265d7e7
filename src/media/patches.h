// What a vision tower reads: plain data, so that models/ needs nothing else of media/.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace pippin::media {

/// A picture's (or clip's) size in patches: time, height, width. t = 1 for a still picture.
struct PatchGrid {
  int t = 0;
  int h = 0;
  int w = 0;

  int num_patches() const { return t * h * w; }
  bool operator==(const PatchGrid&) const = default;
};

/// A picture cut into patches, before normalisation.
struct Patches {
  PatchGrid grid;
  /// u8 [t*h*w, C*Tp*P*P] with C = 3 channels, Tp frames a patch, P pixels a side. Rows stand in
  /// the order of Hugging Face's pixel_values: the merge_size x merge_size patches that the tower
  /// merges into one token stand together, blocks go left to right, then top to bottom.
  std::vector<std::uint8_t> values;
};

/// Normalisation of channel c: value * scale[c] + offset[c], in float32; done by the model, on its
/// device, because u8 is a quarter of the bytes to hand over.
struct Normalization {
  std::array<float, 3> scale{};
  std::array<float, 3> offset{};
};

}  // namespace pippin::media
