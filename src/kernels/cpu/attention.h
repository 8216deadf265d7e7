// Attention over a Team: paged and causal for decoders, bidirectional in segments for vision towers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/team.h"

namespace pippin::cpu {

/// One sequence's part of a step: its last `rows` of `length` context tokens are new, and their keys
/// and values already in the pools.
struct AttentionPart {
  const std::int32_t*
      pages;  ///< holds `length` tokens, in order; entries before every row's window
              ///< are not read
  int length;
  int rows;
  int first_row;  ///< of the step
};

/// T rows, H query heads; Hkv kv heads, keys of D and values of Dv numbers, which are the pools'.
struct PagedAttention {
  const float* q;         ///< [T, H * D]
  std::int64_t q_stride;  ///< floats from row to row
  int num_heads;          ///< H, a multiple of Hkv
  KvPools pools;
  std::span<const AttentionPart> parts;  ///< rows that no part names are left as they are in `out`
  float scale;                           ///< of q k^T
  int window = 0;                ///< a row sees that many tokens, itself included; 0: all before it
  float softcap = 0;             ///< scores s become softcap * tanh(s / softcap); 0: they stay
  const float* sinks = nullptr;  ///< [H] logits that join each softmax without a value, or none
  float* out;                    ///< [T, H * Dv]
  std::int64_t out_stride;
};

/// N rows, H heads, D = head_dim. q, k and v may lie in one fused [N, 3 * H * D].
struct SegmentAttention {
  const float* q;  ///< [N, H * D]
  const float* k;
  const float* v;
  std::int64_t stride;  ///< floats from row to row of q, k and v
  int num_heads, head_dim;
  std::span<const int> segment_ends;  ///< cumulative row counts; the last is N
  const float* cos = nullptr;         ///< [N, D / 2] with sin: q and k are turned first; or none
  const float* sin = nullptr;
  float scale;
  float* out;  ///< [N, H * D]
  std::int64_t out_stride;
  bool exact = false;  ///< everything stays float32
};

/// Memory that calls take and give back; it grows to the largest call's need and stays. A thread needs
/// 200 KB to decode and up to 1 MB to prefill; where contexts are split over threads, the state of a row
/// takes 600 bytes a head and piece; segments need their keys and values once more, at most 64 MB
/// (or one head's, where that is more). One call at a time may use it.
class AttentionScratch {
 public:
  /// At least that many floats, 64-byte aligned; contents may be lost.
  float* floats(std::int64_t count) {
    return reinterpret_cast<float*>(
        memory_.grow_to(static_cast<std::size_t>(count) * sizeof(float)));
  }

  /// A tile of query rows of one part and some kv heads: work for one thread, or split by pieces.
  struct Tile {
    int part, kv_head, kv_heads, first_token, tokens, first_piece, num_pieces;
    int pieces_each;        ///< of one work item
    std::int64_t partials;  ///< where the pieces' states lie, if split
  };
  struct Work {
    int tile, first_piece, last_piece;
    std::int64_t cost;
  };
  std::vector<Tile> tiles;
  std::vector<Work> work;
  std::vector<int> split;  ///< tiles to be merged

 private:
  Scratch memory_;
};

/// Every row's causal attention over its sequence. A row's bits depend on its query and its sequence's
/// keys and values alone: not on the batch, the chunks of its prompt or the team's size.
/// Throws Error(invalid_argument) on shapes that the kernels can't take.
void paged_attention(Team& team, const Kernels& kernels, const PagedAttention& attention,
                     AttentionScratch& scratch);

/// Every row's attention over all rows of its segment. Throws Error(invalid_argument) likewise.
void segment_attention(Team& team, const Kernels& kernels, const SegmentAttention& attention,
                       AttentionScratch& scratch);

}  // namespace pippin::cpu
