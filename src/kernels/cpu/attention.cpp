#include "kernels/cpu/attention.h"

#include <algorithm>
#include <string>

#include "kernels/cpu/rope.h"
#include "pippin/error.h"

namespace pippin::cpu {
namespace {

// Queries of one tile: enough to spread the conversion of keys over, few enough for the second-level
// cache beside the keys.
constexpr int numbers_of_queries = 24576;
// Work items a thread, where there is a choice: the largest is then a small part of the whole.
constexpr int items_per_thread = 4;
// Packed segments at once, in floats: beyond that, heads take turns.
constexpr std::int64_t packed_limit = std::int64_t{1} << 24;

// Of `rows` in all, a multiple of a pass: fewer where threads would go idle.
int rows_of_tile(int pass, int head_dim, std::int64_t rows, int num_threads) {
  const std::int64_t share = rows / (std::int64_t{num_threads} * items_per_thread);
  const std::int64_t most = std::min<std::int64_t>(share, numbers_of_queries / head_dim);
  return static_cast<int>(std::max<std::int64_t>(1, most / pass)) * pass;
}

std::int64_t aligned(std::int64_t floats) { return (floats + 15) / 16 * 16; }

void check(const PagedAttention& a) {
  check_pools(a.pools);
  if (a.num_heads < 1 || a.num_heads % a.pools.num_kv_heads != 0)
    throw Error(Code::invalid_argument, "[cpu] query heads must be a multiple of kv heads, got " +
                                            std::to_string(a.num_heads) + " and " +
                                            std::to_string(a.pools.num_kv_heads));
  for (const auto& part : a.parts)
    if (part.rows < 0 || part.rows > part.length || part.first_row < 0)
      throw Error(Code::invalid_argument, "[cpu] a part needs 0 <= rows <= length, got " +
                                              std::to_string(part.rows) + " and " +
                                              std::to_string(part.length));
}

// One call of paged_attention.
class PagedCall {
 public:
  PagedCall(Team& team, const Kernels& kernels, const PagedAttention& attention,
            AttentionScratch& scratch)
      : team_(team), kernels_(kernels), a_(attention), scratch_(scratch) {
    group_ = a_.num_heads / a_.pools.num_kv_heads;
    std::int64_t rows = 0;
    for (const auto& part : a_.parts) rows += std::int64_t{part.rows} * a_.num_heads;
    tokens_ = std::max(
        1,
        rows_of_tile(kernels.attention.pass_rows, a_.pools.head_dim, rows, team.size()) / group_);
    state_ = state_floats(a_.pools.value_dim());
  }

  void run() {
    make_tiles();
    make_work(team_.size());
    int rows = 0;
    for (const auto& tile : scratch_.tiles) rows = std::max(rows, rows_of(tile));
    per_thread_ = aligned(scratch_floats(a_.pools.head_dim, a_.pools.value_dim(), rows));
    float* memory = scratch_.floats(partials_ + per_thread_ * team_.size());
    partials_at_ = memory + per_thread_ * team_.size();
    const auto items = static_cast<std::int64_t>(scratch_.work.size());
    // Several at once where there are many: a thread then knows which comes next.
    const auto grain = std::max<std::int64_t>(1, items / (16 * team_.size()));
    team_.parallel_for(items, grain, [&](std::int64_t begin, std::int64_t end, int thread) {
      for (auto i = begin; i < end; ++i) {
        const auto next = i + 1 < end ? i + 1 : end + (team_.size() - 1) * grain;
        attend(scratch_.work[static_cast<std::size_t>(i)],
               next < items ? &scratch_.work[static_cast<std::size_t>(next)] : nullptr,
               memory + thread * per_thread_);
      }
    });
    team_.parallel_for(static_cast<std::int64_t>(scratch_.split.size()), 1,
                       [&](std::int64_t begin, std::int64_t end, int thread) {
                         for (auto i = begin; i < end; ++i)
                           merge(scratch_.split[static_cast<std::size_t>(i)],
                                 memory + thread * per_thread_);
                       });
  }

