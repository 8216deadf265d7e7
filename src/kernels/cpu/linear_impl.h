// Matrix products on 16 lanes: lane = weight row. See linear_kernels.h for the layouts.
#pragma once

#include <bit>
#include <type_traits>

#include "kernels/cpu/linear_kernels.h"
#include "kernels/cpu/math_impl.h"

namespace pippin::cpu::PIPPIN_ISA {

// ---- a group's scales and biases

struct ScaleBias {
  Vf scale, bias;
};

inline ScaleBias load_scales(const std::uint8_t* header, Format format) {
  ScaleBias s;
  if (format == Format::f32) {
    const auto* p = reinterpret_cast<const float*>(header);
    s = {load(p), load(p + 16)};
  } else if (format == Format::bf16) {
    load_pairs(reinterpret_cast<const Bf16*>(header), s.scale, s.bias);
  } else {
    load_pairs(reinterpret_cast<const F16*>(header), s.scale, s.bias);
  }
  return s;
}

// The scales of 16 rows as bytes, E8M0, of numbers that are stored plus 12 and doubled (see Scheme and fp4_doubles):
// scale (q / 2 - 6), whose halves are exact.
inline ScaleBias load_power_scales(const std::uint8_t* bytes) {
  alignas(64) float halves[16];
  for (int r = 0; r < 16; ++r) {
    const std::uint32_t exponent = bytes[r];
    halves[r] = std::bit_cast<float>((exponent < 1 ? 0u : exponent - 1u) << 23);
  }
  const Vf half = load(halves);
  return {half, half * set1(-12.0f)};
}

// ---- results

inline Vf activate(Vf x, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return silu(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::relu_squared: {
      const Vf positive = max(x, zero());
      return positive * positive;
    }
    case Activation::clipped_swiglu: {
      const Vf clipped = min(x, set1(7.0f));
      return clipped * sigmoid(set1(1.702f) * clipped);
    }
    default:
      return x;
  }
}

// What the activation's result is multiplied by.
inline Vf partner(Vf x, Activation activation) {
  if (activation != Activation::clipped_swiglu) return x;
  return min(max(x, set1(-7.0f)), set1(7.0f)) + set1(1.0f);
}

// Writes the results of one tile: rows [row, row + MT), columns of one panel.
template <int MT>
inline void write_tile(const Output& out, int n, int row, int panel, const Vf (&y)[MT],
                       const Vf (&times)[MT], bool has_times) {
  const int column = panel * panel_rows, count = n - column < 16 ? n - column : 16;
  const Vf bias = out.bias ? load_first(out.bias + column, count) : zero();
  for (int m = 0; m < MT; ++m) {
    Vf v = activate(y[m] + bias, out.activation);
    if (has_times) {
      const Vf t =
          out.times_bias ? times[m] + load_first(out.times_bias + column, count) : times[m];
      v = v * partner(t, out.activation);
    }
    if (out.factor) v = v * load_first(out.factor + (row + m) * out.factor_stride + column, count);
    if (out.residual)
      v = v + load_first(out.residual + (row + m) * out.residual_stride + column, count);
    float* p = out.out + (row + m) * out.stride + column;
    if (count == 16)
      store(p, v);
    else
      store_first(p, v, count);
  }
}

// Calls f(integral_constant<int, MT>) for a run-time MT in [1, Max].
template <int Max, class F>
inline void with_rows(int rows, const F& f) {
  if constexpr (Max > 1)
    if (rows < Max) return with_rows<Max - 1>(rows, f);
  f(std::integral_constant<int, Max>());
}

// Calls f(integral_constant<int, MT>, row) for tiles that cover [0, rows), of Max rows but the last.
template <int Max, class F>
inline void for_tiles(int rows, const F& f) {
  for (int row = 0; row < rows; row += Max)
    with_rows<Max>(rows - row < Max ? rows - row : Max, [&](auto mt) { f(mt, row); });
}

// ---- 8-bit activations

inline void quantize_group(const float* x, int group, std::int8_t* q, float* scale,
                           float* sum_out) {
  Vf largest = zero();
  for (int k = 0; k < group; k += 16) largest = max(largest, abs(load(x + k)));
  const float top = max_of(largest);
  const float inverse = top > 0 ? 127.0f / top : 0.0f;
  Vi total = zero_i();
  for (int k = 0; k < group; k += 16) {
    const Vi rounded = to_int(load(x + k) * set1(inverse));
    total = total + rounded;
    store_i8(q + k, rounded);
  }
  *scale = top / 127.0f;
  *sum_out = *scale * static_cast<float>(sum(total));
}

inline void quantize(const float* x, std::int64_t stride, int rows, int k, int group,
                     const QuantizedRows& tile) {
  for (int g = 0; g < k / group; ++g)
    for (int m = 0; m < rows; ++m) {
      const int at = g * rows + m;
      quantize_group(x + m * stride + g * group, group, tile.q + at * group, tile.scales + at,
                     tile.sums + at);
    }
}

// ---- the quantized product
//
// The group's size is a constant of the code: where rows of activations and lines lie is then known to
// the compiler, which otherwise keeps a register or a stack slot for each.

/// What the code of a product knows of its matrix.
template <int bits_, int group_, Scheme scheme_ = Scheme::affine>
struct Layout {
  static constexpr int bits = bits_, group = group_;
  static constexpr bool affine = scheme_ == Scheme::affine;
  static constexpr bool fp4 = scheme_ == Scheme::mxfp4;  ///< nibbles index fp4_doubles
};

// A panel's blocks, one after the other.
template <class L>
class Blocks {
 public:
  Blocks(const QuantizedPanels& w, int panel)
      : block_(w.data + static_cast<std::size_t>(panel) * w.panel_bytes()),
        scales_(block_),
        header_(w.header_bytes()),
        bytes_(w.block_bytes()),
        format_(w.scale_format) {
    if constexpr (!L::affine) block_ += w.scales_bytes();
  }

