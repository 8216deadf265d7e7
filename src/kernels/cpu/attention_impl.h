// Tiles of attention on 16 lanes: lane = key for the scores, lane = number of D for the values.
// See attention_kernels.h for what holds.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/cpu/key_blocks_impl.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/math_impl.h"
#include "kernels/cpu/norm_impl.h"

namespace pippin::cpu::PIPPIN_ISA {

// From one query row to the next: no power of two, which would crowd one set of the cache.
inline constexpr int query_stride = max_head_dim + 16;
// Below every score, and still a number: a row that has seen nothing keeps weights of exactly 0.
inline constexpr float no_score = -1e30f;

/// Which keys of a tile each row of a pass sees: [low, high).
template <int MT>
struct Visible {
  int low[MT], high[MT];

  // All that is seen lies in [begin(), end()).
  int end() const {
    int most = 0;
    for (int m = 0; m < MT; ++m) most = high[m] > most ? high[m] : most;
    return most;
  }
  int begin() const {
    int least = key_tile;
    for (int m = 0; m < MT; ++m) least = low[m] < least && low[m] < high[m] ? low[m] : least;
    return least;
  }
};

// ---- sums of products

// s[m][v] += vector(v) * factor(m), in the order that needs the fewest registers beside s.
template <int MT, int NV, class Vector, class Factor>
inline __attribute__((always_inline)) void add_products(const Vector& vector, const Factor& factor,
                                                        Vf (&s)[MT][NV]) {
  if constexpr (MT < NV) {
    Vf f[MT];
#pragma GCC unroll 16
    for (int m = 0; m < MT; ++m) f[m] = set1(factor(m));
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      const Vf x = vector(v);
#pragma GCC unroll 16
      for (int m = 0; m < MT; ++m) s[m][v] = fma(x, f[m], s[m][v]);
    }
  } else {
    Vf x[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) x[v] = vector(v);
#pragma GCC unroll 16
    for (int m = 0; m < MT; ++m) {
      const Vf f = set1(factor(m));
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) s[m][v] = fma(x[v], f, s[m][v]);
    }
  }
}

// Memory is read ahead by half a tile: scores fetch the tile's values, values the next tile's keys. That is
// soon enough, and fits into the first-level cache; a whole tile ahead in the second-level one was slower.
template <class T>
inline constexpr int numbers_per_line = 64 / static_cast<int>(sizeof(T)) * numbers_in<T>;

// p[m][16 (first + v) ..] = the scores of NV blocks for MT rows of queries. Fetches their values.
template <int MT, int NV, class T>
inline void score_blocks(const KeyBlocks<T>& tile, int first, const float* q, int head_dim,
                         float* p) {
  Vf s[MT][NV];
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) s[m][v] = zero();
  const T *k[NV], *values[NV];
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) {
    k[v] = tile.k[first + v];
    values[v] = tile.v[first + v];
  }
  const std::int64_t stride = tile.k_stride;
  // A full pass finds its keys and values in the cache. Rows of 16 keys share a cache line.
  constexpr bool fetches = MT < max_query_rows;
  constexpr int each = numbers_in<T>, per_line = numbers_per_line<T> / 16;
  constexpr int steps = !fetches ? each : per_line < 2 ? 2 : per_line;
  for (int d = 0; d < head_dim; d += steps) {
#pragma GCC unroll 8
    for (int u = 0; u < steps; ++u) {
      add_products<MT, NV>([&](int v) { return load_vector(k[v], u % each); },
                           [&](int m) { return q[m * query_stride]; }, s);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        if (fetches && u % per_line == 0) {
          prefetch(values[v]);
          values[v] += 64 / sizeof(T);
        }
        if (u % each + 1 == each) k[v] += stride;
      }
      ++q;
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) store(p + m * key_tile + 16 * (first + v), s[m][v]);
}

