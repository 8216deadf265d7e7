#include "kernels/cpu/sampling.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace pippin::cpu {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
// The part of a row that several threads share which one thread takes at once.
constexpr std::int64_t piece = 16 * sum_block;
// A first guess at how many blocks of maxima hold what top_p keeps.
constexpr std::int64_t first_guess = 64;

// Unsigned integers in the order of the floats.
std::uint32_t key_of(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x + 0.0f);  // -0 equals 0
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// Tokens of one row, in order of index.
struct Candidates {
  std::vector<std::int32_t> tokens;
  std::vector<float> logits;

  std::size_t size() const { return tokens.size(); }
  void resize(std::size_t size) {
    tokens.resize(size);
    logits.resize(size);
  }
};

// Keeps the start of the order (logit descending, then index) that ends as soon as the sum of its
// measures reaches `target`, one candidate at least; all, where it never does. measure(i) >= 0 is of
// candidate i.
// A radix selection: each pass settles some bits of the last one's logit.
template <class Measure>
void keep_until(Candidates& c, double target, const Measure& measure) {
  target = std::max(target, std::numeric_limits<double>::min());
  std::uint32_t prefix = 0, settled = 0;
  double before = 0;  // of logits whose settled bits are above the prefix
  std::array<double, 2048> sums;
  for (const int shift : {21, 10, 0}) {
    sums.fill(0);
    for (std::size_t i = 0; i < c.size(); ++i) {
      const auto key = key_of(c.logits[i]);
      if ((key & settled) == prefix) sums[(key >> shift) & 2047u] += measure(i);
    }
    std::uint32_t digit = 0;
    double above = before;
    bool reached = false;
    for (std::uint32_t d = 2048; d-- > 0 && !reached;) {
      if (sums[d] == 0) continue;
      digit = d;
      before = above;
      above += sums[d];
      reached = above >= target;
    }
    // Later passes add the same numbers in another order: the last digit stands for the target then.
    if (!reached && settled == 0) return;
    prefix |= digit << shift;
    settled |= ~std::uint32_t{0} << shift;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < c.size(); ++i) {
    const auto key = key_of(c.logits[i]);
    if (key < prefix || (key == prefix && before >= target)) continue;
    if (key == prefix) before += measure(i);
    c.tokens[kept] = c.tokens[i];
    c.logits[kept++] = c.logits[i];
  }
  c.resize(kept);
}

void keep_first(Candidates& c, std::int64_t count) {
  if (std::ssize(c.tokens) > count)
    keep_until(c, static_cast<double>(count), [](std::size_t) { return 1.0; });
}

void edit(std::vector<float>& logits, const Sampling& options) {
  for (const auto& [token, bias] : options.biases) logits[static_cast<std::size_t>(token)] += bias;
  for (const auto& [token, generated] : options.counts) {
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / options.repetition_penalty : logit * options.repetition_penalty;
    if (generated > 0)
      logit -= options.presence_penalty + options.frequency_penalty * static_cast<float>(generated);
  }
}

bool edits(const Sampling& options) {
  const bool penalises = options.repetition_penalty != 1 || options.presence_penalty != 0 ||
                         options.frequency_penalty != 0;
  return !options.biases.empty() || (penalises && !options.counts.empty());
}

// One row's choice. Passes over all logits are shared by the team, where there is one.
class Row {
 public:
  Row(Team* team, const SamplingKernels& kernels, const float* logits, std::int64_t n,
      std::span<const std::uint32_t> allowed)
      : team_(team), kernels_(kernels), logits_(logits), n_(n), allowed_(allowed) {
    maxima_.resize(static_cast<std::size_t>((n + max_block - 1) / max_block), -infinity);
    for_pieces([&](std::int64_t begin, std::int64_t count, const float* x) {
      kernels_.block_maxima(x, count, maxima_.data() + begin / max_block);
    });
    const auto largest = std::max_element(maxima_.begin(), maxima_.end());
    top_ = *largest;
    best_ = first_with(top_, (largest - maxima_.begin()) * max_block);
  }

