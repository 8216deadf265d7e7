// Attention on one thread: paged and causal for decoders, bidirectional for vision towers. The paper
// trail: online softmax (Milakov and Gimelshein 2018), tiles of it (FlashAttention, Dao et al. 2022).
//
// Every query row (one token, one head) goes through the same additions whatever the other rows of
// its tile, so decoding, any chunking of a prompt, any batch and any number of threads give the same
// bits: keys are taken in tiles of key_tile and pieces of piece_tokens at absolute positions; a tile's
// scores are one chain over D; a piece starts from nothing, and pieces are merged in order.
#pragma once

#include <cstdint>

#include "kernels/cpu/kv_pools.h"

namespace pippin::cpu {

inline constexpr int key_tile = 64;
inline constexpr int piece_tokens = 512;

/// What all tiles of one sequence share. D, Dv and the number of kv heads are the pools'.
struct PagedContext {
  KvPools pools;
  const std::int32_t* pages;  ///< the pages of the sequence, in order
  float scale;
  int window;     ///< a row sees that many tokens, itself included; 0: all
  float softcap;  ///< scores s become softcap * tanh(s / softcap); 0: they stay
};

/// Query rows of `tokens` neighbouring tokens: of `kv_heads` neighbouring kv heads, the `group` heads that
/// share each's keys. A state's row is [kv_heads, tokens, group]. Several kv heads take turns at every tile of
/// keys: a page holds them one after the other, and memory is read a third faster in such runs.
struct QueryTile {
  const float* q;         ///< [tokens, kv_heads * group * D]
  std::int64_t q_stride;  ///< floats from token to token
  int tokens;
  int group;
  int position;  ///< of the first token; its key and those before it are in the pools
  int kv_head;   ///< the first
  int kv_heads;
  const float* sinks;  ///< [kv_heads * group] logits that join the softmax without a value, or none
  float* out;          ///< [tokens, kv_heads * group * Dv]
  std::int64_t out_stride;

  int rows_of_head() const { return tokens * group; }
  int rows() const { return kv_heads * rows_of_head(); }
};

/// Keys [begin, end) of a sequence, within one tile of keys, that are likely to be read next: they are
/// fetched meanwhile. None if begin == end.
struct UpcomingKeys {
  const std::int32_t* pages;
  int kv_head, begin, end;
};

/// One head's keys and values of a bidirectional segment, as packed by AttentionKernels::pack: one
/// run of packed_floats a tile of key_tile keys: keys [D, key_tile], then values [key_tile, padded D].
struct PackedKeys {
  const float* tiles;
  int num_keys;
};

/// Rows of one head to be turned before use: cos and sin [rows, D / 2], or none.
struct Turn {
  const float* cos;
  const float* sin;
};

struct AttentionKernels {
  /// Query rows that one pass over a tile's keys serves.
  int pass_rows;

  /// A tile over pieces [first, last), which must cover all that its rows see unless `partials` is
  /// given. With partials each piece's state goes there, to be merged: [last - first, rows,
  /// state_floats].
  void (*paged)(const PagedContext& context, const QueryTile& tile, int first_piece, int last_piece,
                const UpcomingKeys& upcoming, float* partials, float* scratch);

  /// The output of a tile from its pieces' states, in order.
  void (*merge)(const PagedContext& context, const QueryTile& tile, const float* partials,
                int num_pieces, float* scratch);

  /// Up to key_tile rows of k and v, `stride` floats apart, into one packed tile.
  void (*pack)(const float* k, const float* v, std::int64_t stride, int rows, int head_dim,
               const Turn& turn, float* packed);

  /// Rows of one head over all keys: q [rows, D], out [rows, D].
  void (*segment)(const PackedKeys& keys, const float* q, std::int64_t q_stride, int rows,
                  int head_dim, const Turn& turn, float scale, float* out, std::int64_t out_stride,
                  float* scratch);
};

constexpr int padded(int head_dim) { return (head_dim + 15) / 16 * 16; }
/// One row's sum of weighted values [padded Dv], 16 parts of its sum of weights, its largest score.
constexpr int state_floats(int value_dim) { return padded(value_dim) + 32; }
constexpr std::int64_t packed_floats(int head_dim, int value_dim) {
  return std::int64_t{key_tile} * (head_dim + padded(value_dim));
}
/// Floats of scratch for `rows` query rows; 64-byte aligned.
constexpr std::int64_t scratch_floats(int head_dim, int value_dim, int rows) {
  return std::int64_t{rows} * (max_head_dim + 16 + 2 * state_floats(value_dim)) +
         packed_floats(head_dim, value_dim) + 18 * key_tile;
}

}  // namespace pippin::cpu
