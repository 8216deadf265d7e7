#include "engine/run/runner.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/log.h"
#include "kernels/layout.h"

namespace pippin::engine {
namespace {

// At the start; what is missing then is taken later.
constexpr auto max_wait_for_memory = std::chrono::seconds(5);

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
    rows.push_back({s.sampling, uniform_of(s.seed, chunk.end()),
                    count_tokens(s.sampling, s.tokens, s.num_prompt), masks.row(rows.size()),
                    s.constraint ? s.constraint->escape() : -1});
    if (chunk.end() - s.num_prompt < s.min_tokens) forbid(s.end_tokens, rows.back().options);
  }
  return rows;
}

// The pages that are written now or later.
void use_pages(const Batch& batch, int page_size, nn::PagesAhead& ahead) {
  for (const auto& chunk : batch.chunks) {
    const auto& pages = chunk.sequence->pages;
    for (auto i = static_cast<std::size_t>(chunk.begin / page_size); i < pages.size(); ++i)
      ahead.use(pages[i]);
  }
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
  take_memory_ahead();
  if (ahead_ && options.disk) take_memory_for(options.disk->count(EntryKind::page));
}

void Runner::take_memory_ahead() {
  if (auto pools = kv_.host_pools(); !pools.empty() && !options_.kv.preallocated)
    ahead_.emplace(std::move(pools), options_.num_pages);
}

// Of so many pages, which may come back from disk: a first question shall not wait for that.
void Runner::take_memory_for(std::int64_t num_pages) {
  for (int page = 0; page < std::min<std::int64_t>(num_pages, options_.num_pages); ++page)
    ahead_->use(page);
  ahead_->wait(max_wait_for_memory);
}

Runner::~Runner() {
  try {
    mx::synchronize();
  } catch (const std::exception& failure) {
    spdlog::error("[engine] the last steps failed: {}", failure.what());
  }
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
  mx::synchronize();
  sampled_.reset();
  ahead_.reset();
  // The old pools go first: memory may be what the step ran out of.
  kv_.keys.clear();
  kv_.values.clear();
  mx::clear_cache();
  kv_ = make_pools(model_->traits(), options_);
  take_memory_ahead();
}

void Runner::clear_caches(const std::vector<PageId>& free_pages) {
  encoder_.clear_cache();
  if (ahead_) ahead_->forget();
  kv_.drop_pages(free_pages);
  mx::clear_cache();
}

LaunchedStep Runner::launch(const Batch& batch) {
  if (ahead_) use_pages(batch, options_.page_size, *ahead_);
  kv_.finish_writes();
  if (!batch.copies.empty()) kv_.copy_pages(page_copies(batch));
  encoder_.run(batch.encode);
  LaunchedStep step;
  step.encoded = step.laid_out = now();
  if (batch.chunks.empty()) return step;
  const auto input = lay_out(batch);
  step.laid_out = now();
  compute(input, batch, step);
  return step;
}

void Runner::compute(const models::StepInput& input, const Batch& batch, LaunchedStep& step) {
  StepMasks masks(batch, model_->traits().vocab_size, options_.cpu ? nullptr : &mask_threads_);
  kv_.take_over_pools();
  const auto logits = model_->forward(input, kv_);
  std::vector<mx::array> results = kv_.keys;
  results.insert(results.end(), kv_.values.begin(), kv_.values.end());
  if (masks.any()) {  // a GPU computes while the masks are waited for
    results.push_back(logits);
    mx::async_eval(std::exchange(results, {}));
  }
  step.rows = sample_rows(batch, masks);
  sampled_.reset();
  if (!step.rows.empty()) {  // else the middle of a prompt: only the KV is wanted
    FillMask fill;
    if (masks.any()) fill = [&masks](std::size_t row) { masks.fill(row); };
    step.sampled = sample(logits, step.rows, options_.cpu, fill);
    sampled_ = step.sampled->tokens;
    // The host has its own: reading moves a buffer of CUDA's, which the step behind may be about to read, too.
    if (!options_.cpu) step.sampled->tokens = *sampled_ + mx::array(0, mx::int32);
    const auto wanted = step.sampled->arrays();
    results.insert(results.end(), wanted.begin(), wanted.end());
  }
  // Where all rows decode, our kernels write pools that MLX takes for unchanged: something else must want them run.
  if (step.rows.empty()) results.push_back(logits);
  mx::async_eval(std::move(results));
  step.done = kv_.values.back();
  for (auto& row : step.rows) row.allowed = {};
}

