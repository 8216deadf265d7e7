#include "engine/schedule/placement.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

namespace pippin::engine {

// Of its prompt, as of now.
std::int64_t Placement::unknown_tokens(Sequence& sequence) {
  auto& known = sequence.num_known;
  const auto most = pages_.reuse() ? num_reusable(sequence) : 0;
  while (known < most && pages_.published(key_of(sequence, known))) ++known;
  return sequence.num_tokens() - static_cast<std::int64_t>(known) * pages_.page_size();
}

bool Placement::computed_by_another(Sequence& sequence) {
  if (announced_.empty()) return false;
  unknown_tokens(sequence);
  return sequence.num_known < num_reusable(sequence) &&
         announced_.count(key_of(sequence, sequence.num_known)) > 0;
}

void Placement::announce(Sequence& sequence) {
  if (!pages_.reuse()) return;
  sequence.num_announced = num_reusable(sequence);
  for (auto i = sequence.num_published; i < sequence.num_announced; ++i)
    announced_.insert(key_of(sequence, i));
}

bool Placement::place(Sequence& sequence, Batch& batch, std::size_t num_running) {
  if (!may_have_room(sequence)) return false;
  match_pages(sequence);
  const bool placed = states_ ? place_with_state(sequence, batch, num_running)
                              : place_pages(sequence, batch, num_running);
  if (placed) announce(sequence);
  return placed;
}

bool Placement::place_pages(Sequence& sequence, Batch& batch, std::size_t num_running) {
  if (!has_room_to_start(sequence, num_running)) {
    free_pages(sequence);
    return false;
  }
  sequence.loading_from_disk = request_pages(sequence);
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
bool Placement::place_with_state(Sequence& sequence, Batch& batch, std::size_t num_running) {
  std::optional<StateSlot> snapshot;
  while (!sequence.pages.empty() && !(snapshot = states_->find(parent_key(sequence)))) {
    pages_.release(std::span(&sequence.pages.back(), 1));
    sequence.pages.pop_back();
    --sequence.num_published;
    sequence.num_computed -= pages_.page_size();
  }
  // There is no slot while the step's own snapshots take the last ones.
  if (has_room_to_start(sequence, num_running)) sequence.state = states_->acquire();
  if (!sequence.state) {
    free_pages(sequence);
    return false;
  }
  ensure_pages(sequence, sequence.num_tokens());
  batch.restores.push_back({snapshot, *sequence.state});
  return true;
}

// Of the page that is computed first. What comes from disk is whole.
std::optional<PageCache::Beginning> Placement::find_beginning(const Sequence& sequence) const {
  if (sequence.loading_from_disk) return {};
  const auto begin = sequence.num_computed,
             end = std::min(begin + pages_.page_size(), reusable_tokens(sequence));
  if (begin >= end) return {};
  return pages_.find_beginning(parent_key(sequence), page_content(sequence, begin, end));
}

// Tokens that need not be computed; at least one is, since its logits are wanted.
std::int64_t Placement::reusable_tokens(const Sequence& sequence) const {
  return sequence.unscored() ? sequence.num_scored() : sequence.num_tokens() - 1;
}

// Full pages of these.
std::size_t Placement::num_reusable(const Sequence& sequence) const {
  return static_cast<std::size_t>(reusable_tokens(sequence) / pages_.page_size());
}

void Placement::match_pages(Sequence& sequence) {
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

bool Placement::request_pages(Sequence& sequence) {
  if (!cold_) return false;
  auto& end = sequence.num_requested;
  end = std::max(end, sequence.num_published);
  const auto most =
      std::min(num_reusable(sequence),
               sequence.num_published + static_cast<std::size_t>(options_.max_pages_ahead));
  while (end < most && cold_->request(key_of(sequence, end))) ++end;
  return end > sequence.num_published;
}

bool Placement::finish_loading(Sequence& sequence, bool beside) {
  while (request_pages(sequence)) {
    const auto state = cold_->state(key_of(sequence, sequence.num_published));
    if (state == ColdPages::State::coming || (beside && num_loads_ >= options_.max_loads_beside))
      return false;
    if (state == ColdPages::State::absent || !take_page(sequence)) break;
  }
  stop_loading(sequence);
  return true;
}

bool Placement::take_page(Sequence& sequence) {
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

void Placement::stop_loading(Sequence& sequence) {
  for (; sequence.num_requested > sequence.num_published; --sequence.num_requested)
    cold_->forget(sequence.page_keys[sequence.num_requested - 1]);
  sequence.num_requested = 0;
  sequence.loading_from_disk = false;
}

void Placement::count_match(const Sequence& sequence, PrefixCounters& count) const {
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

std::size_t Placement::num_pages_for(std::int64_t num_tokens) const {
  return static_cast<std::size_t>((num_tokens + pages_.page_size() - 1) / pages_.page_size());
}

bool Placement::has_room(const Sequence& sequence, std::int64_t num_tokens) const {
  return num_pages_for(num_tokens) <=
         sequence.pages.size() + static_cast<std::size_t>(pages_.num_available());
}

// Without looking its pages up again at every step.
bool Placement::may_have_room(Sequence& sequence) {
  unknown_tokens(sequence);
  return num_pages_for(sequence.num_tokens()) <=
         sequence.num_known + static_cast<std::size_t>(pages_.num_available());
}

// Each that runs may need a page soon.
bool Placement::has_room_to_start(const Sequence& sequence, std::size_t num_running) const {
  const auto reserve = static_cast<std::int64_t>(num_running) * pages_.page_size();
  return has_room(sequence, sequence.num_tokens() + reserve);
}

bool Placement::ensure_pages(Sequence& sequence, std::int64_t num_tokens) {
  if (!has_room(sequence, num_tokens)) return false;
  while (sequence.pages.size() < num_pages_for(num_tokens))
    sequence.pages.push_back(*pages_.allocate());
  return true;
}

// Snapshots are taken at even distances, and where the last full page of a prompt ends: another turn goes on from there.
std::int64_t Placement::max_chunk(const Sequence& sequence) const {
  if (!states_) return std::numeric_limits<std::int64_t>::max();
  const auto every = states_->snapshot_tokens();
  const auto even = (sequence.num_computed / every + 1) * every;
  const auto last_page = (sequence.num_prompt - 1) / pages_.page_size() * pages_.page_size();
  const auto next = sequence.num_computed < last_page ? std::min(even, last_page) : even;
  return next - sequence.num_computed;
}

void Placement::save_snapshot(Batch& batch, Sequence& sequence, std::int64_t end) {
  if (!states_) return;
  const bool at_prompt_end =
      end == (sequence.num_prompt - 1) / pages_.page_size() * pages_.page_size();
  if (end == 0 || (end % states_->snapshot_tokens() != 0 && !at_prompt_end)) return;
  const auto& key = key_of(sequence, static_cast<std::size_t>(end / pages_.page_size()) - 1);
  if (states_->contains(key)) return;
  if (const auto slot = states_->acquire()) batch.saves.push_back({*sequence.state, *slot, key});
}

const PageKey& Placement::key_of(Sequence& sequence, std::size_t index) {
  auto& keys = sequence.page_keys;
  while (keys.size() <= index) {
    const auto begin = static_cast<std::int64_t>(keys.size()) * pages_.page_size();
    keys.push_back(pages_.key_of(keys.empty() ? sequence.root : keys.back(),
                                 page_content(sequence, begin, begin + pages_.page_size())));
  }
  return keys[index];
}

PageKey Placement::parent_key(const Sequence& sequence) const {
  return sequence.num_published == 0 ? sequence.root
                                     : sequence.page_keys[sequence.num_published - 1];
}

double Placement::page_cost(std::int64_t begin) const {
  return 1 + static_cast<double>(begin) / options_.attention_tokens;
}

void Placement::publish_full_pages(Sequence& sequence) {
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
void Placement::publish_rest(Sequence& sequence) {
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

void Placement::retire(Sequence& sequence) {
  publish_rest(sequence);
  if (cold_) cold_->used(std::span(sequence.page_keys).first(sequence.num_published));
  free_pages(sequence);
}

void Placement::free_pages(Sequence& sequence) {
  stop_loading(sequence);
  for (auto i = sequence.num_published; i < sequence.num_announced; ++i)
    announced_.erase(sequence.page_keys[i]);
  sequence.num_announced = sequence.num_known = 0;
  pages_.release(sequence.pages);
  sequence.pages.clear();
  sequence.num_computed = sequence.num_under_way = sequence.num_unread = 0;
  ++sequence.placement_epoch;
  sequence.num_published = 0;
  sequence.publishable = true;
  if (sequence.state) states_->release(*std::exchange(sequence.state, std::nullopt));
  for (auto& item : sequence.media) item.features.reset();
}

void Placement::release_sources(const Batch& batch) {
  for (const auto& copy : batch.copies) pages_.release(std::span(&copy.from, 1));
}

void Placement::step_done(const Batch& batch) {
  release_sources(batch);
  for (const auto& save : batch.saves) states_->insert(save.key, save.to);
}

void Placement::step_failed(const Batch& batch) {
  release_sources(batch);
  for (const auto& save : batch.saves) states_->release(save.to);
}

void Placement::forget_states() {
  if (states_) states_->forget();
}

}  // namespace pippin::engine
