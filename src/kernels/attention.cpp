#include <algorithm>
#include <cmath>

#include "kernels/cpu_attention.h"
#include "kernels/cuda_prefill.h"
#include "kernels/gpu/choice.h"
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

mx::array first_numbers(const mx::array& x, int count) {  // of [B, H, L, D]
  return mx::slice(x, {0, 0, 0, 0}, {x.shape(0), x.shape(1), x.shape(2), count});
}

mx::array tokens(const mx::array& x, int first, int end) {  // of [B, H, L, D]
  if (first == 0 && end == x.shape(2)) return x;
  return mx::slice(x, {0, 0, first, 0}, {x.shape(0), x.shape(1), end, x.shape(3)});
}

// bool [B, 1, n, L], true where a row sees a token; absent where "causal" says it.
std::optional<mx::array> mask_of(const PagedLayout::Group& group, int window) {
  const int rows = group.rows_per_sequence, length = group.slots.shape(1);
  if (window == 0 || window >= length) return group.mask;
  const auto tokens = mx::arange(length, mx::int32);
  // Decode rows: each stands at its context's end.
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
  return mx::astype(mx::flatten(mx::matmul(weights, floats(v)), 1, 2), q.dtype());
}

// Each row sees what is before it; the last one all.
mx::array causal_mask(int rows, int length) {
  const auto ends = mx::reshape(mx::arange(length - rows, length, mx::int32), {1, 1, rows, 1});
  return mx::less_equal(mx::arange(length, mx::int32), ends);
}

// q [B, H, n, D] over k, v [B, Hkv, L, D]. Without a mask several rows see what is before them: "causal" aligns the last query with
// the last key, which is just what a chunk at its context's end needs.
mx::array attend_context(const mx::array& q, const mx::array& k, const mx::array& v,
                         const std::optional<mx::array>& mask, const ScoreOptions& options) {
  if (options.softcap > 0)
    return capped_attention(q, k, v, mask ? *mask : causal_mask(q.shape(2), k.shape(2)), options);
  auto sinks = options.sinks;
  if (sinks) sinks = mx::astype(*sinks, q.dtype());
  const std::string mode = mask ? "array" : q.shape(2) > 1 ? "causal" : "";
  return mx::fast::scaled_dot_product_attention(q, k, v, options.scale, mode, mask, sinks);
}

// Where MLX has no fused kernel it holds all scores of a call at once; tiles of queries bound them (rows are independent).
constexpr int max_scores_per_head = 1 << 22;

// A chunk at its context's end, and each of its tiles.
mx::array attend_chunk(const mx::array& queries, const mx::array& keys, const mx::array& values,
                       const std::optional<mx::array>& mask, const ScoreOptions& options) {
  const int count = queries.shape(2), length = keys.shape(2);
  const int tile = std::max(64, max_scores_per_head / length);
  std::vector<mx::array> outputs;
  for (int first = 0; first < count; first += tile) {
    const int end = std::min(first + tile, count), visible = length - count + end;
    const auto seen = mask ? std::optional(mx::slice(*mask, {0, 0, first, 0}, {1, 1, end, visible}))
                           : std::nullopt;
    outputs.push_back(attend_context(tokens(queries, first, end), tokens(keys, 0, visible),
                                     tokens(values, 0, visible), seen, options));
  }
  return outputs.size() == 1 ? outputs.front() : mx::concatenate(std::move(outputs), 2);
}

// What MLX's operations read of contexts that were laid out for our kernels.
PagedLayout::Group by_slots(const PagedLayout::Group& group) {
  const auto& contexts = *group.contexts;
  const auto within = mx::arange(contexts.page_size, mx::int32);
  const auto first = mx::expand_dims(contexts.table, 2) * mx::array(contexts.page_size, mx::int32);
  const auto slots = mx::reshape(first + within, {contexts.rows, -1});
  const auto lengths = mx::slice(contexts.lengths, {0}, {contexts.rows});
  const auto ends = mx::reshape(lengths, {contexts.rows, 1, 1, 1});
  return {group.first_row,
          group.num_sequences,
          group.rows_per_sequence,
          mx::slice(slots, {0, 0}, {contexts.rows, contexts.longest}),
          mx::less(mx::arange(contexts.longest, mx::int32), ends),
          ends};
}

