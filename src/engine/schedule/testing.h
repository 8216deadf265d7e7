// What the scheduler's tests run it with: a model that knows a wrong page when it reads one, and a disk. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/schedule/scheduler.h"

namespace pippin::engine::testing {

inline constexpr int page_size = 4;

inline std::shared_ptr<Sequence> make_sequence(std::vector<std::int32_t> prompt,
                                               std::int64_t max_tokens) {
  auto sequence = std::make_shared<Sequence>();
  sequence->tokens = std::move(prompt);
  sequence->num_prompt = sequence->num_tokens();
  sequence->max_tokens = max_tokens;
  sequence->end_tokens = {-1};
  return sequence;
}

inline std::vector<std::int32_t> count_up(int length, int first = 1) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < length; ++i) tokens.push_back(first + i);
  return tokens;
}

// A model whose next token follows from the tokens so far, so that a wrong page shows as a wrong answer: pages remember
// which tokens were computed into them. As a device it remembers what it sampled, for the step behind.
class FakeModel {
 public:
  // window: of a layer whose pages are apart; 0: there is none.
  explicit FakeModel(int num_pages, int window = 0, int num_window_pages = 0)
      : slots_(static_cast<std::size_t>(num_pages * page_size), 0),
        window_(window),
        window_slots_(static_cast<std::size_t>(num_window_pages * page_size), 0) {}

  std::vector<std::int32_t> run(const Batch& batch) {
    std::vector<std::int32_t> out;
    for (const auto& [from, to] : batch.copies)
      for (int i = 0; i < page_size; ++i) slots_[index(to, i)] = slots_[index(from, i)];
    for (const auto& [from, to] : batch.window_copies)
      for (int i = 0; i < page_size; ++i)
        window_slots_[index(to, i)] = window_slots_[index(from, i)];
    for (auto* item : batch.encode) item->features = features_;
    for (const auto& [from, to] : batch.restores) states_[to] = from ? states_[*from] : 17;
    for (const auto& chunk : batch.chunks) {
      const Sequence& s = *chunk.sequence;
      const auto tokens = tokens_of(chunk);
      for (std::int64_t i = chunk.begin; i < chunk.end(); ++i) {
        const auto token = tokens[static_cast<std::size_t>(i)];
        slot(s, i) = token;
        if (window_ > 0) attend_in_window(chunk, i, tokens);
        if (!s.state) continue;
        states_[*s.state] = mix(states_[*s.state], token);
        for (const auto& save : chunk.saves)
          if (save.end == i + 1) states_[save.to] = states_[*s.state];
      }
      score(chunk);
      if (!chunk.sample) continue;
      std::vector<std::int32_t> read;
      for (std::int64_t i = 0; i < chunk.end(); ++i) read.push_back(slot(s, i));
      EXPECT_EQ(read, tokens);
      out.push_back(next_token(read));
      if (s.state) {
        EXPECT_EQ(states_[*s.state], out.back());
      }
    }
    sampled_ = out;
    return out;
  }

  // A page's slots, as the cold pages keep them, and its window page's behind them where it has one.
  std::vector<std::int32_t> read_page(PageId page, const WindowPages& windows) const {
    auto slots = page_of(slots_, page);
    if (!windows.has(page)) return slots;
    const auto window = page_of(window_slots_, windows.at(page));
    slots.insert(slots.end(), window.begin(), window.end());
    return slots;
  }
  void write_page(PageId page, const std::vector<std::int32_t>& slots, WindowPages& windows) {
    const auto write = [](const std::int32_t* from, std::vector<std::int32_t>& to, PageId at) {
      std::copy_n(from, page_size, to.begin() + static_cast<std::ptrdiff_t>(index(at, 0)));
    };
    write(slots.data(), slots_, page);
    if (slots.size() > page_size && windows.add_cached(page))
      write(slots.data() + page_size, window_slots_, windows.at(page));
  }

  std::vector<std::int32_t> read_state(StateSlot slot) const { return {states_.at(slot)}; }
  void write_state(StateSlot slot, const std::vector<std::int32_t>& state) {
    states_[slot] = state.front();
  }

  static std::int32_t next_token(const std::vector<std::int32_t>& tokens) {
    std::int32_t hash = 17;
    for (const auto token : tokens) hash = mix(hash, token);
    return hash;
  }

