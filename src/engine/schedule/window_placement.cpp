#include "engine/schedule/window_placement.h"

#include <algorithm>
#include <span>

namespace pippin::engine {

std::size_t WindowPlacement::resumable(const Sequence& sequence) const {
  if (!windows_) return sequence.num_published;
  return windows_->resumable(std::span(sequence.pages).first(sequence.num_published));
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

void WindowPlacement::copy(Sequence& sequence, PageId from, PageId to, Batch& batch) {
  if (!windows_) return;
  windows_->use(from);
  windows_->add(to);
  ++sequence.window_end;
  batch.window_copies.push_back({windows_->at(from), windows_->at(to)});
}

void WindowPlacement::copied(const PageCopy& copy) {
  if (windows_) windows_->drop(copy.from, true);
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

// Where the prompt ended another answer may begin: that window is the last to go.
void WindowPlacement::advance(Sequence& sequence) {
  if (!windows_) return;
  const auto prompt_end = static_cast<std::size_t>(sequence.num_prompt / pages_.page_size());
  const auto prompt_begin = windows_->first_kept(sequence.num_prompt);
  const auto begin = std::min(windows_->first_kept(sequence.num_computed), sequence.window_end);
  for (auto& i = sequence.window_begin; i < begin; ++i)
    windows_->drop(sequence.pages[i], i >= prompt_begin && i <= prompt_end);
}

void WindowPlacement::give_back(Sequence& sequence) {
  for (auto& i = sequence.window_begin; i < sequence.window_end; ++i)
    windows_->drop(sequence.pages[i], true);
  sequence.window_begin = sequence.window_end = 0;
}

void WindowPlacement::allocated(PageId page) {
  if (windows_) windows_->forget(page);
}

void WindowPlacement::published(PageId page, PageId now) {
  if (windows_) windows_->move(page, now);
}

}  // namespace pippin::engine
