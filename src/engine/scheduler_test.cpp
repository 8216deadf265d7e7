#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

namespace pippin::engine {
namespace {

constexpr int page_size = 4;

std::shared_ptr<Sequence> make_sequence(std::vector<std::int32_t> prompt, std::int64_t max_tokens) {
  auto sequence = std::make_shared<Sequence>();
  sequence->tokens = std::move(prompt);
  sequence->num_prompt = sequence->num_tokens();
  sequence->max_tokens = max_tokens;
  sequence->end_tokens = {-1};
  return sequence;
}

std::vector<std::int32_t> count_up(int length, int first = 1) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < length; ++i) tokens.push_back(first + i);
  return tokens;
}

// A model whose next token follows from the tokens so far, so that a wrong page shows as a wrong answer: pages remember
// which tokens were computed into them.
class FakeModel {
 public:
  explicit FakeModel(int num_pages) : slots_(static_cast<std::size_t>(num_pages * page_size), 0) {}

  std::vector<std::int32_t> run(const Batch& batch) {
    std::vector<std::int32_t> out;
    for (const auto& [from, to] : batch.copies)
      for (int i = 0; i < page_size; ++i) slots_[index(to, i)] = slots_[index(from, i)];
    for (auto* item : batch.encode) item->features = features_;
    for (const auto& [from, to] : batch.restores) states_[to] = from ? states_[*from] : 17;
    for (const auto& chunk : batch.chunks) {
      const Sequence& s = *chunk.sequence;
      for (std::int64_t i = s.num_computed; i < s.num_computed + chunk.count; ++i) {
        const auto token = s.tokens[static_cast<std::size_t>(i)];
        slot(s, i) = token;
        if (s.state) states_[*s.state] = mix(states_[*s.state], token);
      }
      if (!chunk.sample) continue;
      std::vector<std::int32_t> read;
      for (std::int64_t i = 0; i < s.num_tokens(); ++i) read.push_back(slot(s, i));
      EXPECT_EQ(read, s.tokens);
      out.push_back(next_token(read));
      if (s.state) {
        EXPECT_EQ(states_[*s.state], out.back());
      }
    }
    for (const auto& save : batch.saves) states_[save.to] = states_[save.from];
    return out;
  }

  // A page's slots, as the cold pages keep them.
  std::vector<std::int32_t> read_page(PageId page) const {
    const auto begin = slots_.begin() + static_cast<std::ptrdiff_t>(index(page, 0));
    return {begin, begin + page_size};
  }
  void write_page(PageId page, const std::vector<std::int32_t>& slots) {
    std::copy(slots.begin(), slots.end(),
              slots_.begin() + static_cast<std::ptrdiff_t>(index(page, 0)));
  }

  static std::int32_t next_token(const std::vector<std::int32_t>& tokens) {
    std::int32_t hash = 17;
    for (const auto token : tokens) hash = mix(hash, token);
    return hash;
  }

 private:
  static std::int32_t mix(std::int32_t hash, std::int32_t token) {
    return (hash * 31 + token) % 1009;
  }
  static std::size_t index(PageId page, std::int64_t offset) {
    return static_cast<std::size_t>(page * page_size + offset);
  }
  std::int32_t& slot(const Sequence& s, std::int64_t i) {
    return slots_[index(s.pages[static_cast<std::size_t>(i / page_size)], i % page_size)];
  }
  std::vector<std::int32_t> slots_;
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
  std::map<PageKey, std::vector<std::int32_t>> pages;
  std::set<PageKey> broken;  ///< seem to be there, but can't be read
  int latency = 0;           ///< times that one is asked whether a page has come before it has
};

class FakeColdPages final : public ColdPages {
 public:
  FakeColdPages(Disk& disk, PageCache& pages, FakeModel& model)
      : disk_(disk), pages_(pages), model_(model) {}

