#include "engine/sampler.h"

#include <algorithm>

namespace pippin::engine {
namespace {

// splitmix64's finaliser (Steele, Lea, Flood 2014): every input bit reaches every output bit.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// One value a row as a column [R, 1].
template <class Get>
mx::array column(const std::vector<SampleRow>& rows, const Get& get) {
  std::vector<float> values;
  for (const auto& row : rows) values.push_back(get(row));
  return mx::array(values.begin(), {static_cast<int>(values.size()), 1}, mx::float32);
}

// A temperature so low that dividing by it leaves float32's range is greedy in all but name.
bool greedy(const SampleRow& row) { return row.options.temperature < 1e-5f; }

// Probabilities [R, V] in descending order, those that the filters drop set to zero.
mx::array filtered(const mx::array& sorted_logits, const std::vector<SampleRow>& rows) {
  const int V = sorted_logits.shape(1);
  const auto temperature =
      column(rows, [](const auto& r) { return greedy(r) ? 1.0f : r.options.temperature; });
  const auto top_k = column(rows, [&](const auto& r) {
    return static_cast<float>(r.options.top_k > 0 ? r.options.top_k : V);
  });
  const auto top_p = column(rows, [](const auto& r) { return r.options.top_p; });
  const auto min_p = column(rows, [](const auto& r) { return r.options.min_p; });

  const auto zero = mx::array(0.0f);
  auto p = mx::softmax((sorted_logits - mx::max(sorted_logits, -1, true)) / temperature, -1, true);
  p = mx::where(mx::less(mx::arange(0.0, V, mx::float32), top_k), p, zero);
  p = p / mx::sum(p, -1, true);
  // The most likely token stays whatever top_p: before it nothing has accumulated.
  const auto before = mx::cumsum(p, -1, false, false);
  const auto likeliest = mx::slice(p, {0, 0}, {p.shape(0), 1});
  const auto keep =
      mx::logical_and(mx::less(before, top_p), mx::greater_equal(p, min_p * likeliest));
  return mx::where(keep, p, zero);
}

}  // namespace

float uniform_of(std::uint64_t seed, std::int64_t index) {
  const std::uint64_t bits =
      mix(mix(seed + 0x9e3779b97f4a7c15ULL) + static_cast<std::uint64_t>(index));
  return static_cast<float>(bits >> 40) * 0x1p-24f;
}

mx::array sample(const mx::array& logits, const std::vector<SampleRow>& rows) {
  const auto best = mx::astype(mx::argmax(logits, -1), mx::int32);
  if (std::all_of(rows.begin(), rows.end(), greedy)) return best;

  const auto order = mx::argsort(mx::negative(logits), -1);
  const auto p = filtered(mx::take_along_axis(logits, order, -1), rows);
  const auto cumulative = mx::cumsum(p, -1);
  const auto total = mx::slice(cumulative, {0, p.shape(1) - 1}, {p.shape(0), p.shape(1)});
  const auto target = column(rows, [](const auto& r) { return r.uniform; }) * total;
  // How many tokens lie wholly before the target; rounding must not step past the last one kept.
  const auto passed = mx::sum(mx::less_equal(cumulative, target), -1, true);
  const auto last = mx::sum(mx::greater(p, mx::array(0.0f)), -1, true) - mx::array(1);
  const auto choice = mx::maximum(mx::astype(mx::minimum(passed, last), mx::int32), mx::array(0));
  const auto drawn = mx::astype(mx::squeeze(mx::take_along_axis(order, choice, -1), 1), mx::int32);
  const auto is_greedy =
      mx::squeeze(column(rows, [](const auto& r) { return greedy(r) ? 1.0f : 0.0f; }), 1);
  return mx::where(mx::greater(is_greedy, mx::array(0.5f)), best, drawn);
}

}  // namespace pippin::engine