  Sampled choose(const Sampling& options) const {
    Sampled result;
    const bool finite = std::isfinite(top_);
    const bool greedy = options.temperature < 1e-5f || !finite;
    if (options.given >= 0)
      result.token = options.given;
    else
      result.token = greedy ? best_ : drawn(options);
    if (options.top_logprobs >= 0 && finite) add_logprobs(options.top_logprobs, result);
    if (options.given >= 0) result.rank = rank_of(options.given);
    return result;
  }

 private:
  // body(begin, count, logits): of all logits, as the mask leaves them; begin is a multiple of sum_block. Parts of which the
  // mask leaves nothing are passed over.
  template <class Body>
  void for_pieces(const Body& body) const {
    const auto each = [&](std::int64_t first, std::int64_t last, int) {
      const auto begin = first * piece, end = std::min(last * piece, n_);
      if (allowed_.empty())
        body(begin, end - begin, logits_ + begin);
      else
        for_allowed(begin, end, body);
    };
    const auto pieces = (n_ + piece - 1) / piece;
    if (team_)
      team_->parallel_for(pieces, 1, each);
    else
      each(0, pieces, 0);
  }

  template <class Body>
  void for_allowed(std::int64_t begin, std::int64_t end, const Body& body) const {
    std::array<float, sum_block> room;
    for (; begin < end; begin += sum_block) {
      const auto count = std::min<std::int64_t>(sum_block, end - begin);
      const auto words = allowed_.subspan(static_cast<std::size_t>(begin / 32),
                                          static_cast<std::size_t>((count + 31) / 32));
      if (std::any_of(words.begin(), words.end(), [](auto word) { return word != 0; }))
        body(begin, count, masked(begin, count, room));
    }
  }

  // The logits [begin, begin + count) of a block of sums, where they are or in `room`.
  const float* masked(std::int64_t begin, std::int64_t count,
                      std::array<float, sum_block>& room) const {
    if (allowed_.empty()) return logits_ + begin;
    kernels_.masked(logits_ + begin, allowed_.data() + begin / 32, 0, count, room.data());
    return room.data();
  }

  bool may_be(std::int64_t token) const {
    return allowed_.empty() ||
           (allowed_[static_cast<std::size_t>(token / 32)] >> (token % 32)) & 1u;
  }

  std::int32_t first_with(float logit, std::int64_t begin) const {
    for (auto i = begin; i < n_; ++i)
      if (logits_[i] == logit && may_be(i)) return static_cast<std::int32_t>(i);
    return 0;
  }

  std::int32_t drawn(const Sampling& options) const {
    const float scale = 1 / options.temperature;
    const bool some = options.top_k > 0 && options.top_k < n_;
    if (!some && options.top_p >= 1 && options.min_p <= 0) return draw_of_all(scale, options);
    auto kept = some ? largest(options.top_k) : Candidates();
    if (options.top_p < 1)
      kept = some ? likeliest(std::move(kept), scale, options) : likeliest(scale, options);
    else if (!some)
      kept = above(bound_of(options));
    else
      drop_up_to(kept, bound_of(options));
    return draw(kept, scale, options.uniform);
  }

  std::int64_t num_blocks() const { return std::ssize(maxima_); }

  // ---- candidates

  // All logits above the bound.
  Candidates above(float bound) const {
    Candidates c;
    std::size_t room = 0;
    for (const float maximum : maxima_) room += maximum > bound ? max_block : 0;
    c.resize(room);
    std::size_t count = 0;
    for (std::size_t block = 0; block < maxima_.size(); ++block) {
      if (!(maxima_[block] > bound)) continue;
      const auto begin = static_cast<std::int64_t>(block) * max_block;
      count += static_cast<std::size_t>(
          kernels_.above(logits_, begin, std::min(begin + max_block, n_), bound,
                         c.tokens.data() + count, c.logits.data() + count));
    }
    c.resize(count);
    if (!allowed_.empty()) drop(c, [&](std::size_t i) { return !may_be(c.tokens[i]); });
    return c;
  }