// A step's queries, keys and values [T, H or Hkv, D] as the pools have them, and the pools.
struct Step {
  const mx::array& q;
  const std::optional<mx::array> k, v;  ///< absent where the pools alone have them
  const mx::array& k_pool;
  const mx::array& v_pool;
  int value_dim;                ///< Dv
  bool values_in_keys = false;  ///< v is absent, and v_pool of no use
};

// Whether all that the group's rows see are its rows, which need no way through the pools.
bool is_whole(const PagedLayout::Group& group) {
  return group.num_sequences == 1 &&
         group.slots.size() == static_cast<std::size_t>(group.rows_per_sequence);
}

mx::array attend_by_mlx(const Step& step, const PagedLayout::Group& group,
                        const ScoreOptions& options) {
  const int count = group.num_sequences * group.rows_per_sequence;
  const auto& q = step.q;
  const auto queries = heads_first(rows(q, group.first_row, count), group.num_sequences);
  const auto context = [&](const std::optional<mx::array>& own, const mx::array& pool, int dim) {
    if (own && is_whole(group) && own->dtype() == q.dtype())
      return heads_first(rows(*own, group.first_row, count), 1);
    return gather_context(pool, group.slots, dim, q.dtype());
  };
  const auto keys = context(step.k, step.k_pool, q.shape(2));
  const auto values = step.values_in_keys ? first_numbers(keys, step.value_dim)
                                          : context(step.v, step.v_pool, step.value_dim);
  const auto mask = mask_of(group, options.window);
  if (group.rows_per_sequence > 1)
    return rows_first(attend_chunk(queries, keys, values, mask, options));
  return rows_first(attend_context(queries, keys, values, mask, options));
}

constexpr int any_rows = 0;  // of a use: prompts' chunks

// The use of all rows' attention, or, where the heads were made by others, of a group's alone.
gpu::Use attention_use(mx::Dtype dtype, const AttentionShape& shape, int rows, bool alone) {
  return {gpu::Operation::attention,
          dtype.val(),
          {rows, shape.num_heads, shape.num_kv_heads, shape.head_dim, alone ? 1 : 0}};
}

gpu::DecodeOptions kernel_options(const ScoreOptions& options) {
  return {options.scale, options.window, options.softcap, options.sinks};
}

mx::array attend_by_kernel(const Step& step, const PagedLayout::Group& group,
                           const ScoreOptions& options) {
  return gpu::paged_decode(*gpu::executor(), rows(step.q, group.first_row, group.num_sequences),
                           step.k_pool, step.v_pool, *group.contexts, kernel_options(options));
}

// `decided`: that our kernels attend, for the step as a whole.
mx::array attend(const Step& step, const PagedLayout::Group& group, const ScoreOptions& options,
                 bool decided) {
  if (!group.contexts) return attend_by_mlx(step, group, options);
  if (decided) return attend_by_kernel(step, group, options);
  const auto& q = step.q;
  const auto& pool = step.k_pool;
  const auto use = attention_use(q.dtype(), {q.shape(1), pool.shape(1), q.shape(2)},
                                 gpu::rows(rows(q, group.first_row, group.num_sequences)), true);
  const auto by_mlx = [&] { return attend_by_mlx(step, by_slots(group), options); };
  if (is_quantized(pool) || step.values_in_keys || step.value_dim != q.shape(2) ||
      !gpu::decodes(gpu::executor(), q.shape(2), q.dtype(), pool.dtype()) || !gpu::chosen(use))
    return by_mlx();
  return gpu::proved_one(use, [&] { return attend_by_kernel(step, group, options); }, by_mlx);
}

// heads [T, Hkv, D], rotated where the pool is quantized.
void write(mx::array& pool, const mx::array& slots, const mx::array& heads) {
  const auto rows = is_quantized(pool) ? encode_heads(heads, kv_format_of(pool, heads.shape(2)))
                                       : mx::astype(heads, pool.dtype());
  pool = mx::scatter(pool, slots, mx::expand_dims(rows, 1), 0);
}

bool all_decode(const PagedLayout& layout) {
  return std::all_of(layout.groups.begin(), layout.groups.end(),
                     [](const auto& group) { return group.contexts.has_value(); });
}

mx::array concatenate_rows(std::vector<mx::array> parts) {
  return parts.size() == 1 ? parts.front() : mx::concatenate(std::move(parts), 0);
}

// Whether one kernel of ours attends the rows of all chunks.
bool chunks_by_kernel(const PagedLayout& layout, int head_dim, mx::Dtype dtype, mx::Dtype pool) {
  return layout.chunks && prefill_kernel_takes(gpu::executor(), head_dim, dtype, pool);
}

