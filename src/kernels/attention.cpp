#include <algorithm>
#include <cmath>

#include "kernels/cpu_attention.h"
#include "kernels/kv_codes.h"
#include "kernels/ops.h"

namespace pippin::kernels {
namespace {

// [B * n, H, D] -> [B, H, n, D], the order scaled_dot_product_attention wants.
mx::array heads_first(const mx::array& x, int num_sequences) {
  const int rows = x.shape(0) / num_sequences;
  return mx::transpose(mx::reshape(x, {num_sequences, rows, x.shape(1), x.shape(2)}), {0, 2, 1, 3});
}

// Inverse of heads_first, with the heads joined: [B, H, n, D] -> [B * n, H * D].
mx::array rows_first(const mx::array& x) {
  return mx::reshape(mx::transpose(x, {0, 2, 1, 3}),
                     {x.shape(0) * x.shape(2), x.shape(1) * x.shape(3)});
}

bool is_quantized(const mx::array& pool) { return pool.dtype() == mx::uint8; }

// pool [slots, Hkv, ...] at [B, L] -> [B, Hkv, L, D], of a quantized pool as dtype.
mx::array gather_context(const mx::array& pool, const mx::array& slots, int head_dim,
                         mx::Dtype dtype) {
  auto context = mx::take(pool, slots, 0);
  if (is_quantized(pool)) context = decode_heads(context, head_dim, dtype);
  return mx::transpose(context, {0, 2, 1, 3});
}

mx::array rows(const mx::array& x, int first, int count) {
  if (first == 0 && count == x.shape(0)) return x;
  return mx::slice(x, {first, 0, 0}, {first + count, x.shape(1), x.shape(2)});
}

// bool [B, 1, n, L], true where a row sees a token; absent where "causal" says it.
std::optional<mx::array> mask_of(const PagedLayout::Group& group, int window) {
  const int rows = group.rows_per_sequence, length = group.slots.shape(1);
  if (window == 0 || window >= length) return group.mask;
  const auto tokens = mx::arange(length, mx::int32);
  // Of decode rows: each stands at its context's end.
  const auto ends =
      group.lengths
          ? *group.lengths
          : mx::reshape(mx::arange(length - rows + 1, length + 1, mx::int32), {1, 1, rows, 1});
  return mx::logical_and(mx::less(tokens, ends),
                         mx::greater_equal(tokens, ends - mx::array(window, mx::int32)));
}

// With capped scores: q [B, H, n, D] and k, v [B, Hkv, L, D] -> [B, H, n, D], computed in float32.
mx::array capped_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                           const mx::array& mask, const ScoreOptions& options) {
  const int group = q.shape(1) / k.shape(1), rows = q.shape(2);
  const auto floats = [](const mx::array& x) {
    return mx::expand_dims(mx::astype(x, mx::float32), 2);
  };
  const auto queries =
      mx::unflatten(mx::astype(q, mx::float32), 1, {k.shape(1), group});  // [B, Hkv, group, n, D]
  auto scores = mx::matmul(queries, mx::swapaxes(floats(k), -1, -2)) * mx::array(options.scale);
  scores = mx::array(options.softcap) * mx::tanh(scores / mx::array(options.softcap));
  scores = mx::where(mx::expand_dims(mask, 2), scores, mx::array(-INFINITY));
  if (options.sinks) {
    const auto sinks =
        mx::reshape(mx::astype(*options.sinks, mx::float32), {1, k.shape(1), group, 1, 1});
    scores = mx::concatenate(
        {scores, mx::broadcast_to(sinks, {q.shape(0), k.shape(1), group, rows, 1})}, -1);
  }
  auto weights = mx::softmax(scores, -1);
  if (options.sinks)
    weights = mx::split(weights, mx::Shape{k.shape(2)}, -1).front();  // a sink has no value
  return mx::astype(mx::reshape(mx::matmul(weights, floats(v)), q.shape()), q.dtype());
}

mx::array causal_mask(const PagedLayout::Group& group) {
  const int rows = group.rows_per_sequence, length = group.slots.shape(1);
  const auto ends = mx::reshape(mx::arange(length - rows, length, mx::int32), {1, 1, rows, 1});
  return mx::less_equal(mx::arange(length, mx::int32), ends);
}

mx::array attend(const mx::array& q, const mx::array& k_pool, const mx::array& v_pool,
                 const PagedLayout::Group& group, const ScoreOptions& options) {
  const int count = group.num_sequences * group.rows_per_sequence;
  const auto queries = heads_first(rows(q, group.first_row, count), group.num_sequences);
  const auto keys = gather_context(k_pool, group.slots, q.shape(2), q.dtype());
  const auto values = gather_context(v_pool, group.slots, q.shape(2), q.dtype());
  const auto mask = mask_of(group, options.window);
  if (options.softcap > 0)
    return rows_first(
        capped_attention(queries, keys, values, mask ? *mask : causal_mask(group), options));
  auto sinks = options.sinks;
  if (sinks) sinks = mx::astype(*sinks, q.dtype());
  // "causal" aligns the last query with the last key, which is just what a chunk at the context's
  // end needs.
  const std::string mode = mask ? "array" : group.rows_per_sequence > 1 ? "causal" : "";
  return rows_first(mx::fast::scaled_dot_product_attention(queries, keys, values, options.scale,
                                                           mode, mask, sinks));
}

// heads [T, Hkv, D], rotated where the pool is quantized.
void write(mx::array& pool, const mx::array& slots, const mx::array& heads) {
  const auto rows = is_quantized(pool) ? encode_heads(heads, kv_format_of(pool, heads.shape(2)))
                                       : mx::astype(heads, pool.dtype());
  pool = mx::scatter(pool, slots, mx::expand_dims(rows, 1), 0);
}

mx::array concatenate_rows(std::vector<mx::array> parts) {
  return parts.size() == 1 ? parts.front() : mx::concatenate(std::move(parts), 0);
}

}  // namespace

