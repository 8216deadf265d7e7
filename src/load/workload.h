// Made-up traffic: which conversations there are, when they begin and what they ask. Equal options give equal traffic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "load/distribution.h"

namespace pippin {

struct WorkloadOptions {
  int requests = 100;
  int turns = 1;    ///< requests of a conversation, each with all that came before
  double rate = 0;  ///< conversations a second, as a Poisson process; 0: as fast as others end
  Distribution prompt_tokens = Distribution::parse("128");  ///< new in each turn
  Distribution output_tokens = Distribution::parse("64");
  double shared = 0;     ///< share of a first prompt that others begin with, too, in [0, 1]
  int groups = 1;        ///< of conversations that share it
  int images = 0;        ///< in a conversation's first turn
  int image_side = 256;  ///< pixels
  int image_pool = 0;    ///< different pictures in all; 0: each another
  std::uint64_t seed = 0;
};

/// How many tokens a prompt has by its number of words: what was measured of the server's tokenizer.
struct TokenRate {
  double per_word = 1;
  double fixed = 0;  ///< of the template
};

/// A turn's part of a conversation.
struct Turn {
  std::string prefix;  ///< shared, for the system prompt; empty for none
  std::string question;
  std::vector<std::string> images;  ///< data: URLs
  std::int64_t output_tokens = 0;
};

class Workload {
 public:
  explicit Workload(const WorkloadOptions& options, const TokenRate& rate = {});

  /// The number of all conversations; the last may have fewer turns.
  int num_conversations() const;
  int num_turns(int conversation) const;
  /// Seconds after the start at which it begins; all 0 without a rate.
  double arrival(int conversation) const {
    return arrivals_[static_cast<std::size_t>(conversation)];
  }
  Turn turn(int conversation, int number) const;

 private:
  std::mt19937_64 random_of(int kind, int a, int b) const;
  std::int64_t words_for(std::int64_t tokens) const;
  std::string words(std::int64_t count, std::mt19937_64 random) const;
  std::string picture(int number) const;

  const WorkloadOptions options_;
  const TokenRate rate_;
  std::vector<double> arrivals_;
};

/// `count` words of the traffic's kind, for measuring TokenRate.
std::string sample_words(std::int64_t count);

}  // namespace pippin
