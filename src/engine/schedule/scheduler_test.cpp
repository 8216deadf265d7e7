#include "engine/schedule/scheduler.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/schedule/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

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
  EXPECT_EQ(m.step().num_tokens,
            3);  // one more token of the first, the prompt's last one of the others
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

// Whose sequence leaves while the step that copies it is under way: the pages before it are to be had.
TEST(Scheduler, APageThatIsCopiedKeepsNoOthers) {
  Machine m(8, {32, 4});
  m.overlap = true;
  m.scheduler.add(make_sequence(count_up(14), 1));
  m.run_dry();
  auto prompt = count_up(13);
  prompt.push_back(900);
  const auto leaves = make_sequence(prompt, 4);
  m.scheduler.add(leaves);
  ASSERT_EQ(m.step().copies.size(), 1u);
  leaves->output->cancel();
  const auto next = make_sequence(count_up(24, 500), 4);
  m.scheduler.add(next);
  m.run_dry();
  EXPECT_EQ(answer_of(*next), expected_answer(count_up(24, 500), 4));
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
  broken->media[0].field = "messages.0.content.1";
  m.scheduler.add(broken);
  m.scheduler.add(whole);
  const auto batch = m.scheduler.next();
  for (auto* item : batch.encode) item->failure = "no picture";
  Batch others = batch;
  others.encode.clear();
  m.scheduler.commit(batch, m.model.run(others));
  m.run_dry();
  try {
    broken->output->next();
    ADD_FAILURE() << "it has an answer";
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "messages.0.content.1");
  }
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
  m.scheduler.start_over();
  EXPECT_THROW(sequence->output->next(), Error);
  EXPECT_TRUE(m.scheduler.idle());
  EXPECT_EQ(m.pages.num_free(), 16);
}

TEST(Scheduler, ARecurrentModelGoesOnFromASnapshotOnly) {
  Machine m(64, {64, 4}, true, 8);
  auto first = make_sequence(count_up(21), 1);
  m.scheduler.add(first);
  m.run_dry();
  EXPECT_EQ(m.states.num_snapshots(), 4u);  // after 8, 16, 20 and all 21 tokens
  auto prompt = count_up(30);
  auto second = make_sequence(prompt, 3);
  m.scheduler.add(second);
  m.run_dry();
  EXPECT_EQ(second->output->cached_tokens(), 21);
  EXPECT_EQ(answer_of(*second), expected_answer(prompt, 3));
  prompt.resize(14);
  auto third = make_sequence(prompt, 3);
  m.scheduler.add(third);
  m.run_dry();
  EXPECT_EQ(third->output->cached_tokens(),
            8);  // three pages are known, but no state after the third
  EXPECT_EQ(answer_of(*third), expected_answer(prompt, 3));
}

// Whatever the interleaving, pool and budget: every answer is the one of a sequence alone, and no page is lost.
TEST(Scheduler, AnswersAreTheSameUnderRandomLoad) {
  Disk disk;
  int num_loads = 0, num_state_loads = 0, num_restored = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const int num_pages = 12 + static_cast<int>(random() % 40);
    const bool reuse = random() % 4 != 0;
    const bool on_disk = reuse && random() % 2 == 0;
    disk.latency = static_cast<int>(random() % 4);
    Machine m(num_pages, {4 + static_cast<int>(random() % 30), 1 + static_cast<int>(random() % 4)},
              reuse, random() % 3 == 0 ? 4 + static_cast<int>(random() % 8) : 0,
              on_disk ? &disk : nullptr);
    m.overlap = random() % 2 == 0;
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
    ASSERT_EQ(static_cast<int>(m.states.num_free() + m.states.num_snapshots()),
              m.states.num_slots());
    num_restored += m.num_restored;
    if (on_disk) {
      num_loads += m.cold->num_loads;
      num_state_loads += m.cold_states->num_loads;
      ASSERT_EQ(m.cold->num_outstanding(), 0u);
      ASSERT_EQ(m.cold_states->num_outstanding(), 0u);
    }
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (sequences[i]->output->cancelled()) continue;
      ASSERT_EQ(answer_of(*sequences[i]), expected_answer(prompts[i], sequences[i]->max_tokens))
          << "seed " << seed;
    }
  }
  EXPECT_GT(num_loads, 1000);
  EXPECT_GT(num_state_loads, 50);
  EXPECT_GT(num_restored, 200);
}