  const std::uint8_t* begin() const { return block_; }
  int bytes() const { return bytes_; }
  const std::uint8_t* lines() const { return block_ + header_; }
  ScaleBias scales() const {
    if constexpr (L::affine)
      return load_scales(block_, format_);
    else
      return load_power_scales(scales_);
  }
  void next() {
    block_ += bytes_;
    if constexpr (!L::affine) scales_ += panel_rows;
  }

 private:
  const std::uint8_t *block_, *scales_;
  int header_, bytes_;
  Format format_;
};

// One group's products join the sums. The order is the same for every shape of tile.
template <int MT>
inline __attribute__((always_inline)) void add_group(const ScaleBias& s, const Vi (&dot)[MT],
                                                     const float* scales, const float* sums,
                                                     Vf (&y)[MT]) {
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) {
    y[m] = fma(s.bias, set1(sums[m]), y[m]);
    y[m] = fma(to_float(dot[m]), s.scale * set1(scales[m]), y[m]);
  }
}

inline void prefetch_block(const std::uint8_t* block, int bytes) {
  for (int line = 0; line < bytes; line += 64) prefetch(block + line);
}

// What is read from memory while a panel's products run, so that memory is never idle. With one tile
// of rows: the blocks shortly after the one at hand. With several: the next panels, a few lines at
// every group of every tile, into the second-level cache.
class Ahead {
 public:
  Ahead() = default;
  // Spreads [begin, end) over `steps`.
  Ahead(const std::uint8_t* begin, const std::uint8_t* end, int steps)
      : at_(begin), end_(end), lines_(static_cast<int>((end - begin) / 64 + steps - 1) / steps) {}

  void step(const std::uint8_t* block, int block_bytes) {
    // A core's own prefetcher stops at the page's end; four blocks ahead keeps the memory busy.
    if (!at_) return prefetch_block(block + 4 * block_bytes, block_bytes);
    for (int i = 0; i < lines_ && at_ < end_; ++i, at_ += 64) prefetch_far(at_);
  }