  // Just below a logit that at least `count` reach, as near as the maxima tell; of more than they are,
  // below all.
  float bound_for(std::int64_t count) const {
    if (count > num_blocks()) return -infinity;
    auto sorted = maxima_;
    const auto nth = sorted.begin() + (count - 1);
    std::nth_element(sorted.begin(), nth, sorted.end(), std::greater<>());
    return std::nextafter(*nth, -infinity);
  }

  // Exactly the first `count` in order (fewer where the rest is -infinity).
  Candidates largest(std::int64_t count) const {
    // Even the least of the maxima is mostly one of the largest logits.
    auto c = above(bound_for(std::min(count, num_blocks())));
    if (std::ssize(c.tokens) < count) c = above(-infinity);
    keep_first(c, count);
    return c;
  }

  // Just below the least logit that min_p keeps.
  float bound_of(const Sampling& options) const {
    if (options.min_p <= 0) return -infinity;
    const double least =
        static_cast<double>(top_) + static_cast<double>(options.temperature) *
                                        std::log(std::min(1.0, static_cast<double>(options.min_p)));
    const float nearest = static_cast<float>(least);
    return static_cast<double>(nearest) < least ? nearest : std::nextafter(nearest, -infinity);
  }

  // Those of which unwanted(i).
  template <class Unwanted>
  static void drop(Candidates& c, const Unwanted& unwanted) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < c.size(); ++i) {
      if (unwanted(i)) continue;
      c.tokens[kept] = c.tokens[i];
      c.logits[kept++] = c.logits[i];
    }
    c.resize(kept);
  }

  static void drop_up_to(Candidates& c, float bound) {
    drop(c, [&](std::size_t i) { return !(c.logits[i] > bound); });
  }

  std::vector<float> weights_of(const Candidates& c, float scale) const {
    std::vector<float> weights(c.size());
    kernels_.weights(c.logits.data(), std::ssize(c.logits), top_, scale, weights.data());
    return weights;
  }

  static double total(const std::vector<float>& weights) {
    return std::accumulate(weights.begin(), weights.end(), 0.0);
  }

  // top_p and min_p of what top_k has kept.
  Candidates likeliest(Candidates c, float scale, const Sampling& options) const {
    const auto weights = weights_of(c, scale);
    keep_until(c, static_cast<double>(options.top_p) * total(weights),
               [&](std::size_t i) { return static_cast<double>(weights[i]); });
    drop_up_to(c, bound_of(options));
    return c;
  }

  // top_p and min_p of all tokens. Mostly few tokens hold the mass, so few are looked at first.
  Candidates likeliest(float scale, const Sampling& options) const {
    const double target = static_cast<double>(options.top_p) * total(sums_of(scale));
    const float least = bound_of(options);
    for (auto count = first_guess;;) {
      const float bound = std::max(bound_for(count), least);
      auto c = above(bound);
      const auto weights = weights_of(c, scale);
      const double mass = total(weights);
      if (bound <= least || mass >= target) {
        keep_until(c, target, [&](std::size_t i) { return static_cast<double>(weights[i]); });
        return c;
      }
      const bool flat = mass * 64 < target, last = count >= num_blocks();
      count = flat || last ? n_ : std::min(count * 8, num_blocks());
    }
  }

  // ---- draws

  std::vector<float> sums_of(float scale) const {
    std::vector<float> sums(static_cast<std::size_t>((n_ + sum_block - 1) / sum_block));
    for_pieces([&](std::int64_t begin, std::int64_t count, const float* x) {
      kernels_.block_sums(x, count, top_, scale, sums.data() + begin / sum_block);
    });
    return sums;
  }

  // The first at which the sum passes the target, else the last that weighs anything.
  static std::size_t passes(const std::vector<float>& weights, double target, double& before) {
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] <= 0) continue;
      last = i;
      if (before + static_cast<double>(weights[i]) > target) break;
      before += static_cast<double>(weights[i]);
    }
    return last;
  }

  std::int32_t draw(const Candidates& c, float scale, float uniform) const {
    const auto weights = weights_of(c, scale);
    double before = 0;
    return c.tokens[passes(weights, static_cast<double>(uniform) * total(weights), before)];
  }

  std::int32_t draw_of_all(float scale, const Sampling& options) const {
    const auto sums = sums_of(scale);
    const double target = static_cast<double>(options.uniform) * total(sums);
    double before = 0;
    const auto begin = static_cast<std::int64_t>(passes(sums, target, before)) * sum_block;
    std::vector<float> weights(
        static_cast<std::size_t>(std::min<std::int64_t>(sum_block, n_ - begin)));
    std::array<float, sum_block> room;
    kernels_.weights(masked(begin, std::ssize(weights), room), std::ssize(weights), top_, scale,
                     weights.data());
    return static_cast<std::int32_t>(begin) +
           static_cast<std::int32_t>(passes(weights, target, before));
  }

  // ---- log-probabilities

  void add_logprobs(int count, Sampled& result) const {
    const double log_total = std::log(total(sums_of(1)));
    const auto logprob = [&](float logit) {
      return static_cast<float>(static_cast<double>(logit) - static_cast<double>(top_) - log_total);
    };
    result.logprob = logprob(logits_[result.token]);
    if (count == 0) return;
    const auto c = largest(count);
    std::vector<std::size_t> order(c.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return c.logits[a] > c.logits[b]; });
    for (const auto i : order) result.top.push_back({c.tokens[i], logprob(c.logits[i])});
  }

  std::int64_t rank_of(std::int32_t token) const {
    const float logit = logits_[token];
    return 1 + std::count_if(logits_, logits_ + n_, [logit](float x) { return x > logit; });
  }

  Team* team_;
  const SamplingKernels& kernels_;
  const float* logits_;  // [n_]
  std::int64_t n_;
  std::span<const std::uint32_t> allowed_;  // empty: all are
  std::vector<float> maxima_;               // of blocks
  float top_;                               // the largest
  std::int32_t best_;                       // where it is first
};

