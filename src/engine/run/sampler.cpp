#include "engine/run/sampler.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "engine/run/logit_edits.h"
#include "kernels/gpu/choice.h"
#include "kernels/gpu/sampling.h"
#include "kernels/gpu/tokens.h"

namespace pippin::engine {
namespace {

namespace gpu = kernels::gpu;

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

mx::array last_column(const mx::array& x) {
  return mx::slice(x, {0, x.shape(1) - 1}, {x.shape(0), x.shape(1)});
}

// What a row's tokens weigh: their probabilities relative to the likeliest's. logits and weights [R, V].
mx::array weights_of(const mx::array& logits, const mx::array& top, const mx::array& temperature) {
  return mx::exp((logits - top) / temperature);
}

// How many tokens the filters keep, [R, 1], at least one; `sorted` has the logits in descending order.
mx::array kept_count(const mx::array& sorted, const mx::array& temperature,
                     const std::vector<SampleRow>& rows) {
  const int V = sorted.shape(1);
  const auto top_k = column(rows, [&](const auto& r) {
    return static_cast<float>(r.options.top_k > 0 ? r.options.top_k : V);
  });
  // Rounding must not drop anything where nothing is to be dropped.
  const auto top_p = column(rows, [](const auto& r) {
    return r.options.top_p < 1 ? r.options.top_p : std::numeric_limits<float>::infinity();
  });
  const auto min_p = column(rows, [](const auto& r) { return r.options.min_p; });

  const auto first = mx::slice(sorted, {0, 0}, {sorted.shape(0), 1});
  const auto in_top_k = mx::less(mx::arange(0.0, V, mx::float32), top_k);
  const auto p = mx::where(in_top_k, weights_of(sorted, first, temperature), mx::array(0.0f));
  const auto before = mx::cumsum(p, -1, false, false);
  const auto keep =
      mx::logical_and(mx::less(before, top_p * mx::sum(p, -1, true)), mx::greater_equal(p, min_p));
  const auto count = mx::sum(mx::astype(mx::logical_and(keep, in_top_k), mx::int32), -1, true);
  return mx::maximum(count, mx::array(1));
}

// Which tokens are the first kept_count in order of probability, then id: [R, V].
mx::array kept_tokens(const mx::array& logits, const mx::array& sorted, const mx::array& count) {
  const auto least = mx::take_along_axis(sorted, count - mx::array(1), -1);
  const auto above = mx::greater(logits, least), equal = mx::equal(logits, least);
  const auto room = count - mx::sum(mx::astype(above, mx::int32), -1, true);
  const auto rank = mx::cumsum(mx::astype(equal, mx::int32), -1);
  return mx::logical_or(above, mx::logical_and(equal, mx::less_equal(rank, room)));
}

// The most that a row wants; -1 where none wants any.
int most_logprobs(const std::vector<SampleRow>& rows) {
  int most = -1;
  for (const auto& row : rows) most = std::max(most, row.options.top_logprobs);
  return most;
}

mx::array largest(const mx::array& logits) {
  const auto by_mlx = [&] { return mx::astype(mx::argmax(logits, -1), mx::int32); };
  auto* executor = gpu::executor();
  if (!gpu::finds_largest(executor, logits)) return by_mlx();
  return gpu::proved_one(
      gpu::use_of(gpu::Operation::largest, logits, logits.shape(1)),
      [&] { return gpu::argmax(*executor, logits); }, by_mlx);
}

// The rows' temperatures, 1 for greedy ones.
mx::array temperatures(const std::vector<SampleRow>& rows) {
  return column(rows, [](const auto& r) { return greedy(r) ? 1.0f : r.options.temperature; });
}

// What the filters leave of the tokens' weights, and 0 of all others: [R, V].
mx::array kept_weights(const mx::array& logits, const std::vector<SampleRow>& rows) {
  const auto temperature = temperatures(rows);
  const auto sorted = mx::negative(mx::sort(mx::negative(logits), -1));
  const auto keep = kept_tokens(logits, sorted, kept_count(sorted, temperature, rows));
  return mx::where(keep, weights_of(logits, mx::max(logits, -1, true), temperature),
                   mx::array(0.0f));
}

mx::array choose(const mx::array& logits, const std::vector<SampleRow>& rows) {
  const auto best = largest(logits);
  if (std::all_of(rows.begin(), rows.end(), greedy)) return best;

  const auto weights = kept_weights(logits, rows);
  const auto cumulative = mx::cumsum(weights, -1);
  const auto target =
      column(rows, [](const auto& r) { return r.uniform; }) * last_column(cumulative);
  const auto alive = mx::greater(weights, mx::array(0.0f));
  const auto passed = mx::logical_and(alive, mx::greater(cumulative, target));
  // Where rounding lets none pass, the last that could.
  const auto ids = mx::arange(0, logits.shape(1), mx::int32);
  const auto last = mx::max(mx::where(alive, ids, mx::array(0)), -1);
  const auto drawn =
      mx::where(mx::any(passed, -1),
                mx::astype(mx::argmax(mx::astype(passed, mx::int32), -1), mx::int32), last);
  const auto is_greedy =
      mx::squeeze(column(rows, [](const auto& r) { return greedy(r) ? 1.0f : 0.0f; }), 1);
  return mx::where(mx::greater(is_greedy, mx::array(0.5f)), best, drawn);
}

// Which part of the kept probability the tokens up to the chosen one have, [R]: where rounding decides between two tokens, it hardly differs.
mx::array parts_up_to(const mx::array& tokens, const mx::array& logits,
                      const std::vector<SampleRow>& rows) {
  const auto cumulative = mx::cumsum(kept_weights(logits, rows), -1);
  const auto places = mx::clip(mx::reshape(tokens, {-1, 1}), mx::array(0),
                               mx::array(logits.shape(1) - 1));  // a wrong kernel gives any token
  const auto at = mx::take_along_axis(cumulative, places, -1);
  return mx::flatten(at / last_column(cumulative));
}

bool nothing_but_largest(const std::vector<SampleRow>& rows) {
  return std::all_of(rows.begin(), rows.end(), [](const auto& row) {
    return greedy(row) && row.allowed.empty() && edits_of(row).empty();
  });
}

// By our kernels where there are such, else by MLX's operations; `logits` are the original ones, edited and masked.
mx::array choose(const mx::array& original, const mx::array& logits,
                 const std::vector<SampleRow>& rows) {
  const auto by_mlx = [&] { return choose(logits, rows); };
  auto* executor = gpu::executor();
  if (!gpu::can_sample(executor, original) || nothing_but_largest(rows)) return by_mlx();
  const auto input = sampling_input(rows, original.shape(1));
  const auto use = gpu::sampling_use(original, input.kind());
  if (!gpu::chosen(use)) return by_mlx();
  const auto by_kernels = [&] {
    return gpu::sample(*executor, original, gpu::arrays_of(input), input.kind());
  };
  if (!gpu::compares()) return by_kernels();
  const auto measured = [&](const mx::array& tokens) {
    return std::vector{gpu::times() ? tokens : parts_up_to(tokens, logits, rows)};
  };
  gpu::proved(use, [&] { return measured(by_kernels()); }, [&] { return measured(by_mlx()); });
  return by_mlx();
}

mx::array int_array(const std::vector<std::int32_t>& values) {
  return mx::array(values.begin(), {static_cast<int>(values.size())}, mx::int32);
}

// The chosen tokens, but for rows whose token is given.
mx::array with_given(const mx::array& chosen, const std::vector<SampleRow>& rows) {
  std::vector<std::int32_t> given;
  for (const auto& row : rows) given.push_back(row.given);
  if (std::all_of(given.begin(), given.end(), [](auto token) { return token < 0; })) return chosen;
  const auto tokens = int_array(given);
  return mx::where(mx::greater_equal(tokens, mx::array(0)), tokens, chosen);
}

// `count`: likeliest tokens to be told of each row, -1 for no log-probabilities.
Sampled sample_on_device(const mx::array& original, const std::vector<SampleRow>& rows, int count) {
  const auto logits = masked(edited(original, rows), rows);
  Sampled sampled{with_given(choose(original, logits, rows), rows)};
  if (count >= 0) sampled.device_logprobs = logprobs_of(logits, sampled.tokens, count);
  return sampled;
}

// Rows that may escape take what they would choose freely where that is their escape. Only answers' first tokens come here.
void take_escapes(const mx::array& logits, const std::vector<SampleRow>& rows, int count,
                  Sampled& chosen) {
  std::vector<SampleRow> free;
  std::vector<std::int32_t> which;           // of `free`: its row
  std::vector<std::int32_t> escapes, place;  // of all: its escape, its place in `free`
  for (std::size_t i = 0; i < rows.size(); ++i) {
    escapes.push_back(rows[i].escape);
    place.push_back(rows[i].escape < 0 ? 0 : static_cast<std::int32_t>(free.size()));
    if (rows[i].escape < 0) continue;
    which.push_back(static_cast<std::int32_t>(i));
    free.push_back(rows[i]);
    free.back().allowed = {};
  }
  if (free.empty()) return;
  const auto freely = sample_on_device(mx::take(logits, int_array(which), 0), free, count);
  const auto places = int_array(place), escape = int_array(escapes);
  const auto escaping = mx::equal(mx::take(freely.tokens, places, 0), escape);
  chosen.tokens = mx::where(escaping, escape, chosen.tokens);
  if (!chosen.device_logprobs) return;
  auto& mine = *chosen.device_logprobs;
  const auto& other = *freely.device_logprobs;
  const auto column = mx::expand_dims(escaping, 1);
  mine.chosen = mx::where(escaping, mx::take(other.chosen, places, 0), mine.chosen);
  mine.ranks = mx::where(escaping, mx::take(other.ranks, places, 0), mine.ranks);
  mine.top_tokens = mx::where(column, mx::take(other.top_tokens, places, 0), mine.top_tokens);
  mine.top = mx::where(column, mx::take(other.top, places, 0), mine.top);
}

// ---- on the CPU

// The row and its biases must outlive the result.
cpu::Sampling host_options(const SampleRow& row, const std::vector<cpu::TokenBias>& biases) {
  cpu::Sampling s;
  s.temperature = row.options.temperature;
  s.top_p = row.options.top_p;
  s.top_k = row.options.top_k;
  s.min_p = row.options.min_p;
  s.uniform = row.uniform;
  s.repetition_penalty = row.options.repetition_penalty;
  s.presence_penalty = row.options.presence_penalty;
  s.frequency_penalty = row.options.frequency_penalty;
  s.top_logprobs = row.options.top_logprobs;
  s.counts = row.counts;
  s.biases = biases;
  s.allowed = row.allowed;
  s.given = row.given;
  return s;
}

std::vector<cpu::TokenBias> host_biases(const SampleRow& row) {
  std::vector<cpu::TokenBias> biases;
  for (const auto& [token, bias] : row.options.logit_bias) biases.push_back({token, bias});
  return biases;
}

// logits [rows.size(), vocabulary].
std::vector<cpu::Sampled> choose_on_host(const float* logits, std::int64_t vocabulary,
                                         const std::vector<SampleRow>& rows,
                                         kernels::CpuBackend& backend) {
  std::vector<std::vector<cpu::TokenBias>> biases;
  for (const auto& row : rows) biases.push_back(host_biases(row));
  std::vector<cpu::Sampling> options;
  for (std::size_t i = 0; i < rows.size(); ++i) options.push_back(host_options(rows[i], biases[i]));
  auto chosen = cpu::sample(backend.team, backend.kernels, logits, vocabulary, options);
  for (std::size_t i = 0; i < rows.size(); ++i) {  // as take_escapes does
    if (rows[i].escape < 0) continue;
    options[i].allowed = {};
    const float* row = logits + static_cast<std::int64_t>(i) * vocabulary;
    auto freely =
        cpu::sample(backend.team, backend.kernels, row, vocabulary, std::span(&options[i], 1));
    if (freely.front().token == rows[i].escape) chosen[i] = std::move(freely.front());
  }
  return chosen;
}

Sampled sample_on_host(const mx::array& logits, const std::vector<SampleRow>& rows,
                       kernels::CpuBackend& backend, const FillMask& fill) {
  std::vector<cpu::Sampled> chosen;
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    if (fill)
      backend.team.parallel_for(std::ssize(rows), 1, [&](auto first, auto last, int) {
        for (auto i = first; i < last; ++i) fill(static_cast<std::size_t>(i));
      });
    chosen = choose_on_host(in[0].data<float>(), in[0].shape(1), rows, backend);
    std::transform(chosen.begin(), chosen.end(), out.data<std::int32_t>(),
                   [](const auto& one) { return one.token; });
  };
  Sampled sampled{
      kernels::host_operation(backend, "sample", {logits.shape(0)}, mx::int32, {logits}, run)};
  if (most_logprobs(rows) >= 0) sampled.host_logprobs = std::move(chosen);
  return sampled;
}

}  // namespace