 private:
  std::vector<std::int32_t> tokens_of(const Chunk& chunk) const {
    auto tokens = chunk.sequence->tokens;
    if (chunk.device_token_index < 0) return tokens;
    EXPECT_EQ(chunk.begin, chunk.sequence->num_tokens());
    EXPECT_FALSE(chunk.sequence->needs_tokens_read());
    tokens.push_back(sampled_.at(static_cast<std::size_t>(chunk.device_token_index)));
    return tokens;
  }
  static std::int32_t mix(std::int32_t hash, std::int32_t token) {
    return (hash * 31 + token) % 1009;
  }
  static std::size_t index(PageId page, std::int64_t offset) {
    return static_cast<std::size_t>(page * page_size + offset);
  }
  std::int32_t& slot(const Sequence& s, std::int64_t i) {
    return slots_[index(s.pages[static_cast<std::size_t>(i / page_size)], i % page_size)];
  }
  static std::vector<std::int32_t> page_of(const std::vector<std::int32_t>& slots, PageId page) {
    const auto begin = slots.begin() + static_cast<std::ptrdiff_t>(index(page, 0));
    return {begin, begin + page_size};
  }
  // The runner's part.
  static void score(const Chunk& chunk) {
    for (auto scored = scored_rows(chunk).size(); scored > 0; --scored)
      chunk.sequence->scores.push_back(nullptr);
  }
  // Writes row i, which sees what was computed into the window before it. What a row holds follows from all tokens up to its own.
  void attend_in_window(const Chunk& chunk, std::int64_t i,
                        const std::vector<std::int32_t>& tokens) {
    const auto at = [&](std::int64_t j) -> std::int32_t& {
      return window_slots_[index(chunk.window_pages[static_cast<std::size_t>(j / page_size)],
                                 j % page_size)];
    };
    const auto first = std::max<std::int64_t>(0, i + 1 - window_);
    std::int32_t hash = 17;
    for (std::int64_t j = 0; j <= i; ++j) {
      hash = mix(hash, tokens[static_cast<std::size_t>(j)]);
      if (j == i) at(i) = hash;
      if (j >= first) {
        EXPECT_EQ(at(j), hash) << "row " << i << " sees token " << j;
      }
    }
  }

  std::vector<std::int32_t> slots_;
  int window_;
  std::vector<std::int32_t> window_slots_;
  std::vector<std::int32_t> sampled_;         ///< by the last step
  std::map<StateSlot, std::int32_t> states_;  ///< of a recurrent layer that hashes what it sees
  // The scheduler asks only whether there are any.
  std::shared_ptr<const models::MediaFeatures> features_{
      std::make_shared<int>(), reinterpret_cast<const models::MediaFeatures*>(this)};
};

// Knows no picture before it is encoded, and forgets it at once.
class NoMediaCache final : public MediaSource {
 public:
  bool look_up(MediaItem&) override { return false; }
};

// A disk: what it holds outlives the machines that it is plugged into.
struct Disk {
  using Entries = std::map<PageKey, std::vector<std::int32_t>>;
  Entries pages, states;
  std::set<PageKey> broken;  ///< seem to be there, but can't be read
  int latency = 0;           ///< times that one is asked whether a page has come before it has
  bool behind = false;       ///< written by write_behind() alone, where not there by then
};

class FakeColdPages final : public ColdPages {
 public:
  using Read = std::function<std::vector<std::int32_t>(const PageKey&)>;
  using Write = std::function<void(std::int32_t, const std::vector<std::int32_t>&)>;

  FakeColdPages(Disk& disk, Disk::Entries& entries, Read read, Write write)
      : disk_(disk), entries_(entries), read_(std::move(read)), write_(std::move(write)) {}

  bool contains(const PageKey& key) const override { return entries_.count(key) > 0; }
  bool request(const PageKey& key) override {
    if (!contains(key)) return false;
    auto& read = reads_[key];
    if (read.users++ == 0) read.left = disk_.latency;
    return true;
  }
  State state(const PageKey& key) override {
    if (reads_.at(key).left-- > 0) return State::coming;
    return is_readable(key) ? State::here : State::absent;
  }
  bool load(const PageKey& key, const PageKey&, const PageContent& content, PageId page) override {
    if (!is_readable(key)) return false;
    if (&entries_ == &disk_.pages) {
      const auto& slots = entries_.at(key);
      EXPECT_TRUE(std::equal(content.tokens.begin(), content.tokens.end(), slots.begin()));
    }
    write_(page, entries_.at(key));
    ++num_loads;
    return true;
  }
  void forget(const PageKey& key) override {
    if (--reads_.at(key).users == 0) reads_.erase(key);
  }
  void forget_all() noexcept override { reads_.clear(); }
  void published(const PageKey& key) override {
    if (disk_.behind)
      unwritten_.push_back(key);
    else
      write_entry(key);
  }
  void write_behind() {
    if (unwritten_.empty()) return;
    if (!contains(unwritten_.front())) write_entry(unwritten_.front());
    unwritten_.pop_front();
  }
  void used(std::span<const PageKey> keys) override { last_used.assign(keys.begin(), keys.end()); }

