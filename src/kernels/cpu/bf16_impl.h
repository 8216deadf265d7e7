// Matrix products on 16 lanes of bf16 pairs: lane = weight row. See bf16_kernels.h.
#pragma once

#include "kernels/cpu/bf16_kernels.h"
#include "kernels/cpu/linear_impl.h"

#ifdef PIPPIN_BF16_DOT

namespace pippin::cpu::PIPPIN_ISA {

// Six rows by four panels: 24 sums, four weights and an activation fill 29 of 32 registers, and ten
// loads serve 24 products.
inline constexpr int bf16_tile_rows = 6, bf16_tile_panels = 4;
// Pairs of k at once: the weights of four panels take 64 KB of the second-level cache, which gives them
// as fast as six rows use them.
inline constexpr int bf16_block = 256;

inline void round_rows(const float* x, std::int64_t stride, int rows, int k, const Bf16Rows& out) {
  for (int row = 0; row < rows; ++row) {
    const float* from = x + row * stride;
    Bf16* to = out.x + row * out.stride;
    int i = 0;
    for (; i + 16 <= k; i += 16) store(to + i, load(from + i));
    if (i < k) store(to + i, load_first(from + i, k - i));
  }
}

// sums[m, 16 p ..] += row m of x by panel p, over `pairs` pairs of k; from zero where `fresh`.
template <int MT, int NP>
inline __attribute__((always_inline)) void add_pairs(const Bf16* const (&w)[NP], int pairs,
                                                     const Bf16Rows& x, float* sums,
                                                     std::int64_t stride, bool fresh) {
  Vf s[MT][NP];
#pragma GCC unroll 8
  for (int m = 0; m < MT; ++m)
#pragma GCC unroll 4
    for (int p = 0; p < NP; ++p) s[m][p] = fresh ? zero() : load(sums + m * stride + 16 * p);
  for (int i = 0; i < pairs; ++i) {
    Pairs weights[NP];
#pragma GCC unroll 4
    for (int p = 0; p < NP; ++p) weights[p] = load_bf16_pairs(w[p] + 32 * i);
#pragma GCC unroll 8
    for (int m = 0; m < MT; ++m) {
      const Pairs pair = broadcast_pair(x.x + m * x.stride + 2 * i);
#pragma GCC unroll 4
      for (int p = 0; p < NP; ++p) s[m][p] = dot2(s[m][p], weights[p], pair);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < MT; ++m)
#pragma GCC unroll 4
    for (int p = 0; p < NP; ++p) store(sums + m * stride + 16 * p, s[m][p]);
}

// Fetches the weights that come after a block, some with every tile.
template <int NP>
struct Bf16Ahead {
  const Bf16* w[NP];
  int pairs;  // a tile

  void step() {
    for (int p = 0; p < NP; ++p) {
      for (int i = 0; i < pairs; ++i) prefetch_far(w[p] + 32 * i);
      w[p] += 32 * pairs;
    }
  }
};

// All rows by the panels w; the next ones lie `next` numbers behind them. finish(integral_constant<int,
// MT>, row, sums) takes a tile's sums [MT, NP, 16].
template <int NP, class Finish>
inline void bf16_panels(const Bf16* (&w)[NP], int pairs, std::int64_t next, const Bf16Rows& x,
                        int rows, float* memory, const Finish& finish) {
  const int tiles = (rows + bf16_tile_rows - 1) / bf16_tile_rows;
  for (int first = 0; first < pairs; first += bf16_block) {
    const bool last = first + bf16_block >= pairs;
    const int count = last ? pairs - first : bf16_block;
    Bf16Ahead<NP> ahead = {{}, (count + tiles - 1) / tiles};
    for (int p = 0; p < NP; ++p) ahead.w[p] = last ? w[p] - 32 * first + next : w[p] + 32 * count;
    for_tiles<bf16_tile_rows>(rows, [&](auto mt, int row) {
      constexpr int MT = decltype(mt)::value;
      ahead.step();
      float* sums = memory + row * NP * 16;
      add_pairs<MT, NP>(w, count, {x.x + row * x.stride + 2 * first, x.stride}, sums, 16 * NP,
                        first == 0);
      if (last) finish(mt, row, sums);
    });
    for (int p = 0; p < NP; ++p) w[p] += 32 * count;
  }
}

// NP panels, half of each matrix where there are two, beginning with `panel`.
template <int NP>
inline void bf16_group(const DensePanels& w, const DensePanels* times, const Bf16Rows& x, int rows,
                       int panel, const Output& out, float* memory) {
  const int each = times ? NP / 2 : NP;
  const Bf16* at[NP];
  for (int p = 0; p < NP; ++p) {
    const auto& matrix = p < each ? w : *times;
    at[p] = reinterpret_cast<const Bf16*>(matrix.data + static_cast<std::size_t>(panel + p % each) *
                                                            matrix.panel_bytes());
  }
  const auto next = static_cast<std::int64_t>(w.panel_bytes() / sizeof(Bf16)) * each;
  bf16_panels(at, w.padded_k() / 2, next, x, rows, memory,
              [&](auto mt, int row, const float* sums) {
                constexpr int MT = decltype(mt)::value;
                for (int p = 0; p < each; ++p) {
                  Vf y[MT], z[MT];
                  for (int m = 0; m < MT; ++m) {
                    y[m] = load(sums + 16 * (m * NP + p));
                    z[m] = times ? load(sums + 16 * (m * NP + each + p)) : zero();
                  }
                  write_tile<MT>(out, w.n, row, panel + p, y, z, times != nullptr);
                }
              });
}

inline void dense_bf16(const DensePanels& w, const DensePanels* times, const Bf16Rows& x, int rows,
                       int first, int last, const Output& out, float* memory) {
  const int most = times ? bf16_tile_panels / 2 : bf16_tile_panels;
  for (; last - first >= most; first += most)
    bf16_group<bf16_tile_panels>(w, times, x, rows, first, out, memory);
  for (; first < last; ++first)
    times ? bf16_group<2>(w, times, x, rows, first, out, memory)
          : bf16_group<1>(w, times, x, rows, first, out, memory);
}

}  // namespace pippin::cpu::PIPPIN_ISA

#endif