 private:
  const std::uint8_t *at_ = nullptr, *end_ = nullptr;
  int lines_ = 0;
};

// MT rows of 8-bit activations by one panel.
template <int MT, class L>
inline __attribute__((always_inline)) void panel_product(const QuantizedPanels& w, int panel,
                                                         const QuantizedRows& x, Ahead& ahead,
                                                         Vf (&y)[MT]) {
  constexpr int group = L::group;
  const int num_groups = w.k / group;
  Blocks<L> blocks(w, panel);
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) y[m] = zero();
  for (int g = 0; g < num_groups; ++g, blocks.next()) {
    ahead.step(blocks.begin(), blocks.bytes());
    Vi dot[MT];
    dot_group<MT, L::bits, L::fp4>(blocks.lines(), group, x.q + g * MT * group, dot);
    add_group<MT>(blocks.scales(), dot, x.scales + g * MT, x.sums + g * MT, y);
  }
}

#ifdef PIPPIN_UNPACK_ROWS
// The same with the panel's lines unpacked.
template <int MT, class L>
inline __attribute__((always_inline)) void unpacked_product(const QuantizedPanels& w, int panel,
                                                            const std::uint8_t* lines,
                                                            const QuantizedRows& x, Vf (&y)[MT]) {
  constexpr int group = L::group;
  const int num_groups = w.k / group;
  constexpr auto lines_bytes = unpacked_bytes(group, L::bits);
  Blocks<L> blocks(w, panel);
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) y[m] = zero();
  for (int g = 0; g < num_groups; ++g, blocks.next(), lines += lines_bytes) {
    Vi dot[MT];
    dot_unpacked<MT, L::bits, L::fp4>(lines, group, x.q + g * MT * group, dot);
    add_group<MT>(blocks.scales(), dot, x.scales + g * MT, x.sums + g * MT, y);
  }
}

template <class L>
inline void unpack_panel(const QuantizedPanels& w, int panel, std::uint8_t* out) {
  Blocks<L> blocks(w, panel);
  for (int k = 0; k < w.k; k += L::group, blocks.next())
    out = unpack_lines<L::bits, L::fp4>(blocks.lines(), L::group, out);
}
#endif

#ifdef PIPPIN_TWO_PANEL_ROWS
// The same for a panel and the next.
template <int MT, class L>
inline __attribute__((always_inline)) void panel_product(const QuantizedPanels& w, int panel,
                                                         const QuantizedRows& x, Ahead& ahead,
                                                         Vf (&y)[MT], Vf (&y2)[MT]) {
  constexpr int group = L::group;
  const int num_groups = w.k / group;
  Blocks<L> blocks(w, panel), blocks2(w, panel + 1);
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) y[m] = y2[m] = zero();
  for (int g = 0; g < num_groups; ++g, blocks.next(), blocks2.next()) {
    ahead.step(blocks.begin(), blocks.bytes());
    Vi dot[MT], dot2[MT];
    dot_group<MT, L::bits, L::fp4>(blocks.lines(), blocks2.lines(), group, x.q + g * MT * group,
                                   dot, dot2);
    add_group<MT>(blocks.scales(), dot, x.scales + g * MT, x.sums + g * MT, y);
    add_group<MT>(blocks2.scales(), dot2, x.scales + g * MT, x.sums + g * MT, y2);
  }
}
#endif

#ifdef PIPPIN_TWO_PANEL_ROWS
inline constexpr int panels_at_once = 2;
#else
inline constexpr int panels_at_once = 1;
#endif

