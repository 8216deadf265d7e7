#include "engine/run/runner.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/log.h"
#include "kernels/gpu/tokens.h"
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

// The row of a prompt's token, whose logits are reported unchanged.
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

// Gives sequences the scores of their rows; returns the rest.
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

std::vector<nn::PagePools::PageCopy> page_copies(const std::vector<PageCopy>& planned) {
  std::vector<nn::PagePools::PageCopy> copies;
  for (const auto& [from, to] : planned) copies.push_back({from, to});
  return copies;
}

// The chunk's rows, parted where snapshots are taken.
void add_states(const Chunk& chunk, int first_row, std::vector<kernels::StateRows>& states) {
  const auto& slot = chunk.sequence->state;
  if (!slot) return;
  auto begin = chunk.begin;
  const auto add = [&](std::int64_t end, StateSlot save) {
    states.push_back({*slot, first_row + static_cast<int>(begin - chunk.begin),
                      static_cast<int>(end - begin), save});
    begin = end;
  };
  for (const auto& save : chunk.saves) add(save.end, save.to);
  if (begin < chunk.end()) add(chunk.end(), -1);
}

}  // namespace

Runner::Runner(std::unique_ptr<models::Model> model, const RunnerOptions& options)
    : model_(std::move(model)),
      options_(options),
      encoder_(*model_, options.encoder, options.disk) {
  make_state();
  if (options.disk) disk_pages_.emplace(options.disk, bytes_of_pages());
  if (options.disk && options.num_slots > 0)
    disk_states_.emplace(options.disk, bytes_of(&nn::ModelState::slots), EntryKind::state);
  const bool by_kernels = !options.cpu && nn::by_gpu_kernels(model_->traits().layers, options.kv);
  if (by_kernels)
    replays_ = Replays::make(*model_, options.page_size, options.num_window_pages > 0);
  take_memory_ahead();
  if (ahead_ && options.disk) take_memory_for(options.disk->count(EntryKind::page));
}

void Runner::make_state() {
  // What MLX keeps is of the host's in part, since loading the weights leaves it, and a GPU's pools shall not take it.
  if (!options_.cpu) mx::clear_cache();
  state_.emplace(model_->traits().layers,
                 nn::StateSize{options_.num_pages, options_.page_size, options_.num_slots,
                               options_.num_window_pages},
                 options_.kv, options_.cpu != nullptr);
}

void Runner::take_memory_ahead() {
  if (auto pools = state_->pages().host_pools(); !pools.empty() && !options_.kv.preallocated)
    ahead_.emplace(std::move(pools), options_.num_pages);
}

// Takes memory for so many pages, which may come back from disk: a first question shall not wait for that.
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
PageBytes Runner::bytes_of(nn::PagePools& (nn::ModelState::*pools)()) {
  return {((*state_).*pools)().page_bytes(),
          [this, pools](PageId page, std::span<std::uint8_t> out) {
            ((*state_).*pools)().read_page(page, out);
          },
          [this, pools](PageId page, std::span<const std::uint8_t> bytes) {
            ((*state_).*pools)().write_page(page, bytes);
          }};
}

// A page's bytes, its window page's behind them, and whether there was one.
PageBytes Runner::bytes_of_pages() {
  const auto all = bytes_of(&nn::ModelState::pages);
  if (options_.num_window_pages == 0) return all;
  const auto size = all.size, window = state_->window_pages().page_bytes();
  return {size + window + 1,
          [=, this](PageId page, std::span<std::uint8_t> out) {
            all.read(page, out.first(size));
            read_window(page, out.subspan(size));
          },
          [=, this](PageId page, std::span<const std::uint8_t> bytes) {
            all.write(page, bytes.first(size));
            write_window(page, bytes.subspan(size));
          },
          [this](PageId page) { return windows_->has(page); }};
}

void Runner::read_window(PageId page, std::span<std::uint8_t> out) {
  out.back() = windows_->has(page);
  const auto content = out.first(out.size() - 1);
  if (out.back())
    state_->window_pages().read_page(windows_->at(page), content);
  else
    std::fill(content.begin(), content.end(), std::uint8_t{0});
}

void Runner::write_window(PageId page, std::span<const std::uint8_t> bytes) {
  if (bytes.back() == 0 || !windows_->add_cached(page)) return;
  state_->window_pages().write_page(windows_->at(page), bytes.first(bytes.size() - 1));
}

// A snapshot after pages that are not written yet waits with them in the same queue of the store, and is of no use before.
bool Runner::write_behind(const PageCache& pages, const StateCache& states,
                          std::chrono::steady_clock::time_point end) {
  if (!disk_pages_) return false;
  bool any = encoder_.write_behind();
  const auto slot_of = [&](const PageKey& key) {
    auto found = pages.published(key);
    const auto slot = states.peek(key);
    if (!slot) found.reset();
    if (found) found->page = *slot;
    return found;
  };
  any = disk_pages_->write_behind(pages, end) || any;
  return (disk_states_ && disk_states_->write_behind(slot_of, end)) || any;
}

void Runner::reset() {
  mx::synchronize();
  if (replays_)
    replays_ = Replays::make(*model_, options_.page_size, options_.num_window_pages > 0);
  sampled_.reset();
  ahead_.reset();
  // The old pools go first: memory may be what the step ran out of.
  state_.reset();
  mx::clear_cache();
  make_state();
  take_memory_ahead();
}