bool plainly_greedy(const SampleRow& row) {
  return greedy(row) && row.options.logit_bias.empty() && row.options.top_logprobs < 0 &&
         row.counts.empty() && row.allowed.empty() && row.escape < 0 && row.given < 0;
}

void forbid(const std::vector<std::int32_t>& tokens, SamplingOptions& options) {
  constexpr float impossible = -std::numeric_limits<float>::infinity();
  auto& biases = options.logit_bias;
  for (const auto token : tokens) {
    std::erase_if(biases, [token](const LogitBias& bias) { return bias.token == token; });
    biases.push_back({token, impossible});
  }
}

float uniform_of(std::uint64_t seed, std::int64_t index) {
  const std::uint64_t bits =
      mix(mix(seed + 0x9e3779b97f4a7c15ULL) + static_cast<std::uint64_t>(index));
  return static_cast<float>(bits >> 40) * 0x1p-24f;
}

std::vector<cpu::TokenCount> count_tokens(const SamplingOptions& options,
                                          const std::vector<std::int32_t>& tokens,
                                          std::int64_t num_prompt) {
  if (!options.penalizes()) return {};
  std::unordered_map<std::int32_t, std::int32_t> generated;
  const auto answer = tokens.begin() + num_prompt;
  if (options.repetition_penalty != 1)
    for (auto token = tokens.begin(); token != answer; ++token) generated.try_emplace(*token, 0);
  for (auto token = answer; token != tokens.end(); ++token) ++generated[*token];
  std::vector<cpu::TokenCount> counts;
  for (const auto& [token, count] : generated) counts.push_back({token, count});
  return counts;
}

