#include "kernels/gpu/attention.h"

#include <algorithm>
#include <vector>

#include "kernels/gpu/texts.h"

namespace pippin::kernels::gpu {
namespace {

constexpr int threads = 256, warps = threads / 32;  // as paged_decode.h has them
constexpr int least_numbers = 8, max_shared_heads = 4;
constexpr float log2_e = 1.442695041f;

const Kernel decode_parts = {"paged_decode_parts",
                             {"q", "k_pool", "v_pool", "table", "lengths", "sizes", "numbers"},
                             {"sums", "stats"},
                             text::paged_decode,
                             text::paged_decode_parts_call};
const Kernel merge = {"merge_parts",
                      {"sums", "stats", "lengths", "sinks", "sizes", "numbers"},
                      {"out"},
                      text::paged_decode,
                      text::merge_parts_call};
const Kernel write_heads = {"qk_norm_rope_write",
                            {"qkv", "q_weight", "k_weight", "cosines", "sines", "slots", "k_pool",
                             "v_pool", "sizes", "numbers"},
                            {"q"},
                            text::qk_norm_rope_write,
                            text::qk_norm_rope_write_call};
const Kernel make_heads = {"qk_norm_rope_rows",
                           {"qkv", "q_weight", "k_weight", "cosines", "sines", "sizes", "numbers"},
                           {"q", "k_rows", "v_rows"},
                           text::qk_norm_rope_write,
                           text::qk_norm_rope_rows_call};

// Numbers of a head that a lane holds: D / N lanes, a power of two, share a head. 0 where there is no such number.
int numbers_of_lane(int head_dim) {
  for (int lanes = 32; lanes > 0; lanes /= 2)
    if (head_dim % lanes == 0 && head_dim / lanes >= least_numbers && head_dim / lanes % 2 == 0)
      return head_dim / lanes <= 24 ? head_dim / lanes : 0;
  return 0;
}

// Query heads that share a group's reads: more would want too many registers.
int shared_heads(int gqa) {
  for (int count = std::min(gqa, max_shared_heads); count > 1; --count)
    if (gqa % count == 0) return count;
  return 1;
}

std::vector<TemplateArgument> head_arguments(const mx::array& qkv, const HeadRows& heads,
                                             mx::Dtype pool) {
  return {{"T", qkv.dtype()}, {"P", pool}, {"D", heads.head_dim}, {"NORM", heads.q_norm ? 1 : 0}};
}

std::array<int, 3> head_groups(const mx::array& qkv, const HeadRows& heads) {
  const int all = heads.num_heads + 2 * heads.num_kv_heads;
  return {(all + warps - 1) / warps, qkv.shape(0), 1};
}

std::vector<mx::array> head_inputs(const mx::array& qkv, const HeadRows& heads) {
  return {qkv, heads.q_norm.value_or(qkv), heads.k_norm.value_or(qkv), padded_input(heads.cosines),
          padded_input(heads.sines)};
}

}  // namespace

namespace {

std::size_t pages_of(int tokens, int page_size) {
  return static_cast<std::size_t>((tokens + page_size - 1) / page_size);
}

// Page numbers of contexts, each row padded to the longest.
template <class Context>
mx::array page_table(std::span<const Context> contexts, int page_size) {
  std::size_t width = 1;
  for (const auto& context : contexts) width = std::max(width, pages_of(context.length, page_size));
  width = (width + 7) / 8 * 8;
  std::vector<std::int32_t> table;
  for (const auto& context : contexts) {
    const auto used = context.pages.first(pages_of(context.length, page_size));
    table.insert(table.end(), used.begin(), used.end());
    table.insert(table.end(), width - used.size(), 0);
  }
  return mx::array(table.begin(), {static_cast<int>(contexts.size()), static_cast<int>(width)},
                   mx::int32);
}

}  // namespace

// softcap enters as log2: capped(s) * log2 e = cap log2 e * tanh(s log2 e / (cap log2 e)).
mx::array numbers_of(const DecodeOptions& options) {
  return constants(std::vector<float>{options.scale * log2_e, options.softcap * log2_e});
}

mx::array sinks_of(const DecodeOptions& options) {
  if (!options.sinks) return constants(std::vector<float>{0});
  return padded_input(mx::astype(*options.sinks, mx::float32) * mx::array(log2_e));
}

Contexts make_contexts(std::span<const Context> contexts, int page_size) {
  std::vector<std::int32_t> lengths;
  for (const auto& context : contexts) lengths.push_back(context.length);
  const int longest = *std::max_element(lengths.begin(), lengths.end());
  const auto padded_lengths = padded(std::move(lengths));
  return {page_table(contexts, page_size),
          mx::array(padded_lengths.begin(), {static_cast<int>(padded_lengths.size())}, mx::int32),
          static_cast<int>(contexts.size()), page_size, longest};
}

Chunks make_chunks(std::span<const ChunkRows> chunks, int page_size) {
  struct Place {
    std::int32_t first_row, rows, position, chunk, out_row;
  };
  std::vector<Place> places;
  int out_row = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i)
    for (int row = 0; row < chunks[i].rows; row += chunk_rows) {
      const int rows = std::min(chunk_rows, chunks[i].rows - row);
      places.push_back({chunks[i].first_row + row, rows, chunks[i].length - chunks[i].rows + row,
                        static_cast<std::int32_t>(i), out_row});
      out_row += rows;
    }
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.position + a.rows > b.position + b.rows;
  });
  std::vector<std::int32_t> numbers;
  for (const auto& [first_row, rows, position, chunk, out] : places)
    numbers.insert(numbers.end(), {first_row, rows, position, chunk, out, 0, 0, 0});
  return {page_table(chunks, page_size),
          mx::array(numbers.begin(), {static_cast<int>(places.size()), 8}, mx::int32), out_row,
          page_size};
}