mx::array out_rows(const mx::array& out, int first, int count) {
  if (count == out.shape(0)) return out;
  return mx::slice(out, {first, 0}, {first + count, out.shape(1)});
}

// The rows of all chunks, in order; absent where MLX's operations attend them, each chunk by itself.
std::optional<mx::array> attend_chunks(const Step& step, const PagedLayout& layout,
                                       const ScoreOptions& options, bool decided) {
  const auto& q = step.q;
  const auto& pool = step.k_pool;
  if (step.values_in_keys || step.value_dim != q.shape(2) ||
      !chunks_by_kernel(layout, q.shape(2), q.dtype(), pool.dtype()))
    return {};
  const auto by_kernel = [&] {
    return prefill_attention(*gpu::executor(), q, pool, step.v_pool, *layout.chunks,
                             kernel_options(options));
  };
  if (decided) return by_kernel();
  const auto use =
      attention_use(q.dtype(), {q.shape(1), pool.shape(1), q.shape(2)}, any_rows, true);
  if (!gpu::chosen(use)) return {};
  return gpu::proved_one(use, by_kernel, [&] {
    std::vector<mx::array> outputs;
    for (const auto& group : layout.groups)
      if (!group.contexts) outputs.push_back(attend_by_mlx(step, group, options));
    return concatenate_rows(std::move(outputs));
  });
}

mx::array attend_groups(const Step& step, const PagedLayout& layout, const ScoreOptions& options,
                        bool decided) {
  const auto chunks = attend_chunks(step, layout, options, decided);
  std::vector<mx::array> outputs;
  int taken = 0;  // rows of chunks
  for (const auto& group : layout.groups) {
    if (!chunks || group.contexts) {
      outputs.push_back(attend(step, group, options, decided));
      continue;
    }
    outputs.push_back(out_rows(*chunks, taken, group.rows_per_sequence));
    taken += group.rows_per_sequence;
  }
  return concatenate_rows(std::move(outputs));
}

// Whether our GPU kernels take these head norms: each head by itself with weights of the heads' dtype, or none.
bool gpu_norms(const QkNorm& norm, mx::Dtype dtype) {
  if (norm.norms == cpu::HeadNorms::none) return true;
  return norm.norms == cpu::HeadNorms::each_head && norm.q && norm.k && norm.q->dtype() == dtype &&
         norm.k->dtype() == dtype;
}

// Whether our GPU kernels rotate so: the halves of whole heads.
bool gpu_rotates(const RowPositions& rows, int head_dim) {
  return rows.angles && !rows.angles->interleaved && !rows.query_scales &&
         2 * rows.angles->cos.shape(-1) == head_dim;
}

gpu::Use attention_use(const mx::array& qkv, const AttentionSpec& spec, const PagedLayout& layout) {
  return attention_use(qkv.dtype(), spec.shape, all_decode(layout) ? gpu::rows(qkv) : any_rows,
                       false);
}

bool gpu_takes(const mx::array& qkv, const AttentionSpec& spec, const RowPositions& rows,
               const mx::array& pool, const PagedLayout& layout) {
  if (spec.shape.value_dim() != spec.shape.head_dim || spec.shape.values_in_keys) return false;
  return layout.padded_write_slots && !is_quantized(pool) && spec.kv == cpu::KeyValues::apart &&
         !spec.norm.values &&
         gpu::decodes(gpu::executor(), spec.shape.head_dim, qkv.dtype(), pool.dtype()) &&
         gpu_norms(spec.norm, qkv.dtype()) && gpu_rotates(rows, spec.shape.head_dim) &&
         gpu::chosen(attention_use(qkv, spec, layout));
}

gpu::HeadRows head_rows(const AttentionSpec& spec, const RopeAngles& angles) {
  const auto& shape = spec.shape;
  const bool normed = spec.norm.norms != cpu::HeadNorms::none;
  return {shape.num_heads,
          shape.num_kv_heads,
          shape.head_dim,
          normed ? spec.norm.q : std::nullopt,
          normed ? spec.norm.k : std::nullopt,
          spec.norm.eps,
          angles.cos,
          angles.sin};
}

