// Attention of decode rows through pages, and what comes before it.
#pragma once

#include <mlx/mlx.h>

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu {

/// Tokens of a context that one group of threads reads, as paged_decode.h cuts contexts.
inline constexpr int part_tokens = 128;

/// The contexts of a step's rows that attend to whole contexts of their own.
struct Contexts {
  mx::array table;    ///< int32 [B, P], P a multiple of 8: page numbers, padded with any
  mx::array lengths;  ///< int32 [at least 8]: tokens, the row's own included; padded
  int rows;           ///< B
  int page_size;
  int longest;
};

/// One row's context.
struct Context {
  std::span<const std::int32_t> pages;  ///< may hold more than length tokens
  int length;
};
Contexts make_contexts(std::span<const Context> contexts, int page_size);

/// Rows of a prompt's chunk that one group of threads attends for a head.
inline constexpr int chunk_rows = 64;

/// A step's prompt chunks.
struct Chunks {
  /// int32 [S, P], P a multiple of 8: page numbers of each chunk's context, padded with any.
  mx::array table;
  /// int32 [N, 8], for a group of threads each: the first row of q, how many rows (at most chunk_rows), the first row's place in its context,
  /// the chunk, the first row of the output. Those with the longest contexts come first.
  mx::array places;
  int rows;  ///< of all chunks
  int page_size;
};

/// The last `rows` of a context's `length` tokens, from a step's row on.
struct ChunkRows {
  std::span<const std::int32_t> pages;  ///< may hold more than length tokens
  int length, rows, first_row;
};
Chunks make_chunks(std::span<const ChunkRows> chunks, int page_size);

/// What attention may add to softmax(q k^T scale) v.
struct DecodeOptions {
  float scale;
  int window = 0;     ///< each row sees its last so many tokens; 0: all
  float softcap = 0;  ///< scores become softcap * tanh(score / softcap); 0: as they are
  std::optional<mx::array> sinks =
      {};  ///< float32 [H]: a score of each head that takes weight and gives nothing
};

/// What kernels take of the options: scale and softcap times log2 e, float32 [8]; sinks times log2 e, float32 [at least 8], zeros where there are
/// none.
mx::array numbers_of(const DecodeOptions& options);
mx::array sinks_of(const DecodeOptions& options);

/// Whether there are kernels for heads of D numbers of these dtypes, in pages of `page_size` tokens.
bool decodes(const Executor* executor, int head_dim, mx::Dtype dtype, mx::Dtype pool);

/// q [B, H, D] over its rows' contexts in the pools [slots, Hkv, D]: [B, H * D] in q's dtype. A row's bits depend on the row alone.
mx::array paged_decode(Executor& executor, const mx::array& q, const mx::array& k_pool,
                       const mx::array& v_pool, const Contexts& contexts,
                       const DecodeOptions& options);

/// What happens to the heads of qkv [T, (H + 2 Hkv) * D].
struct HeadRows {
  int num_heads, num_kv_heads, head_dim;
  std::optional<mx::array> q_norm,
      k_norm;  ///< [D] in qkv's dtype: RMS norms before rotation; both or none
  float eps;
  mx::array cosines,
      sines;  ///< float32, T * D / 2 numbers: of the angles by which the halves of heads turn
};

/// Norms, rotates, and writes keys and values to their rows' slots in the pools. Returns q [T, H, D], which whatever reads the pools must take, too.
/// slots: int32 [at least 8], padded. Only where executor.writes_inputs().
mx::array qk_norm_rope_write(Executor& executor, const mx::array& qkv, const HeadRows& heads,
                             const mx::array& slots, const mx::array& k_pool,
                             const mx::array& v_pool);

struct QkvHeads {
  mx::array q, k, v;  ///< [T, H or Hkv, D]; k and v of the dtype that was asked for
};
/// The same, but for the writing.
QkvHeads qk_norm_rope(Executor& executor, const mx::array& qkv, const HeadRows& heads,
                      mx::Dtype pool);

}  // namespace pippin::kernels::gpu
