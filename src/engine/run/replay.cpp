#include "engine/run/replay.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <variant>

#include "base/log.h"
#include "engine/run/logit_edits.h"
#include "kernels/gpu/attention.h"
#include "kernels/gpu/choice.h"
#include "kernels/gpu/tokens.h"

namespace pippin::engine {
namespace {

namespace gpu = kernels::gpu;
using gpu::part_tokens;

constexpr int max_rows = 128;
constexpr int least_parts = 8;
constexpr std::size_t max_steps = 64;  // that are kept

int in_eights(int count) { return (count + 7) / 8 * 8; }

mx::array zeros(int count) {
  mx::clear_cache();  // what MLX keeps may be memory of the host's that moves
  auto memory = mx::zeros({count}, mx::int32);
  memory.eval();
  return memory;
}

// Rows of pictures have embeddings of their own.
bool shows_picture(const Chunk& chunk) {
  const auto& media = chunk.sequence->media;
  return std::any_of(media.begin(), media.end(), [&](const MediaItem& item) {
    return item.span.begin < chunk.end() && chunk.begin < item.span.begin + item.span.length;
  });
}

int words_of_mask(std::int64_t vocabulary) { return static_cast<int>((vocabulary + 31) / 32); }

mx::array part_of(const mx::array& memory, int begin, mx::Shape shape) {
  return gpu::view_of(memory, static_cast<std::size_t>(begin) * sizeof(std::int32_t),
                      std::move(shape), mx::int32);
}

}  // namespace

std::unique_ptr<Replays> Replays::make(const models::Model& model, int page_size, bool windows) {
  // Recurrent layers keep their states by MLX's operations.
  const auto& layers = model.traits().layers;
  if (std::any_of(layers.begin(), layers.end(), [](const auto& layer) {
        return std::holds_alternative<nn::RecurrentState>(layer);
      }))
    return nullptr;
  const auto* executor = gpu::executor();
  auto player = executor ? executor->make_player() : nullptr;
  if (!player || part_tokens % page_size) return nullptr;
  return std::unique_ptr<Replays>(new Replays(model, page_size, windows, std::move(player)));
}

Replays::Replays(const models::Model& model, int page_size, bool windows,
                 std::unique_ptr<gpu::Player> player)
    : model_(model),
      page_size_(page_size),
      windows_(windows),
      player_(std::move(player)),
      input_(zeros(1 << 14)),
      tokens_(zeros(max_rows)),
      sampling_{zeros(8 * (max_rows + 1)),
                zeros(max_rows * words_of_mask(model.traits().vocab_size)), zeros(1 << 14)} {}

bool Replays::takes(const Batch& batch) const {
  return !refused_.contains(static_cast<int>(batch.chunks.size())) && batch.encode.empty() &&
         batch.restores.empty() && !batch.chunks.empty() && batch.chunks.size() <= max_rows &&
         std::all_of(batch.chunks.begin(), batch.chunks.end(), [](const Chunk& chunk) {
           return chunk.count == 1 && chunk.sample && scored_rows(chunk).size() == 0 &&
                  !shows_picture(chunk);
         });
}

Replays::Shape Replays::shape_of(const Batch& batch, bool chooses) const {
  std::int64_t longest = 1;
  bool text = true;
  for (const auto& chunk : batch.chunks) {
    longest = std::max(longest, chunk.end());
    text = text && chunk.sequence->positions.one_axis(chunk.begin, chunk.end());
  }
  const auto parts = static_cast<unsigned>((longest + part_tokens - 1) / part_tokens);
  return {static_cast<int>(batch.chunks.size()),
          std::max(least_parts, static_cast<int>(std::bit_ceil(parts))), chooses, text};
}

int Replays::table_width(const Shape& shape) const {
  return shape.parts * (part_tokens / page_size_);
}

Replays::Sections Replays::sections_of(const Shape& shape) const {
  const int each = in_eights(shape.rows), axes = model_.traits().position_axes;
  Sections s{};
  s.from = s.known + each;
  s.positions = s.from + each;
  s.lengths = s.positions + in_eights(axes * shape.rows);
  s.slots = s.lengths + each;
  s.table = s.slots + each;
  const int table = shape.rows * table_width(shape);
  s.window_slots = s.table + table;
  s.window_table = s.window_slots + (windows_ ? each : 0);
  s.end = s.window_table + (windows_ ? table : 0);
  return s;
}

std::vector<std::int32_t> Replays::input_of(const Batch& batch, const Shape& shape) const {
  const auto s = sections_of(shape);
  const int axes = model_.traits().position_axes, width = table_width(shape);
  std::vector<std::int32_t> input(static_cast<std::size_t>(s.end));
  const auto set = [&](int at, std::int64_t value) {
    input[static_cast<std::size_t>(at)] = static_cast<std::int32_t>(value);
  };
  for (int row = 0; row < shape.rows; ++row) {
    const auto& chunk = batch.chunks[static_cast<std::size_t>(row)];
    const auto& sequence = *chunk.sequence;
    const auto at = chunk.begin;
    set(s.from + row, chunk.device_token_index);
    if (chunk.device_token_index < 0)
      set(s.known + row, sequence.tokens[static_cast<std::size_t>(at)]);
    for (int axis = 0; axis < axes; ++axis)
      set(s.positions + axis * shape.rows + row, sequence.positions.at(axis, at));
    set(s.lengths + row, at + 1);
    const auto set_pages = [&](const std::vector<PageId>& pages, int slots, int table) {
      const auto page = pages[static_cast<std::size_t>(at / page_size_)];
      set(slots + row, std::int64_t{page} * page_size_ + at % page_size_);
      const auto used = std::min<std::int64_t>(at / page_size_ + 1, width);
      std::copy_n(pages.begin(), used, input.begin() + table + row * width);
    };
    set_pages(sequence.pages, s.slots, s.table);
    if (windows_) set_pages(chunk.window_pages, s.window_slots, s.window_table);
  }
  return input;
}

std::vector<void*> Replays::places_of(const nn::ModelState& state) const {
  std::vector<void*> places;
  for (const auto* pools : {&state.pages(), &state.window_pages()})
    for (const auto& pool : pools->arrays()) places.push_back(player_->place_of(pool));
  return places;
}

// Known, from, positions, lengths, slots and table, and of windows the last two again.
std::vector<mx::array> Replays::views_of(const Shape& shape) const {
  const auto s = sections_of(shape);
  const int each = in_eights(shape.rows);
  const mx::Shape table = {shape.rows, table_width(shape)};
  std::vector<mx::array> views = {
      part_of(input_, s.known, {each}),
      part_of(input_, s.from, {each}),
      part_of(input_, s.positions, {model_.traits().position_axes, shape.rows}),
      part_of(input_, s.lengths, {each}),
      part_of(input_, s.slots, {each}),
      part_of(input_, s.table, table)};
  if (!windows_) return views;
  views.push_back(part_of(input_, s.window_slots, {each}));
  views.push_back(part_of(input_, s.window_table, table));
  return views;
}

models::StepInput Replays::step_input(gpu::Executor& recorder, const Shape& shape,
                                      const std::vector<mx::array>& views) const {
  const auto tokens = gpu::pick_tokens(recorder, views[0], views[1], tokens_, shape.rows);
  const auto layout_of = [&](const mx::array& slots, const mx::array& table) {
    // MLX's operations, where the model wants some, take as many as there are rows.
    kernels::PagedLayout layout{mx::slice(slots, {0}, {shape.rows}), {}};
    layout.padded_write_slots = slots;
    layout.groups.push_back({0, shape.rows, 1, table});
    layout.groups.back().contexts =
        gpu::Contexts{table, views[3], shape.rows, page_size_, shape.parts * part_tokens};
    return layout;
  };
  models::StepInput input{
      tokens, views[2], shape.text_positions, std::nullopt, layout_of(views[4], views[5]), {}};
  if (windows_) input.window_layout = layout_of(views[6], views[7]);
  return input;
}

namespace {

// The pools as they are: MLX's operations put others in their place, which are nothing where their step is only written down.
class KeptPools {
 public:
  explicit KeptPools(nn::ModelState& state)
      : state_(state), pages_(state.pages().arrays()), windows_(state.window_pages().arrays()) {}
  ~KeptPools() {
    for (std::size_t i = 0; i < pages_.size(); ++i) state_.pages()[i] = pages_[i];
    for (std::size_t i = 0; i < windows_.size(); ++i) state_.window_pages()[i] = windows_[i];
  }
  KeptPools(const KeptPools&) = delete;
  KeptPools& operator=(const KeptPools&) = delete;

