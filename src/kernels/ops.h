// The operations whose implementation differs by device, or that MLX lacks. Everything above this
// header is the same on Metal, CUDA and CPUs. T = rows (tokens of a step), H = query heads, Hkv =
// key/value heads, D = head dimension.
#pragma once

#include <mlx/mlx.h>

#include <array>
#include <optional>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/rope_kernels.h"
#include "kernels/gpu/attention.h"
#include "kernels/weight.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// x [T, K] -> x W^T [T, N], in x's dtype, by MLX's own operations or cuda_linear.h's.
mx::array quantized_linear(const mx::array& x, const QuantizedWeight& w);

/// A step's page tables as the CPU's kernels read them; see cpu/attention.h.
struct CpuLayout {
  CpuBackendPtr backend;
  int page_size;
  std::vector<std::int32_t> pages;  ///< of all parts, one after the other
  std::vector<cpu::AttentionPart> parts;
};

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
    std::optional<mx::array> mask =
        {};  ///< bool [B, 1, 1, L], false where padded; absent where nothing is
    std::optional<mx::array> lengths =
        {};  ///< int32 [B, 1, 1, 1]: of the contexts; absent where all are L
    /// The contexts of decode rows where our GPU kernels attend; the three above are then of no use.
    std::optional<gpu::Contexts> contexts = {};
  };
  mx::array write_slots;  ///< int32 [T]: where each row's key and value go
  /// Cover the rows [0, T) in order; empty where `cpu` is set.
  std::vector<Group> groups;
  /// The groups of several rows a sequence, where our GPU kernels attend and there are any.
  std::optional<gpu::Chunks> chunks = {};
  /// write_slots padded for our GPU kernels: int32 [at least 8]. Absent where MLX's operations attend.
  std::optional<mx::array> padded_write_slots = {};
  /// Set where the CPU's kernels attend. The pools' pages are then laid out as cpu/kv_pools.h says,
  /// which nobody else reads.
  std::shared_ptr<const CpuLayout> cpu = {};
};

/// How scores become weights, in every layer of a kind alike.
struct ScoreOptions {
  float scale;        ///< of q k^T
  int window = 0;     ///< a row sees that many tokens, itself included; 0: all before it
  float softcap = 0;  ///< scores s become softcap * tanh(s / softcap); 0: they stay
  std::optional<mx::array> sinks = {};  ///< [H] logits that join each softmax without a value
};

/// Causal attention of every row over its sequence's context, through the page pools, by MLX's own
/// operations. Scores are capped where options.softcap says so by operations that hold all of them.
/// q [T, H, D], k [T, Hkv, D], v [T, Hkv, Dv]; k_pool [slots, Hkv, D] and v_pool [slots, Hkv, Dv], or of codes (kv_codes.h),
/// take the new rows (in place where MLX can donate the buffer: hold no other reference to them), unless k and v
/// are absent: then they have them, and Dv is D. Returns [T, H * Dv].
mx::array paged_attention(const mx::array& q, const std::optional<mx::array>& k,
                          const std::optional<mx::array>& v, mx::array& k_pool, mx::array& v_pool,
                          const PagedLayout& layout, const ScoreOptions& options);

/// The same where a value is its key's first value_dim numbers (multi-head latent attention), which are stored once.
mx::array latent_attention(const mx::array& q, const mx::array& k, int value_dim, mx::array& k_pool,
                           const PagedLayout& layout, const ScoreOptions& options);

/// Bidirectional attention within consecutive segments (the pictures of a vision batch).
/// q, k, v [N, H, D]; segment_ends: cumulative row counts, the last is N. Returns [N, H * D].
mx::array segment_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                            const std::vector<int>& segment_ends, float scale);

/// H query heads, Hkv key/value heads of D numbers.
struct AttentionShape {
  int num_heads, num_kv_heads, head_dim;
  int own_value_dim = 0;  ///< Dv, of values; 0: D
  bool values_in_keys =
      false;             ///< a value is its key's first Dv numbers, and comes and is stored with it
  int rotary_begin = 0;  ///< the first number of a head that turns

