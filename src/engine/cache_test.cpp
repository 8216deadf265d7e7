// What is cached is what would have been computed: conversations at random, in a pool that is too small for them.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "base/sanitized.h"
#include "engine/disk/testing.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

/// A message: words, then perhaps a picture (its seed), then words.
struct Message {
  std::vector<std::int32_t> before, after;
  std::optional<unsigned> picture;
};

struct Turn {
  Message message;
  std::vector<std::int32_t> answer;
};

using Conversation = std::vector<Turn>;

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  unsigned below(unsigned n) { return static_cast<unsigned>(random_()) % n; }
  std::vector<std::int32_t> words(unsigned least, unsigned most) {
    std::vector<std::int32_t> words(least + below(most - least + 1));
    for (auto& word : words) word = static_cast<std::int32_t>(below(130));
    return words;
  }
  Message message() {
    Message message{words(1, 20), {}, {}};
    if (below(3) == 0) message.picture = below(4);
    message.after = words(1, 12);
    return message;
  }

 private:
  std::mt19937 random_;
};

void append(Sequence& sequence, const std::vector<std::int32_t>& tokens) {
  sequence.tokens.insert(sequence.tokens.end(), tokens.begin(), tokens.end());
}

// All conversations begin with the same words.
std::shared_ptr<Sequence> prompt_of(const Conversation& conversation) {
  auto sequence = std::make_shared<Sequence>();
  append(*sequence, Dice(99).words(21, 21));
  for (const auto& turn : conversation) {
    append(*sequence, turn.message.before);
    if (turn.message.picture) add_picture(*sequence, noise(64, 96, *turn.message.picture));
    append(*sequence, turn.message.after);
    append(*sequence, turn.answer);
  }
  close_prompt(*sequence);
  sequence->max_tokens = 5;
  return sequence;
}

// Goes on from a conversation: its next turn, or another one in place of an earlier one.
void advance(Conversation& conversation, Dice& dice) {
  if (!conversation.empty() && dice.below(4) == 0)
    conversation.resize(dice.below(static_cast<unsigned>(conversation.size())));
  if (conversation.size() == 4) conversation.clear();
  conversation.push_back({dice.message(), {}});
}

struct Request {
  std::size_t conversation;
  std::shared_ptr<Sequence> sequence;
  bool cancelled = false;
};

class Conversations : public ::testing::TestWithParam<unsigned> {
 protected:
  // Some at once; some are cancelled on the way.
  std::vector<Request> ask(Dice& dice) {
    std::vector<Request> requests;
    for (std::size_t i = 0; i < conversations_.size(); ++i) {
      if (dice.below(2)) continue;
      advance(conversations_[i], dice);
      requests.push_back({i, prompt_of(conversations_[i])});
      cached_->submit(requests.back().sequence);
      if (dice.below(5)) continue;
      if (dice.below(2)) requests.back().sequence->output->next();
      requests.back().sequence->output->cancel();
      requests.back().cancelled = true;
    }
    return requests;
  }

  void check(const Request& request) {
    auto& conversation = conversations_[request.conversation];
    if (request.cancelled) {
      conversation.pop_back();
      return;
    }
    conversation.back().answer = read_all(*request.sequence);
    Conversation without_answer = conversation;
    without_answer.back().answer.clear();
    ASSERT_EQ(conversation.back().answer, answer(*uncached_, prompt_of(without_answer)));
  }

  const Folder folder_;
  std::vector<Conversation> conversations_ = std::vector<Conversation>(5);
  Config config_{.how = How::cpu_float32,
                 .num_pages = 24,
                 .max_batch_tokens = 48,
                 .media_cache_bytes = 6000};  // a picture takes 3,072 or more
  std::unique_ptr<Loop> cached_ = make_loop(config_);
  std::unique_ptr<Loop> uncached_ =
      make_loop({.how = How::cpu_float32, .prefix_cache = false, .media_cache_bytes = 0});
};

TEST_P(Conversations, AreAnsweredAsWithoutCaches) {
  Dice dice(GetParam());
  for (int round = 0; round < 50; ++round) {
    for (const auto& request : ask(dice))
      ASSERT_NO_FATAL_FAILURE(check(request)) << "round " << round;
    const auto stats = idle_stats(*cached_);
    ASSERT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total) << "round " << round;
    ASSERT_LE(stats.media_cache_bytes, 6000);
  }
  const auto stats = cached_->stats();
  EXPECT_GT(stats.cached_tokens, stats.prompt_tokens / 4);
  EXPECT_GT(stats.pages_evicted, 50);
  EXPECT_GT(stats.encoder_hits, 0);
  EXPECT_GT(stats.prefix_extended, 0);
  EXPECT_GT(stats.prefix_diverged, 0);
  EXPECT_GT(stats.prefix_evicted, 0);
}

TEST_P(Conversations, AreAnsweredAsWithoutCachesFromDisk) {
  config_.cache_dir = folder_.path();
  Dice dice(GetParam() + 100);
  std::int64_t hits = 0;
  for (int round = 0; round < 30; ++round) {
    if (round % 6 == 0) {
      cached_.reset();
      cached_ = make_loop(config_);
    }
    for (const auto& request : ask(dice))
      ASSERT_NO_FATAL_FAILURE(check(request)) << "round " << round;
    const auto stats = idle_stats(*cached_);
    ASSERT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total) << "round " << round;
    if (round % 6 == 5) hits += stats.disk.hits;
  }
  EXPECT_GT(hits, 20);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Conversations, ::testing::Range(0u, sanitized ? 3u : 10u));

TEST(MediaOfManyRequests, IsEncodedOnceWhenAllAskAtOnce) {
  const auto loop = make_loop({});
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (unsigned i = 0; i < 8; ++i) {
    sequences.push_back(make_sequence(10, i, {5}));
    loop->submit(sequences.back());
  }
  for (const auto& sequence : sequences) EXPECT_EQ(read_all(*sequence).size(), 12u);
  EXPECT_EQ(idle_stats(*loop).encoder_runs, 1);
}

TEST(MediaOfManyRequests, StaysWithinItsLimit) {
  const auto loop = make_loop({.media_cache_bytes = 20000});
  for (unsigned i = 0; i < 60; ++i) {
    answer(*loop, make_sequence(10, 1, {i}));
    ASSERT_LE(loop->stats().media_cache_bytes, 20000);
  }
  EXPECT_EQ(idle_stats(*loop).encoder_runs, 60);
  EXPECT_GT(idle_stats(*loop).media_cache_bytes, 10000);
}

}  // namespace
}  // namespace pippin::engine