// One tile of rows by `count` panels, one or two.
template <int MT, class L>
inline void tile_product(const QuantizedPanels& w, const QuantizedPanels* times,
                         const QuantizedRows& x, int row, int panel, int count, const Output& out,
                         Ahead& ahead, Ahead& times_ahead) {
  Vf y[MT], z[MT];
#ifdef PIPPIN_TWO_PANEL_ROWS
  if constexpr (MT >= PIPPIN_TWO_PANEL_ROWS)
    if (count == 2) {
      Vf y2[MT], z2[MT];
      panel_product<MT, L>(w, panel, x, ahead, y, y2);
      if (times) panel_product<MT, L>(*times, panel, x, times_ahead, z, z2);
      write_tile<MT>(out, w.n, row, panel, y, z, times != nullptr);
      write_tile<MT>(out, w.n, row, panel + 1, y2, z2, times != nullptr);
      return;
    }
#endif
  for (int i = panel; i < panel + count; ++i) {
    panel_product<MT, L>(w, i, x, ahead, y);
    if (times) panel_product<MT, L>(*times, i, x, times_ahead, z);
    write_tile<MT>(out, w.n, row, i, y, z, times != nullptr);
  }
}

// Calls f(integral_constant<int, MT>, tile, row) for every tile of x.
template <class F>
inline void for_quantized_tiles(const QuantizedPanels& w, const QuantizedRows& x, int rows,
                                const F& f) {
  const std::int64_t num_groups = w.k / w.group;
  for (int row = 0; row < rows; row += x.tile) {
    const QuantizedRows tile = {x.q + static_cast<std::int64_t>(row) * w.k,
                                x.scales + row * num_groups, x.sums + row * num_groups, x.tile};
    with_rows<max_tile_rows>(rows - row < x.tile ? rows - row : x.tile,
                             [&](auto mt) { f(mt, tile, row); });
  }
}

// Fetches w's panels [next, next + count) while `tiles` tiles pass over the ones before.
inline Ahead ahead_of(const QuantizedPanels& w, int next, int count, int tiles) {
  const auto* begin = w.data + static_cast<std::size_t>(next) * w.panel_bytes();
  return {begin, begin + static_cast<std::size_t>(count) * w.panel_bytes(),
          tiles * (w.k / w.group)};
}

// The panels at hand stay in the first-level cache from tile to tile.
template <class L>
inline void quantized_panels(const QuantizedPanels& w, const QuantizedPanels* times,
                             const QuantizedRows& x, int rows, int first, int last,
                             const Output& out) {
  const int tiles = (rows + x.tile - 1) / x.tile;
  // One tile is bound by memory, which is read fastest in one stream.
  const int each = tiles == 1 ? 1 : panels_at_once;
  for (int panel = first; panel < last; panel += each) {
    const int count = last - panel < each ? last - panel : each;
    const int next = panel + count, next_count = last - next < each ? last - next : each;
    Ahead ahead, times_ahead;
    if (tiles > 1) {
      ahead = ahead_of(w, next, next_count, tiles);
      if (times) times_ahead = ahead_of(*times, next, next_count, tiles);
    }
    for_quantized_tiles(w, x, rows, [&](auto mt, const QuantizedRows& tile, int row) {
      tile_product<decltype(mt)::value, L>(w, times, tile, row, panel, count, out, ahead,
                                           times_ahead);
    });
  }
}

#ifdef PIPPIN_UNPACK_ROWS
// The same for many rows: every panel is unpacked once, to `memory`.
template <class L>
inline void unpacked_panels(const QuantizedPanels& w, const QuantizedPanels* times,
                            const QuantizedRows& x, int rows, int first, int last,
                            const Output& out, std::uint8_t* memory) {
  std::uint8_t* times_memory = memory + unpacked_bytes(w.k, L::bits);
  for (int panel = first; panel < last; ++panel) {
    unpack_panel<L>(w, panel, memory);
    if (times) unpack_panel<L>(*times, panel, times_memory);
    for_quantized_tiles(w, x, rows, [&](auto mt, const QuantizedRows& tile, int row) {
      constexpr int MT = decltype(mt)::value;
      Vf y[MT], z[MT];
      unpacked_product<MT, L>(w, panel, memory, tile, y);
      if (times) unpacked_product<MT, L>(*times, panel, times_memory, tile, z);
      write_tile<MT>(out, w.n, row, panel, y, z, times != nullptr);
    });
  }
}
inline constexpr int unpack_rows = PIPPIN_UNPACK_ROWS;
#else
inline constexpr int unpack_rows = 0;
#endif