 private:
  using Tile = AttentionScratch::Tile;
  using Work = AttentionScratch::Work;

  int rows_of(const Tile& tile) const { return tile.kv_heads * tile.tokens * group_; }

  // Where few rows share keys, reading them is the work, and a page's heads are read in one run as far as
  // the threads can share the work otherwise: by sequences, and by pieces of them.
  int heads_of_tile() const {
    std::int64_t pieces = 0;
    for (const auto& part : a_.parts) {
      if (part.rows * group_ > kernels_.attention.pass_rows) return 1;
      pieces += (part.length + piece_tokens - 1) / piece_tokens;
    }
    const int heads = a_.pools.num_kv_heads;
    const auto most =
        std::clamp<std::int64_t>(pieces * heads / (std::int64_t{2} * team_.size()), 1, heads);
    const int tiles = (heads + static_cast<int>(most) - 1) / static_cast<int>(most);
    return (heads + tiles - 1) / tiles;  // equal ones
  }

  void make_tiles() {
    scratch_.tiles.clear();
    const int heads = heads_of_tile();
    for (int p = 0; p < static_cast<int>(a_.parts.size()); ++p) {
      const auto& part = a_.parts[static_cast<std::size_t>(p)];
      for (int first = 0; first < part.rows; first += tokens_) {
        const int tokens = std::min(tokens_, part.rows - first);
        const int position = part.length - part.rows + first;
        const int begin = a_.window > 0 ? std::max(0, position + 1 - a_.window) : 0;
        const int first_piece = begin / piece_tokens;
        const int pieces = (position + tokens + piece_tokens - 1) / piece_tokens - first_piece;
        for (int head = 0; head < a_.pools.num_kv_heads; head += heads)
          scratch_.tiles.push_back({p, head, std::min(heads, a_.pools.num_kv_heads - head), first,
                                    tokens, first_piece, pieces, pieces, 0});
      }
    }
  }

  // The cost of the pieces [first, last) of a tile, in arbitrary units: reading a key costs about as much as
  // four rows' arithmetic with it.
  std::int64_t cost(const Tile& tile, int first, int last) const {
    const auto& part = a_.parts[static_cast<std::size_t>(tile.part)];
    const int end = part.length - part.rows + tile.first_token + tile.tokens;
    const std::int64_t keys = std::min(end, (tile.first_piece + last) * piece_tokens) -
                              (tile.first_piece + first) * piece_tokens;
    return keys * tile.kv_heads * (4 + tile.tokens * group_);
  }

  void make_work(int num_threads) {
    std::int64_t total = 0;
    for (const auto& tile : scratch_.tiles) total += cost(tile, 0, tile.num_pieces);
    const std::int64_t share = total / (std::int64_t{num_threads} * items_per_thread) + 1;
    scratch_.work.clear();
    scratch_.split.clear();
    partials_ = 0;
    for (int t = 0; t < static_cast<int>(scratch_.tiles.size()); ++t) {
      auto& tile = scratch_.tiles[static_cast<std::size_t>(t)];
      if (num_threads > 1 && tile.num_pieces > 1 && cost(tile, 0, tile.num_pieces) > share)
        split(t, share);
      for (int piece = 0; piece < tile.num_pieces; piece += tile.pieces_each) {
        const int last = std::min(piece + tile.pieces_each, tile.num_pieces);
        scratch_.work.push_back({t, piece, last, cost(tile, piece, last)});
      }
    }
    std::stable_sort(scratch_.work.begin(), scratch_.work.end(),
                     [](const Work& x, const Work& y) { return x.cost > y.cost; });
  }

  void split(int index, std::int64_t share) {
    auto& tile = scratch_.tiles[static_cast<std::size_t>(index)];
    tile.pieces_each = static_cast<int>(std::max<std::int64_t>(1, share / cost(tile, 0, 1)));
    if (tile.pieces_each >= tile.num_pieces) return;
    tile.partials = partials_;
    partials_ += std::int64_t{tile.num_pieces} * rows_of(tile) * state_;
    scratch_.split.push_back(index);
  }