void Runner::clear_caches(const std::vector<PageId>& free_pages,
                          const std::vector<PageId>& free_window_pages) {
  encoder_.clear_cache();
  if (ahead_) ahead_->forget();
  state_->pages().drop_pages(free_pages);
  state_->window_pages().drop_pages(free_window_pages);
  mx::clear_cache();
}

LaunchedStep Runner::launch(const Batch& batch) {
  if (ahead_) use_pages(batch, options_.page_size, *ahead_);
  state_->finish_writes();
  if (!batch.copies.empty()) state_->pages().copy_pages(page_copies(batch.copies));
  if (!batch.window_copies.empty())
    state_->window_pages().copy_pages(page_copies(batch.window_copies));
  restore_states(batch);
  encoder_.run(batch.encode);
  LaunchedStep step;
  step.encoded = step.laid_out = now();
  if (batch.chunks.empty()) return step;
  compute(batch, step);
  return step;
}

// Snapshots are copied first: a sequence may begin anew in a slot that was one until now.
void Runner::restore_states(const Batch& batch) {
  std::vector<nn::PagePools::PageCopy> copies;
  std::vector<std::int32_t> empty;
  for (const auto& [from, to] : batch.restores) {
    if (!from)
      empty.push_back(to);
    else if (*from != to)
      copies.push_back({*from, to});
  }
  if (!copies.empty()) state_->slots().copy_pages(copies);
  state_->slots().clear_pages(empty);
}

// False where MLX must run the step.
bool Runner::replay(const Batch& batch, StepMasks& masks, LaunchedStep& step) {
  if (!replays_ || !replays_->takes(batch)) return false;
  if (!masks.any()) step.rows = sample_rows(batch, masks);
  const bool chooses =
      !masks.any() && std::all_of(step.rows.begin(), step.rows.end(), plainly_greedy);
  const auto replayed = replays_->launch(batch, *state_, chooses, sampled_);
  if (!replayed) return false;
  step.laid_out = now();
  if (masks.any()) step.rows = sample_rows(batch, masks);
  if (const auto chosen = chooses ? replayed->chosen : replays_->choose(step.rows)) {
    sampled_ = chosen->ids;
    step.request = chosen->request;
    for (auto& row : step.rows) row.allowed = {};
    return true;
  }
  sample_step(mx::astype(replayed->logits, mx::float32), masks, step, std::vector<mx::array>{});
  return true;
}

void Runner::compute(const Batch& batch, LaunchedStep& step) {
  StepMasks masks(batch, model_->traits().vocab_size, options_.cpu ? nullptr : &mask_threads_);
  if (replay(batch, masks, step)) return;
  const auto input = lay_out(batch);
  step.laid_out = now();
  state_->take_over_pools();
  auto logits = model_->forward(input, *state_);
  auto results = state_->arrays();
  if (masks.any()) {  // a GPU computes while the masks are waited for
    const auto made = kernels::gpu::before_cast(logits);
    results.push_back(made);
    mx::async_eval(std::exchange(results, {}));
    logits = mx::astype(made, mx::float32);
  }
  step.rows = sample_rows(batch, masks);
  // Where all rows decode, our kernels write pools that MLX takes for unchanged: something else must want them run.
  if (step.rows.empty()) results.push_back(logits);
  sample_step(logits, masks, step, std::move(results));
  for (const auto* pools : {&state_->pages(), &state_->window_pages(), &state_->slots()})
    if (pools->size() > 0) step.done.push_back(pools->arrays().back());
}

// With what else the step shall compute.
void Runner::sample_step(const mx::array& logits, StepMasks& masks, LaunchedStep& step,
                         std::vector<mx::array> results) {
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
  mx::async_eval(std::move(results));
  for (auto& row : step.rows) row.allowed = {};
}

// Each array by itself: mx::eval() would wait for the step behind this one, too.
StepTokens Runner::read(const Batch& batch, const LaunchedStep& step) {
  if (step.request) return hand_out(batch, replays_->read(*step.request).data(), {});
  for (auto array : step.done) array.wait();
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

models::StepInput Runner::lay_out(const Batch& batch) {
  std::vector<std::int32_t> tokens, device_token_indices, logit_rows;
  const int axes = model_->traits().position_axes;
  std::vector<std::vector<std::int32_t>> positions(static_cast<std::size_t>(axes));
  std::vector<kernels::ContextRows> contexts, window_contexts;
  std::vector<models::MediaRows> media;
  std::vector<kernels::StateRows> states;
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
    if (!chunk.window_pages.empty())
      window_contexts.push_back({chunk.window_pages, static_cast<int>(end), chunk.count});
    add_states(chunk, static_cast<int>(tokens.size()) - chunk.count, states);
  }
  // A step in the middle of a long prompt wants no logits; the last row stands in, since arrays are never empty.
  if (logit_rows.empty()) logit_rows.push_back(static_cast<std::int32_t>(tokens.size()) - 1);
  const auto layout_of = [&](const std::vector<kernels::ContextRows>& rows) {
    return kernels::make_layout(rows, options_.page_size, options_.cpu,
                                nn::by_gpu_kernels(model_->traits().layers, options_.kv));
  };
  std::vector<std::int32_t> flat;
  for (const auto& axis : positions) flat.insert(flat.end(), axis.begin(), axis.end());
  return {token_array(tokens, device_token_indices),
          mx::reshape(int_array(flat), {axes, static_cast<int>(tokens.size())}),
          text_positions,
          int_array(logit_rows),
          layout_of(contexts),
          std::move(media),
          std::move(states),
          window_contexts.empty() ? std::nullopt : std::optional(layout_of(window_contexts))};
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