// Calls f(Layout) with the matrix's.
template <class F>
inline void with_layout(const QuantizedPanels& w, const F& f) {
  if (w.scheme == Scheme::mxfp4) return f(Layout<4, 32, Scheme::mxfp4>());
  if (w.group == 16) return f(Layout<8, 16>());
  const auto with_bits = [&](auto bits) {
    constexpr int b = decltype(bits)::value;
    if (w.group == 32)
      f(Layout<b, 32>());
    else if (w.group == 64)
      f(Layout<b, 64>());
    else
      f(Layout<b, 128>());
  };
  if (w.bits == 4)
    with_bits(std::integral_constant<int, 4>());
  else
    with_bits(std::integral_constant<int, 8>());
}

inline void quantized(const QuantizedPanels& w, const QuantizedPanels* times,
                      const QuantizedRows& x, int rows, int first, int last, const Output& out,
                      [[maybe_unused]] std::uint8_t* memory) {
  with_layout(w, [&](auto layout) {
    using L = decltype(layout);
#ifdef PIPPIN_UNPACK_ROWS
    if (rows >= unpack_rows) return unpacked_panels<L>(w, times, x, rows, first, last, out, memory);
#endif
    quantized_panels<L>(w, times, x, rows, first, last, out);
  });
}

// ---- float32 activations

// y[m] += x[m, 0..k) by k rows of 16 weights.
template <int MT, class T>
inline __attribute__((always_inline)) void add_dense(const T* w, int k, const float* x,
                                                     std::int64_t stride, Vf (&y)[MT]) {
  Vf sums[MT];  // copies, which nothing can point to: y itself would be stored at every k
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) sums[m] = y[m];
  for (int i = 0; i < k; ++i) {
    const Vf weights = load(w + 16 * i);
#pragma GCC unroll 16
    for (int m = 0; m < MT; ++m) sums[m] = fma(weights, set1(x[m * stride + i]), sums[m]);
  }
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) y[m] = sums[m];
}

// The same from pairs of k.
template <int MT>
inline __attribute__((always_inline)) void add_dense(const Bf16* w, int k, const float* x,
                                                     std::int64_t stride, Vf (&y)[MT]) {
  Vf sums[MT];
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) sums[m] = y[m];
  for (int i = 0; i < k; i += 2, w += 32) {
    Vf even, odd;
    load_pairs(w, even, odd);
#pragma GCC unroll 16
    for (int m = 0; m < MT; ++m) sums[m] = fma(even, set1(x[m * stride + i]), sums[m]);
    if (i + 1 == k) break;
#pragma GCC unroll 16
    for (int m = 0; m < MT; ++m) sums[m] = fma(odd, set1(x[m * stride + i + 1]), sums[m]);
  }
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) y[m] = sums[m];
}

// The table of a scheme's codes without scales; `values` has room for 256.
inline const float* code_values(Scheme scheme, float* values) {
  if (scheme == Scheme::mxfp8)
    for (int i = 0; i < 256; ++i) values[i] = widen_e4m3(static_cast<std::uint8_t>(i));
  else
    for (int i = 0; i < 256; ++i)
      values[i] = scheme == Scheme::affine ? static_cast<float>(i)
                                           : 0.5f * static_cast<float>(fp4_doubles[i & 15]);
  return values;
}

// The scales and biases of block `g`, whatever the scheme.
inline ScaleBias block_scales(const QuantizedPanels& w, const std::uint8_t* panel,
                              const std::uint8_t* block, int g) {
  if (w.scheme == Scheme::affine) return load_scales(block, w.scale_format);
  alignas(64) float scales[16];
  for (int r = 0; r < 16; ++r) {
    const auto byte = panel[16 * g + r];
    scales[r] = w.factor * (w.scheme == Scheme::nvfp4 ? widen_e4m3(byte) : widen_e8m0(byte));
  }
  return {load(scales), zero()};
}