  bool request(const PageKey& key) override {
    if (disk_.pages.count(key) == 0) return false;
    auto& read = reads_[key];
    if (read.users++ == 0) read.left = disk_.latency;
    return true;
  }
  State state(const PageKey& key) override {
    if (reads_.at(key).left-- > 0) return State::coming;
    return disk_.broken.count(key) > 0 ? State::absent : State::here;
  }
  bool load(const PageKey& key, const PageKey&, const PageContent& content, PageId page) override {
    EXPECT_EQ(disk_.pages.at(key), content.tokens);
    model_.write_page(page, disk_.pages.at(key));
    ++num_loads;
    return true;
  }
  void forget(const PageKey& key) override {
    if (--reads_.at(key).users == 0) reads_.erase(key);
  }
  void published(const PageKey& key) override {
    disk_.pages[key] = model_.read_page(pages_.published(key)->page);
    disk_.broken.erase(key);
  }
  void used(std::span<const PageKey> keys) override { last_used.assign(keys.begin(), keys.end()); }

  std::size_t num_outstanding() const { return reads_.size(); }

  int num_loads = 0;
  std::vector<PageKey> last_used;

 private:
  struct Read {
    int users = 0, left = 0;
  };
  Disk& disk_;
  PageCache& pages_;
  FakeModel& model_;
  std::map<PageKey, Read> reads_;
};

std::vector<std::int32_t> expected_answer(std::vector<std::int32_t> tokens, std::int64_t count) {
  std::vector<std::int32_t> answer;
  for (std::int64_t i = 0; i < count; ++i) {
    answer.push_back(FakeModel::next_token(tokens));
    tokens.push_back(answer.back());
  }
  return answer;
}

struct Machine {
  Machine(int num_pages, SchedulerOptions options, bool reuse = true, Disk* disk = nullptr,
          int num_states = 0)
      : pages(num_pages, page_size, reuse),
        states(num_states, 2 * page_size),
        model(num_pages),
        cold(disk ? std::optional<FakeColdPages>(std::in_place, *disk, pages, model)
                  : std::nullopt),
        scheduler(options, pages, &media, cold ? &*cold : nullptr,
                  num_states > 0 ? &states : nullptr),
        budget(options.max_batch_tokens) {}

  Batch step() {
    auto batch = scheduler.next();
    EXPECT_LE(batch.num_tokens, budget);
    scheduler.commit(batch, model.run(batch));
    EXPECT_EQ(pages.check(scheduler.pages_in_use()), "");
    return batch;
  }
  void run_dry() {
    for (int steps = 0; !scheduler.idle(); ++steps) {
      ASSERT_LT(steps, 100000);
      const bool nothing = step().empty();
      ASSERT_TRUE(!nothing || (cold && cold->num_outstanding() > 0));
    }
  }

  PageCache pages;
  NoMediaCache media;
  StateCache states;
  FakeModel model;
  std::optional<FakeColdPages> cold;
  Scheduler scheduler;
  int budget;
};

std::vector<std::int32_t> answer_of(const Sequence& sequence) {
  std::vector<std::int32_t> answer;
  while (const auto event = sequence.output->poll())
    if (!event->finish) answer.push_back(event->token);
  return answer;
}

TEST(Scheduler, PrefillsInChunksThenDecodes) {
  Machine m(16, {8, 4});
  m.scheduler.add(make_sequence(count_up(19), 3));
  std::vector<std::pair<int, bool>> seen;
  while (!m.scheduler.idle())
    for (const auto& chunk : m.step().chunks) seen.emplace_back(chunk.count, chunk.sample);
  EXPECT_EQ(seen, (std::vector<std::pair<int, bool>>{
                      {8, false}, {8, false}, {3, true}, {1, true}, {1, true}}));
  EXPECT_EQ(m.pages.num_available(), 16);
}

TEST(Scheduler, DecodeRowsComeFirstBesideAPrefill) {
  Machine m(32, {8, 4});
  m.scheduler.add(make_sequence(count_up(3), 50));
  m.step();
  m.scheduler.add(make_sequence(count_up(40, 100), 1));
  for (int i = 0; i < 5; ++i) {
    const auto batch = m.step();
    ASSERT_EQ(batch.chunks.size(), 2u);
    EXPECT_EQ(batch.chunks[0].count, 1);
    EXPECT_EQ(batch.chunks[1].count, 7);
  }
}

