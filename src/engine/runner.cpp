#include "engine/runner.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/layout.h"

namespace pippin::engine {
namespace {

std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }

mx::array int_array(const std::vector<std::int32_t>& values) {
  return mx::array(values.begin(), {static_cast<int>(values.size())}, mx::int32);
}

mx::array rows_of(const mx::array& x, std::int64_t begin, std::int64_t end) {
  return mx::slice(x, {static_cast<int>(begin), 0}, {static_cast<int>(end), x.shape(1)});
}

nn::KVCache make_pools(const models::ModelTraits& traits, const RunnerOptions& options) {
  return nn::KVCache(traits.num_layers, options.num_pages, options.page_size, traits.num_kv_heads,
                     traits.head_dim, options.kv, options.cpu != nullptr);
}

// Of a prompt's token, whose logits are told as they are.
SampleRow scored_row(const Sequence& sequence, std::int32_t token) {
  SamplingOptions options;
  options.temperature = 0;
  options.top_logprobs = sequence.sampling.prompt_logprobs;
  SampleRow row;
  row.options = options;
  row.given = token;
  return row;
}

// One for each row of logits.
std::vector<SampleRow> sample_rows(const Batch& batch, StepMasks& masks) {
  std::vector<SampleRow> rows;
  for (const auto& chunk : batch.chunks) {
    const Sequence& s = *chunk.sequence;
    const auto scored = scored_rows(chunk);
    for (auto i = scored.begin; i < scored.end; ++i)
      rows.push_back(scored_row(s, s.tokens[static_cast<std::size_t>(i) + 1]));
    if (!chunk.sample) continue;
    rows.push_back({s.sampling, uniform_of(s.seed, s.num_tokens()),
                    count_tokens(s.sampling, s.tokens, s.num_prompt), masks.row(rows.size()),
                    s.constraint ? s.constraint->escape() : -1});
    if (s.num_generated() < s.min_tokens) forbid(s.end_tokens, rows.back().options);
  }
  return rows;
}

// Of the rows: sequences get their scores, the rest is returned.
StepTokens hand_out(const Batch& batch, const std::int32_t* ids,
                    const std::vector<TokenLogprobs>& logprobs) {
  StepTokens tokens;
  std::size_t row = 0;
  for (const auto& chunk : batch.chunks) {
    for (auto scored = scored_rows(chunk).size(); scored > 0; --scored)
      chunk.sequence->scores.push_back(logprobs[row++]);
    if (!chunk.sample) continue;
    if (!logprobs.empty()) tokens.logprobs.push_back(logprobs[row]);
    tokens.ids.push_back(ids[row++]);
  }
  return tokens;
}

std::vector<nn::KVCache::PageCopy> page_copies(const Batch& batch) {
  std::vector<nn::KVCache::PageCopy> copies;
  for (const auto& [from, to] : batch.copies) copies.push_back({from, to});
  return copies;
}

}  // namespace

Runner::Runner(std::unique_ptr<models::Model> model, const RunnerOptions& options)
    : model_(std::move(model)),
      options_(options),
      kv_(make_pools(model_->traits(), options)),
      encoder_(*model_, options.encoder, options.disk) {
  if (options.disk) disk_pages_.emplace(options.disk, page_bytes());
}

// By this object: reset() makes new pools.
PageBytes Runner::page_bytes() {
  return {
      kv_.page_bytes(),
      [this](PageId page, std::span<std::uint8_t> out) { kv_.read_page(page, out); },
      [this](PageId page, std::span<const std::uint8_t> bytes) { kv_.write_page(page, bytes); }};
}

bool Runner::write_behind(const PageCache& pages, std::chrono::steady_clock::time_point end) {
  if (!disk_pages_) return false;
  const bool any = encoder_.write_behind();
  return disk_pages_->write_behind(pages, end) || any;
}

void Runner::reset() {
  // The old pools go first: memory may be what the step ran out of.
  kv_.keys.clear();
  kv_.values.clear();
  mx::clear_cache();
  kv_ = make_pools(model_->traits(), options_);
}

void Runner::clear_caches(const std::vector<PageId>& free_pages) {
  encoder_.clear_cache();
  kv_.drop_pages(free_pages);
  mx::clear_cache();
}

StepTokens Runner::run(const Batch& batch) {
  kv_.finish_writes();
  if (!batch.copies.empty()) kv_.copy_pages(page_copies(batch));
  encoder_.run(batch.encode);
  times_.encoded = times_.laid_out = times_.computed = now();
  if (batch.chunks.empty()) return {};
  const auto input = lay_out(batch);
  times_.laid_out = now();
  auto tokens = compute(input, batch);
  times_.computed = now();
  return tokens;
}

