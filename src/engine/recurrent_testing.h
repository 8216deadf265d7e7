// A model with a recurrent layer whose next token shows any error of its state, of its pages or of their order. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/run/loop.h"
#include "models/positions.h"

namespace pippin::engine::testing {

/// Keeps tokens in pages and their polynomial hash in a recurrent state. The next token follows from the state's hash, the number of
/// tokens that it has seen, and the hash of what stands in the pages.
class HashModel final : public models::Model {
 public:
  static constexpr int vocab = 251;
  static constexpr std::uint32_t base = 31;

  HashModel() {
    traits_.model_type = "hash";
    traits_.vocab_size = vocab;
    traits_.max_context = 4096;
    traits_.layers = {nn::RecurrentState{{{"hash", {1}, mx::uint32}}}, nn::PagedKv{1, 8, 8},
                      nn::RecurrentState{{{"count", {2, 1}, mx::float32}}}};
  }

  const models::ModelTraits& traits() const override { return traits_; }
  std::int64_t num_parameters() const override { return 0; }
  std::int64_t weight_bytes() const override { return 0; }

  static std::int32_t token_of(std::uint32_t hash, std::uint32_t count, std::uint32_t paged) {
    std::uint32_t mixed = hash * 33 + count * 7 + paged;
    mixed = (mixed ^ (mixed >> 15)) * 2246822519u;
    return static_cast<std::int32_t>((mixed >> 8) % vocab);
  }

  mx::array forward(const models::StepInput& input, nn::ModelState& state) const override {
    const auto tokens = mx::astype(input.tokens, mx::uint32);
    write_pages(input, state);
    std::vector<mx::array> next;  // of the last row of each of input.states
    const auto paged = page_hashes(input, state);
    for (const auto& rows : input.states) {
      const auto hash_slots = state.recurrent(0), count_slots = state.recurrent(2);
      const auto own = mx::slice(tokens, {rows.first_row}, {rows.first_row + rows.rows});
      const auto hash = hash_slots.read(0, {rows.slot}) * number(power(rows.rows)) +
                        mx::reshape(poly(own), {1, 1});
      const auto count =
          count_slots.read(0, {rows.slot}) + mx::array(static_cast<float>(rows.rows));
      for (const auto slot : {rows.slot, rows.save}) {
        if (slot < 0) continue;
        hash_slots.write(0, {slot}, hash);
        count_slots.write(0, {slot}, count);
      }
      next.push_back(mixed(mx::reshape(hash, {1}),
                           mx::astype(mx::slice(mx::reshape(count, {2}), {1}, {2}), mx::uint32),
                           paged_at(paged, rows.first_row + rows.rows - 1)));
    }
    return logits(input, next);
  }

 private:
  struct Paged {
    int last_row;
    mx::array hash;  ///< uint32 [1]
  };

  static mx::array number(std::uint32_t value) { return mx::array(value, mx::uint32); }
  static std::uint32_t power(int exponent) {
    std::uint32_t result = 1;
    for (int i = 0; i < exponent; ++i) result *= base;
    return result;
  }
  // uint32 [n] -> [1]: the last one counts once, the one before `base` times ...
  static mx::array poly(const mx::array& tokens) {
    std::vector<std::uint32_t> weights;
    for (int i = static_cast<int>(tokens.size()); i-- > 0;) weights.push_back(power(i));
    const mx::array w(weights.begin(), {static_cast<int>(weights.size())}, mx::uint32);
    return mx::reshape(mx::sum(tokens * w), {1});
  }
  static mx::array mixed(const mx::array& hash, const mx::array& count, const mx::array& paged) {
    auto x = hash * number(33) + count * number(7) + paged;
    x = mx::bitwise_xor(x, mx::right_shift(x, number(15))) * number(2246822519u);
    return mx::remainder(mx::right_shift(x, number(8)), number(vocab));
  }

  static std::vector<std::int32_t> host(mx::array x) {
    x = mx::contiguous(x);
    x.eval();
    return {x.data<std::int32_t>(), x.data<std::int32_t>() + x.size()};
  }

  static void write_pages(const models::StepInput& input, nn::ModelState& state) {
    const int rows = static_cast<int>(input.tokens.size());
    const auto numbers = mx::broadcast_to(
        mx::reshape(mx::astype(input.tokens, mx::float32), {rows, 1, 1}), {rows, 1, 8});
    for (const std::size_t pool : {0, 1})
      state.pages().write_rows(pool, host(input.layout.write_slots), numbers);
  }

  static mx::array hash_of_slots(nn::ModelState& state, const std::vector<std::int32_t>& slots) {
    const auto numbers = state.pages().read_rows(1, slots);  // [L, 1, 8]
    const auto first = mx::slice(numbers, {0, 0, 0}, {static_cast<int>(slots.size()), 1, 1});
    return poly(mx::reshape(mx::astype(first, mx::uint32), {-1}));
  }