mx::array gpu_attention(const mx::array& qkv, const AttentionSpec& spec, const RowPositions& rows,
                        mx::array& k_pool, mx::array& v_pool, const PagedLayout& layout) {
  auto& executor = *gpu::executor();
  const auto heads = head_rows(spec, *rows.angles);
  // Where MLX's operations read the pools of a chunk, it must see them written.
  const bool own = all_decode(layout) ||
                   chunks_by_kernel(layout, spec.shape.head_dim, qkv.dtype(), k_pool.dtype());
  if (executor.writes_inputs() && own) {
    const auto q =
        gpu::qk_norm_rope_write(executor, qkv, heads, *layout.padded_write_slots, k_pool, v_pool);
    return attend_groups({q, {}, {}, k_pool, v_pool, spec.shape.head_dim}, layout, spec.scores,
                         true);
  }
  const auto made = gpu::qk_norm_rope(executor, qkv, heads, k_pool.dtype());
  write(k_pool, layout.write_slots, made.k);
  write(v_pool, layout.write_slots, made.v);
  return attend_groups({made.q, made.k, made.v, k_pool, v_pool, spec.shape.head_dim}, layout,
                       spec.scores, true);
}

// Outputs [T, H * Dv] over values that were rotated.
mx::array turned_back(const mx::array& out, int value_dim, int block) {
  const auto heads = mx::reshape(out, {out.shape(0), -1, value_dim});
  return mx::reshape(rotate_heads_back(heads, block), out.shape());
}

}  // namespace

mx::array paged_attention(const mx::array& q, const std::optional<mx::array>& k,
                          const std::optional<mx::array>& v, mx::array& k_pool, mx::array& v_pool,
                          const PagedLayout& layout, const ScoreOptions& options) {
  const bool rotates = is_quantized(k_pool);
  // Layers that share pages have heads of the same size.
  const int value_dim = v ? v->shape(2) : q.shape(2), key_block = cpu::rotation_block(q.shape(2)),
            value_block = cpu::rotation_block(value_dim);
  const auto turned = [&](const mx::array& x, int block) {
    return rotates ? rotate_heads(x, block) : x;
  };
  if (k) write(k_pool, layout.write_slots, turned(*k, key_block));
  if (v) write(v_pool, layout.write_slots, turned(*v, value_block));
  const auto queries = turned(q, key_block);
  // Rows of another dtype, or before they were made codes, are not what a later chunk would read.
  const bool exact = !rotates && k && k->dtype() == k_pool.dtype();
  const Step step{queries,  exact ? k : std::nullopt, exact ? v : std::nullopt, k_pool, v_pool,
                  value_dim};
  const auto out = attend_groups(step, layout, options, false);
  return rotates ? turned_back(out, value_dim, value_block) : out;
}

mx::array latent_attention(const mx::array& q, const mx::array& k, int value_dim, mx::array& k_pool,
                           const PagedLayout& layout, const ScoreOptions& options) {
  const bool rotates = is_quantized(k_pool);
  const int block = cpu::rotation_block(k.shape(2), value_dim);
  const auto turned = [&](const mx::array& x) { return rotates ? rotate_heads(x, block) : x; };
  write(k_pool, layout.write_slots, turned(k));
  const auto queries = turned(q);
  const bool exact = !rotates && k.dtype() == k_pool.dtype();  // as above
  const Step step{queries, exact ? std::optional(k) : std::nullopt, {}, k_pool, k_pool, value_dim,
                  true};
  const auto out = attend_groups(step, layout, options, false);
  return rotates ? turned_back(out, value_dim, block) : out;
}

mx::array segment_attention(const mx::array& q, const mx::array& k, const mx::array& v,
                            const std::vector<int>& segment_ends, float scale) {
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
  if (norm.norms != cpu::HeadNorms::whole_row) return mx::fast::rms_norm(heads, weight, norm.eps);
  const auto rows = mx::reshape(heads, {heads.shape(0), -1});
  return mx::reshape(mx::fast::rms_norm(rows, weight, norm.eps), heads.shape());
}

mx::array turned(const mx::array& heads, const RowPositions& rows, int begin) {
  if (!rows.angles) return heads;
  if (begin == 0) return apply_rope(heads, *rows.angles);
  const auto parts = mx::split(heads, mx::Shape{begin}, -1);
  return mx::concatenate({parts[0], apply_rope(parts[1], *rows.angles)}, -1);
}

// The heads [T, H or Hkv, D] of a projection's row.
struct OwnHeads {
  mx::array q;
  std::optional<mx::array> k, v;
};

