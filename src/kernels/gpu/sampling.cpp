#include "kernels/gpu/sampling.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "kernels/gpu/texts.h"
#include "kernels/gpu/tokens.h"

namespace pippin::kernels::gpu {
namespace {

constexpr int threads = 256, numbers_of_part = 4096;  // as sample.h has them
constexpr int max_parts = 1024, max_rows = 128;
constexpr int bins = 64, bins_bits = 6;

const Kernel edit_kernel = {"edit_logits",
                            {"x", "rows", "edits", "masks", "sizes"},
                            {"out"},
                            text::edit_logits,
                            text::edit_logits_call};
const Kernel bins_kernel = {"sample_bins",
                            {"x", "found", "rows", "bins_before", "states_before", "sizes"},
                            {"bins", "states"},
                            text::sample,
                            text::sample_bins_call};
const Kernel sums_kernel = {"sample_sums",
                            {"x", "found", "rows", "bins", "states", "sizes"},
                            {"sums", "cuts"},
                            text::sample,
                            text::sample_sums_call};
const Kernel draw_kernel = {"sample_draw",
                            {"x", "found", "rows", "sums", "cuts", "sizes"},
                            {"out"},
                            text::sample,
                            text::sample_draw_call};

std::int32_t word_of(float x) { return std::bit_cast<std::int32_t>(x); }

// x in [0, 1) in parts of 2^32.
std::int32_t parts_of(float x) {
  return std::bit_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<double>(x) * 0x1p32));
}

std::int32_t top_p_of(float top_p) {
  if (!(top_p < 1)) return 0;  // keeps all
  const auto parts = parts_of(std::max(top_p, 0.0f));
  return parts == 0 ? 1 : parts;
}

// How many last bits of a float32 all numbers of the type have alike.
int low_bits(mx::Dtype dtype) {
  if (dtype == mx::bfloat16) return 16;
  return dtype == mx::float16 ? 13 : 0;
}

// A level as sample.h has it.
struct Level {
  int measure = 0, first = 0, shift = 0;
  std::uint32_t settled = 0, digits = 0;
};

std::vector<Level> levels_of(const SamplingKind& kind, mx::Dtype dtype) {
  const int bits = 32 - low_bits(dtype), count = (bits + bins_bits - 1) / bins_bits;
  std::vector<Level> levels;
  for (const auto& [wanted, measure] : {std::pair{kind.top_k, 1}, std::pair{kind.top_p, 2}}) {
    if (!wanted) continue;
    for (int i = 0, above = bits; i < count; ++i) {
      const int digit = (above + count - i - 1) / (count - i), shift = above - digit;
      const auto settled = static_cast<std::uint32_t>((1ull << bits) - (1ull << above));
      levels.push_back({measure, i == 0, shift, settled, (1u << digit) - 1u});
      above = shift;
    }
  }
  return levels;
}

void add(const Level& level, std::vector<int>& sizes) {
  for (const int one : {level.measure, level.first, level.shift, std::bit_cast<int>(level.settled),
                        std::bit_cast<int>(level.digits)})
    sizes.push_back(one);
}

mx::array int_array(std::vector<std::int32_t> values) {
  values = padded(std::move(values));
  return mx::array(values.begin(), {static_cast<int>(values.size())}, mx::int32);
}

mx::array edited(Executor& executor, const mx::array& logits, const SamplingArrays& rows,
                 const SamplingKind& kind) {
  const int count = logits.shape(0), width = logits.shape(1),
            parts = (width + numbers_of_part - 1) / numbers_of_part;
  const auto dtype = kind.edits ? mx::float32 : logits.dtype();
  return executor
      .run(edit_kernel, {{logits, rows.words, rows.edits, rows.masks,
                          constants(std::vector<int>{width, (width + 31) / 32})},
                         {logits.shape()},
                         {dtype},
                         {parts, count, 1},
                         threads,
                         {{"T", logits.dtype()}, {"O", dtype}}})
      .front();
}

}  // namespace

