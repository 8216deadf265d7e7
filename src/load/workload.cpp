#include "load/workload.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace pippin {
namespace {

constexpr const char* vocabulary[] = {
    "the",   "of",    "and",   "to",    "in",    "is",     "that", "for",   "it",    "as",
    "was",   "with",  "be",    "by",    "on",    "not",    "he",   "this",  "are",   "or",
    "his",   "from",  "at",    "which", "but",   "have",   "an",   "had",   "they",  "you",
    "were",  "their", "one",   "all",   "we",    "can",    "her",  "has",   "there", "been",
    "if",    "more",  "when",  "will",  "would", "who",    "so",   "no",    "said",  "what",
    "up",    "its",   "about", "than",  "into",  "them",   "only", "other", "new",   "some",
    "time",  "could", "these", "two",   "may",   "first",  "then", "do",    "any",   "like",
    "my",    "now",   "over",  "such",  "our",   "man",    "me",   "even",  "most",  "made",
    "after", "also",  "did",   "many",  "off",   "before", "must", "well"};

// Kinds of random numbers, so that none repeats another's.
enum Kind { arrivals, lengths, prefix, question, pixels };

std::string base64(const std::string& bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (int k = 3; k >= 0; --k) out += digits[group >> (6 * k) & 63];
  }
  const std::size_t padding = (3 - bytes.size() % 3) % 3;
  return out.replace(out.size() - padding, padding, padding, '=');
}

void put(std::string& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
}

// A BMP file of coloured squares: the one format that every server reads and that needs no compressor.
std::string bitmap(int side, std::mt19937_64 random) {
  const auto width = static_cast<std::uint32_t>(side), row = (3 * width + 3) / 4 * 4;
  std::string out = "BM";
  for (const std::uint32_t value : {54 + row * width, 0u, 54u, 40u, width, width})
    put(out, value, 4);
  put(out, 1, 2);
  put(out, 24, 2);
  for (const std::uint32_t value : {0u, row * width, 2835u, 2835u, 0u, 0u}) put(out, value, 4);
  std::uint32_t colours[8][8];
  for (auto& line : colours)
    for (auto& colour : line) colour = static_cast<std::uint32_t>(random());
  for (std::uint32_t y = 0; y < width; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) put(out, colours[8 * y / width][8 * x / width], 3);
    out.append(row - 3 * width, '\0');
  }
  return out;
}

}  // namespace

Workload::Workload(const WorkloadOptions& options, const TokenRate& rate)
    : options_(options), rate_(rate) {
  auto random = random_of(Kind::arrivals, 0, 0);
  double time = 0;
  for (int i = 0; i < num_conversations(); ++i) {
    arrivals_.push_back(time);
    if (options_.rate > 0) time += exponential(random, 1 / options_.rate);
  }
}

int Workload::num_conversations() const {
  return (options_.requests + options_.turns - 1) / options_.turns;
}

int Workload::num_turns(int conversation) const {
  return std::min(options_.turns, options_.requests - conversation * options_.turns);
}

std::mt19937_64 Workload::random_of(int kind, int a, int b) const {
  std::seed_seq seed{static_cast<std::uint32_t>(options_.seed),
                     static_cast<std::uint32_t>(options_.seed >> 32),
                     static_cast<std::uint32_t>(kind), static_cast<std::uint32_t>(a),
                     static_cast<std::uint32_t>(b)};
  return std::mt19937_64(seed);
}

std::int64_t Workload::words_for(std::int64_t tokens) const {
  const double words = (static_cast<double>(tokens) - rate_.fixed) / rate_.per_word;
  return std::max<std::int64_t>(1, std::llround(words));
}

std::string Workload::words(std::int64_t count, std::mt19937_64 random) const {
  std::string out;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i > 0) out += ' ';
    out += vocabulary[random() % std::size(vocabulary)];
  }
  return out;
}

std::string Workload::picture(int number) const {
  const int which = options_.image_pool > 0 ? number % options_.image_pool : number;
  return "data:image/bmp;base64," +
         base64(bitmap(options_.image_side, random_of(Kind::pixels, which, 0)));
}

Turn Workload::turn(int conversation, int number) const {
  auto random = random_of(Kind::lengths, conversation, number);
  Turn turn;
  const auto count = words_for(options_.prompt_tokens.sample(random));
  turn.output_tokens = options_.output_tokens.sample(random);
  const auto shared = number == 0 ? std::llround(options_.shared * static_cast<double>(count)) : 0;
  if (shared > 0)
    turn.prefix = words(shared, random_of(Kind::prefix, conversation % options_.groups, 0));
  turn.question = words(std::max<std::int64_t>(1, count - shared),
                        random_of(Kind::question, conversation, number));
  for (int i = 0; number == 0 && i < options_.images; ++i)
    turn.images.push_back(picture(conversation * options_.images + i));
  return turn;
}

std::string sample_words(std::int64_t count) {
  std::string out;
  for (std::int64_t i = 0; i < count; ++i)
    out += std::string(i > 0 ? " " : "") +
           vocabulary[static_cast<std::size_t>(i) % std::size(vocabulary)];
  return out;
}

}  // namespace pippin
