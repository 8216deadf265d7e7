#include "engine/schedule/placement.h"

#include <algorithm>
#include <span>
#include <utility>

namespace pippin::engine {

// The tokens of the sequence's prompt that the cache does not know now.
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
  sequence.num_to_load = num_reusable(sequence);
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

bool Placement::place_with_state(Sequence& sequence, Batch& batch, std::size_t num_running) {
  auto rest = find_rest(sequence);
  sequence.num_to_load = pages_to_load(sequence);
  if (rest && sequence.num_to_load <= sequence.pages.size()) sequence.num_to_load = 0;
  if (rest && (sequence.num_to_load > 0 ||
               !has_room_to_start(sequence, num_running))) {  // it may be the page that is missing
    pages_.release(std::span(&rest->page.page, 1));
    rest.reset();
  }
  if (!rest) cut_to_snapshot(sequence);
  // Before a slot is acquired, which may be the snapshot's own.
  std::optional<StateSlot> snapshot;
  if (rest || sequence.num_computed > 0)
    snapshot = states_->find(rest ? rest->key : parent_key(sequence));
  if (rest || has_room_to_start(sequence, num_running)) sequence.state = states_->acquire();
  if (!sequence.state) {
    if (rest) pages_.release(std::span(&rest->page.page, 1));
    free_pages(sequence);
    return false;
  }
  ensure_pages(sequence, sequence.num_tokens());
  if (sequence.num_to_load > 0)
    start_loading(sequence);
  else
    start(sequence, batch, rest, snapshot);
  return true;
}

// Pages, those in memory included, that lead to a snapshot on disk which is of more use than those in memory; 0 without one.
std::size_t Placement::pages_to_load(Sequence& sequence) {
  if (!cold_states_) return 0;
  const auto most = num_reusable(sequence);
  std::size_t best = 0;
  for (std::size_t i = 0; i < most; ++i) {
    const auto& key = key_of(sequence, i);
    if (i >= sequence.pages.size() && !cold_->contains(key)) break;
    if (states_->contains(key))
      best = 0;
    else if (cold_states_->contains(key))
      best = i + 1;
  }
  return best;
}

// The last snapshot within the page that would be computed first.
std::optional<Placement::StateStart> Placement::find_rest(Sequence& sequence) {
  auto page = find_beginning(sequence);
  if (!page) return {};
  const auto parent = parent_key(sequence);
  for (; page->tokens > 0; --page->tokens) {
    const auto begin = sequence.num_computed;
    const auto key = pages_.key_of(parent, page_content(sequence, begin, begin + page->tokens));
    if (states_->contains(key)) return StateStart{*page, key};
  }
  pages_.release(std::span(&page->page, 1));
  return {};
}

// Gives back the cached pages after the last snapshot, or after the one that comes from disk.
void Placement::cut_to_snapshot(Sequence& sequence) {
  const auto is_end = [&] {
    const auto count = sequence.pages.size();
    return count == 0 || (sequence.num_to_load > 0 ? count <= sequence.num_to_load
                                                   : states_->contains(parent_key(sequence)));
  };
  while (!is_end()) {
    pages_.release(std::span(&sequence.pages.back(), 1));
    sequence.pages.pop_back();
    --sequence.num_published;
    sequence.num_computed -= pages_.page_size();
  }
}

void Placement::start(Sequence& sequence, Batch& batch, const std::optional<StateStart>& rest,
                      std::optional<StateSlot> snapshot) {
  if (rest) {
    batch.copies.push_back({rest->page.page, sequence.pages[sequence.num_published]});
    sequence.num_computed += rest->page.tokens;
  }
  sequence.last_snapshot = sequence.num_computed;
  batch.restores.push_back({snapshot, *sequence.state});
}

void Placement::start_loading(Sequence& sequence) {
  sequence.loading_from_disk = true;
  sequence.state_requested = cold_states_->request(key_of(sequence, sequence.num_to_load - 1));
  request_pages(sequence);
}

// The beginning of the page that is computed first. What comes from disk is whole.
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
      std::min(sequence.num_to_load,
               sequence.num_published + static_cast<std::size_t>(options_.max_pages_ahead));
  while (end < most && cold_->request(key_of(sequence, end))) ++end;
  return end > sequence.num_published;
}