SamplingInput::SamplingInput(int width) : width_(width), words_(8) { words_[6] = -1; }

void SamplingInput::add(const Row& row) {
  const bool draws = !(row.temperature < 1e-5f);
  auto* words = words_.data() + 8 * rows_++;
  words[0] = draws;
  words[6] = -1;
  words[7] = static_cast<std::int32_t>(edits_.size() / 4);
  if (draws) {
    words[1] = word_of(std::numbers::log2e_v<float> / row.temperature);
    words[2] = row.top_k > 0 && row.top_k < width_ ? row.top_k : 0;
    words[3] = top_p_of(row.top_p);
    words[4] = word_of(row.min_p > 0 ? std::log2(std::min(row.min_p, 1.0f))
                                     : -std::numeric_limits<float>::max());
    words[5] = parts_of(row.uniform);
  }
  kind_.top_k |= words[2] != 0;
  kind_.top_p |= words[3] != 0;
  if (row.allowed) {
    kind_.masks = true;
    const int each = (width_ + 31) / 32;
    words[6] = static_cast<std::int32_t>(masks_.size()) / each;
    for (int i = 0; i < each; ++i) masks_.push_back(std::bit_cast<std::int32_t>(row.allowed[i]));
  }
  for (const auto& [token, bias, factor, less] : row.edits) {
    kind_.edits = true;
    for (const auto word : {token, word_of(bias), word_of(factor), word_of(less)})
      edits_.push_back(word);
  }
  words_.resize(words_.size() + 8);
  words_[words_.size() - 2] = -1;
  words_.back() = static_cast<std::int32_t>(edits_.size() / 4);
}

SamplingArrays arrays_of(const SamplingInput& input) {
  return {int_array(input.words()), int_array(input.masks()), int_array(input.edits())};
}

bool can_sample(const Executor* executor, const mx::array& logits) {
  return executor && logits.ndim() == 2 && is_number(logits.dtype()) &&
         logits.shape(0) <= max_rows && logits.shape(1) >= 8 &&
         logits.shape(1) <= max_parts * numbers_of_part;
}

mx::array sample(Executor& executor, const mx::array& logits, const SamplingArrays& rows,
                 const SamplingKind& kind) {
  auto x = before_cast(logits);
  if (kind.edits || kind.masks) x = edited(executor, x, rows, kind);
  const int count = x.shape(0), width = x.shape(1),
            parts = (width + numbers_of_part - 1) / numbers_of_part;
  const std::vector<TemplateArgument> arguments = {{"T", x.dtype()}, {"LOW", low_bits(x.dtype())}};
  const auto found = largest_of_parts(executor, x);
  const int room = found.shape(1);
  const auto sizes_of = [&](const Level& level, const Level& before) {
    std::vector<int> sizes = {width, parts, room};
    add(level, sizes);
    add(before, sizes);
    return constants(std::move(sizes));
  };
  Level before;
  auto level_bins = mx::array({0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u}, mx::uint32);  // nobody reads them
  auto states = level_bins;
  for (const auto& level : levels_of(kind, x.dtype())) {
    auto made = executor.run(bins_kernel,
                             {{x, found, rows.words, level_bins, states, sizes_of(level, before)},
                              {{count, parts, bins + 1, 2}, {count, 8}},
                              {mx::uint32, mx::uint32},
                              {parts, count, 1},
                              threads,
                              arguments});
    level_bins = made[0];
    states = made[1];
    before = level;
  }
  const auto sizes = sizes_of({}, before);
  const auto made = executor.run(sums_kernel, {{x, found, rows.words, level_bins, states, sizes},
                                               {{count, room, 4}, {count, 8}},
                                               {mx::uint32, mx::uint32},
                                               {parts, count, 1},
                                               threads,
                                               arguments});
  return executor
      .run(draw_kernel, {{x, found, rows.words, made[0], made[1], sizes},
                         {{count}},
                         {mx::int32},
                         {count, 1, 1},
                         threads,
                         arguments})
      .front();
}

}  // namespace pippin::kernels::gpu
