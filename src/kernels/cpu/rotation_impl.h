// The rotation of heads whose keys and values are quantized: signs, then a Hadamard matrix over each
// block, orthonormal. Scores don't change when queries and keys turn alike; outputs turn back. A head's
// outliers spread over all of its numbers, which come out nearly normally distributed (QuaRot, Ashkboos
// et al. 2024), so that one scale a head and few levels do.
#pragma once

#include <array>

#include "kernels/cpu/kv_pools.h"
#include "kernels/cpu/norm_impl.h"

namespace pippin::cpu::PIPPIN_ISA {

struct RotationTables {
  float signs[max_head_dim];
  float mix16[16][16];  ///< the Hadamard matrix of 16
  float mix8[16][16];   ///< twice that of 8, on the diagonal
};

constexpr float hadamard(int i, int j) {
  int common = i & j, odd = 0;
  for (; common; common >>= 1) odd ^= common & 1;
  return odd ? -1.0f : 1.0f;
}

constexpr RotationTables make_rotation_tables() {
  RotationTables t{};
  for (int i = 0; i < max_head_dim; ++i) t.signs[i] = rotation_sign(i);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      t.mix16[i][j] = hadamard(i, j);
      t.mix8[i][j] = i / 8 == j / 8 ? hadamard(i % 8, j % 8) : 0.0f;
    }
  return t;
}

static constexpr RotationTables rotation_tables = make_rotation_tables();

inline int at_most_16(int n) { return n < 16 ? n : 16; }

// x [D] times its signs and `factor`.
inline void apply_signs(float* x, int head_dim, float factor) {
  for (int i = 0; i < head_dim; i += 16) {
    const int n = at_most_16(head_dim - i);
    store_piece(x + i, load_piece(x + i, n) * load(rotation_tables.signs + i) * set1(factor), n);
  }
}

// Every 16 numbers of x by a matrix: sums over its rows need no exchange between lanes.
inline void mix_within_vectors(const float (&matrix)[16][16], float* x, int head_dim) {
  for (int i = 0; i < head_dim; i += 16) {
    const int n = at_most_16(head_dim - i);
    Vf y = zero();
    for (int j = 0; j < n; ++j) y = fma(set1(x[i + j]), load(matrix[j]), y);
    store_piece(x + i, y, n);
  }
}

inline void apply_hadamard(float* x, int head_dim, int block) {
  mix_within_vectors(block == 8 ? rotation_tables.mix8 : rotation_tables.mix16, x, head_dim);
  for (int half = 16; half < block; half *= 2)
    for (int first = 0; first < head_dim; first += 2 * half)
      for (int i = first; i < first + half; i += 16) {
        const Vf a = load(x + i), b = load(x + i + half);
        store(x + i, a + b);
        store(x + i + half, a - b);
      }
}

inline float rotation_factor(int block) {
  return 1.0f / __builtin_sqrtf(static_cast<float>(block));
}

inline void rotate(float* x, int head_dim, int block) {
  apply_signs(x, head_dim, rotation_factor(block));
  apply_hadamard(x, head_dim, block);
}

inline void rotate_back(float* x, int head_dim, int block) {
  apply_hadamard(x, head_dim, block);
  apply_signs(x, head_dim, rotation_factor(block));
}

}  // namespace pippin::cpu::PIPPIN_ISA
