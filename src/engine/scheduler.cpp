#include "engine/scheduler.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace pippin::engine {
namespace {

std::int64_t remaining(const Sequence& sequence) {
  return sequence.num_tokens() - sequence.num_computed;
}

// Its next tokens are to be computed at once: the last one, or what its constraint has forced it to say. Not a prompt.
bool is_stream(const Sequence& sequence) {
  if (remaining(sequence) == 1) return true;
  return sequence.num_generated() > 0 && sequence.num_computed >= sequence.num_prompt;
}

// Of what a stream was forced to say, rows in one step: others wait for these, too.
constexpr int max_forced_rows = 64;

std::int64_t end_of(const MediaItem& item) { return item.span.begin + item.span.length; }

// Why a sequence can't go on; "" while it can.
std::string failure_of(const Sequence& sequence) {
  for (const auto& item : sequence.media)
    if (!item.failure.empty()) return item.failure;
  return "";
}

}  // namespace

void Scheduler::add(std::shared_ptr<Sequence> sequence) {
  const double work_ms = budget_.prefill_ms(static_cast<double>(unknown_tokens(*sequence)));
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

Batch Scheduler::next() {
  drop_dead();
  ++step_;
  num_loads_ = 0;
  Batch batch;
  plan_decode(batch);
  admit(batch);
  plan_prefill(batch);
  encoding_ = !batch.encode.empty();
  return batch;
}

void Scheduler::observe(const Batch& batch, double ms) {
  // How long encoding takes says nothing of tokens.
  if (batch.encode.empty())
    budget_.observe(batch.num_decode, batch.num_tokens - batch.num_decode, ms);
}

void Scheduler::drop_dead() {
  const auto dead = [&](const std::shared_ptr<Sequence>& sequence) {
    if (const auto failure = failure_of(*sequence); !failure.empty())
      sequence->output->fail(Error(Code::unavailable, failure));
    else if (!sequence->output->cancelled())
      return false;
    retire(*sequence);
    return true;
  };
  std::erase_if(running_, dead);
  std::erase_if(waiting_, [&](const auto& entry) { return dead(entry.second); });
}

void Scheduler::plan_decode(Batch& batch) {
  // By index: preempting shortens running_ from its end, possibly by the very sequence that asks.
  for (std::size_t i = 0; i < running_.size() && batch.num_tokens < options_.max_batch_tokens;
       ++i) {
    if (!is_stream(*running_[i]) || running_[i]->reading) continue;
    while (i < running_.size() && !ensure_pages(*running_[i], running_[i]->num_tokens()))
      preempt_last();
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

// In order.
std::vector<std::shared_ptr<Sequence>> Scheduler::prompts_to_compute(Batch& batch) {
  std::vector<std::shared_ptr<Sequence>> prompts;
  for (const auto& sequence : running_) {
    if (sequence->planned_in == step_) continue;
    if (sequence->reading && !finish_reading(batch, *sequence)) continue;
    prompts.push_back(sequence);
  }
  return prompts;
}

void Scheduler::admit(Batch& batch) {
  for (auto it = waiting_.begin(); it != waiting_.end() && wants_more_prompts();) {
    const auto sequence = it->second;
    if (computed_by_another(*sequence)) {
      ++it;
      continue;
    }
    if (!place(*sequence, batch)) return;  // in order: a later, shorter one must not starve it
    it = waiting_.erase(it);
    run(sequence);
    announce(*sequence);
    if (!sequence->reading) count_admission(*sequence);
  }
}

// Beside the first one, prompts for two steps are enough to choose from; more would only hold pages.
bool Scheduler::wants_more_prompts() const {
  if (running_.size() >= static_cast<std::size_t>(options_.max_sequences)) return false;
  std::int64_t tokens = 0;
  bool first = true;
  for (const auto& sequence : running_)
    if (remaining(*sequence) > 1 && !std::exchange(first, false)) tokens += remaining(*sequence);
  return tokens < 2 * options_.max_batch_tokens;
}

// Of its prompt, as of now.
std::int64_t Scheduler::unknown_tokens(Sequence& sequence) {
  auto& known = sequence.num_known;
  const auto most = pages_.reuse() ? num_reusable(sequence) : 0;
  while (known < most && pages_.published(key_of(sequence, known))) ++known;
  return sequence.num_tokens() - static_cast<std::int64_t>(known) * pages_.page_size();
}

bool Scheduler::computed_by_another(Sequence& sequence) {
  if (announced_.empty()) return false;
  unknown_tokens(sequence);
  return sequence.num_known < num_reusable(sequence) &&
         announced_.count(key_of(sequence, sequence.num_known)) > 0;
}

void Scheduler::announce(Sequence& sequence) {
  if (!pages_.reuse()) return;
  sequence.num_announced = num_reusable(sequence);
  for (auto i = sequence.num_published; i < sequence.num_announced; ++i)
    announced_.insert(key_of(sequence, i));
}

bool Scheduler::place(Sequence& sequence, Batch& batch) {
  if (!may_have_room(sequence)) return false;
  match_pages(sequence);
  if (states_) return place_with_state(sequence, batch);
  if (!has_room_to_start(sequence)) {
    free_pages(sequence);
    return false;
  }
  sequence.reading = request_pages(sequence);
  auto source = find_beginning(sequence);
  if (source &&
      !has_room(sequence, sequence.num_tokens())) {  // it is the very page that is missing
    pages_.release(std::span(&source->page, 1));
    source.reset();
  }
  ensure_pages(sequence, sequence.num_tokens());
  if (!source) return true;
  batch.copies.push_back({source->page, sequence.pages[sequence.num_published]});
  sequence.num_computed += source->tokens;
  return true;
}

// The prefix is cut to one after which there is a snapshot.
bool Scheduler::place_with_state(Sequence& sequence, Batch& batch) {
  std::optional<StateSlot> snapshot;
  while (!sequence.pages.empty() && !(snapshot = states_->find(parent_key(sequence)))) {
    pages_.release(std::span(&sequence.pages.back(), 1));
    sequence.pages.pop_back();
    --sequence.num_published;
    sequence.num_computed -= pages_.page_size();
  }
  // There is no slot while the step's own snapshots take the last ones.
  if (has_room_to_start(sequence)) sequence.state = states_->acquire();
  if (!sequence.state) {
    free_pages(sequence);
    return false;
  }
  ensure_pages(sequence, sequence.num_tokens());
  batch.restores.push_back({snapshot, *sequence.state});
  return true;
}

// Of the page that is computed first. What comes from disk is whole.
std::optional<PageCache::Beginning> Scheduler::find_beginning(const Sequence& sequence) {
  if (sequence.reading) return {};
  // At least one token is computed, since its logits are wanted.
  const auto begin = sequence.num_computed,
             end = std::min(begin + pages_.page_size(), sequence.num_tokens() - 1);
  return pages_.find_beginning(parent_key(sequence), page_content(sequence, begin, end));
}

// Full pages that need not be computed; at least one token is, since its logits are wanted.
std::size_t Scheduler::num_reusable(const Sequence& sequence) const {
  return static_cast<std::size_t>((sequence.num_tokens() - 1) / pages_.page_size());
}

void Scheduler::match_pages(Sequence& sequence) {
  const auto most = num_reusable(sequence);
  while (sequence.pages.size() < most) {
    const auto index = sequence.pages.size();
    const auto begin = static_cast<std::int64_t>(index) * pages_.page_size();
    const auto page = pages_.find(key_of(sequence, index), parent_key(sequence),
                                  page_content(sequence, begin, begin + pages_.page_size()));
    if (!page) break;
    sequence.pages.push_back(*page);
    sequence.num_published = sequence.pages.size();
  }
  sequence.num_computed = static_cast<std::int64_t>(sequence.pages.size()) * pages_.page_size();
}

bool Scheduler::request_pages(Sequence& sequence) {
  if (!cold_) return false;
  auto& end = sequence.num_requested;
  end = std::max(end, sequence.num_published);
  const auto most =
      std::min(num_reusable(sequence),
               sequence.num_published + static_cast<std::size_t>(options_.max_pages_ahead));
  while (end < most && cold_->request(key_of(sequence, end))) ++end;
  return end > sequence.num_published;
}

bool Scheduler::finish_reading(Batch& batch, Sequence& sequence) {
  while (request_pages(sequence)) {
    const auto state = cold_->state(key_of(sequence, sequence.num_published));
    const bool beside = !batch.chunks.empty();
    if (state == ColdPages::State::coming || (beside && num_loads_ >= options_.max_loads_beside))
      return false;
    if (state == ColdPages::State::absent || !take_page(sequence)) break;
  }
  stop_reading(sequence);
  count_admission(sequence);
  return true;
}

bool Scheduler::take_page(Sequence& sequence) {
  const auto index = sequence.num_published;
  const auto key = key_of(sequence, index), parent = parent_key(sequence);
  const auto begin = static_cast<std::int64_t>(index) * pages_.page_size();
  auto content = page_content(sequence, begin, begin + pages_.page_size());
  auto& page = sequence.pages[index];
  // Another sequence may have taken it meanwhile: publishing gives us that one.
  if (!pages_.published(key)) {
    if (!cold_->load(key, parent, content, page)) return false;
    ++num_loads_;
  }
  const auto published = pages_.publish(page, parent, key, std::move(content), page_cost(begin));
  if (!published) return false;
  page = *published;
  announced_.erase(key);
  cold_->forget(key);
  ++sequence.num_published;
  sequence.num_computed += pages_.page_size();
  return true;
}

void Scheduler::stop_reading(Sequence& sequence) {
  for (; sequence.num_requested > sequence.num_published; --sequence.num_requested)
    cold_->forget(sequence.page_keys[sequence.num_requested - 1]);
  sequence.num_requested = 0;
  sequence.reading = false;
}

void Scheduler::count_admission(Sequence& sequence) {
  if (std::exchange(sequence.admitted, true)) return;  // it comes back from preemption
  counters_.prompt_tokens += sequence.num_prompt;
  counters_.cached_tokens += sequence.num_computed;
  sequence.output->set_cached_tokens(sequence.num_computed);
  sequence.output->note_admitted();
  count_match(sequence);
}

void Scheduler::count_match(const Sequence& sequence) {
  auto& count = counters_.prefixes;
  const auto begin = static_cast<std::int64_t>(sequence.num_published) * pages_.page_size(),
             end = std::min(begin + pages_.page_size(), sequence.num_tokens());
  if (sequence.num_computed == sequence.num_tokens() - 1) {
    ++count.whole;
    return;
  }
  const bool next_known = sequence.page_keys.size() > sequence.num_published;
  if (next_known && pages_.evicted_lately(sequence.page_keys[sequence.num_published])) {
    ++count.evicted;
    return;
  }
  if (sequence.num_computed == 0) {
    ++count.unknown;
    return;
  }
  const auto common = sequence.num_computed - begin;
  const auto* known = pages_.continuation(parent_key(sequence), page_content(sequence, begin, end));
  if (!known || static_cast<std::int64_t>(known->tokens.size()) <= common) {
    ++count.extended;
    return;
  }
  ++count.diverged;
  sequence.output->set_divergence(
      {sequence.num_computed,
       {known->tokens.begin() + common, known->tokens.end()},
       {sequence.tokens.begin() + sequence.num_computed, sequence.tokens.begin() + end}});
}

void Scheduler::count_encoded(const Sequence& sequence) {
  std::int64_t count = 0;
  for (const auto& item : sequence.media)
    if (item.encoded)
      count += end_of(item) - std::max(item.span.begin, sequence.output->cached_tokens());
  sequence.output->set_encoded_tokens(count);
}

std::size_t Scheduler::num_pages_for(std::int64_t num_tokens) const {
  return static_cast<std::size_t>((num_tokens + pages_.page_size() - 1) / pages_.page_size());
}

bool Scheduler::has_room(const Sequence& sequence, std::int64_t num_tokens) const {
  return num_pages_for(num_tokens) <=
         sequence.pages.size() + static_cast<std::size_t>(pages_.num_available());
}

// Without looking its pages up again at every step.
bool Scheduler::may_have_room(Sequence& sequence) {
  unknown_tokens(sequence);
  return num_pages_for(sequence.num_tokens()) <=
         sequence.num_known + static_cast<std::size_t>(pages_.num_available());
}

// Each that runs may need a page soon.
bool Scheduler::has_room_to_start(const Sequence& sequence) const {
  const auto reserve = static_cast<std::int64_t>(running_.size()) * pages_.page_size();
  return has_room(sequence, sequence.num_tokens() + reserve);
}

bool Scheduler::ensure_pages(Sequence& sequence, std::int64_t num_tokens) {
  if (!has_room(sequence, num_tokens)) return false;
  while (sequence.pages.size() < num_pages_for(num_tokens))
    sequence.pages.push_back(*pages_.allocate());
  return true;
}

void Scheduler::add_chunk(Batch& batch, const std::shared_ptr<Sequence>& sequence, int max_tokens) {
  auto count = std::min<std::int64_t>(computable_tokens(batch, *sequence),
                                      std::max(0, max_tokens - batch.num_tokens));
  if (states_) count = std::min(count, to_next_snapshot(*sequence));
  if (count == 0) return;
  const auto end = sequence->num_computed + count;
  batch.chunks.push_back({sequence, static_cast<int>(count), end == sequence->num_tokens()});
  batch.num_tokens += static_cast<int>(count);
  sequence->planned_in = step_;
  if (states_) save_snapshot(batch, *sequence, end);
}

// Snapshots are taken at even distances, and where the last full page of a prompt ends: another turn goes on from there.
std::int64_t Scheduler::to_next_snapshot(const Sequence& sequence) const {
  const auto every = states_->snapshot_tokens();
  const auto even = (sequence.num_computed / every + 1) * every;
  const auto last_page = (sequence.num_prompt - 1) / pages_.page_size() * pages_.page_size();
  const auto next = sequence.num_computed < last_page ? std::min(even, last_page) : even;
  return next - sequence.num_computed;
}

void Scheduler::save_snapshot(Batch& batch, Sequence& sequence, std::int64_t end) {
  const bool at_prompt_end =
      end == (sequence.num_prompt - 1) / pages_.page_size() * pages_.page_size();
  if (end == 0 || (end % states_->snapshot_tokens() != 0 && !at_prompt_end)) return;
  const auto& key = key_of(sequence, static_cast<std::size_t>(end / pages_.page_size()) - 1);
  if (states_->contains(key)) return;
  if (const auto slot = states_->acquire()) batch.saves.push_back({*sequence.state, *slot, key});
}

// Up to the first picture that is not encoded; what is missing is asked for.
std::int64_t Scheduler::computable_tokens(Batch& batch, Sequence& sequence) {
  auto end = sequence.num_tokens();
  for (auto& item : sequence.media) {
    if (!media_ || end_of(item) <= sequence.num_computed) continue;
    const bool coming = !item.features && media_->look_up(item);
    if (item.features) continue;
    end = std::min(end, std::max(item.span.begin, sequence.num_computed));
    if (!coming) batch.encode.push_back(&item);
  }
  return end - sequence.num_computed;
}

void Scheduler::preempt_last() {
  const auto sequence = running_.back();
  running_.pop_back();
  retire(*sequence);
  wait(sequence);
  ++counters_.preemptions;
}

void Scheduler::preempt_all() {
  if (states_) states_->forget();
  while (!running_.empty()) {
    free_pages(*running_.back());
    wait(running_.back());
    running_.pop_back();
    ++counters_.preemptions;
  }
}

const PageKey& Scheduler::key_of(Sequence& sequence, std::size_t index) {
  auto& keys = sequence.page_keys;
  while (keys.size() <= index) {
    const auto begin = static_cast<std::int64_t>(keys.size()) * pages_.page_size();
    keys.push_back(pages_.key_of(keys.empty() ? root_key : keys.back(),
                                 page_content(sequence, begin, begin + pages_.page_size())));
  }
  return keys[index];
}

PageKey Scheduler::parent_key(const Sequence& sequence) const {
  return sequence.num_published == 0 ? root_key : sequence.page_keys[sequence.num_published - 1];
}

double Scheduler::page_cost(std::int64_t begin) const {
  return 1 + static_cast<double>(begin) / options_.attention_tokens;
}

void Scheduler::publish_full_pages(Sequence& sequence) {
  const auto full = static_cast<std::size_t>(sequence.num_computed / pages_.page_size());
  while (sequence.publishable && sequence.num_published < full) {
    const auto index = sequence.num_published;
    const auto begin = static_cast<std::int64_t>(index) * pages_.page_size();
    const auto page =
        pages_.publish(sequence.pages[index], parent_key(sequence), key_of(sequence, index),
                       page_content(sequence, begin, begin + pages_.page_size()), page_cost(begin));
    sequence.publishable = page.has_value();
    if (!page) return;
    sequence.pages[index] = *page;
    announced_.erase(sequence.page_keys[index]);
    ++sequence.num_published;
    if (cold_) cold_->published(sequence.page_keys[index]);
  }
}

// The last page, as far as it is filled: what the next turn goes on from.
void Scheduler::publish_rest(Sequence& sequence) {
  const auto begin = static_cast<std::int64_t>(sequence.num_published) * pages_.page_size(),
             end = sequence.num_computed;
  if (!sequence.publishable || begin >= end) return;
  const auto parent = parent_key(sequence);
  auto content = page_content(sequence, begin, end);
  const auto key = pages_.key_of(parent, content);
  auto& page = sequence.pages[sequence.num_published];
  if (const auto published =
          pages_.publish(page, parent, key, std::move(content), page_cost(begin)))
    page = *published;
}

void Scheduler::retire(Sequence& sequence) {
  publish_rest(sequence);
  if (cold_) cold_->used(std::span(sequence.page_keys).first(sequence.num_published));
  free_pages(sequence);
}

void Scheduler::free_pages(Sequence& sequence) {
  stop_reading(sequence);
  for (auto i = sequence.num_published; i < sequence.num_announced; ++i)
    announced_.erase(sequence.page_keys[i]);
  sequence.num_announced = sequence.num_known = 0;
  pages_.release(sequence.pages);
  sequence.pages.clear();
  sequence.num_computed = 0;
  sequence.num_published = 0;
  sequence.publishable = true;
  if (sequence.state) states_->release(*std::exchange(sequence.state, std::nullopt));
  for (auto& item : sequence.media) item.features.reset();
}

void Scheduler::release_sources(const Batch& batch) {
  for (const auto& copy : batch.copies) pages_.release(std::span(&copy.from, 1));
}

std::optional<FinishReason> Scheduler::append(Sequence& sequence, std::int32_t token) {
  sequence.tokens.push_back(token);
  ++counters_.generated_tokens;
  if (sequence.is_end(token)) return FinishReason::stop;
  sequence.output->push(token);
  if (sequence.constraint) {
    sequence.constraint->accept(token);
    if (sequence.constraint->finished()) return FinishReason::stop;
  }
  if (sequence.num_generated() >= sequence.max_tokens) return FinishReason::length;
  return {};
}

std::optional<FinishReason> Scheduler::extend(Sequence& sequence, std::int32_t token) {
  auto reason =
      append(sequence, sequence.constraint ? sequence.constraint->instead_of(token) : token);
  while (!reason && sequence.constraint) {
    const auto forced = sequence.constraint->forced();
    if (forced.empty()) break;
    for (const auto next : forced)
      if ((reason = append(sequence, next))) break;
  }
  return reason;
}

void Scheduler::take(const std::shared_ptr<Sequence>& sequence, std::int32_t token) {
  std::optional<FinishReason> reason;
  std::optional<Error> failure;
  try {
    reason = extend(*sequence, token);
  } catch (const Error& error) {
    failure = error;
  }
  if (!reason && !failure) return;
  retire(*sequence);
  std::erase(running_, sequence);
  if (failure)
    sequence->output->fail(*failure);
  else
    sequence->output->finish(*reason);
}

void Scheduler::commit(const Batch& batch, const std::vector<std::int32_t>& tokens) {
  std::size_t sampled = 0;
  release_sources(batch);
  for (const auto& save : batch.saves) states_->insert(save.key, save.to);
  for (const auto& chunk : batch.chunks) {
    Sequence& sequence = *chunk.sequence;
    sequence.num_computed += chunk.count;
    for (auto& item : sequence.media)
      if (end_of(item) <= sequence.num_computed) item.features.reset();
    publish_full_pages(sequence);
    if (!chunk.sample) continue;
    if (sequence.num_generated() == 0) count_encoded(sequence);
    take(chunk.sequence, tokens[sampled++]);
  }
}

void Scheduler::fail(const Batch& batch, const Error& error) {
  release_sources(batch);
  for (const auto& save : batch.saves) states_->release(save.to);
  for (const auto& chunk : batch.chunks) {
    free_pages(*chunk.sequence);
    std::erase(running_, chunk.sequence);
    chunk.sequence->output->fail(error);
  }
}

void Scheduler::fail_all(const Error& error) {
  for (const auto& sequence : running_) {
    free_pages(*sequence);
    sequence->output->fail(error);
  }
  for (const auto& [order, sequence] : waiting_) sequence->output->fail(error);
  running_.clear();
  waiting_.clear();
}

std::vector<PageId> Scheduler::pages_in_use() const {
  std::vector<PageId> pages;
  for (const auto& sequence : running_)
    pages.insert(pages.end(), sequence->pages.begin(), sequence->pages.end());
  return pages;
}

}  // namespace pippin::engine