// Forces the two tokens that the fake model would choose anyway, behind each token that is a multiple of three.
class ForcingWhatComesAnyway final : public Constraint {
 public:
  explicit ForcingWhatComesAnyway(std::vector<std::int32_t> prompt) : tokens_(std::move(prompt)) {}
  bool restricts() const override { return false; }
  void fill(std::span<std::uint32_t>) noexcept override {}
  void accept(std::int32_t token) override {
    EXPECT_EQ(token, FakeModel::next_token(tokens_));
    tokens_.push_back(token);
    if (forced_ > 0)
      --forced_;
    else if (token % 3 == 0)
      forced_ = 2;
  }
  std::vector<std::int32_t> forced() override {
    return forced_ > 0 ? expected_answer(tokens_, forced_) : std::vector<std::int32_t>{};
  }
  bool finished() const override { return false; }

 private:
  std::vector<std::int32_t> tokens_;
  int forced_ = 0;
};

std::shared_ptr<Sequence> forced_sequence(int length, int first, std::int64_t max_tokens) {
  auto sequence = make_sequence(count_up(length, first), max_tokens);
  sequence->constraint = std::make_unique<ForcingWhatComesAnyway>(sequence->tokens);
  return sequence;
}

TEST(Scheduler, ForcedTokensTakeNoStepsOfTheirOwn) {
  Machine m(64, {64, 4});
  auto plain = make_sequence(count_up(9), 60), forced = forced_sequence(9, 1, 60);
  int steps[2] = {0, 0};
  for (const auto& sequence : {plain, forced}) {
    m.scheduler.add(sequence);
    for (; !m.scheduler.idle(); ++steps[sequence == forced]) m.step();
    EXPECT_EQ(answer_of(*sequence), expected_answer(count_up(9), 60));
  }
  EXPECT_EQ(steps[0], 60);
  EXPECT_LT(steps[1], 45);
  EXPECT_EQ(m.pages.num_available(), 64);
}

TEST(Scheduler, ForcedStreamsAreServedBeforePromptsAndSurvivePreemption) {
  for (const int num_pages : {12, 20, 64}) {
    Machine m(num_pages, {16, 4});
    std::vector<std::shared_ptr<Sequence>> sequences;
    for (int i = 0; i < 6; ++i) {
      sequences.push_back(i % 2 ? make_sequence(count_up(7 + i, 1 + 50 * i), 23)
                                : forced_sequence(7 + i, 1 + 50 * i, 23));
      m.scheduler.add(sequences.back());
    }
    m.run_dry();
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(answer_of(*sequences[static_cast<std::size_t>(i)]),
                expected_answer(count_up(7 + i, 1 + 50 * i), 23));
    EXPECT_EQ(m.pages.num_available(), num_pages);
    if (num_pages == 12) {
      EXPECT_GT(m.scheduler.counters().preemptions, 0);
    }
  }
}

// Fails with its third token.
class Failing final : public Constraint {
 public:
  bool restricts() const override { return false; }
  void fill(std::span<std::uint32_t>) noexcept override {}
  void accept(std::int32_t) override {
    if (++count_ == 3) throw Error(Code::unavailable, "the grammar is too complex");
  }
  std::vector<std::int32_t> forced() override { return {}; }
  bool finished() const override { return false; }

 private:
  int count_ = 0;
};

TEST(Scheduler, AConstraintThatFailsFailsItsAnswerAlone) {
  Machine m(64, {64, 4});
  auto failing = make_sequence(count_up(9), 20), other = make_sequence(count_up(9, 100), 20);
  failing->constraint = std::make_unique<Failing>();
  for (const auto& sequence : {failing, other}) m.scheduler.add(sequence);
  m.run_dry();
  EXPECT_EQ(answer_of(*other), expected_answer(count_up(9, 100), 20));
  EXPECT_THROW(answer_of(*failing), Error);
  EXPECT_EQ(m.pages.num_available(), 64);
}

}  // namespace
}  // namespace pippin::engine