TEST(Scheduler, AFollowUpReadsOnlyWhatIsNew) {
  Machine m(64, {64, 4});
  auto first = make_sequence(count_up(21), 10);
  m.scheduler.add(first);
  m.run_dry();
  // The next turn: the first prompt and its answer, then new words.
  auto prompt = count_up(21);
  const auto answer = answer_of(*first);
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  prompt.insert(prompt.end(), {7, 7, 7});
  auto second = make_sequence(prompt, 5);
  m.scheduler.add(second);
  // 30 tokens were computed: seven pages, and half of one that is copied.
  EXPECT_EQ(m.step().chunks[0].count, 34 - 30);
  EXPECT_EQ(second->output->cached_tokens(), 30);
  m.run_dry();
  EXPECT_EQ(answer_of(*second), expected_answer(prompt, 5));
  EXPECT_EQ(m.scheduler.counters().prefixes.extended, 1);
  EXPECT_FALSE(second->output->take_divergence());
}

TEST(Scheduler, TwoTextsThatPartWithinAPageShareItsBeginning) {
  Machine m(64, {64, 4});
  auto first = make_sequence({1, 2, 3, 4, 5, 6, 7, 8, 9}, 1),
       second = make_sequence({1, 2, 3, 4, 5, 6, 70, 80, 90}, 1);
  for (const auto& sequence : {first, second}) {
    m.scheduler.add(sequence);
    m.run_dry();
  }
  EXPECT_EQ(second->output->cached_tokens(), 6);
  EXPECT_EQ(answer_of(*first), expected_answer({1, 2, 3, 4, 5, 6, 7, 8, 9}, 1));
  EXPECT_EQ(answer_of(*second), expected_answer({1, 2, 3, 4, 5, 6, 70, 80, 90}, 1));
  EXPECT_EQ(m.scheduler.counters().prefixes.diverged, 1);
  const auto divergence = second->output->take_divergence();
  ASSERT_TRUE(divergence);
  EXPECT_EQ(divergence->position, 6);
  EXPECT_EQ(divergence->cached, (std::vector{7, 8}));
  EXPECT_EQ(divergence->wanted, (std::vector{70, 80}));
}

TEST(Scheduler, TheSamePromptAgainComputesOneToken) {
  Machine m(64, {64, 4});
  for (int i = 0; i < 2; ++i) {
    auto sequence = make_sequence(count_up(19), 2);
    m.scheduler.add(sequence);
    m.run_dry();
    EXPECT_EQ(sequence->output->cached_tokens(), i * 18);
    EXPECT_EQ(answer_of(*sequence), expected_answer(count_up(19), 2));
  }
  EXPECT_EQ(m.scheduler.counters().prefixes.whole, 1);
  EXPECT_EQ(m.scheduler.counters().prefixes.unknown, 1);
}

TEST(Scheduler, SequencesThatRunTogetherHoldASharedPromptOnce) {
  Machine m(64, {64, 4});
  for (int i = 0; i < 3; ++i) m.scheduler.add(make_sequence(count_up(16), 8));
  EXPECT_EQ(m.step().num_tokens, 16);  // the first computes it, the others wait for that
  EXPECT_EQ(m.step().num_tokens, 3);   // one more token of the first, the prompt's last one of the others
  EXPECT_EQ(m.scheduler.num_running(), 3u);
  EXPECT_EQ(m.pages.num_pages() - m.pages.num_available(), 4 + 1);  // and the first one's next
  m.run_dry();
}

TEST(Scheduler, APromptThatNeedsThePageItCouldCopyFromIsNotStarved) {
  Machine m(8, {64, 4});
  m.scheduler.add(make_sequence(count_up(15), 1));
  m.run_dry();
  auto all = make_sequence(count_up(31), 1);
  all->tokens[14] = 99;  // parts from the first one within a page
  const auto prompt = all->tokens;
  m.scheduler.add(all);
  m.run_dry();
  EXPECT_EQ(answer_of(*all), expected_answer(prompt, 1));
}