mx::array paged_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                          mx::array& k_pool, mx::array& v_pool, const PagedLayout& layout,
                          const ScoreOptions& options) {
  const bool rotates = is_quantized(k_pool);
  const auto turned = [&](const mx::array& x) { return rotates ? rotate_heads(x) : x; };
  write(k_pool, layout.write_slots, turned(k));
  write(v_pool, layout.write_slots, turned(v));
  const auto queries = turned(q);
  std::vector<mx::array> outputs;
  for (const auto& group : layout.groups)
    outputs.push_back(attend(queries, k_pool, v_pool, group, options));
  const auto out = concatenate_rows(std::move(outputs));
  if (!rotates) return out;
  return mx::reshape(rotate_heads_back(mx::reshape(out, q.shape())), out.shape());
}

mx::array segment_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                            const std::vector<int>& segment_ends, float scale) {
  // Where MLX has no fused kernel it holds all scores of a call at once; tiles of queries bound them (rows are independent).
  constexpr int max_scores_per_head = 1 << 22;
  std::vector<mx::array> outputs;
  int begin = 0;
  for (const int end : segment_ends) {
    const auto keys = heads_first(rows(k, begin, end - begin), 1);
    const auto values = heads_first(rows(v, begin, end - begin), 1);
    const int tile = std::max(64, max_scores_per_head / (end - begin));
    for (int first = begin; first < end; first += tile) {
      const auto queries = heads_first(rows(q, first, std::min(tile, end - first)), 1);
      outputs.push_back(
          rows_first(mx::fast::scaled_dot_product_attention(queries, keys, values, scale)));
    }
    begin = end;
  }
  return concatenate_rows(std::move(outputs));
}

namespace {

// heads [T, H, D] normed, of whole rows as one.
mx::array normed(const mx::array& heads, const QkNorm& norm,
                 const std::optional<mx::array>& weight) {
  if (norm.norms == cpu::HeadNorms::none) return heads;
  if (norm.norms == cpu::HeadNorms::each_head) return mx::fast::rms_norm(heads, weight, norm.eps);
  const auto rows = mx::reshape(heads, {heads.shape(0), -1});
  return mx::reshape(mx::fast::rms_norm(rows, weight, norm.eps), heads.shape());
}

mx::array turned(const mx::array& heads, const RowPositions& rows) {
  return rows.angles ? apply_rope(heads, *rows.angles) : heads;
}

mx::array scaled(const mx::array& queries, const RowPositions& rows) {
  if (!rows.query_scales) return queries;
  return queries * mx::astype(mx::reshape(*rows.query_scales, {-1, 1, 1}), queries.dtype());
}

}  // namespace

mx::array causal_attention(const mx::array& qkv, const AttentionSpec& spec,
                           const RowPositions& rows, mx::array& k_pool, mx::array& v_pool,
                           const PagedLayout& layout) {
  if (layout.cpu) return cpu_attention(qkv, spec, rows, k_pool, v_pool, layout);
  const auto& shape = spec.shape;
  const int kv_end = shape.num_heads + shape.num_kv_heads;
  const auto parts =
      mx::split(mx::reshape(qkv, {qkv.shape(0), kv_end + shape.num_kv_heads, shape.head_dim}),
                mx::Shape{shape.num_heads, kv_end}, 1);
  const auto q = scaled(turned(normed(parts[0], spec.norm, spec.norm.q), rows), rows);
  const auto k = turned(normed(parts[1], spec.norm, spec.norm.k), rows);
  return paged_attention(q, k, parts[2], k_pool, v_pool, layout, spec.scores);
}

mx::array vision_attention(const mx::array& qkv, int num_heads, const RopeAngles& angles,
                           const std::vector<int>& segment_ends, const CpuBackendPtr& backend) {
  const int rows = qkv.shape(0), head_dim = qkv.shape(1) / (3 * num_heads);
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  if (backend) return cpu_vision_attention(qkv, num_heads, angles, segment_ends, scale, backend);
  const auto parts = mx::split(mx::reshape(qkv, {rows, 3 * num_heads, head_dim}), 3, 1);
  return segment_attention(apply_rope(parts[0], angles), apply_rope(parts[1], angles), parts[2],
                           segment_ends, scale);
}

}  // namespace pippin::kernels
