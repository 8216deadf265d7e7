#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <random>

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
    for (const auto& chunk : batch.chunks) {
      const Sequence& s = *chunk.sequence;
      for (std::int64_t i = s.num_computed; i < s.num_computed + chunk.count; ++i)
        slot(s, i) = s.tokens[static_cast<std::size_t>(i)];
      if (!chunk.sample) continue;
      std::vector<std::int32_t> read;
      for (std::int64_t i = 0; i < s.num_tokens(); ++i) read.push_back(slot(s, i));
      EXPECT_EQ(read, s.tokens);
      out.push_back(next_token(read));
    }
    return out;
  }

  static std::int32_t next_token(const std::vector<std::int32_t>& tokens) {
    std::int32_t hash = 17;
    for (const auto token : tokens) hash = (hash * 31 + token) % 1009;
    return hash;
  }

 private:
  std::int32_t& slot(const Sequence& s, std::int64_t index) {
    return slots_[static_cast<std::size_t>(
        s.pages[static_cast<std::size_t>(index / page_size)] * page_size + index % page_size)];
  }
  std::vector<std::int32_t> slots_;
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
  Machine(int num_pages, SchedulerOptions options, bool reuse = true)
      : pages(num_pages, page_size, reuse),
        scheduler(options, pages),
        model(num_pages),
        budget(options.max_batch_tokens) {}

  Batch step() {
    auto batch = scheduler.next();
    EXPECT_LE(batch.num_tokens, budget);
    scheduler.commit(batch, model.run(batch));
    return batch;
  }
  void run_dry() {
    for (int steps = 0; !scheduler.idle(); ++steps) {
      ASSERT_LT(steps, 100000);
      ASSERT_FALSE(step().chunks.empty());
    }
  }

  PageCache pages;
  Scheduler scheduler;
  FakeModel model;
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
  EXPECT_EQ(m.step().chunks[0].count, 34 - 28);  // 30 tokens were computed: seven whole pages
  EXPECT_EQ(second->output->cached_tokens(), 28);
  m.run_dry();
  EXPECT_EQ(answer_of(*second), expected_answer(prompt, 5));
}

TEST(Scheduler, OtherPicturesUnderTheSameTokensShareNothing) {
  Machine m(64, {64, 4});
  const auto with_picture = [](std::uint8_t content) {
    auto sequence = make_sequence(std::vector<std::int32_t>(20, 5), 1);
    MediaItem item{{2, 6, {1, 2, 3}}, {}, nullptr};
    item.digest[0] = content;
    sequence->media.push_back(item);
    return sequence;
  };
  const auto cached = [&](std::uint8_t content) {
    auto sequence = with_picture(content);
    m.scheduler.add(sequence);
    m.run_dry();
    return sequence->output->cached_tokens();
  };
  EXPECT_EQ(cached(1), 0);
  EXPECT_EQ(cached(2), 0);
  EXPECT_EQ(cached(1), 16);
  EXPECT_EQ(cached(2), 16);
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
  EXPECT_EQ(cached(1, 2), 16);
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

// Whatever the interleaving, pool and budget: every answer is the one of a sequence alone, and no page is lost.
TEST(Scheduler, AnswersAreTheSameUnderRandomLoad) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const int num_pages = 12 + static_cast<int>(random() % 40);
    Machine m(num_pages, {4 + static_cast<int>(random() % 30), 1 + static_cast<int>(random() % 4)},
              random() % 4 != 0);
    std::vector<std::shared_ptr<Sequence>> sequences;
    std::vector<std::vector<std::int32_t>> prompts;
    for (int i = 0; i < 30; ++i) {
      // Few distinct prefixes, so that sequences share pages.
      prompts.push_back(
          count_up(1 + static_cast<int>(random() % 24), 1 + static_cast<int>(random() % 3)));
      sequences.push_back(
          make_sequence(prompts.back(), 1 + static_cast<std::int64_t>(random() % 20)));
      m.scheduler.add(sequences.back());
      for (unsigned steps = random() % 4; steps > 0 && !m.scheduler.idle(); --steps) m.step();
      if (random() % 8 == 0) sequences[random() % sequences.size()]->output->cancel();
    }
    m.run_dry();
    ASSERT_EQ(m.pages.num_available(), num_pages) << "seed " << seed;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (sequences[i]->output->cancelled()) continue;
      ASSERT_EQ(answer_of(*sequences[i]), expected_answer(prompts[i], sequences[i]->max_tokens))
          << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace pippin::engine