TEST(Scheduler, SaysThatAPrefixWasEvicted) {
  Machine m(8, {64, 4});
  for (const int first : {1, 100, 1}) {
    m.scheduler.add(make_sequence(count_up(28, first), 2));
    m.run_dry();
  }
  EXPECT_EQ(m.scheduler.counters().prefixes.evicted, 1);
}

TEST(Scheduler, AnAdapterSharesNothingWithAnother) {
  Machine m(64, {64, 4});
  for (const auto* adapter : {"", "a", "b", "a"}) {
    auto sequence = make_sequence(count_up(19), 1);
    sequence->adapter = adapter;
    m.scheduler.add(sequence);
    m.run_dry();
  }
  EXPECT_EQ(m.scheduler.counters().cached_tokens, 18);
}

std::shared_ptr<Sequence> with_picture(std::int64_t begin, std::int64_t length,
                                       std::uint8_t content, int prompt) {
  auto sequence = make_sequence(std::vector<std::int32_t>(static_cast<std::size_t>(prompt), 5), 1);
  MediaItem item{{begin, length, {1, 1, static_cast<int>(length)}}, {}, nullptr};
  item.digest[0] = content;
  sequence->media.push_back(item);
  return sequence;
}

TEST(Scheduler, RowsWaitForTheirPictureAlone) {
  Machine m(64, {64, 4});
  m.scheduler.add(with_picture(6, 8, 1, 20));
  const auto batch = m.scheduler.next();
  ASSERT_EQ(batch.chunks.size(), 1u);
  EXPECT_EQ(batch.chunks[0].count, 6);  // the words before it
  EXPECT_EQ(batch.encode.size(), 1u);
  m.scheduler.commit(batch, m.model.run(batch));
  EXPECT_EQ(m.step().chunks[0].count, 14);
  EXPECT_TRUE(m.scheduler.idle());
}

TEST(Scheduler, APictureThatIsInThePageCacheIsNotAskedFor) {
  Machine m(64, {64, 4});
  m.scheduler.add(with_picture(6, 8, 1, 20));
  m.run_dry();
  m.scheduler.add(with_picture(6, 8, 1, 20));
  EXPECT_TRUE(m.step().encode.empty());
}

TEST(Scheduler, APictureThatCannotBeEncodedFailsItsSequenceAlone) {
  Machine m(64, {64, 4});
  auto broken = with_picture(6, 8, 1, 20), whole = make_sequence(count_up(9), 3);
  m.scheduler.add(broken);
  m.scheduler.add(whole);
  const auto batch = m.scheduler.next();
  for (auto* item : batch.encode) item->failure = "no picture";
  Batch others = batch;
  others.encode.clear();
  m.scheduler.commit(batch, m.model.run(others));
  m.run_dry();
  EXPECT_THROW(broken->output->next(), Error);
  EXPECT_EQ(answer_of(*whole), expected_answer(count_up(9), 3));
  EXPECT_EQ(m.pages.num_available(), 64);
}

TEST(Scheduler, OtherPicturesUnderTheSameTokensShareNothing) {
  Machine m(64, {64, 4});
  const auto cached = [&](std::uint8_t content) {
    auto sequence = with_picture(2, 6, content, 20);
    m.scheduler.add(sequence);
    m.run_dry();
    return sequence->output->cached_tokens();
  };
  EXPECT_EQ(cached(1), 0);
  EXPECT_EQ(cached(2), 2);  // the words before it
  EXPECT_EQ(cached(1), 19);
  EXPECT_EQ(cached(2), 19);
}