OwnHeads heads_of(const mx::array& qkv, const AttentionSpec& spec) {
  const auto& shape = spec.shape;
  const int q_end = shape.num_heads * shape.head_dim,
            k_end = q_end + shape.num_kv_heads * shape.head_dim;
  const auto heads = [&](int begin, int end, int head_dim) {
    return mx::reshape(mx::slice(qkv, {0, begin}, {qkv.shape(0), end}),
                       {qkv.shape(0), -1, head_dim});
  };
  const auto q = heads(0, q_end, shape.head_dim);
  if (spec.kv == cpu::KeyValues::none) return {q, {}, {}};
  const auto k = heads(q_end, k_end, shape.head_dim);
  if (shape.values_in_keys) return {q, k, {}};
  if (spec.kv == cpu::KeyValues::one) return {q, k, k};
  return {q, k, heads(k_end, qkv.shape(1), shape.value_dim())};
}

mx::array scaled(const mx::array& queries, const RowPositions& rows) {
  if (!rows.query_scales) return queries;
  return queries * mx::astype(mx::reshape(*rows.query_scales, {-1, 1, 1}), queries.dtype());
}

}  // namespace

namespace {

mx::array attention_by_mlx(const mx::array& qkv, const AttentionSpec& spec,
                           const RowPositions& rows, mx::array& k_pool, mx::array& v_pool,
                           const PagedLayout& layout) {
  const auto& shape = spec.shape;
  const auto [own_q, own_k, own_v] = heads_of(qkv, spec);
  const auto turned_from = [&](const mx::array& x, const std::optional<mx::array>& weight) {
    if (spec.norm.norms == cpu::HeadNorms::each_head_after_rotation)
      return normed(turned(x, rows, shape.rotary_begin), spec.norm, weight);
    return turned(normed(x, spec.norm, weight), rows, shape.rotary_begin);
  };
  const auto q = scaled(turned_from(own_q, spec.norm.q), rows);
  if (!own_k) return paged_attention(q, {}, {}, k_pool, v_pool, layout, spec.scores);
  const auto k = turned_from(*own_k, spec.norm.k);
  if (!own_v) return latent_attention(q, k, shape.value_dim(), k_pool, layout, spec.scores);
  const auto v =
      spec.norm.values ? mx::fast::rms_norm(*own_v, std::nullopt, spec.norm.eps) : *own_v;
  return paged_attention(q, k, v, k_pool, v_pool, layout, spec.scores);
}

// What the rows attend to, and what they wrote; our kernels, which write in place, into a copy.
mx::array proved_attention(const mx::array& qkv, const AttentionSpec& spec,
                           const RowPositions& rows, mx::array& k_pool, mx::array& v_pool,
                           const PagedLayout& layout) {
  const auto written = [&](const mx::array& out, const mx::array& k, const mx::array& v) {
    const auto seen = [&](const mx::array& pool) { return mx::take(pool, layout.write_slots, 0); };
    return std::vector{out, seen(k), seen(v)};
  };
  std::optional<mx::array> k_after, v_after;
  auto made = gpu::proved(
      attention_use(qkv, spec, layout),
      [&] {
        if (gpu::times()) {  // what it writes is right by now
          auto k = k_pool, v = v_pool;
          return std::vector{gpu_attention(qkv, spec, rows, k, v, layout)};
        }
        const auto zero = mx::array(0, k_pool.dtype());
        auto k = k_pool + zero, v = v_pool + zero;
        mx::eval(k, v);
        const auto out = gpu_attention(qkv, spec, rows, k, v, layout);
        mx::eval(out);  // MLX knows nothing of what is written
        return written(out, k, v);
      },
      [&] {
        auto k = k_pool, v = v_pool;
        const auto out = attention_by_mlx(qkv, spec, rows, k, v, layout);
        k_after = k;
        v_after = v;
        return written(out, k, v);
      });
  k_pool = *k_after;
  v_pool = *v_after;
  return made.front();
}

}  // namespace

mx::array causal_attention(const mx::array& qkv, const AttentionSpec& spec,
                           const RowPositions& rows, mx::array& k_pool, mx::array& v_pool,
                           const PagedLayout& layout) {
  if (layout.cpu) return cpu_attention(qkv, spec, rows, k_pool, v_pool, layout);
  if (!gpu_takes(qkv, spec, rows, k_pool, layout))
    return attention_by_mlx(qkv, spec, rows, k_pool, v_pool, layout);
  if (gpu::compares()) return proved_attention(qkv, spec, rows, k_pool, v_pool, layout);
  return gpu_attention(qkv, spec, rows, k_pool, v_pool, layout);
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