// Each array by itself: mx::eval() would wait for the step behind this one, too.
StepTokens Runner::read(const Batch& batch, const LaunchedStep& step) {
  if (step.done) mx::array(*step.done).wait();
  if (!step.sampled) return {};
  for (auto& array : step.sampled->arrays()) array.wait();
  return hand_out(batch, step.sampled->tokens.data<std::int32_t>(),
                  read_logprobs(*step.sampled, step.rows));
}

// int32 [T]. device_token_indices[i]: see Chunk; of row i, whose token is known else.
mx::array Runner::token_array(const std::vector<std::int32_t>& tokens,
                              const std::vector<std::int32_t>& device_token_indices) const {
  const auto is_known = [](std::int32_t row) { return row < 0; };
  if (std::all_of(device_token_indices.begin(), device_token_indices.end(), is_known))
    return int_array(tokens);
  std::vector<std::int32_t> places(tokens.size());
  std::iota(places.begin(), places.end(), 0);
  if (device_token_indices == places && sampled_->size() == tokens.size()) return *sampled_;
  const auto num_sampled = static_cast<std::int32_t>(sampled_->size());
  for (std::size_t i = 0; i < places.size(); ++i)
    places[i] =
        is_known(device_token_indices[i]) ? places[i] + num_sampled : device_token_indices[i];
  return mx::take(mx::concatenate({*sampled_, int_array(tokens)}), int_array(places), 0);
}

// Codes are read by MLX's operations.
bool Runner::by_gpu_kernels() const {
  return options_.kv.bits == 0 &&
         kernels::gpu::decodes(kernels::gpu::executor(), model_->traits().head_dim,
                               options_.kv.dtype, options_.kv.dtype);
}

models::StepInput Runner::lay_out(const Batch& batch) {
  std::vector<std::int32_t> tokens, device_token_indices, logit_rows;
  const int axes = model_->traits().position_axes;
  std::vector<std::vector<std::int32_t>> positions(static_cast<std::size_t>(axes));
  std::vector<kernels::ContextRows> contexts;
  std::vector<models::MediaRows> media;
  bool text_positions = true;
  for (const auto& chunk : batch.chunks) {
    const Sequence& sequence = *chunk.sequence;
    const auto begin = chunk.begin, end = chunk.end();
    add_media(chunk, static_cast<int>(tokens.size()), media);
    text_positions = text_positions && sequence.positions.one_axis(begin, end);
    for (auto i = begin; i < end; ++i) {
      device_token_indices.push_back(chunk.device_token_index);
      tokens.push_back(chunk.device_token_index < 0 ? sequence.tokens[static_cast<std::size_t>(i)]
                                                    : 0);
      for (int axis = 0; axis < axes; ++axis)
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
  return {token_array(tokens, device_token_indices),
          mx::reshape(int_array(flat), {axes, static_cast<int>(tokens.size())}),
          text_positions,
          int_array(logit_rows),
          kernels::make_layout(contexts, options_.page_size, options_.cpu, by_gpu_kernels()),
          std::move(media)};
}

// Adds the part of each picture that lies within the chunk; the scheduler has seen to it that they are encoded.
void Runner::add_media(const Chunk& chunk, int first_row, std::vector<models::MediaRows>& media) {
  const auto chunk_begin = chunk.begin, chunk_end = chunk.end();
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