std::vector<mx::array> Sampled::arrays() const {
  std::vector<mx::array> arrays = {tokens};
  if (device_logprobs) {
    const auto& [chosen, ranks, top_tokens, top] = *device_logprobs;
    arrays.insert(arrays.end(), {chosen, ranks, top_tokens, top});
  }
  return arrays;
}

Sampled sample(const mx::array& logits, const std::vector<SampleRow>& rows,
               const kernels::CpuBackendPtr& backend, FillMask fill) {
  if (backend) return sample_on_host(logits, rows, *backend, fill);
  const int count = most_logprobs(rows);
  auto chosen = sample_on_device(logits, rows, count);
  take_escapes(logits, rows, count, chosen);
  return chosen;
}

std::vector<TokenLogprobs> read_logprobs(const Sampled& sampled,
                                         const std::vector<SampleRow>& rows) {
  if (most_logprobs(rows) < 0) return {};
  std::vector<TokenLogprobs> result(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const int count = rows[i].options.top_logprobs;
    if (count < 0) continue;
    const auto token = sampled.tokens.data<std::int32_t>()[i];
    result[i] = sampled.device_logprobs ? read_row(*sampled.device_logprobs, i, token, count)
                                        : read_row(sampled.host_logprobs[i]);
  }
  return result;
}

}  // namespace pippin::engine
