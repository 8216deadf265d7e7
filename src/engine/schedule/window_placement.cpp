#include "engine/schedule/window_placement.h"

#include <algorithm>
#include <span>
#include <utility>

namespace pippin::engine {

std::size_t WindowPlacement::resumable(const Sequence& sequence) const {
  if (!windows_) return sequence.num_published;
  return windows_->resumable(std::span(sequence.pages).first(sequence.num_published));
}

int WindowPlacement::most_of(const Sequence& sequence) const {
  return windows_->needs().of_context(sequence.num_prompt + sequence.max_tokens);
}

// It may begin with a copy.
bool WindowPlacement::has_room_to_start(const Sequence& sequence) const {
  return !windows_ || windows_->has_room_for(reserved_ + most_of(sequence) + num_copied_ + 1);
}

void WindowPlacement::reserve(Sequence& sequence) {
  if (!windows_) return;
  sequence.window_reserve = most_of(sequence);
  reserved_ += sequence.window_reserve;
}

// What is before the window may be there, and is kept then.
void WindowPlacement::start(Sequence& sequence) {
  if (!windows_) return;
  const auto end = static_cast<std::size_t>(sequence.num_computed / pages_.page_size());
  auto begin = end;
  while (begin > windows_->first_kept(sequence.num_computed) &&
         windows_->has(sequence.pages[begin - 1]))
    --begin;
  for (auto i = begin; i < end; ++i) windows_->use(sequence.pages[i]);
  sequence.window_begin = begin;
  sequence.window_end = end;
}

// Used at once: what others compute meanwhile shall not take its place before all has come.
void WindowPlacement::loaded(Sequence& sequence) {
  if (!windows_) return;
  const auto page = sequence.pages[sequence.num_published - 1];
  if (!windows_->has(page)) {
    stop(sequence);
    sequence.window_begin = sequence.window_end = sequence.num_published;
    return;
  }
  windows_->use(page);
  sequence.window_end = sequence.num_published;
  advance(sequence);
}

void WindowPlacement::stop(Sequence& sequence) {
  for (auto& i = sequence.window_begin; i < sequence.window_end; ++i)
    windows_->drop(sequence.pages[i], true);
  sequence.window_begin = sequence.window_end = 0;
}

void WindowPlacement::copy(Sequence& sequence, PageId from, PageId to, Batch& batch) {
  if (!windows_) return;
  windows_->use(from);
  windows_->add(to);
  ++num_copied_;
  ++sequence.window_end;
  batch.window_copies.push_back({windows_->at(from), windows_->at(to)});
}

void WindowPlacement::copied(const PageCopy& copy) {
  if (!windows_) return;
  windows_->drop(copy.from, true);
  --num_copied_;
}

void WindowPlacement::cover(Chunk& chunk) {
  if (!windows_) return;
  auto& sequence = *chunk.sequence;
  const auto end = static_cast<std::size_t>((chunk.end() - 1) / pages_.page_size()) + 1;
  for (; sequence.window_end < end; ++sequence.window_end)
    windows_->add(sequence.pages[sequence.window_end]);
  chunk.window_pages.assign(sequence.pages.size(), 0);
  for (auto i = sequence.window_begin; i < sequence.window_end; ++i)
    chunk.window_pages[i] = windows_->at(sequence.pages[i]);
}

// Where the prompt ended another answer may begin, and where it parted from another's one a third may part, too: these windows are the
// last to go.
void WindowPlacement::advance(Sequence& sequence) {
  if (!windows_) return;
  const auto parting = static_cast<std::int64_t>(sequence.window_parting) * pages_.page_size();
  const auto is_at = [&](std::int64_t end, std::size_t page) {
    return page >= windows_->first_kept(end) &&
           page <= static_cast<std::size_t>(end / pages_.page_size());
  };
  const auto begin = std::min(windows_->first_kept(sequence.num_computed), sequence.window_end);
  for (auto& i = sequence.window_begin; i < begin; ++i)
    windows_->drop(sequence.pages[i],
                   is_at(sequence.num_prompt, i) || (parting > 0 && is_at(parting, i)));
}

void WindowPlacement::give_back(Sequence& sequence) {
  stop(sequence);
  reserved_ -= std::exchange(sequence.window_reserve, 0);
  sequence.window_parting = 0;
}

void WindowPlacement::reset() noexcept {
  reserved_ = num_copied_ = 0;
  if (windows_) windows_->reset();
}

void WindowPlacement::allocated(PageId page) {
  if (windows_) windows_->forget(page);
}

void WindowPlacement::published(PageId page, PageId now) {
  if (windows_) windows_->move(page, now);
}

}  // namespace pippin::engine