  std::size_t num_outstanding() const { return reads_.size(); }

  int num_loads = 0;
  std::vector<PageKey> last_used;

 private:
  struct Outstanding {
    int users = 0, left = 0;
  };
  bool is_readable(const PageKey& key) const {
    return contains(key) && disk_.broken.count(key) == 0;
  }
  void write_entry(const PageKey& key) {
    auto content = read_(key);
    if (content.empty()) return;  // gone by now
    entries_[key] = std::move(content);
    disk_.broken.erase(key);
  }
  Disk& disk_;
  Disk::Entries& entries_;
  Read read_;
  Write write_;
  std::map<PageKey, Outstanding> reads_;
  std::deque<PageKey> unwritten_;
};

inline std::vector<std::int32_t> expected_answer(std::vector<std::int32_t> tokens,
                                                 std::int64_t count) {
  std::vector<std::int32_t> answer;
  for (std::int64_t i = 0; i < count; ++i) {
    answer.push_back(FakeModel::next_token(tokens));
    tokens.push_back(answer.back());
  }
  return answer;
}

struct Machine {
  // window, num_window_pages: of a layer whose pages are apart; 0: there is none.
  Machine(int num_pages, SchedulerOptions options, bool reuse = true, int num_states = 0,
          Disk* disk = nullptr, int window = 0, int num_window_pages = 0)
      : pages(num_pages, page_size, reuse),
        states(num_states, 2 * page_size),
        windows(num_window_pages, num_pages, {window, page_size, options.max_batch_tokens}),
        model(num_pages, window, num_window_pages),
        cold(disk ? std::make_unique<FakeColdPages>(
                        *disk, disk->pages,
                        [this](const PageKey& key) {
                          const auto found = pages.published(key);
                          return found ? model.read_page(found->page, windows)
                                       : std::vector<std::int32_t>();
                        },
                        [this](PageId page, const auto& slots) {
                          model.write_page(page, slots, windows);
                        })
                  : nullptr),
        cold_states(
            disk
                ? std::make_unique<FakeColdPages>(
                      *disk, disk->states,
                      [this](const PageKey& key) {
                        const auto slot = states.peek(key);
                        return slot ? model.read_state(*slot) : std::vector<std::int32_t>();
                      },
                      [this](StateSlot slot, const auto& state) { model.write_state(slot, state); })
                : nullptr),
        scheduler(options, pages, &media, cold.get(), num_states > 0 ? &states : nullptr,
                  cold_states.get(), window > 0 ? &windows : nullptr),
        budget(options.max_batch_tokens) {}

  Batch step() {
    land_where_needed();
    auto batch = plan();
    auto tokens = model.run(batch);
    land();
    flight = {batch, std::move(tokens)};
    if (!overlap) land();
    check_pages();
    return batch;
  }
  void check_pages() const {
    EXPECT_EQ(pages.check(scheduler.pages_in_use()), "");
    EXPECT_EQ(windows.check(scheduler.window_owners_in_use()), "");
  }
  /// Commits the step under way.
  void land() {
    if (const auto landing = std::exchange(flight, std::nullopt))
      scheduler.commit(landing->first, landing->second);
  }
  void land_where_needed() {
    if (flight && !scheduler.may_run_ahead(flight->first)) land();
  }
  Batch plan() {
    auto batch = scheduler.next(flight.has_value());
    num_ahead += flight && !batch.chunks.empty();
    EXPECT_LE(batch.num_tokens, budget);
    for (const auto& restore : batch.restores) num_restored += restore.from.has_value();
    return batch;
  }
  void run_dry() {
    for (int steps = 0; !scheduler.idle(); ++steps) {
      ASSERT_LT(steps, 100000);
      const bool landing = flight.has_value();
      const bool nothing = step().empty();
      ASSERT_TRUE(!nothing || landing ||
                  (cold && cold->num_outstanding() + cold_states->num_outstanding() > 0));
    }
  }

  PageCache pages;
  NoMediaCache media;
  StateCache states;
  WindowPages windows;
  FakeModel model;
  std::unique_ptr<FakeColdPages> cold, cold_states;
  Scheduler scheduler;
  int budget;
  bool overlap = false;  ///< steps are planned ahead where they may be
  int num_ahead = 0;     ///< that were
  int num_restored = 0;  ///< states, from snapshots
  /// A step under way and what it samples.
  std::optional<std::pair<Batch, std::vector<std::int32_t>>> flight;
};

inline std::vector<std::int32_t> answer_of(const Sequence& sequence) {
  std::vector<std::int32_t> answer;
  while (const auto event = sequence.output->poll())
    if (!event->finish) answer.push_back(event->token);
  return answer;
}

}  // namespace pippin::engine::testing