TEST(Scheduler, TheOrderOfPicturesCounts) {
  Machine m(64, {64, 4});
  const auto cached = [&](std::uint8_t a, std::uint8_t b) {
    auto sequence = make_sequence(std::vector<std::int32_t>(20, 5), 1);
    for (const auto& [begin, content] : {std::pair{4, a}, {8, b}}) {
      MediaItem item{{begin, 4, {1, 2, 2}}, {}, nullptr};
      item.digest[0] = content;
      sequence->media.push_back(item);
    }
    m.scheduler.add(sequence);
    m.run_dry();
    return sequence->output->cached_tokens();
  };
  EXPECT_EQ(cached(1, 2), 0);
  EXPECT_EQ(cached(2, 1), 4);  // the words before the pictures
  EXPECT_EQ(cached(1, 2), 19);
}

TEST(Scheduler, PreemptsTheYoungestAndStillAnswersRight) {
  Machine m(8, {64, 8}, false);  // two of them fill the pool
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (int i = 0; i < 3; ++i) {
    sequences.push_back(make_sequence(count_up(8, 10 * i + 1), 16));
    m.scheduler.add(sequences.back());
  }
  m.run_dry();
  EXPECT_GT(m.scheduler.counters().preemptions, 0);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(answer_of(*sequences[static_cast<std::size_t>(i)]),
              expected_answer(count_up(8, 10 * i + 1), 16));
  EXPECT_EQ(m.pages.num_free(), 8);
  EXPECT_EQ(m.scheduler.counters().prompt_tokens, 24);
}

TEST(Scheduler, ACancelledSequenceIsGoneInTheNextStep) {
  Machine m(16, {8, 1});
  auto running = make_sequence(count_up(30), 10), waiting = make_sequence(count_up(3), 10);
  m.scheduler.add(running);
  m.scheduler.add(waiting);
  m.step();
  EXPECT_LT(m.pages.num_available(), 16);
  running->output->cancel();
  waiting->output->cancel();
  EXPECT_TRUE(m.scheduler.next().chunks.empty());
  EXPECT_TRUE(m.scheduler.idle());
  EXPECT_EQ(m.pages.num_available(), 16);
}

TEST(Scheduler, AFailedStepEndsItsSequencesAndFreesTheirPages) {
  Machine m(16, {64, 4});
  auto sequence = make_sequence(count_up(9), 10);
  m.scheduler.add(sequence);
  m.scheduler.fail(m.scheduler.next(), Error(Code::unavailable, "broken"));
  EXPECT_THROW(sequence->output->next(), Error);
  EXPECT_TRUE(m.scheduler.idle());
  EXPECT_EQ(m.pages.num_free(), 16);
}

TEST(Scheduler, ARecurrentModelGoesOnFromASnapshotOnly) {
  Machine m(64, {64, 4}, true, nullptr, 8);
  auto first = make_sequence(count_up(21), 1);
  m.scheduler.add(first);
  m.run_dry();
  EXPECT_EQ(m.states.num_snapshots(), 3u);  // after 8, 16 and 20 tokens
  auto prompt = count_up(30);
  auto second = make_sequence(prompt, 3);
  m.scheduler.add(second);
  m.run_dry();
  EXPECT_EQ(second->output->cached_tokens(), 20);
  EXPECT_EQ(answer_of(*second), expected_answer(prompt, 3));
  prompt.resize(14);
  auto third = make_sequence(prompt, 3);
  m.scheduler.add(third);
  m.run_dry();
  EXPECT_EQ(third->output->cached_tokens(),
            8);  // three pages are known, but no state after the third
  EXPECT_EQ(answer_of(*third), expected_answer(prompt, 3));
}

// Leaves the pages of this prompt and its answer on the disk.
void compute(Disk& disk, int prompt, std::int64_t max_tokens) {
  Machine m(64, {64, 4}, true, &disk);
  m.scheduler.add(make_sequence(count_up(prompt), max_tokens));
  m.run_dry();
}

