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
  sequence.num_to_load = num_reusable(sequence);
  sequence.loading_from_disk = has_room_to_start(sequence, num_running) && request_pages(sequence);
  note_parting(sequence);
  if (!sequence.loading_from_disk) {
    stop_loading(sequence);  // before pages are given up: they count as requested
    cut_to_window(sequence);
  }
  if (!has_room_to_start(sequence, num_running)) {
    free_pages(sequence);
    return false;
  }
  auto source = find_beginning(sequence);
  const auto usable = [&] {  // the page that is missing may be the very one
    return has_room(sequence, sequence.num_tokens()) && windows_.has(source->page);
  };
  if (source && !usable()) {
    pages_.release(std::span(&source->page, 1));
    source.reset();
  }
  ensure_pages(sequence, sequence.num_tokens());
  windows_.reserve(sequence);
  windows_.start(sequence);
  if (!source) return true;
  const auto page = sequence.pages[sequence.num_published];
  batch.copies.push_back({source->page, page});
  windows_.copy(sequence, source->page, page, batch);
  sequence.num_computed += source->tokens;
  return true;
}

// Gives back the last cached pages: up to where the window is still there.
void Placement::cut_to_window(Sequence& sequence) {
  const auto kept = windows_.resumable(sequence);
  while (sequence.num_published > kept) give_up_last_page(sequence);
}

// Unless the prompt goes on from a cached text's end.
void Placement::note_parting(Sequence& sequence) {
  if (!has_windows_ || sequence.num_published == 0) return;
  const auto begin = sequence.num_computed,
             end = std::min(begin + pages_.page_size(), sequence.num_tokens());
  const auto content = page_content(sequence, begin, end);
  const auto* known = pages_.continuation(parent_key(sequence), content);
  const bool extends =
      known && common_tokens(*known, content) == static_cast<int>(known->tokens.size());
  if (!extends || windows_.resumable(sequence) < sequence.num_published)
    sequence.window_parting = sequence.num_published;
}

void Placement::give_up_last_page(Sequence& sequence) {
  pages_.release(std::span(&sequence.pages.back(), 1));
  sequence.pages.pop_back();
  --sequence.num_published;
  sequence.num_computed -= pages_.page_size();
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

// There must be one.
PageId Placement::allocate() {
  const auto page = *pages_.allocate();
  windows_.allocated(page);
  return page;
}

// The page of a context that begins at the token `begin`.
std::optional<PageId> Placement::publish(PageId page, const PageKey& parent, const PageKey& key,
                                         PageContent content, std::int64_t begin) {
  const auto now = pages_.publish(page, parent, key, std::move(content), page_cost(begin));
  if (now) windows_.published(page, *now);
  return now;
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
  // A text that is known further has no snapshot of the recurrent layers there, or no window.
  const bool known_further = known && (states_ || has_windows_) &&
                             common_tokens(*known, page_content(sequence, begin, end)) > common;
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
  if (!windows_.has_room_to_start(sequence)) return false;
  unknown_tokens(sequence);
  return num_pages_for(sequence.num_tokens()) <=
         sequence.num_known + static_cast<std::size_t>(pages_.num_available());
}

// Each that runs may need a page soon.
bool Placement::has_room_to_start(const Sequence& sequence, std::size_t num_running) const {
  const auto reserve = static_cast<std::int64_t>(num_running) * pages_.page_size();
  return has_room(sequence, sequence.num_tokens() + reserve) &&
         windows_.has_room_to_start(sequence);
}

bool Placement::ensure_pages(Sequence& sequence, std::int64_t num_tokens) {
  if (!has_room(sequence, num_tokens)) return false;
  while (sequence.pages.size() < num_pages_for(num_tokens)) sequence.pages.push_back(allocate());
  return true;
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
    const auto page = publish(sequence.pages[index], parent_key(sequence), key_of(sequence, index),
                              page_content(sequence, begin, begin + pages_.page_size()), begin);
    sequence.publishable = page.has_value();
    if (!page) return;
    sequence.pages[index] = *page;
    announced_.erase(sequence.page_keys[index]);
    ++sequence.num_published;
    if (cold_) cold_->published(sequence.page_keys[index]);
  }
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
  const auto published = publish(page, parent, key, std::move(content), begin);
  if (!published) return {};
  page = *published;
  return key;
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
  windows_.give_back(sequence);
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

// No later: a page that is used without its sequence keeps the pages before it, which count as free to be had.
void Placement::step_planned(const Batch& batch) {
  for (const auto& copy : batch.copies) {
    windows_.copied(copy);
    pages_.release(std::span(&copy.from, 1));
  }
}

void Placement::reset() noexcept {
  announced_.clear();
  num_loads_ = 0;
  pages_.reset();
  windows_.reset();
  if (states_) states_->reset();
  if (cold_) cold_->forget_all();
  if (cold_states_) cold_states_->forget_all();
}

}  // namespace pippin::engine
