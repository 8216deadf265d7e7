// The operations whose implementation differs by device, or that MLX lacks. Everything above this
// header is the same on Metal, CUDA and CPUs. T = rows (tokens of a step), H = query heads, Hkv =
// key/value heads, D = head dimension.
#pragma once

#include <mlx/mlx.h>

#include <array>
#include <optional>
#include <vector>

namespace pippin::kernels {

namespace mx = mlx::core;

/// A weight matrix [N, K] in MLX's affine quantization: w = scale * q + bias for each group along
/// K.
struct QuantizedWeight {
  mx::array weight;  ///< uint32 [N, K * bits / 32]
  mx::array scales;  ///< float [N, K / group_size]
  mx::array biases;  ///< float [N, K / group_size]
  int group_size;    ///< 32, 64 or 128
  int bits;          ///< 2, 3, 4, 5, 6 or 8
};

/// x [T, K] -> x W^T [T, N], in x's dtype.
mx::array quantized_linear(const mx::array& x, const QuantizedWeight& w);

/// Where each row of a step belongs in the paged KV pools. A slot is page * page_size + offset in
/// the page.
struct PagedLayout {
  /// Rows that attend together: either decode rows of several sequences, or the prefill chunk of
  /// one.
  struct Group {
    int first_row;
    int num_sequences;      ///< B
    int rows_per_sequence;  ///< 1 where B > 1
    mx::array slots;        ///< int32 [B, L]: the context's slots in order, the group's own rows
                            ///< included; padded at the end
    std::optional<mx::array>
        mask;  ///< bool [B, 1, 1, L], false where padded; absent where nothing is
  };
  mx::array write_slots;      ///< int32 [T]: where each row's key and value go
  std::vector<Group> groups;  ///< cover the rows [0, T) in order
};

/// Causal attention of every row over its sequence's context, through the page pools.
/// q [T, H, D], k and v [T, Hkv, D]; k_pool and v_pool [slots, Hkv, D] take the new rows (in place
/// where MLX can donate the buffer: hold no other reference to them). Returns [T, H * D].
mx::array paged_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                          mx::array& k_pool, mx::array& v_pool, const PagedLayout& layout,
                          float scale);

/// Bidirectional attention within consecutive segments (the pictures of a vision batch).
/// q, k, v [N, H, D]; segment_ends: cumulative row counts, the last is N. Returns [N, H * D].
mx::array segment_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                            const std::vector<int>& segment_ends, float scale);

/// The angles of one step's rotary embedding, computed once and used by every layer.
struct RopeAngles {
  mx::array cos;  ///< float32 [T, 1, D / 2]
  mx::array sin;  ///< float32 [T, 1, D / 2]
  /// int32 [T]: set where one position serves all frequencies, so that MLX's fused rope may be
  /// used.
  std::optional<mx::array> offsets;
  float base;  ///< theta
};

/// Angles of interleaved M-RoPE (Qwen3-VL, transformers' apply_interleaved_mrope): frequency i
/// turns with the height position where i % 3 == 1 and i < 3 * sections[1], the width where i % 3
/// == 2 and i < 3 * sections[2], else with time. positions: int32 [3, T]. one_axis: the three rows
/// are equal (text), which makes this plain rope.
RopeAngles mrope_angles(const mx::array& positions, bool one_axis, int head_dim, float base,
                        const std::array<int, 3>& sections);

/// Rotates x [T, H, D] (half-split pairing, as in Llama and Qwen), in x's dtype.
mx::array apply_rope(const mx::array& x, const RopeAngles& angles);

}  // namespace pippin::kernels