// The row's logits after its edits, in `edited`; or where they are, where it has none.
const float* edit_row(const float* logits, std::int64_t n, const Sampling& options,
                      std::vector<float>& edited) {
  if (!edits(options)) return logits;
  edited.assign(logits, logits + n);
  edit(edited, options);
  return edited.data();
}

Sampled sample_row(Team* team, const SamplingKernels& kernels, const float* logits, std::int64_t n,
                   const Sampling& options) {
  // Kept, since the system would hand out a fresh one page by page, which costs more than filling it.
  thread_local std::vector<float> edited;
  const float* x = edit_row(logits, n, options, edited);
  return Row(team, kernels, x, n, options.allowed).choose(options);
}

}  // namespace

std::vector<Sampled> sample(Team& team, const Kernels& kernels, const float* logits,
                            std::int64_t vocabulary, std::span<const Sampling> rows) {
  std::vector<Sampled> result(rows.size());
  const auto one = [&](std::int64_t i, Team* helpers) {
    const auto at = static_cast<std::size_t>(i);
    result[at] =
        sample_row(helpers, kernels.sampling, logits + i * vocabulary, vocabulary, rows[at]);
  };
  const auto count = std::ssize(rows);
  if (count < team.size()) {
    for (std::int64_t i = 0; i < count; ++i) one(i, &team);
  } else {  // a row that one thread reads more than once stays in its cache
    team.parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto i = begin; i < end; ++i) one(i, nullptr);
    });
  }
  return result;
}

}  // namespace pippin::cpu