// One block's lines as floats [group, 16].
inline void expand_block(const QuantizedPanels& w, const std::uint8_t* lines, const ScaleBias& s,
                         const float* values, float* out) {
  const int half = w.group / 2;
  for (int k = 0; k < w.group; ++k) {
    const int line_k = w.bits == 4 ? k % half : k;
    const int shift = w.bits == 4 && k >= half ? 4 : 0;
    const auto* bytes = lines + (line_k / 4) * 64 + line_k % 4;
    float q[16];
    for (int r = 0; r < 16; ++r) q[r] = values[(bytes[4 * r] >> shift) & (w.bits == 4 ? 15 : 255)];
    store(out + 16 * k, fma(load(q), s.scale, s.bias));
  }
}

template <int MT>
inline void exact_product(const QuantizedPanels& w, int panel, const float* values, const float* x,
                          std::int64_t stride, Vf (&y)[MT]) {
  alignas(64) float expanded[128 * 16];
  const auto* begin = w.data + static_cast<std::size_t>(panel) * w.panel_bytes();
  const auto* block = begin + w.scales_bytes();
  for (int m = 0; m < MT; ++m) y[m] = zero();
  for (int g = 0; g < w.k / w.group; ++g, block += w.block_bytes()) {
    expand_block(w, block + w.header_bytes(), block_scales(w, begin, block, g), values, expanded);
    add_dense<MT>(expanded, w.group, x + g * w.group, stride, y);
  }
}

inline void quantized_exact(const QuantizedPanels& w, const QuantizedPanels* times, const float* x,
                            std::int64_t stride, int rows, int first, int last, const Output& out) {
  float table[256];
  const float* values = code_values(w.scheme, table);
  for (int panel = first; panel < last; ++panel)
    for_tiles<max_float_tile_rows>(rows, [&](auto mt, int row) {
      constexpr int MT = decltype(mt)::value;
      Vf y[MT], z[MT];
      exact_product<MT>(w, panel, values, x + row * stride, stride, y);
      if (times) exact_product<MT>(*times, panel, values, x + row * stride, stride, z);
      write_tile<MT>(out, w.n, row, panel, y, z, times != nullptr);
    });
}

template <class T>
inline void dense_panels(const DensePanels& w, const DensePanels* times, const float* x,
                         std::int64_t stride, int rows, int first, int last, const Output& out) {
  const auto panel_of = [](const DensePanels& matrix, int panel) {
    return reinterpret_cast<const T*>(matrix.data +
                                      static_cast<std::size_t>(panel) * matrix.panel_bytes());
  };
  for (int panel = first; panel < last; ++panel)
    for_tiles<max_float_tile_rows>(rows, [&](auto mt, int row) {
      constexpr int MT = decltype(mt)::value;
      Vf y[MT], z[MT];
#pragma GCC unroll 16
      for (int m = 0; m < MT; ++m) y[m] = z[m] = zero();
      add_dense<MT>(panel_of(w, panel), w.k, x + row * stride, stride, y);
      if (times) add_dense<MT>(panel_of(*times, panel), w.k, x + row * stride, stride, z);
      write_tile<MT>(out, w.n, row, panel, y, z, times != nullptr);
    });
}

inline void dense(const DensePanels& w, const DensePanels* times, const float* x,
                  std::int64_t stride, int rows, int first, int last, const Output& out) {
  switch (w.format) {
    case Format::f32:
      return dense_panels<float>(w, times, x, stride, rows, first, last, out);
    case Format::bf16:
      return dense_panels<Bf16>(w, times, x, stride, rows, first, last, out);
    case Format::f16:
      return dense_panels<F16>(w, times, x, stride, rows, first, last, out);
  }
}

inline constexpr LinearKernels linear_kernels = {
    max_tile_rows, max_float_tile_rows, unpack_rows, quantize, quantized, quantized_exact, dense};

}  // namespace pippin::cpu::PIPPIN_ISA