  static std::vector<Paged> page_hashes(const models::StepInput& input, nn::ModelState& state) {
    std::vector<Paged> all;
    for (const auto& group : input.layout.groups) {
      const auto slots = host(group.slots);
      const int length = group.slots.shape(1);
      const auto lengths =
          group.lengths
              ? host(*group.lengths)
              : std::vector<std::int32_t>(static_cast<std::size_t>(group.num_sequences), length);
      for (int i = 0; i < group.num_sequences; ++i) {
        const auto begin = slots.begin() + std::ptrdiff_t{i} * length;
        all.push_back(
            {group.first_row + (i + 1) * group.rows_per_sequence - 1,
             hash_of_slots(state, {begin, begin + lengths[static_cast<std::size_t>(i)]})});
      }
    }
    if (!input.layout.cpu) return all;
    for (const auto& part : input.layout.cpu->parts) {
      std::vector<std::int32_t> slots;
      for (int i = 0; i < part.length; ++i)
        slots.push_back(part.pages[i / input.layout.cpu->page_size] * input.layout.cpu->page_size +
                        i % input.layout.cpu->page_size);
      all.push_back({part.first_row + part.rows - 1, hash_of_slots(state, slots)});
    }
    return all;
  }

  static mx::array paged_at(const std::vector<Paged>& all, int row) {
    for (const auto& one : all)
      if (one.last_row == row) return one.hash;
    return mx::zeros({1}, mx::uint32);  // no sequence's last row: nobody samples from it
  }

  // float32 [R, vocab]: the largest at the next token. The engine names the rows that it wants.
  static mx::array logits(const models::StepInput& input, const std::vector<mx::array>& next) {
    std::vector<mx::array> wanted;
    for (const auto row : host(input.logit_rows.value())) {
      auto token = mx::zeros({1}, mx::uint32);
      for (std::size_t i = 0; i < next.size(); ++i)
        if (input.states[i].first_row + input.states[i].rows - 1 == row) token = next[i];
      wanted.push_back(mx::reshape(token, {1, 1}));
    }
    return mx::astype(mx::equal(mx::concatenate(wanted, 0), mx::arange(0, vocab, mx::uint32)),
                      mx::float32);
  }

  models::ModelTraits traits_;
};

/// What the model answers to a prompt.
inline std::vector<std::int32_t> hash_answer(const std::vector<std::int32_t>& prompt,
                                             std::size_t count) {
  std::uint32_t hash = 0, seen = 0;
  std::vector<std::int32_t> answer;
  const auto see = [&](std::int32_t token) {
    hash = hash * HashModel::base + static_cast<std::uint32_t>(token);
    ++seen;
  };
  for (const auto token : prompt) see(token);
  while (answer.size() < count) {
    answer.push_back(HashModel::token_of(hash, seen, hash));
    see(answer.back());
  }
  return answer;
}

struct HashConfig {
  bool host_memory = false;  ///< as on CPUs
  bool overlap = false;
  int num_pages = 128;
  int num_slots = 40;
  int snapshot_tokens = 32;
  int max_batch_tokens = 64;
  int max_sequences = 16;
  bool prefix_cache = true;
  std::filesystem::path cache_dir = {};
  std::function<void()> before_step = {}, before_read = {};
};

inline std::unique_ptr<Loop> make_hash_loop(const HashConfig& config) {
  return std::make_unique<Loop>([config] {
    const auto cpu = config.host_memory
                         ? std::make_shared<kernels::CpuBackend>(kernels::CpuOptions{.threads = 1})
                         : nullptr;
    std::shared_ptr<DiskStore> disk;
    if (!config.cache_dir.empty()) {
      DiskStoreOptions options;
      options.directory = config.cache_dir;
      disk = std::make_shared<DiskStore>(options);
    }
    RunnerOptions runner{16, config.num_pages, {}, {mx::float32}, cpu, disk, config.num_slots};
    Loop::Options loop;
    loop.disk = disk;
    loop.num_pages = config.num_pages;
    loop.num_slots = config.num_slots;
    loop.snapshot_tokens = config.snapshot_tokens;
    loop.prefix_cache = config.prefix_cache;
    loop.scheduler.max_batch_tokens = config.max_batch_tokens;
    loop.scheduler.max_sequences = config.max_sequences;
    loop.before_step = config.before_step;
    loop.before_read = config.before_read;
    loop.overlap = config.overlap;
    return std::pair{std::make_unique<Runner>(std::make_unique<HashModel>(), runner), loop};
  });
}

inline std::shared_ptr<Sequence> hash_question(std::vector<std::int32_t> prompt, int max_tokens) {
  auto sequence = std::make_shared<Sequence>();
  sequence->tokens = std::move(prompt);
  sequence->num_prompt = sequence->num_tokens();
  sequence->positions = models::count_positions(sequence->num_prompt, {});
  sequence->max_tokens = max_tokens;
  sequence->sampling.temperature = 0;
  return sequence;
}

}  // namespace pippin::engine::testing
