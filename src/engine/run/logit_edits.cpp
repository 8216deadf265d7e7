#include "engine/run/logit_edits.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>

namespace pippin::engine {

namespace gpu = kernels::gpu;

std::vector<gpu::LogitEdit> edits_of(const SampleRow& row) {
  const auto& options = row.options;
  std::map<std::int32_t, gpu::LogitEdit> edits;
  const auto edit_of = [&](std::int32_t token) -> gpu::LogitEdit& {
    return edits.try_emplace(token, gpu::LogitEdit{token}).first->second;
  };
  for (const auto& [token, bias] : options.logit_bias) edit_of(token).bias = bias;
  for (const auto& [token, generated] : row.counts) {
    auto& edit = edit_of(token);
    edit.factor = options.repetition_penalty;
    if (generated > 0)
      edit.less =
          options.presence_penalty + options.frequency_penalty * static_cast<float>(generated);
  }
  std::vector<gpu::LogitEdit> list;
  for (const auto& [token, edit] : edits) list.push_back(edit);
  return list;
}

mx::array edited(const mx::array& logits, const std::vector<SampleRow>& rows) {
  std::vector<std::int32_t> row_ids, tokens;
  std::vector<float> biases, factors, less;
  for (std::size_t row = 0; row < rows.size(); ++row)
    for (const auto& edit : edits_of(rows[row])) {
      row_ids.push_back(static_cast<std::int32_t>(row));
      tokens.push_back(edit.token);
      biases.push_back(edit.bias);
      factors.push_back(edit.factor);
      less.push_back(edit.less);
    }
  if (tokens.empty()) return logits;
  const int n = static_cast<int>(tokens.size());
  const auto at = [n](const auto& values, mx::Dtype dtype) {
    return mx::array(values.begin(), {n}, dtype);
  };
  const std::vector<mx::array> where = {at(row_ids, mx::int32), at(tokens, mx::int32)};
  auto x = mx::reshape(mx::gather(logits, where, {0, 1}, {1, 1}), {n}) + at(biases, mx::float32);
  const auto factor = at(factors, mx::float32);
  x = mx::where(mx::greater(x, mx::array(0.0f)), x / factor, x * factor) - at(less, mx::float32);
  return mx::scatter(logits, where, mx::reshape(x, {n, 1, 1}), {0, 1});
}

// The bits travel to the device as they are.
mx::array masked(const mx::array& logits, const std::vector<SampleRow>& rows) {
  if (std::all_of(rows.begin(), rows.end(), [](const auto& row) { return row.allowed.empty(); }))
    return logits;
  const int R = logits.shape(0), V = logits.shape(1), W = (V + 31) / 32;
  std::vector<std::uint32_t> words;
  words.reserve(rows.size() * static_cast<std::size_t>(W));
  for (const auto& row : rows) {
    if (row.allowed.empty())
      words.insert(words.end(), static_cast<std::size_t>(W), ~0u);
    else
      words.insert(words.end(), row.allowed.begin(), row.allowed.begin() + W);
  }
  const auto shifts = mx::arange(0, 32, mx::uint32);
  const auto bits =
      mx::bitwise_and(mx::right_shift(mx::array(words.begin(), {R, W, 1}, mx::uint32), shifts),
                      mx::array(1u, mx::uint32));
  const auto allowed = mx::slice(mx::reshape(bits, {R, W * 32}), {0, 0}, {R, V});
  return mx::where(mx::astype(allowed, mx::bool_), logits,
                   mx::array(-std::numeric_limits<float>::infinity()));
}

gpu::SamplingInput sampling_input(const std::vector<SampleRow>& rows, int vocabulary) {
  gpu::SamplingInput input(vocabulary);
  for (const auto& row : rows) {
    const auto& options = row.options;
    input.add({options.temperature, options.top_k, options.top_p, options.min_p, row.uniform,
               edits_of(row), row.allowed.empty() ? nullptr : row.allowed.data()});
  }
  return input;
}

}  // namespace pippin::engine