TEST(Scheduler, PagesOnDiskAreNotComputedAgain) {
  Disk disk;
  compute(disk, 30, 6);
  EXPECT_EQ(disk.pages.size(), 8u);  // 35 tokens were computed
  disk.latency = 1;
  Machine m(64, {64, 4}, true, &disk);
  auto again = make_sequence(count_up(30), 6);
  m.scheduler.add(again);
  EXPECT_TRUE(m.step().empty());  // asked for
  EXPECT_EQ(m.scheduler.num_running(), 1u);
  Batch batch;
  while ((batch = m.step()).empty()) continue;
  EXPECT_EQ(batch.num_tokens, 2);  // of 30; the last page is never on disk whole
  m.run_dry();
  EXPECT_EQ(answer_of(*again), expected_answer(count_up(30), 6));
  EXPECT_EQ(again->output->cached_tokens(), 28);
  EXPECT_EQ(m.scheduler.counters().cached_tokens, 28);
  EXPECT_EQ(m.cold->num_outstanding(), 0u);
  EXPECT_EQ(m.cold->last_used.size(), 8u);
  EXPECT_EQ(m.cold->last_used.front(), m.pages.key_of(root_key, {count_up(4), {}, ""}));
  m.scheduler.add(make_sequence(count_up(30), 6));
  m.run_dry();
  EXPECT_EQ(m.cold->num_loads, 7) << "now they are in memory";
}

TEST(Scheduler, ALongerPromptGoesOnFromDisk) {
  Disk disk;
  compute(disk, 10, 3);
  Machine m(64, {64, 4}, true, &disk);
  auto longer = make_sequence(count_up(40), 3);
  m.scheduler.add(longer);
  m.run_dry();
  EXPECT_EQ(answer_of(*longer), expected_answer(count_up(40), 3));
  EXPECT_EQ(longer->output->cached_tokens(), 8);
}

TEST(Scheduler, OthersGoOnWhilePagesAreRead) {
  Disk disk;
  compute(disk, 20, 1);
  disk.latency = 3;
  Machine m(64, {64, 4}, true, &disk);
  auto reading = make_sequence(count_up(20), 4), other = make_sequence(count_up(9, 50), 20);
  m.scheduler.add(reading);
  m.scheduler.add(other);
  for (int i = 0; i < 3; ++i) {
    const auto batch = m.step();
    ASSERT_EQ(batch.chunks.size(), 1u);
    EXPECT_EQ(batch.chunks[0].sequence, other);
  }
  m.run_dry();
  EXPECT_EQ(answer_of(*reading), expected_answer(count_up(20), 4));
  EXPECT_EQ(answer_of(*other), expected_answer(count_up(9, 50), 20));
  EXPECT_EQ(reading->output->cached_tokens(), 16);
}

TEST(Scheduler, PagesFromDiskAreTakenAFewAtATimeBesideDecodeRows) {
  Disk disk;
  compute(disk, 60, 1);
  SchedulerOptions options{64, 4};
  options.max_loads_beside = 2;
  Machine m(64, options, true, &disk);
  auto other = make_sequence(count_up(9, 100), 20), reading = make_sequence(count_up(60), 4);
  m.scheduler.add(other);
  m.step();
  m.scheduler.add(reading);
  for (int loads = 0; loads < 14; loads = m.cold->num_loads) {
    m.step();
    EXPECT_LE(m.cold->num_loads, loads + 2);
  }
  m.run_dry();
  EXPECT_EQ(answer_of(*reading), expected_answer(count_up(60), 4));
}

TEST(Scheduler, APageThatCannotBeReadIsComputed) {
  Disk disk;
  compute(disk, 30, 1);
  Machine m(64, {64, 4}, true, &disk);
  auto sequence = make_sequence(count_up(30), 4);
  PageKey key = root_key;
  for (int i = 0; i < 3; ++i) key = m.pages.key_of(key, {count_up(4, 4 * i + 1), {}, ""});
  disk.broken.insert(key);
  m.scheduler.add(sequence);
  m.run_dry();
  EXPECT_EQ(answer_of(*sequence), expected_answer(count_up(30), 4));
  EXPECT_EQ(sequence->output->cached_tokens(), 8);
  EXPECT_EQ(m.cold->num_outstanding(), 0u);
}