 private:
  nn::ModelState& state_;
  const std::vector<mx::array> pages_, windows_;
};

}  // namespace

std::optional<Replays::Step> Replays::record(const Shape& shape, nn::ModelState& state) {
  const auto views = views_of(shape);
  auto varying = views;
  varying.insert(varying.end(), {input_, tokens_});
  for (const auto* pools : {&state.pages(), &state.window_pages()})
    varying.insert(varying.end(), pools->arrays().begin(), pools->arrays().end());
  const KeptPools kept(state);
  gpu::Recorder recorder(gpu::executor()->writes_inputs(), varying);
  const gpu::UseExecutorHere use(&recorder);
  const auto logits = model_.forward(step_input(recorder, shape, views), state);
  if (shape.chooses && !gpu::finds_largest(&recorder, logits)) return {};
  std::vector<gpu::PlanOutput> outputs = {{gpu::before_cast(logits)}};
  if (shape.chooses) outputs.push_back({gpu::argmax(recorder, logits), tokens_});
  auto plan = recorder.finish(outputs);
  if (!plan) {
    spdlog::info("[gpu] MLX launches steps of {} rows: {} is none of our kernels", shape.rows,
                 recorder.refusal());
    return {};
  }
  num_launches_ = plan->launches.size();
  Step step{places_of(state), player_->prepare(std::move(*plan)), {}};
  const auto& made = outputs.front().made;
  step.logits = step.playback->output(0, made.shape(), made.dtype());
  return step;
}

// MLX gives their memory to others at once: none may still run.
void Replays::forget_steps() {
  mx::synchronize();
  steps_.clear();
  launched_ = nullptr;
}

Replays::Step* Replays::step_of(const Shape& shape, nn::ModelState& state) {
  const auto places = places_of(state);
  if (const auto found = steps_.find(shape); found != steps_.end()) {
    if (found->second.pools == places) return &found->second;
    forget_steps();  // the pools have moved
  }
  if (steps_.size() >= max_steps) forget_steps();
  const int end = sections_of(shape).end;
  if (static_cast<int>(input_.size()) < end) {
    forget_steps();  // they read the old one
    input_ = zeros(2 * end);
  }
  auto step = record(shape, state);
  if (!step) {
    refused_.insert(shape.rows);
    return nullptr;
  }
  return &steps_.emplace(shape, std::move(*step)).first->second;
}

std::optional<Replayed> Replays::launch(const Batch& batch, nn::ModelState& state, bool chooses,
                                        const std::optional<mx::array>& sampled) {
  int num_sampled = 0;  // that the step reads
  for (const auto& chunk : batch.chunks)
    num_sampled = std::max(num_sampled, chunk.device_token_index + 1);
  if (num_sampled > max_rows) return {};
  const auto shape = shape_of(batch, chooses);
  auto* step = step_of(shape, state);
  if (!step) return {};
  if (num_sampled > 0 && sampled->data_shared_ptr() != tokens_.data_shared_ptr())
    player_->copy(*sampled, tokens_, num_sampled);
  player_->upload(input_of(batch, shape), input_);
  step->playback->run();
  ++count_;
  launched_ = step;
  Replayed replayed{*step->logits, {}};
  if (chooses) replayed.chosen = ask_for_tokens(shape.rows);
  return replayed;
}

ReplayedTokens Replays::ask_for_tokens(int rows) {
  return {player_->ask(tokens_, rows), part_of(tokens_, 0, {rows})};
}

// ---- the choice of tokens, apart: masks are filled while the GPU computes the step

void Replays::make_room_for_edits(std::size_t count) {
  if (sampling_.edits.size() >= count) return;
  mx::synchronize();  // none may still read the old ones
  for (auto& [shape, step] : steps_) step.choices.clear();
  sampling_.edits = zeros(static_cast<int>(2 * count));
}

gpu::Playback& Replays::choice_of(Step& step, const gpu::SamplingKind& kind) {
  auto& choice = step.choices[kind];
  if (choice) return *choice;
  const auto& logits = *step.logits;
  gpu::Recorder recorder(gpu::executor()->writes_inputs(),
                         {logits, tokens_, sampling_.words, sampling_.masks, sampling_.edits});
  const auto tokens = gpu::sample(recorder, logits, sampling_, kind);
  auto plan = recorder.finish({{tokens, tokens_}});  // launches alone
  choice = player_->prepare(std::move(*plan));
  return *choice;
}

std::optional<ReplayedTokens> Replays::choose(const std::vector<SampleRow>& rows) {
  const auto asks_more = [](const SampleRow& row) {
    return row.options.top_logprobs >= 0 || row.escape >= 0 || row.given >= 0;
  };
  const auto& logits = *launched_->logits;
  if (!gpu::can_sample(gpu::executor(), logits) || std::any_of(rows.begin(), rows.end(), asks_more))
    return {};
  const auto input = sampling_input(rows, logits.shape(1));
  if (!gpu::chosen(gpu::sampling_use(logits, input.kind()))) return {};
  make_room_for_edits(input.edits().size());
  auto& choice = choice_of(*launched_, input.kind());
  player_->upload(input.words(), sampling_.words);
  if (input.kind().masks) player_->upload(input.masks(), sampling_.masks);
  if (input.kind().edits) player_->upload(input.edits(), sampling_.edits);
  choice.run();
  return ask_for_tokens(input.rows());
}

}  // namespace pippin::engine