  int value_dim() const { return own_value_dim > 0 ? own_value_dim : head_dim; }
};

/// RMS norms of queries and keys.
struct QkNorm {
  cpu::HeadNorms norms = cpu::HeadNorms::each_head;
  std::optional<mx::array> q = {};  ///< [D], of whole rows [H * D]; absent: ones
  std::optional<mx::array> k = {};  ///< [D], of whole rows [Hkv * D]; absent: ones
  float eps = 0;
  bool values = false;  ///< each head of values is divided by its root mean square, too
};

/// What one layer does between the projection to queries, keys and values, and the one of its output. Made at load.
struct AttentionSpec {
  AttentionShape shape;
  ScoreOptions scores;
  QkNorm norm = {cpu::HeadNorms::none};
  cpu::KeyValues kv = cpu::KeyValues::apart;
};

/// A rotary embedding: which numbers of a head turn, and how fast. Made at load (nn/rope.h).
struct Rope {
  std::vector<float>
      inverse_frequencies;   ///< [R / 2]: angle of a pair a position; R <= D numbers turn
  bool interleaved = false;  ///< 2 i turns with 2 i + 1, else i with i + R / 2
  float factor = 1;          ///< of the numbers that turn (YaRN, LongRope)
  /// theta, where the frequencies are theta^(-2 i / R) and the factor is 1: MLX's fused operation knows these.
  std::optional<float> base = {};
  /// Interleaved M-RoPE's frequencies for time, height and width; zeros: time alone.
  std::array<int, 3> sections = {0, 0, 0};
};

/// Frequencies base^(-2 i / R) for R = rotary_dim.
Rope plain_rope(int rotary_dim, float base);

/// The angles of one step's rotary embedding, computed once and used by every layer of a kind.
struct RopeAngles {
  mx::array cos;  ///< float32 [T, 1, R / 2]
  mx::array sin;  ///< float32 [T, 1, R / 2]
  /// int32 [T]: set where one position serves all frequencies, so that MLX's fused rope may be
  /// used.
  std::optional<mx::array> offsets = {};
  float base = 0;  ///< theta
  bool interleaved = false;
};

/// The angles of positions int32 [A, T]. With three axes frequency i turns with the height position where i % 3 == 1 and
/// i < 3 * sections[1], the width where i % 3 == 2 and i < 3 * sections[2], else with time (Qwen3-VL, transformers'
/// apply_interleaved_mrope). one_axis: the rows are equal (text), which makes this plain rope.
RopeAngles rope_angles(const mx::array& positions, bool one_axis, const Rope& rope);

/// Rotates the first R numbers of each head of x [T, H, D], in x's dtype.
mx::array apply_rope(const mx::array& x, const RopeAngles& angles);

/// What a step's rows bring by their positions, for all layers of a kind.
struct RowPositions {
  std::optional<RopeAngles> angles = {};       ///< absent: nothing turns
  std::optional<mx::array> query_scales = {};  ///< float32 [T]: multiply a row's queries
};

/// From the projection qkv [T, (H + Hkv) * D + Hkv * Dv] (or what spec.kv says; without the last part where values are in keys) to
/// attention's output [T, H * Dv]: norms, rotation, the new keys' and values' way into the pools (as paged_attention
/// says), and causal attention. v_pool is of no use where values are in keys.
mx::array causal_attention(const mx::array& qkv, const AttentionSpec& spec,
                           const RowPositions& rows, mx::array& k_pool, mx::array& v_pool,
                           const PagedLayout& layout);

/// The same for a vision tower: qkv [N, 3 * H * D], bidirectional within segments, queries scaled by
/// 1 / sqrt(D). By the backend's kernels where there is one.
mx::array vision_attention(const mx::array& qkv, int num_heads, const RopeAngles& angles,
                           const std::vector<int>& segment_ends, const CpuBackendPtr& backend);

}  // namespace pippin::kernels