StepTokens Runner::compute(const models::StepInput& input, const Batch& batch) {
  StepMasks masks(batch, model_->traits().vocab_size, options_.cpu ? nullptr : &mask_threads_);
  const auto logits = model_->forward(input, kv_);
  std::vector<mx::array> results = kv_.keys;
  results.insert(results.end(), kv_.values.begin(), kv_.values.end());
  if (masks.any()) {  // a GPU computes while the masks are waited for
    results.push_back(logits);
    mx::async_eval(results);
    results.pop_back();
  }
  const auto rows = sample_rows(batch, masks);
  if (rows.empty()) {  // the middle of a prompt: only the KV is wanted
    mx::eval(std::move(results));
    return {};
  }
  FillMask fill;
  if (masks.any()) fill = [&masks](std::size_t row) { masks.fill(row); };
  const auto sampled = sample(logits, rows, options_.cpu, fill);
  const auto wanted = sampled.arrays();
  results.insert(results.end(), wanted.begin(), wanted.end());
  mx::eval(std::move(results));
  return hand_out(batch, sampled.tokens.data<std::int32_t>(), read_logprobs(sampled, rows));
}

models::StepInput Runner::lay_out(const Batch& batch) {
  std::vector<std::int32_t> tokens, logit_rows;
  std::array<std::vector<std::int32_t>, 3> positions;
  std::vector<kernels::ContextRows> contexts;
  std::vector<models::MediaRows> media;
  bool text_positions = true;
  for (const auto& chunk : batch.chunks) {
    const Sequence& sequence = *chunk.sequence;
    const auto begin = sequence.num_computed, end = begin + chunk.count;
    add_media(chunk, static_cast<int>(tokens.size()), media);
    text_positions = text_positions && sequence.positions.one_axis(begin, end);
    for (auto i = begin; i < end; ++i) {
      tokens.push_back(sequence.tokens[static_cast<std::size_t>(i)]);
      for (int axis = 0; axis < 3; ++axis)
        positions[static_cast<std::size_t>(axis)].push_back(sequence.positions.at(axis, i));
    }
    const auto scored = scored_rows(chunk);
    const auto last = static_cast<std::int32_t>(tokens.size()) - static_cast<std::int32_t>(end);
    for (auto i = scored.begin; i < scored.end; ++i)
      logit_rows.push_back(last + static_cast<std::int32_t>(i));
    if (chunk.sample) logit_rows.push_back(static_cast<std::int32_t>(tokens.size()) - 1);
    contexts.push_back({sequence.pages, static_cast<int>(end), chunk.count});
  }
  // A step in the middle of a long prompt wants no logits; the last row stands in, since arrays are never empty.
  if (logit_rows.empty()) logit_rows.push_back(static_cast<std::int32_t>(tokens.size()) - 1);
  std::vector<std::int32_t> flat;
  for (const auto& axis : positions) flat.insert(flat.end(), axis.begin(), axis.end());
  return {int_array(tokens),
          mx::reshape(int_array(flat), {3, static_cast<int>(tokens.size())}),
          text_positions,
          int_array(logit_rows),
          kernels::make_layout(contexts, options_.page_size, options_.cpu),
          std::move(media)};
}

// Adds the part of each picture that lies within the chunk; the scheduler has seen to it that they are encoded.
void Runner::add_media(const Chunk& chunk, int first_row, std::vector<models::MediaRows>& media) {
  const auto chunk_begin = chunk.sequence->num_computed, chunk_end = chunk_begin + chunk.count;
  for (const auto& item : chunk.sequence->media) {
    const auto begin = std::max(chunk_begin, item.span.begin),
               end = std::min(chunk_end, item.span.begin + item.span.length);
    if (begin >= end) continue;
    const auto part = [&](const mx::array& x) {
      return rows_of(x, begin - item.span.begin, end - item.span.begin);
    };
    models::MediaFeatures chosen{part(item.features->embeddings), {}};
    for (const auto& tap : item.features->deepstack) chosen.deepstack.push_back(part(tap));
    std::vector<std::int32_t> rows(static_cast<std::size_t>(end - begin));
    std::iota(rows.begin(), rows.end(), first_row + static_cast<std::int32_t>(begin - chunk_begin));
    media.push_back({int_array(rows), std::move(chosen)});
  }
}

}  // namespace pippin::engine