bool decodes(const Executor* executor, int head_dim, mx::Dtype dtype, mx::Dtype pool) {
  return executor && numbers_of_lane(head_dim) > 0 && is_number(dtype) && is_number(pool);
}

mx::array paged_decode(Executor& executor, const mx::array& q, const mx::array& k_pool,
                       const mx::array& v_pool, const Contexts& contexts,
                       const DecodeOptions& options) {
  const int rows = q.shape(0), heads = q.shape(1), head_dim = q.shape(2), kv = k_pool.shape(1),
            gqa = heads / kv;
  const int parts = (contexts.longest + part_tokens - 1) / part_tokens,
            together = shared_heads(gqa);
  // Room for four at least: stats, an input of the merging, shall have 8 numbers whatever the heads.
  const int room = std::max(parts, 4);
  const auto sizes = constants(std::vector<int>{kv, gqa, contexts.table.shape(1), room,
                                                options.window, options.sinks ? 1 : 0});
  const auto numbers = numbers_of(options), sinks = sinks_of(options);
  const auto partial = executor.run(
      decode_parts, {{q, k_pool, v_pool, contexts.table, contexts.lengths, sizes, numbers},
                     {{rows, heads, room, head_dim}, {rows, heads, room, 2}},
                     {mx::float32, mx::float32},
                     {heads / together, rows, parts},
                     threads,
                     {{"T", q.dtype()},
                      {"P", k_pool.dtype()},
                      {"D", head_dim},
                      {"N", numbers_of_lane(head_dim)},
                      {"G", together},
                      {"PAGE", contexts.page_size}}});
  return executor
      .run(merge, {{partial[0], partial[1], contexts.lengths, sinks, sizes, numbers},
                   {{rows, heads * head_dim}},
                   {q.dtype()},
                   {(heads + warps - 1) / warps, rows, 1},
                   threads,
                   {{"T", q.dtype()}, {"D", head_dim}}})
      .front();
}

mx::array qk_norm_rope_write(Executor& executor, const mx::array& qkv, const HeadRows& heads,
                             const mx::array& slots, const mx::array& k_pool,
                             const mx::array& v_pool) {
  auto inputs = head_inputs(qkv, heads);
  inputs.insert(inputs.end(), {slots, k_pool, v_pool,
                               constants(std::vector<int>{heads.num_heads, heads.num_kv_heads}),
                               constants(std::vector<float>{heads.eps})});
  return executor
      .run(write_heads, {std::move(inputs),
                         {{qkv.shape(0), heads.num_heads, heads.head_dim}},
                         {qkv.dtype()},
                         head_groups(qkv, heads),
                         threads,
                         head_arguments(qkv, heads, k_pool.dtype())})
      .front();
}

QkvHeads qk_norm_rope(Executor& executor, const mx::array& qkv, const HeadRows& heads,
                      mx::Dtype pool) {
  auto inputs = head_inputs(qkv, heads);
  inputs.insert(inputs.end(), {constants(std::vector<int>{heads.num_heads, heads.num_kv_heads}),
                               constants(std::vector<float>{heads.eps})});
  const int rows = qkv.shape(0);
  const mx::Shape kv = {rows, heads.num_kv_heads, heads.head_dim};
  const auto made = executor.run(make_heads, {std::move(inputs),
                                              {{rows, heads.num_heads, heads.head_dim}, kv, kv},
                                              {qkv.dtype(), pool, pool},
                                              head_groups(qkv, heads),
                                              threads,
                                              head_arguments(qkv, heads, pool)});
  return {made[0], made[1], made[2]};
}

}  // namespace pippin::kernels::gpu