bool Placement::finish_loading(Sequence& sequence, Batch& batch, bool beside) {
  if (!load_pages(sequence, beside)) return false;
  if (states_ && !load_state(sequence, batch)) return false;
  stop_loading(sequence);
  return true;
}

// False while some are to come.
bool Placement::load_pages(Sequence& sequence, bool beside) {
  while (request_pages(sequence)) {
    const auto state = cold_->state(key_of(sequence, sequence.num_published));
    if (state == ColdPages::State::coming || (beside && num_loads_ >= options_.max_loads_beside))
      return false;
    if (state == ColdPages::State::absent || !take_page(sequence)) break;
  }
  return true;
}

// False while it is to come.
bool Placement::load_state(Sequence& sequence, Batch& batch) {
  if (sequence.state_requested && sequence.num_published == sequence.num_to_load) {
    const auto index = sequence.num_published - 1;
    const auto begin = static_cast<std::int64_t>(index) * pages_.page_size();
    const auto& key = sequence.page_keys[index];
    if (cold_states_->state(key) == ColdPages::State::coming) return false;
    sequence.last_snapshot = sequence.num_computed;
    if (cold_states_->load(key, parent_at(sequence, index),
                           page_content(sequence, begin, begin + pages_.page_size()),
                           *sequence.state))
      return true;
  }
  restart(sequence, batch);
  return true;
}

