// Placement's part for the states of recurrent layers and their snapshots.
#include "engine/schedule/placement.h"

#include <algorithm>
#include <span>
#include <utility>

namespace pippin::engine {

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
  while (!is_end()) give_up_last_page(sequence);
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

// Steps under way may go on in it: what they write is there before a step that is launched later.
bool Placement::holds_exact_state(const Sequence& sequence) const {
  const auto page = static_cast<std::int64_t>(sequence.num_published) * pages_.page_size();
  return sequence.state && !sequence.loading_from_disk && sequence.publishable &&
         sequence.num_planned() <= std::min(sequence.num_tokens(), page + pages_.page_size());
}

// The end of a turn: the slot becomes the snapshot as it is.
void Placement::keep_state(Sequence& sequence, const PageKey& key) {
  if (states_->contains(key)) return;
  const auto cost = state_cost(sequence, sequence.num_planned());
  states_->insert(key, *std::exchange(sequence.state, std::nullopt), cost);
}

void Placement::release_saves(const Chunk& chunk) {
  for (const auto& save : chunk.saves) states_->release(save.to);
}

}  // namespace pippin::engine
