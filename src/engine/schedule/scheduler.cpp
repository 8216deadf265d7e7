#include "engine/schedule/scheduler.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <tuple>
#include <utility>

namespace pippin::engine {
namespace {

std::int64_t remaining(const Sequence& sequence) {
  return sequence.num_to_compute() - sequence.num_planned();
}

// Its next tokens are to be computed at once: the last one, or what its constraint has forced it to say. Not a prompt.
bool is_stream(const Sequence& sequence) {
  if (remaining(sequence) == 1) return true;
  return sequence.num_to_compute() > sequence.num_prompt &&
         sequence.num_planned() >= sequence.num_prompt;
}

// The most rows of one step that a stream was forced to say: others wait for these, too.
constexpr int max_forced_rows = 64;

std::int64_t end_of(const MediaItem& item) { return item.span.begin + item.span.length; }

// Why a sequence can't go on, where it can't.
std::optional<Error> failure_of(const Sequence& sequence, double now_ms) {
  for (const auto& item : sequence.media)
    if (!item.failure.empty()) return Error(Code::unavailable, item.failure, item.field);
  if (sequence.deadline_ms <= now_ms)
    return Error(Code::deadline_exceeded,
                 "the answer did not end in the time that the request may take");
  return {};
}

bool is_stalled(const std::shared_ptr<Sequence>& sequence) { return sequence->stalled; }

}  // namespace

void Scheduler::add(std::shared_ptr<Sequence> sequence) {
  const double work_ms =
      budget_.prefill_ms(static_cast<double>(placement_.unknown_tokens(*sequence)));
  sequence->order = {sequence->priority, options_.now_ms() + work_ms, ++num_added_};
  wait(sequence);
}

void Scheduler::wait(const std::shared_ptr<Sequence>& sequence) {
  waiting_.emplace(sequence->order, sequence);
}

void Scheduler::run(const std::shared_ptr<Sequence>& sequence) {
  const auto place =
      std::upper_bound(running_.begin(), running_.end(), sequence->order,
                       [](const Order& order, const auto& other) { return order < other->order; });
  running_.insert(place, sequence);
}

Batch Scheduler::next(bool ahead) {
  ahead_ = ahead;
  pictures_missing_ = false;
  drop_dead();
  ++step_;
  placement_.begin_step();
  Batch batch;
  plan_decode(batch);
  admit(batch);
  plan_prefill(batch);
  number_sampled_rows(batch);
  placement_.step_planned(batch);
  encoding_ = !batch.encode.empty();
  planned_ = nullptr;
  return batch;
}

void Scheduler::number_sampled_rows(const Batch& batch) {
  int row = 0;
  for (const auto& chunk : batch.chunks)
    if (chunk.sample) chunk.sequence->index_in_sampled_batch = row++;
}

bool Scheduler::may_run_ahead(const Batch& batch) const {
  return !pictures_missing_ && batch.num_scored == 0 &&
         std::none_of(batch.chunks.begin(), batch.chunks.end(), [](const Chunk& chunk) {
           return chunk.sample && chunk.sequence->needs_tokens_read();
         });
}

void Scheduler::observe(const Batch& batch, double ms) {
  // How long encoding takes says nothing of tokens.
  if (batch.encode.empty())
    budget_.observe(batch.num_decode, batch.num_tokens - batch.num_decode, ms);
}

void Scheduler::drop_dead() {
  num_stalled_ = 0;
  const double now_ms = options_.now_ms();
  // One by one: where one can't be dropped all others stay where they are.
  for (auto it = running_.begin(); it != running_.end();)
    it = is_dead(*it, now_ms) ? running_.erase(it) : it + 1;
  std::erase_if(waiting_, [&](const auto& entry) { return is_dead(entry.second, now_ms); });
}

// Told of its end, then.
bool Scheduler::is_dead(const std::shared_ptr<Sequence>& sequence, double now_ms) {
  planned_ = sequence;
  if (const auto failure = failure_of(*sequence, now_ms)) {
    sequence->output->fail(*failure);
  } else if (!sequence->output->cancelled()) {
    sequence->stalled = sequence->output->stalled();  // once, since its reader reads meanwhile
    num_stalled_ += sequence->stalled;
    return false;
  }
  placement_.retire(*sequence);
  return true;
}

void Scheduler::plan_decode(Batch& batch) {
  // By index: preempting shortens running_, possibly by the very sequence that asks.
  for (std::size_t i = 0; i < running_.size() && batch.num_tokens < options_.max_batch_tokens;
       ++i) {
    if (!is_stream(*running_[i]) || running_[i]->loading_from_disk || is_stalled(running_[i]))
      continue;
    planned_ = running_[i];
    while (i < running_.size() &&
           !placement_.ensure_pages(*running_[i], running_[i]->num_to_compute())) {
      const auto victim = last_stalled().value_or(running_.size() - 1);
      preempt(victim);
      if (victim < i) --i;
    }
    if (i < running_.size())
      add_chunk(batch, running_[i],
                std::min(options_.max_batch_tokens, batch.num_tokens + max_forced_rows));
  }
  const auto forced = std::stable_partition(batch.chunks.begin(), batch.chunks.end(),
                                            [](const Chunk& chunk) { return chunk.count == 1; });
  batch.num_decode = static_cast<int>(forced - batch.chunks.begin());
}

void Scheduler::plan_prefill(Batch& batch) {
  auto prompts = prompts_to_compute(batch);
  if (prompts.empty()) return;
  int tokens = budget_.prefill_tokens(batch.num_decode);
  // The encoder takes its half of the step's time.
  if (encoding_ && batch.num_decode > 0) tokens = (tokens + 1) / 2;
  const int end = std::min(options_.max_batch_tokens, batch.num_tokens + tokens);
  std::sort(prompts.begin() + 1, prompts.end(), [](const auto& a, const auto& b) {
    return std::tuple(remaining(*a), a->order) < std::tuple(remaining(*b), b->order);
  });
  const auto of_first = std::min<std::int64_t>(remaining(*prompts.front()), (tokens + 1) / 2);
  for (std::size_t i = 1; i < prompts.size(); ++i)
    add_chunk(batch, prompts[i], end - static_cast<int>(of_first));
  add_chunk(batch, prompts.front(), end);
}

// Those that have none any more, since the disk did not give what it seemed to have.
void Scheduler::wait_for_pages() {
  const auto first =
      std::stable_partition(running_.begin(), running_.end(),
                            [](const auto& sequence) { return !sequence->pages.empty(); });
  for (auto it = first; it != running_.end(); ++it) wait(*it);
  running_.erase(first, running_.end());
}

// In order.
std::vector<std::shared_ptr<Sequence>> Scheduler::prompts_to_compute(Batch& batch) {
  std::vector<std::shared_ptr<Sequence>> prompts;
  for (const auto& sequence : running_) {
    planned_ = sequence;
    if (sequence->planned_in == step_ || remaining(*sequence) == 0 || is_stalled(sequence))
      continue;
    if (sequence->loading_from_disk) {
      if (!placement_.finish_loading(*sequence, batch, !batch.chunks.empty())) continue;
      if (sequence->pages.empty()) continue;
      count_admission(*sequence);
    }
    prompts.push_back(sequence);
  }
  wait_for_pages();
  return prompts;
}

void Scheduler::admit(Batch& batch) {
  for (auto it = waiting_.begin(); it != waiting_.end() && wants_more_prompts();) {
    const auto sequence = planned_ = it->second;
    if (is_stalled(sequence) || placement_.computed_by_another(*sequence)) {
      ++it;
      continue;
    }
    if (!make_room(*sequence, batch)) return;  // in order: a later, shorter one must not starve it
    run(sequence);
    it = waiting_.erase(it);
    if (!sequence->loading_from_disk) count_admission(*sequence);
  }
}

// Those whose answers nobody takes make way.
bool Scheduler::make_room(Sequence& sequence, Batch& batch) {
  while (running_.size() >= static_cast<std::size_t>(options_.max_sequences) ||
         !placement_.place(sequence, batch, running_.size())) {
    const auto held = last_stalled();
    if (!held) return false;
    preempt(*held);
  }
  return true;
}

// Beside the first one, prompts for two steps are enough to choose from; more would only hold pages.
bool Scheduler::wants_more_prompts() const {
  if (running_.size() >= static_cast<std::size_t>(options_.max_sequences) && !last_stalled())
    return false;
  std::int64_t tokens = 0;
  bool first = true;
  for (const auto& sequence : running_)
    if (remaining(*sequence) > 1 && !std::exchange(first, false)) tokens += remaining(*sequence);
  return tokens < 2 * options_.max_batch_tokens;
}

void Scheduler::count_admission(Sequence& sequence) {
  if (std::exchange(sequence.admitted, true)) return;  // it comes back from preemption
  counters_.prompt_tokens += sequence.num_prompt;
  counters_.cached_tokens += sequence.num_computed;
  sequence.output->set_cached_tokens(sequence.num_computed);
  sequence.output->note_admitted();
  placement_.count_match(sequence, counters_.prefixes);
}

// What is to be known of it before the first token.
void Scheduler::tell_prompt(const Sequence& sequence) {
  count_encoded(sequence);
  if (sequence.sampling.prompt_logprobs < 0) return;
  auto first = std::make_shared<AnswerToken>();
  first->token = sequence.tokens.front();
  std::vector<TokenLogprobs> all{std::move(first)};
  all.insert(all.end(), sequence.scores.begin(), sequence.scores.end());
  sequence.output->set_prompt_logprobs(std::move(all));
}

void Scheduler::count_encoded(const Sequence& sequence) {
  std::int64_t count = 0;
  for (const auto& item : sequence.media)
    if (item.encoded)
      count += end_of(item) - std::max(item.span.begin, sequence.output->cached_tokens());
  sequence.output->set_encoded_tokens(count);
}

void Scheduler::add_chunk(Batch& batch, const std::shared_ptr<Sequence>& sequence, int max_tokens) {
  const auto count = std::min<std::int64_t>(computable_tokens(batch, *sequence),
                                            std::max(0, max_tokens - batch.num_tokens));
  if (count == 0) return;
  add_chunk_of(batch, sequence, std::min(count, scorable_tokens(batch, *sequence)));
}

void Scheduler::add_chunk_of(Batch& batch, const std::shared_ptr<Sequence>& sequence,
                             std::int64_t count) {
  planned_ = sequence;
  const auto begin = sequence->num_planned(), end = begin + count;
  const bool sample = end == sequence->num_to_compute();
  const int device_token_index =
      begin < sequence->num_tokens() ? -1 : sequence->index_in_sampled_batch;
  batch.chunks.push_back({sequence, begin, static_cast<int>(count), sample, device_token_index,
                          sequence->placement_epoch});
  batch.num_tokens += static_cast<int>(count);
  batch.num_scored += static_cast<int>(scored_rows(batch.chunks.back()).size());
  sequence->num_under_way += count;
  sequence->num_unread += sample;
  sequence->planned_in = step_;
  placement_.prepare(batch.chunks.back());
}

// With as many scored rows as the step has room for, or one, so that every prompt gets on.
std::int64_t Scheduler::scorable_tokens(const Batch& batch, const Sequence& sequence) const {
  if (!sequence.unscored()) return std::numeric_limits<std::int64_t>::max();
  const auto plain = std::max<std::int64_t>(sequence.num_scored() - sequence.num_planned(), 0);
  return plain + std::max(max_scored_rows - batch.num_scored, 1);
}

// Up to the first picture that is not encoded; what is missing is asked for, but not ahead.
std::int64_t Scheduler::computable_tokens(Batch& batch, Sequence& sequence) {
  const auto begin = sequence.num_planned();
  auto end = sequence.num_to_compute();
  for (auto& item : sequence.media) {
    if (!media_ || end_of(item) <= begin) continue;
    const bool coming = !item.features && media_->look_up(item);
    if (item.features) continue;
    end = std::min(end, std::max(item.span.begin, begin));
    if (coming) continue;
    pictures_missing_ = true;
    if (!ahead_) batch.encode.push_back(&item);
  }
  return end - begin;
}

std::optional<std::size_t> Scheduler::last_stalled() const {
  const auto found = std::find_if(running_.rbegin(), running_.rend(), is_stalled);
  if (found == running_.rend()) return {};
  return static_cast<std::size_t>(running_.rend() - found) - 1;
}

void Scheduler::preempt(std::size_t index) {
  const auto sequence = running_[index];
  placement_.retire(*sequence);
  wait(sequence);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  ++counters_.preemptions;
}

std::optional<FinishReason> Scheduler::append(Sequence& sequence, std::int32_t token,
                                              TokenLogprobs logprobs) {
  sequence.tokens.push_back(token);
  ++counters_.generated_tokens;
  if (sequence.constraint) sequence.constraint->check();
  if (sequence.is_end(token)) return FinishReason::stop;
  sequence.output->push(token, std::move(logprobs));
  if (sequence.constraint) {
    sequence.constraint->accept(token);
    if (sequence.constraint->finished()) return FinishReason::stop;
  }
  if (sequence.num_generated() >= sequence.max_tokens) return FinishReason::length;
  return {};
}

std::optional<FinishReason> Scheduler::extend(Sequence& sequence, std::int32_t token,
                                              TokenLogprobs logprobs) {
  const auto said = sequence.constraint ? sequence.constraint->instead_of(token) : token;
  // What was not sampled has no probability.
  auto reason = append(sequence, said, said == token ? std::move(logprobs) : nullptr);
  while (!reason && sequence.constraint) {
    const auto forced = sequence.constraint->forced();
    if (forced.empty()) break;
    for (const auto next : forced)
      if ((reason = append(sequence, next, nullptr))) break;
  }
  return reason;
}

void Scheduler::take(const std::shared_ptr<Sequence>& sequence, std::int32_t token,
                     TokenLogprobs logprobs) {
  std::optional<FinishReason> reason;
  std::optional<Error> failure;
  try {
    reason = extend(*sequence, token, std::move(logprobs));
  } catch (const Error& error) {
    failure = error;
  }
  if (!reason && !failure) return;
  placement_.retire(*sequence);
  std::erase(running_, sequence);
  if (failure)
    sequence->output->fail(*failure);
  else
    sequence->output->finish(*reason);
}

void Scheduler::commit(const Batch& batch, const std::vector<std::int32_t>& tokens,
                       const std::vector<TokenLogprobs>& logprobs) {
  std::size_t sampled = 0;
  for (const auto& chunk : batch.chunks) {
    Sequence& sequence = *chunk.sequence;
    const auto row = sampled;
    sampled += chunk.sample;
    if (chunk.placement_epoch != sequence.placement_epoch) {
      counters_.wasted_tokens += chunk.count;
      placement_.release_saves(chunk);
      continue;
    }
    sequence.num_computed += chunk.count;
    sequence.num_under_way -= chunk.count;
    sequence.num_unread -= chunk.sample;
    for (auto& item : sequence.media)
      if (end_of(item) <= sequence.num_computed) item.features.reset();
    placement_.publish_full_pages(sequence);
    placement_.publish_snapshots(chunk);
    placement_.advance(sequence);
    if (!chunk.sample) continue;
    if (sequence.num_generated() == 0) tell_prompt(sequence);
    take(chunk.sequence, tokens[row], logprobs.empty() ? nullptr : logprobs[row]);
  }
}

void Scheduler::fail(const Batch& batch, const Error& error) noexcept {
  for (const auto& chunk : batch.chunks) {
    if (chunk.placement_epoch != chunk.sequence->placement_epoch) continue;
    std::erase(running_, chunk.sequence);
    lose_place(*chunk.sequence);
    chunk.sequence->output->fail(error);
  }
}

void Scheduler::fail_plan(const Error& error) noexcept {
  auto failed = std::exchange(planned_, nullptr);
  if (!failed && !running_.empty()) failed = running_.back();
  if (!failed && !waiting_.empty()) failed = waiting_.rbegin()->second;
  if (!failed) return;
  std::erase(running_, failed);
  waiting_.erase(failed->order);
  lose_place(*failed);
  failed->output->fail(error);
}

void Scheduler::start_over() {
  for (const auto& sequence : running_) wait(sequence);
  counters_.preemptions += static_cast<std::int64_t>(running_.size());
  running_.clear();
  for (const auto& [order, sequence] : waiting_) lose_place(*sequence);
  placement_.reset();
}

// All are told first, which takes no memory.
void Scheduler::fail_all(const Error& error) {
  for (const auto& [order, sequence] : waiting_) sequence->output->fail(error);
  waiting_.clear();
  for (const auto& sequence : running_) sequence->output->fail(error);
  for (; !running_.empty(); running_.pop_back()) placement_.free_pages(*running_.back());
}

double Scheduler::earliest_deadline_ms() const {
  double earliest = std::numeric_limits<double>::infinity();
  for (const auto& sequence : running_) earliest = std::min(earliest, sequence->deadline_ms);
  for (const auto& [order, sequence] : waiting_)
    earliest = std::min(earliest, sequence->deadline_ms);
  return earliest;
}

std::vector<PageId> Scheduler::pages_in_use() const {
  std::vector<PageId> pages;
  for (const auto& sequence : running_)
    pages.insert(pages.end(), sequence->pages.begin(), sequence->pages.end());
  return pages;
}

std::vector<PageId> Scheduler::window_owners_in_use() const {
  std::vector<PageId> owners;
  for (const auto& sequence : running_)
    for (auto i = sequence->window_begin; i < sequence->window_end; ++i)
      owners.push_back(sequence->pages[i]);
  return owners;
}

}  // namespace pippin::engine