// The disk did not give the state: the sequence begins at a snapshot in memory, with pages of its own after that. If there are no
// pages to be had, it gives all of them back.
void Placement::restart(Sequence& sequence, Batch& batch) {
  stop_loading(sequence);
  std::optional<StateSlot> snapshot;
  while (sequence.num_published > 0 && !(snapshot = states_->find(parent_key(sequence)))) {
    const auto place =
        sequence.pages.begin() + static_cast<std::ptrdiff_t>(--sequence.num_published);
    sequence.num_computed -= pages_.page_size();
    pages_.release(std::span(&*place, 1));
    const auto fresh = pages_.allocate();
    if (!fresh) {
      sequence.pages.erase(place);
      free_pages(sequence);
      return;
    }
    *place = *fresh;
  }
  start(sequence, batch, {}, snapshot);
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
  if (std::exchange(sequence.state_requested, false))
    cold_states_->forget(sequence.page_keys[sequence.num_to_load - 1]);
  sequence.num_requested = sequence.num_to_load = 0;
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
  // A text that is known further has no snapshot of the recurrent layers there.
  const bool known_further =
      known && states_ && common_tokens(*known, page_content(sequence, begin, end)) > common;
  if (!known || known_further || static_cast<std::int64_t>(known->tokens.size()) <= common) {
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

// Snapshots are taken at even distances, and where the last full page of a prompt ends: the same prompt, or one that goes on
// otherwise, begins there. 0 if none is due any more.
std::int64_t Placement::next_due(const Sequence& sequence, std::int64_t after) const {
  const auto every = states_->snapshot_tokens();
  const auto even = (after / every + 1) * every;
  const auto last_page = (sequence.num_prompt - 1) / pages_.page_size() * pages_.page_size();
  return after < last_page ? std::min(even, last_page) : even;
}

void Placement::plan_snapshots(Chunk& chunk) {
  auto& sequence = *chunk.sequence;
  if (!states_ || !pages_.reuse() || !sequence.publishable) return;
  for (auto end = next_due(sequence, chunk.begin); end <= chunk.end();
       end = next_due(sequence, end)) {
    const auto last = static_cast<std::size_t>(end / pages_.page_size()) - 1;
    if (end <= sequence.num_tokens() && states_->contains(key_of(sequence, last))) continue;
    const auto slot = states_->acquire();
    if (!slot) return;
    chunk.saves.push_back({*slot, end});
  }
}

void Placement::publish_snapshots(const Chunk& chunk) {
  auto& sequence = *chunk.sequence;
  for (const auto& save : chunk.saves) {
    const auto end = static_cast<std::size_t>(save.end / pages_.page_size());
    if (sequence.num_published < end) {  // another prompt's pages have this key
      states_->release(save.to);
      continue;
    }
    const auto& key = sequence.page_keys[end - 1];
    states_->insert(key, save.to, state_cost(sequence, save.end));
    if (cold_states_) cold_states_->published(key);
    sequence.last_snapshot = save.end;
  }
}

double Placement::state_cost(const Sequence& sequence, std::int64_t end) const {
  return static_cast<double>(end - sequence.last_snapshot) * page_cost(end);
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

PageKey Placement::parent_at(const Sequence& sequence, std::size_t index) const {
  return index == 0 ? sequence.root : sequence.page_keys[index - 1];
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

// Steps under way may go on in it: what they write is there before a step that is launched later.
bool Placement::holds_exact_state(const Sequence& sequence) const {
  const auto page = static_cast<std::int64_t>(sequence.num_published) * pages_.page_size();
  return sequence.state && !sequence.loading_from_disk && sequence.publishable &&
         sequence.num_planned() <= std::min(sequence.num_tokens(), page + pages_.page_size());
}

// The last page, as far as it is filled: what the next turn goes on from. Returns the key of all that is published; nullopt for
// nothing.
std::optional<PageKey> Placement::publish_rest(Sequence& sequence) {
  const auto begin = static_cast<std::int64_t>(sequence.num_published) * pages_.page_size(),
             end = holds_exact_state(sequence) ? sequence.num_planned() : sequence.num_computed;
  if (!sequence.publishable) return {};
  const auto parent = parent_key(sequence);
  if (begin >= end) return begin > 0 ? std::optional(parent) : std::nullopt;
  auto content = page_content(sequence, begin, end);
  const auto key = pages_.key_of(parent, content);
  auto& page = sequence.pages[sequence.num_published];
  const auto published = pages_.publish(page, parent, key, std::move(content), page_cost(begin));
  if (!published) return {};
  page = *published;
  return key;
}

// The end of a turn: the slot becomes the snapshot as it is.
void Placement::keep_state(Sequence& sequence, const PageKey& key) {
  if (states_->contains(key)) return;
  const auto cost = state_cost(sequence, sequence.num_planned());
  states_->insert(key, *std::exchange(sequence.state, std::nullopt), cost);
}

void Placement::retire(Sequence& sequence) {
  const bool exact = holds_exact_state(sequence) && pages_.reuse();
  const auto key = publish_rest(sequence);
  if (key && exact) keep_state(sequence, *key);
  const auto published = std::span(sequence.page_keys).first(sequence.num_published);
  if (cold_) cold_->used(published);
  if (cold_states_) cold_states_->used(published);
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
  sequence.last_snapshot = 0;
  if (sequence.state) states_->release(*std::exchange(sequence.state, std::nullopt));
  for (auto& item : sequence.media) item.features.reset();
}

void Placement::release_sources(const Batch& batch) {
  for (const auto& copy : batch.copies) pages_.release(std::span(&copy.from, 1));
}

void Placement::release_saves(const Chunk& chunk) {
  for (const auto& save : chunk.saves) states_->release(save.to);
}

void Placement::step_done(const Batch& batch) { release_sources(batch); }

void Placement::step_failed(const Batch& batch) {
  release_sources(batch);
  for (const auto& chunk : batch.chunks) release_saves(chunk);
}

void Placement::forget_states() {
  if (states_) states_->forget();
}

}  // namespace pippin::engine
