// Placement's part that brings pages and states back from disk.
#include "engine/schedule/placement.h"

#include <algorithm>
#include <span>
#include <utility>

namespace pippin::engine {

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

void Placement::start_loading(Sequence& sequence) {
  sequence.loading_from_disk = true;
  sequence.state_requested = cold_states_->request(key_of(sequence, sequence.num_to_load - 1));
  request_pages(sequence);
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
  windows_.stop(sequence);
  const auto kept = windows_.resumable(sequence);
  if (kept < sequence.num_published) sequence.window_parting = sequence.num_published;
  while (sequence.num_published > kept)
    if (!swap_last_page(sequence)) return true;
  windows_.start(sequence);
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

// False while it is to come, or while this step copies from the slot what was a snapshot until now.
bool Placement::load_state(Sequence& sequence, Batch& batch) {
  if (std::any_of(batch.restores.begin(), batch.restores.end(),
                  [&](const auto& restore) { return restore.from == sequence.state; }))
    return false;
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
  while (sequence.num_published > 0 && !(snapshot = states_->find(parent_key(sequence))))
    if (!swap_last_page(sequence)) return;
  start(sequence, batch, {}, snapshot);
}

// The last page that came from a cache becomes one of the sequence's own. False where there is none to be had: then the sequence has
// given all of its pages back.
bool Placement::swap_last_page(Sequence& sequence) {
  const auto place = sequence.pages.begin() + static_cast<std::ptrdiff_t>(--sequence.num_published);
  sequence.num_computed -= pages_.page_size();
  pages_.release(std::span(&*place, 1));
  if (pages_.num_available() == 0) {
    sequence.pages.erase(place);
    free_pages(sequence);
    return false;
  }
  *place = allocate();
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
  const auto published = publish(page, parent, key, std::move(content), begin);
  if (!published) return false;
  page = *published;
  announced_.erase(key);
  cold_->forget(key);
  ++sequence.num_published;
  sequence.num_computed += pages_.page_size();
  windows_.loaded(sequence);
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

}  // namespace pippin::engine