  QueryTile query_tile(const Tile& tile) const {
    const auto& part = a_.parts[static_cast<std::size_t>(tile.part)];
    const std::int64_t row = part.first_row + tile.first_token;
    const std::int64_t head = std::int64_t{tile.kv_head} * group_;
    return {a_.q + row * a_.q_stride + head * a_.pools.head_dim,
            a_.q_stride,
            tile.tokens,
            group_,
            part.length - part.rows + tile.first_token,
            tile.kv_head,
            tile.kv_heads,
            a_.sinks ? a_.sinks + tile.kv_head * group_ : nullptr,
            a_.out + row * a_.out_stride + head * a_.pools.value_dim(),
            a_.out_stride};
  }

  PagedContext context(const Tile& tile) const {
    return {a_.pools, a_.parts[static_cast<std::size_t>(tile.part)].pages, a_.scale, a_.window,
            a_.softcap};
  }

  // The first keys of a work item.
  UpcomingKeys upcoming(const Work& work) const {
    const auto& tile = scratch_.tiles[static_cast<std::size_t>(work.tile)];
    const auto& part = a_.parts[static_cast<std::size_t>(tile.part)];
    const int position = part.length - part.rows + tile.first_token;
    const int unseen = a_.window > 0 ? std::max(0, position + 1 - a_.window) : 0;
    const int begin = std::max((tile.first_piece + work.first_piece) * piece_tokens, unseen);
    const int end = std::min(begin / key_tile * key_tile + key_tile, position + tile.tokens);
    return {part.pages, tile.kv_head, begin, end};
  }

  // `next`: the item that the thread is likely to take after this one, or none.
  void attend(const Work& work, const Work* next, float* memory) const {
    const auto& tile = scratch_.tiles[static_cast<std::size_t>(work.tile)];
    const bool whole = tile.pieces_each >= tile.num_pieces;
    float* partials = whole ? nullptr
                            : partials_at_ + tile.partials +
                                  std::int64_t{work.first_piece} * rows_of(tile) * state_;
    kernels_.attention.paged(context(tile), query_tile(tile), tile.first_piece + work.first_piece,
                             tile.first_piece + work.last_piece,
                             next ? upcoming(*next) : UpcomingKeys{}, partials, memory);
  }

  void merge(int index, float* memory) const {
    const auto& tile = scratch_.tiles[static_cast<std::size_t>(index)];
    kernels_.attention.merge(context(tile), query_tile(tile), partials_at_ + tile.partials,
                             tile.num_pieces, memory);
  }

  Team& team_;
  const Kernels& kernels_;
  const PagedAttention& a_;
  AttentionScratch& scratch_;
  int group_, tokens_;
  std::int64_t state_, per_thread_, partials_ = 0;
  float* partials_at_ = nullptr;
};

// One segment for the heads [first_head, last_head): packs their keys and values, then attends.
class SegmentCall {
 public:
  SegmentCall(Team& team, const Kernels& kernels, const SegmentAttention& attention, int begin,
              int end)
      : team_(team), kernels_(kernels), a_(attention), begin_(begin), end_(end) {
    bf16_ = kernels.bf16.segment && !a_.exact;
    tiles_ = (end - begin + key_tile - 1) / key_tile;
    per_tile_ = bf16_ ? bf16_packed(a_.head_dim) / 2 : packed_floats(a_.head_dim, a_.head_dim);
    per_head_ = tiles_ * per_tile_;
    rows_ = rows_of_tile(bf16_ ? kernels.bf16.tile_rows : kernels.attention.pass_rows, a_.head_dim,
                         std::int64_t{end - begin} * a_.num_heads, team.size());
    per_thread_ = aligned(scratch_floats(a_.head_dim, a_.head_dim, rows_));
  }