// sums[m][16 v ..] = sums * factors[m] + p[m] V for NV vectors of values and the tile's keys from
// block `block` to `end`. Fetches the next tile's keys.
template <int MT, int NV, class T>
inline void add_values(const KeyBlocks<T>& tile, const KeyBlocks<T>& next, int block, int end,
                       int column, const float* p, const float* factors, float* sums,
                       std::int64_t stride) {
  Vf s[MT][NV];
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      s[m][v] = load(sums + m * stride + column + 16 * v) * set1(factors[m]);
  p += 16 * block;
  constexpr int step = numbers_per_line<T> / 16;  // vectors
  const int start = column / 16 % numbers_in<T>;  // of more vectors than one: 0
  // As many lines of keys as of the values that they are fetched beside.
  const std::int64_t line = next.k_stride * step / numbers_in<T>;
  const std::int64_t row = line * (tile.v_stride * static_cast<int>(sizeof(T)) / 64);
  for (; 16 * block < end; ++block) {
    const T* values = tile.v[block] + column / 16 / numbers_in<T> * 16;
    const T* keys = next.k[block] + line * (column / 16 / step);
    const int left = end - 16 * block, count = left < 16 ? left : 16;
    for (int j = 0; j < count; ++j) {
      if (MT < max_query_rows)
#pragma GCC unroll 8
        for (int v = 0; v < NV; v += step) prefetch(keys + line * (v / step));
      keys += row;
      add_products<MT, NV>([&](int v) { return load_vector(values, NV == 1 ? start : v); },
                           [&](int m) { return p[m * key_tile]; }, s);
      values += tile.v_stride;
      ++p;
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) store(sums + m * stride + column + 16 * v, s[m][v]);
}

// Calls f(integral_constant<int, NV>, first) until [0, count) is covered, NV as large as the
// registers allow for MT rows.
template <int MT, int NV, class F>
inline __attribute__((always_inline)) void in_vectors(int count, int first, const F& f) {
  if constexpr (NV == 1 || MT * NV <= max_float_sums)
    for (; count - first >= NV; first += NV) f(std::integral_constant<int, NV>(), first);
  if constexpr (NV > 1) in_vectors<MT, NV / 2>(count, first, f);
}

// ---- online softmax

inline Mask lanes_between(int low, int high) {
  low = low < 0 ? 0 : low > 16 ? 16 : low;
  high = high < 0 ? 0 : high > 16 ? 16 : high;
  return high > low ? ((1u << high) - 1u) & ~((1u << low) - 1u) : 0u;
}

// Caps one row's scores p in the blocks [first, last); `scales` are joined first, where they are given.
inline void cap_scores(float* p, const float* k_scales, int first, int last, float softcap) {
  for (int b = first; b < last; ++b) {
    Vf s = load(p + 16 * b);
    if (k_scales) s = s * load(k_scales + 16 * b);
    store(p + 16 * b, set1(softcap) * tanh(s * set1(1.0f / softcap)));
  }
}

// Turns one row's scores p in the blocks [first, last) into weights relative to the largest score so
// far, times the values' scales; returns what the sums so far are to be multiplied by.
inline float soften(float* p, const float* k_scales, const float* v_scales, int first, int last,
                    int low, int high, float* weight_sums, float* largest) {
  Vf s[key_blocks];
  const bool whole = low <= 16 * first && high >= 16 * last;
  Vf tops = set1(no_score);
#pragma GCC unroll 8
  for (int b = 0; b < key_blocks; ++b) {
    if (b < first || b >= last) continue;
    s[b] = load(p + 16 * b);
    if (k_scales) s[b] = s[b] * load(k_scales + 16 * b);
    if (!whole) s[b] = select(lanes_between(low - 16 * b, high - 16 * b), s[b], set1(no_score));
    tops = max(tops, s[b]);
  }
  const float before = *largest, top = max_of(tops);
  const float after = top > before ? top : before;
  float factor = 1.0f;
  if (after != before) {
    float lanes[16];
    store(lanes, exp(set1(before - after)));
    factor = lanes[0];
  }
  Vf total = load(weight_sums) * set1(factor);
#pragma GCC unroll 8
  for (int b = 0; b < key_blocks; ++b) {
    if (b < first || b >= last) continue;
    Vf weights = exp(s[b] - set1(after));
    if (!whole) weights = select(lanes_between(low - 16 * b, high - 16 * b), weights, zero());
    store(p + 16 * b, v_scales ? weights * load(v_scales + 16 * b) : weights);
    total = total + weights;
  }
  store(weight_sums, total);
  *largest = after;
  return factor;
}

// ---- a pass: MT rows over one tile

template <int MT, class T>
inline __attribute__((noinline)) void attend(const KeyBlocks<T>& tile, const KeyBlocks<T>& next,
                                             const Visible<MT>& visible, const float* q,
                                             int head_dim, int value_dim, float softcap,
                                             float* states, float* p) {
  const int width = padded(value_dim), record = state_floats(value_dim);
  const int first_block = visible.begin() / 16, end = visible.end(), last_block = (end + 15) / 16;
  in_vectors<MT, key_blocks>(last_block, first_block, [&](auto nv, int first) {
    score_blocks<MT, decltype(nv)::value>(tile, first, q, head_dim, p);
  });
  float factors[MT];
  const float* k_scales = softcap > 0 ? nullptr : tile.k_scales;  // else joined by then
  for (int m = 0; m < MT; ++m) {
    float* state = states + m * record;
    if (softcap > 0) cap_scores(p + m * key_tile, tile.k_scales, first_block, last_block, softcap);
    factors[m] = soften(p + m * key_tile, k_scales, tile.v_scales, first_block, last_block,
                        visible.low[m], visible.high[m], state + width, state + width + 16);
  }
  in_vectors<MT, 8>(width / 16, 0, [&](auto nv, int first) {
    add_values<MT, decltype(nv)::value>(tile, next, first_block, end, 16 * first, p, factors,
                                        states, record);
  });
}

// ---- states

inline void clear_states(float* states, int rows, int value_dim) {
  const int width = padded(value_dim), record = state_floats(value_dim);
  for (int row = 0; row < rows; ++row, states += record) {
    for (int i = 0; i < width + 16; i += 16) store(states + i, zero());
    store(states + width + 16, set1(no_score));
  }
}

// total = total and piece together, the later keys in piece.
inline void merge_state(float* total, const float* piece, int value_dim) {
  const int width = padded(value_dim);
  const Vf before = set1(total[width + 16]), other = set1(piece[width + 16]);
  const Vf after = max(before, other);
  const Vf keep = exp(before - after), take = exp(other - after);
  for (int i = 0; i < width + 16; i += 16)
    store(total + i, fma(load(piece + i), take, load(total + i) * keep));
  store(total + width + 16, after);
}

// The row's attention [Dv]; `sink` joins the sum of weights.
inline void finish_state(const float* state, int value_dim, const float* sink, float* out) {
  const int width = padded(value_dim);
  float lanes[16];
  float factor = 1.0f, total = sum(load(state + width));
  if (sink) {
    const float largest = state[width + 16], after = *sink > largest ? *sink : largest;
    store(lanes, exp(set1(largest - after)));
    factor = lanes[0];
    store(lanes, exp(set1(*sink - after)));
    total = total * factor + lanes[0];
  }
  const Vf scale = set1(factor / total);
  for (int i = 0; i < value_dim; i += 16)
    store_piece(out + i, load(state + i) * scale, at_most_16(value_dim - i));
}

struct TokenAndHead {
  int token, head;
};

// The token and the head of the tile's row `row`; the head among all its query heads.
inline TokenAndHead token_and_head(const QueryTile& tile, int row) {
  const int in_head = row % tile.rows_of_head();
  return {in_head / tile.group, row / tile.rows_of_head() * tile.group + in_head % tile.group};
}

inline void finish_tile(const KvPools& pools, const QueryTile& tile, const float* states) {
  const int value_dim = pools.value_dim();
  for (int row = 0; row < tile.rows(); ++row, states += state_floats(value_dim)) {
    const auto [token, head] = token_and_head(tile, row);
    float* out = tile.out + token * tile.out_stride + head * value_dim;
    finish_state(states, value_dim, tile.sinks ? tile.sinks + head : nullptr, out);
    if (is_quantized(pools.format)) rotate_back(out, value_dim, value_rotation(pools));
  }
}

// ---- scratch

/// The parts of a thread's scratch for `rows` query rows; see scratch_floats.
struct Scratch {
  float *p, *scales, *pieces, *totals, *q, *keys;

  Scratch(float* start, int value_dim, int rows) {
    const std::int64_t states = static_cast<std::int64_t>(rows) * state_floats(value_dim);
    p = start;
    scales = p + 16 * key_tile;
    pieces = scales + 2 * key_tile;
    totals = pieces + states;
    q = totals + states;
    keys = q + static_cast<std::int64_t>(rows) * query_stride;
  }

  // For the rows from `row` on.
  Scratch from(int row, int value_dim) const {
    Scratch part = *this;
    part.pieces += static_cast<std::int64_t>(row) * state_floats(value_dim);
    part.q += static_cast<std::int64_t>(row) * query_stride;
    return part;
  }
};

template <int MT, class F>
inline void with_pass(int pass, const F& f) {
  if constexpr (MT > 8) {
    if (pass == MT) return f(std::integral_constant<int, MT>());
    with_pass<8>(pass, f);
  } else if constexpr (MT == 7) {
    with_pass<6>(pass, f);
  } else if constexpr (MT > 0) {
    if (pass == MT) return f(std::integral_constant<int, MT>());
    with_pass<MT - 1>(pass, f);
  }
}

// Rows of the pass that begins at `first`: not every number, as each is code of its own.
inline constexpr int rows_of_pass(int rows, int first) {
  const int left = rows - first;
  if (left >= max_query_rows) return max_query_rows;
  return left > 8 ? 8 : left == 7 ? 6 : left;
}

// Calls f(integral_constant<int, MT>, first) for each pass of `rows`.
template <class F>
inline void for_passes(int rows, const F& f) {
  for (int first = 0; first < rows;) {
    const int pass = rows_of_pass(rows, first);
    with_pass<max_query_rows>(pass, [&](auto mt) { f(mt, first); });
    first += pass;
  }
}

// ---- paged attention

// What the rows [first, first + MT) of each kv head see of the key tile at `start`.
template <int MT>
inline Visible<MT> causal(const PagedContext& context, const QueryTile& tile, int first,
                          int start) {
  Visible<MT> visible;
  for (int m = 0; m < MT; ++m) {
    const int position = tile.position + (first + m) / tile.group;
    const int low = context.window > 0 ? position + 1 - context.window - start : 0;
    const int high = position + 1 - start;
    visible.low[m] = low < 0 ? 0 : low;
    visible.high[m] = high < 0 || low >= key_tile ? 0 : high > key_tile ? key_tile : high;
  }
  return visible;
}

// One kv head's rows over one tile.
template <class T>
inline void all_passes(const PagedContext& context, const QueryTile& tile, int start,
                       const KeyBlocks<T>& keys, const KeyBlocks<T>& next, const Scratch& scratch) {
  const int head_dim = context.pools.head_dim, value_dim = context.pools.value_dim();
  for_passes(tile.rows_of_head(), [&](auto mt, int first) {
    constexpr int MT = decltype(mt)::value;
    const auto visible = causal<MT>(context, tile, first, start);
    if (visible.end() == 0) return;
    attend<MT>(
        keys, next, visible, scratch.q + first * query_stride, head_dim, value_dim, context.softcap,
        scratch.pieces + static_cast<std::int64_t>(first) * state_floats(value_dim), scratch.p);
  });
}

// Where upcoming keys lie; `blocks` stays as it is where there are none.
template <class T>
inline void locate_upcoming(const PagedContext& context, const UpcomingKeys& upcoming,
                            KeyBlocks<T>& blocks) {
  if (upcoming.begin >= upcoming.end) return;
  PagedContext other = context;
  other.pages = upcoming.pages;
  const int start = upcoming.begin / key_tile * key_tile;
  locate(other, upcoming.kv_head, KeyRange{start, upcoming.begin, upcoming.end}, blocks);
}

// The query tile over the keys [begin, end) of one piece.
template <class T>
inline void attend_piece(const PagedContext& context, const QueryTile& tile, int begin, int end,
                         const UpcomingKeys& upcoming, const Scratch& scratch) {
  const int last_head = tile.kv_head + tile.kv_heads;
  const bool in_place = readable_in_blocks<T>(context.pools);
  const bool fetches = !context.pools.values_in_keys &&
                       (tile.rows_of_head() <= max_query_rows || std::is_same_v<T, float>);
  const auto range_from = [&](int start) {
    const int tile_end = start + key_tile;
    return KeyRange{start, begin > start ? begin : start, end < tile_end ? end : tile_end};
  };
  KeyBlocks<T> next;
  if (in_place && begin < end)
    locate(context, tile.kv_head, range_from(begin / key_tile * key_tile), next);
  for (int start = begin / key_tile * key_tile; start < end; start += key_tile) {
    const KeyRange range = range_from(start);
    const int after = start + key_tile;
    for (int head = tile.kv_head; head < last_head; ++head) {
      const auto part =
          scratch.from((head - tile.kv_head) * tile.rows_of_head(), context.pools.value_dim());
      KeyBlocks<float> packed;
      if (!in_place) {
        gather<T>(context, head, range, scratch.keys, scratch.scales, packed);
        all_passes(context, tile, start, packed, packed, part);
        continue;
      }
      KeyBlocks<T> keys = next;
      if constexpr (is_code<T>) load_scales(context, head, range, scratch.scales, keys);
      if (head + 1 < last_head)
        locate(context, head + 1, range, next);
      else if (after < end)
        locate(context, tile.kv_head, range_from(after), next);
      else
        locate_upcoming(context, upcoming, next);
      if (fetches) {
        all_passes(context, tile, start, keys, next, part);
      } else {
        expand(context.pools, keys, range.end - start, scratch.keys, packed);
        all_passes(context, tile, start, packed, packed, part);
      }
    }
  }
}

template <class T>
inline void paged_of(const PagedContext& context, const QueryTile& tile, int first_piece,
                     int last_piece, const UpcomingKeys& upcoming, float* partials, float* memory) {
  const int head_dim = context.pools.head_dim, rows = tile.rows();
  const int value_dim = context.pools.value_dim();
  const std::int64_t states = static_cast<std::int64_t>(rows) * state_floats(value_dim);
  Scratch scratch(memory, value_dim, rows);
  for (int row = 0; row < rows; ++row) {
    float* q = scratch.q + row * query_stride;
    const auto [token, head] = token_and_head(tile, row);
    turn(tile.q + token * tile.q_stride + head * head_dim, head_dim, context.scale, nullptr,
         nullptr, nullptr, 0, q);
    if constexpr (is_code<T>) rotate(q, head_dim, key_rotation(context.pools));
  }
  if (!partials) clear_states(scratch.totals, rows, value_dim);
  // Keys that any row sees: from the first row's window to the last row.
  const int seen = tile.position + tile.tokens;
  const int unseen = context.window > 0 ? tile.position + 1 - context.window : 0;
  for (int piece = first_piece; piece < last_piece; ++piece) {
    if (partials) scratch.pieces = partials + (piece - first_piece) * states;
    clear_states(scratch.pieces, rows, value_dim);
    const int begin = piece * piece_tokens, end = begin + piece_tokens;
    const UpcomingKeys here = {context.pages, tile.kv_head, end,
                               end + key_tile < seen ? end + key_tile : seen};
    attend_piece<T>(context, tile, begin > unseen ? begin : unseen, end < seen ? end : seen,
                    piece + 1 < last_piece ? here : upcoming, scratch);
    for (int row = 0; row < rows && !partials; ++row)
      merge_state(scratch.totals + static_cast<std::int64_t>(row) * state_floats(value_dim),
                  scratch.pieces + static_cast<std::int64_t>(row) * state_floats(value_dim),
                  value_dim);
  }
  if (!partials) finish_tile(context.pools, tile, scratch.totals);
}

inline void paged(const PagedContext& context, const QueryTile& tile, int first_piece,
                  int last_piece, const UpcomingKeys& upcoming, float* partials, float* scratch) {
  switch (context.pools.format) {
    case KvFormat::f32:
      return paged_of<float>(context, tile, first_piece, last_piece, upcoming, partials, scratch);
    case KvFormat::bf16:
      return paged_of<Bf16>(context, tile, first_piece, last_piece, upcoming, partials, scratch);
    case KvFormat::f16:
      return paged_of<F16>(context, tile, first_piece, last_piece, upcoming, partials, scratch);
    case KvFormat::int8:
      return paged_of<Code8>(context, tile, first_piece, last_piece, upcoming, partials, scratch);
    case KvFormat::int4:
      return paged_of<Code4>(context, tile, first_piece, last_piece, upcoming, partials, scratch);
  }
}

inline void merge(const PagedContext& context, const QueryTile& tile, const float* partials,
                  int num_pieces, float* memory) {
  const int value_dim = context.pools.value_dim(), rows = tile.rows();
  const Scratch scratch(memory, value_dim, rows);
  clear_states(scratch.totals, rows, value_dim);
  for (int piece = 0; piece < num_pieces; ++piece)
    for (int row = 0; row < rows; ++row, partials += state_floats(value_dim))
      merge_state(scratch.totals + static_cast<std::int64_t>(row) * state_floats(value_dim),
                  partials, value_dim);
  finish_tile(context.pools, tile, scratch.totals);
}

// ---- segments

// One head of a row, times factor, turned where there are angles.
inline void copy_turned(const float* x, int row, int head_dim, float factor, const Turn& angles,
                        float* out) {
  const int half = angles.cos ? head_dim / 2 : 0;
  turn(x, head_dim, factor, nullptr, angles.cos + row * half, angles.sin + row * half, half, out);
}

inline void pack(const float* k, const float* v, std::int64_t stride, int rows, int head_dim,
                 const Turn& angles, float* packed) {
  const int width = padded(head_dim);
  float* values = packed + head_dim * key_tile;
  for (int j = 0; j < rows; ++j) {
    alignas(64) float head[max_head_dim];
    copy_turned(k + j * stride, j, head_dim, 1.0f, angles, head);
    for (int d = 0; d < head_dim; ++d) packed[d * key_tile + j] = head[d];
    for (int i = 0; i < width; i += 16)
      store(values + j * width + i, load_piece(v + j * stride + i, at_most_16(head_dim - i)));
  }
}

inline void segment(const PackedKeys& keys, const float* q, std::int64_t q_stride, int rows,
                    int head_dim, const Turn& angles, float scale, float* out,
                    std::int64_t out_stride, float* memory) {
  const Scratch scratch(memory, head_dim, rows);
  for (int row = 0; row < rows; ++row)
    copy_turned(q + row * q_stride, row, head_dim, scale, angles, scratch.q + row * query_stride);
  clear_states(scratch.pieces, rows, head_dim);
  const std::int64_t record = state_floats(head_dim);
  for (int start = 0; start < keys.num_keys; start += key_tile) {
    KeyBlocks<float> blocks;
    packed_blocks(keys.tiles + start / key_tile * packed_floats(head_dim, head_dim), head_dim,
                  head_dim, blocks);
    const int left = keys.num_keys - start, count = left < key_tile ? left : key_tile;
    for_passes(rows, [&](auto mt, int first) {
      constexpr int MT = decltype(mt)::value;
      Visible<MT> visible;
      for (int m = 0; m < MT; ++m) visible.low[m] = 0, visible.high[m] = count;
      attend<MT>(blocks, blocks, visible, scratch.q + first * query_stride, head_dim, head_dim,
                 0.0f, scratch.pieces + first * record, scratch.p);
    });
  }
  for (int row = 0; row < rows; ++row)
    finish_state(scratch.pieces + row * record, head_dim, nullptr, out + row * out_stride);
}

inline constexpr AttentionKernels attention_kernels = {max_query_rows, paged, merge, pack, segment};

}  // namespace pippin::cpu::PIPPIN_ISA
