#include "engine/scheduler.h"

#include <algorithm>
#include <utility>

namespace pippin::engine {
namespace {

std::int64_t remaining(const Sequence& sequence) {
  return sequence.num_tokens() - sequence.num_computed;
}

std::int64_t end_of(const MediaItem& item) { return item.span.begin + item.span.length; }

// Why a sequence can't go on; "" while it can.
std::string failure_of(const Sequence& sequence) {
  for (const auto& item : sequence.media)
    if (!item.failure.empty()) return item.failure;
  return "";
}

}  // namespace

Batch Scheduler::next() {
  drop_dead();
  num_loads_ = 0;
  Batch batch;
  plan_decode(batch);
  plan_prefill(batch);
  admit(batch);
  return batch;
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
  std::erase_if(waiting_, dead);
}

void Scheduler::plan_decode(Batch& batch) {
  // By index: preempting shortens running_ from its end, possibly by the very sequence that asks.
  for (std::size_t i = 0; i < running_.size() && batch.num_tokens < options_.max_batch_tokens;
       ++i) {
    if (remaining(*running_[i]) != 1) continue;
    while (i < running_.size() && !ensure_pages(*running_[i], running_[i]->num_tokens()))
      preempt_youngest();
    if (i < running_.size()) add_chunk(batch, running_[i]);
  }
}

void Scheduler::plan_prefill(Batch& batch) {
  for (const auto& sequence : running_) {
    if (remaining(*sequence) <= 1 || batch.num_tokens >= options_.max_batch_tokens) continue;
    if (sequence->reading && !finish_reading(batch, *sequence)) continue;
    add_chunk(batch, sequence);
  }
}

void Scheduler::admit(Batch& batch) {
  while (!waiting_.empty() && batch.num_tokens < options_.max_batch_tokens &&
         running_.size() < static_cast<std::size_t>(options_.max_sequences)) {
    const auto sequence = waiting_.front();
    if (!place(*sequence, batch)) return;  // in order: a later, shorter one must not starve it
    waiting_.pop_front();
    running_.push_back(sequence);
    if (sequence->reading) continue;
    count_admission(*sequence);
    add_chunk(batch, sequence);
  }
}

bool Scheduler::place(Sequence& sequence, Batch& batch) {
  match_pages(sequence);
  if (states_) return place_with_state(sequence, batch);
  sequence.reading = has_room(sequence, sequence.num_tokens()) && request_pages(sequence);
  auto source = find_beginning(sequence);
  bool placed = ensure_pages(sequence, sequence.num_tokens());
  if (!placed && source) {  // it may be the very page that is missing
    pages_.release(std::span(&source->page, 1));
    source.reset();
    placed = ensure_pages(sequence, sequence.num_tokens());
  }
  if (!placed) free_pages(sequence);
  if (!source) return placed;
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
  if (ensure_pages(sequence, sequence.num_tokens())) sequence.state = states_->acquire();
  if (!sequence.state) {
    free_pages(sequence);
    return false;
  }
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

bool Scheduler::ensure_pages(Sequence& sequence, std::int64_t num_tokens) {
  if (!has_room(sequence, num_tokens)) return false;
  while (sequence.pages.size() < num_pages_for(num_tokens))
    sequence.pages.push_back(*pages_.allocate());
  return true;
}

void Scheduler::add_chunk(Batch& batch, const std::shared_ptr<Sequence>& sequence) {
  const auto room = static_cast<std::int64_t>(options_.max_batch_tokens - batch.num_tokens);
  auto most = std::min(computable_tokens(batch, *sequence), room);
  if (states_) most = std::min(most, to_next_snapshot(*sequence));
  if (most == 0) return;
  const auto taken = static_cast<int>(most);
  batch.chunks.push_back(
      {sequence, taken, sequence->num_computed + taken == sequence->num_tokens()});
  batch.num_tokens += taken;
  if (states_) save_snapshot(batch, *sequence, sequence->num_computed + taken);
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

void Scheduler::preempt_youngest() {
  const auto sequence = running_.back();
  running_.pop_back();
  retire(*sequence);
  waiting_.push_front(sequence);
  ++counters_.preemptions;
}

void Scheduler::preempt_all() {
  if (states_) states_->forget();
  while (!running_.empty()) {
    free_pages(*running_.back());
    waiting_.push_front(std::move(running_.back()));
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
  if (sequence.num_generated() >= sequence.max_tokens) return FinishReason::length;
  return {};
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
    if (const auto reason = append(sequence, tokens[sampled++])) {
      retire(sequence);
      std::erase(running_, chunk.sequence);
      sequence.output->finish(*reason);
    }
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
  for (const auto& sequence : waiting_) sequence->output->fail(error);
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