  void run(AttentionScratch& scratch) const {
    const int at_once =
        static_cast<int>(std::clamp<std::int64_t>(packed_limit / per_head_, 1, a_.num_heads));
    float* memory = scratch.floats(per_thread_ * team_.size() + at_once * per_head_);
    float* packed = memory + per_thread_ * team_.size();
    for (int head = 0; head < a_.num_heads; head += at_once) {
      const int heads = std::min(at_once, a_.num_heads - head);
      pack(head, heads, packed);
      attend(head, heads, packed, memory);
    }
  }

 private:
  Turn turn(std::int64_t row) const {
    const std::int64_t at = row * (a_.head_dim / 2);
    return a_.cos ? Turn{a_.cos + at, a_.sin + at} : Turn{nullptr, nullptr};
  }

  void pack(int first_head, int heads, float* packed) const {
    team_.parallel_for(heads * tiles_, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto i = begin; i < end; ++i) {
        // A row's heads follow each other in memory.
        const std::int64_t tile = i / heads, head = i % heads;
        const std::int64_t row = begin_ + tile * key_tile;
        const auto at = row * a_.stride + (first_head + head) * a_.head_dim;
        const auto rows = static_cast<int>(std::min<std::int64_t>(key_tile, end_ - row));
        float* to = packed + head * per_head_ + tile * per_tile_;
        if (bf16_)
          kernels_.bf16.pack(a_.k + at, a_.v + at, a_.stride, rows, a_.head_dim, turn(row),
                             reinterpret_cast<Bf16*>(to));
        else
          kernels_.attention.pack(a_.k + at, a_.v + at, a_.stride, rows, a_.head_dim, turn(row),
                                  to);
      }
    });
  }

  void attend(int first_head, int heads, const float* packed, float* memory) const {
    const int num_rows = end_ - begin_;
    const std::int64_t tiles = (num_rows + rows_ - 1) / rows_;
    team_.parallel_for(heads * tiles, 1, [&](std::int64_t begin, std::int64_t end, int thread) {
      for (auto i = begin; i < end; ++i) {
        const std::int64_t head = i / tiles, row = begin_ + i % tiles * rows_;
        const std::int64_t column = (first_head + head) * a_.head_dim;
        const auto rows = static_cast<int>(std::min<std::int64_t>(rows_, end_ - row));
        const float *q = a_.q + row * a_.stride + column, *keys = packed + head * per_head_;
        float *out = a_.out + row * a_.out_stride + column, *own = memory + thread * per_thread_;
        if (bf16_)
          kernels_.bf16.segment({reinterpret_cast<const Bf16*>(keys), num_rows}, q, a_.stride, rows,
                                a_.head_dim, turn(row), a_.scale, out, a_.out_stride, own);
        else
          kernels_.attention.segment({keys, num_rows}, q, a_.stride, rows, a_.head_dim, turn(row),
                                     a_.scale, out, a_.out_stride, own);
      }
    });
  }

  Team& team_;
  const Kernels& kernels_;
  const SegmentAttention& a_;
  bool bf16_;
  int begin_, end_, rows_;
  std::int64_t tiles_, per_tile_, per_head_, per_thread_;
};

}  // namespace

void paged_attention(Team& team, const Kernels& kernels, const PagedAttention& attention,
                     AttentionScratch& scratch) {
  check(attention);
  PagedCall(team, kernels, attention, scratch).run();
}

void segment_attention(Team& team, const Kernels& kernels, const SegmentAttention& attention,
                       AttentionScratch& scratch) {
  check_head_dim(attention.head_dim);
  int begin = 0;
  for (const int end : attention.segment_ends) {
    if (end < begin)
      throw Error(Code::invalid_argument, "[cpu] segment ends must not fall, got " +
                                              std::to_string(end) + " after " +
                                              std::to_string(begin));
    if (end > begin) SegmentCall(team, kernels, attention, begin, end).run(scratch);
    begin = end;
  }
}

}  // namespace pippin::cpu