TEST(Scheduler, ASequenceCancelledWhileReadingLeavesNothing) {
  Disk disk;
  compute(disk, 30, 1);
  disk.latency = 10;
  Machine m(64, {64, 4}, true, &disk);
  auto sequence = make_sequence(count_up(30), 4);
  m.scheduler.add(sequence);
  m.step();
  EXPECT_EQ(m.cold->num_outstanding(), 7u);
  sequence->output->cancel();
  EXPECT_TRUE(m.step().empty());
  EXPECT_TRUE(m.scheduler.idle());
  EXPECT_EQ(m.cold->num_outstanding(), 0u);
  EXPECT_EQ(m.pages.num_available(), 64);
}

// What has no room yet must not read in vain at every step.
TEST(Scheduler, NothingIsReadForASequenceWithoutRoom) {
  Disk disk;
  compute(disk, 30, 1);
  Machine m(12, {64, 4}, true, &disk);
  m.scheduler.add(make_sequence(count_up(20, 50), 20));
  m.scheduler.add(make_sequence(count_up(30), 4));
  m.step();
  m.step();
  EXPECT_EQ(m.scheduler.num_waiting(), 1u);
  EXPECT_EQ(m.cold->num_outstanding(), 0u);
}

// Whatever the interleaving, pool and budget: every answer is the one of a sequence alone, and no page is lost.
TEST(Scheduler, AnswersAreTheSameUnderRandomLoad) {
  Disk disk;
  int num_loads = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const int num_pages = 12 + static_cast<int>(random() % 40);
    const bool reuse = random() % 4 != 0;
    const bool on_disk = reuse && random() % 2 == 0;
    disk.latency = static_cast<int>(random() % 4);
    Machine m(num_pages, {4 + static_cast<int>(random() % 30), 1 + static_cast<int>(random() % 4)},
              reuse, on_disk ? &disk : nullptr,
              !on_disk && random() % 2 == 0 ? 4 + static_cast<int>(random() % 8) : 0);
    std::vector<std::shared_ptr<Sequence>> sequences;
    std::vector<std::vector<std::int32_t>> prompts;
    for (int i = 0; i < 30; ++i) {
      // Few distinct prefixes, so that sequences share pages; some go on from an earlier answer, or part from a prompt.
      prompts.push_back(
          count_up(1 + static_cast<int>(random() % 24), 1 + static_cast<int>(random() % 3)));
      if (i > 0 && random() % 3 == 0) {
        const auto& earlier = *sequences[random() % sequences.size()];
        prompts.back() = earlier.tokens;
        prompts.back().resize(1 + std::min<std::size_t>(random() % earlier.tokens.size(), 24), 3);
        prompts.back().push_back(static_cast<std::int32_t>(random() % 5));
      }
      sequences.push_back(
          make_sequence(prompts.back(), 1 + static_cast<std::int64_t>(random() % 20)));
      m.scheduler.add(sequences.back());
      for (unsigned steps = random() % 4; steps > 0 && !m.scheduler.idle(); --steps) m.step();
      if (random() % 8 == 0) sequences[random() % sequences.size()]->output->cancel();
      if (random() % 4 == 0 && !disk.pages.empty()) {
        const auto place = static_cast<std::ptrdiff_t>(random() % disk.pages.size());
        disk.broken.insert(std::next(disk.pages.begin(), place)->first);
      }
    }
    m.run_dry();
    ASSERT_EQ(m.pages.num_available(), num_pages) << "seed " << seed;
    if (on_disk) {
      num_loads += m.cold->num_loads;
      ASSERT_EQ(m.cold->num_outstanding(), 0u);
    }
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (sequences[i]->output->cancelled()) continue;
      ASSERT_EQ(answer_of(*sequences[i]), expected_answer(prompts[i], sequences[i]->max_tokens))
          << "seed " << seed;
    }
  }
  EXPECT_GT(num_loads, 1000);
}

}  // namespace
}  // namespace pippin::engine
