#include "engine/cache/memory_budget.h"

#include <mlx/mlx.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <variant>

#include "base/log.h"
#include "base/memory.h"
#include "pippin/error.h"

namespace pippin::engine {
namespace {

namespace mx = mlx::core;

// The rest is the operating system's, other programs', and what the server itself takes: requests.
constexpr double default_fraction = 0.8;
constexpr std::int64_t most_media = std::int64_t{512} << 20;
constexpr std::int64_t most_decoded = std::int64_t{1280} << 20;
constexpr std::int64_t contexts = 4;
// Of the page cache, for each window that is kept beside those of running sequences: some percent of a long context's memory.
constexpr int tokens_of_kept_window = 32'768;
constexpr int least_share = 64;
// Without these not even a few plain schemas could be compiled.
constexpr std::int64_t least_grammars = std::int64_t{16} << 20;
constexpr std::int64_t most_grammars = std::int64_t{256} << 20;

std::string gb(std::int64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / (1 << 30));
}

}  // namespace

std::int64_t device_memory_bytes() {
  if (mx::default_device() == mx::Device::cpu) return memory_limit_bytes();
  const auto& info = mx::device_info();
  for (const char* key : {"memory_size", "total_memory"})  // Metal's and CUDA's names
    if (const auto it = info.find(key);
        it != info.end() && std::holds_alternative<std::size_t>(it->second))
      return static_cast<std::int64_t>(std::get<std::size_t>(it->second));
  return std::int64_t{8} << 30;
}

MemoryBudget::MemoryBudget(std::int64_t limit, const EngineOptions& options)
    : options_(options), named_(options.memory_bytes > 0 || options.memory_fraction > 0) {
  const double fraction = options.memory_fraction > 0 ? options.memory_fraction : default_fraction;
  split_.limit = limit;
  split_.budget = options.memory_bytes > 0
                      ? options.memory_bytes
                      : static_cast<std::int64_t>(fraction * static_cast<double>(limit));
  if (split_.budget > limit)
    throw Error(Code::invalid_argument,
                "'memory_bytes' must be at most the " + gb(limit) + " that this process may use",
                "memory_bytes");
}

void MemoryBudget::take_model(std::int64_t weights, std::int64_t activations) {
  split_.weights = weights;
  split_.activations = activations;
  if (left() >= 0) return;
  const std::string what = fmt::format(
      "the model's weights take {}, a step's activations up to {}: more than the {} of memory that "
      "the engine may use ({} in all)",
      gb(weights), gb(activations), gb(split_.budget), gb(split_.limit));
  if (named_) throw Error(Code::invalid_argument, what, "memory_bytes");
  spdlog::warn("[engine] {}", what);
}

std::int64_t MemoryBudget::grant_grammars() {
  split_.grammars = std::clamp(left() / 16, least_grammars, most_grammars);
  check_left("memory_bytes");
  return split_.grammars;
}

std::int64_t MemoryBudget::grant_media(bool takes_pictures) {
  if (!takes_pictures) return 0;
  split_.media = options_.media_cache_bytes >= 0
                     ? options_.media_cache_bytes
                     : std::clamp<std::int64_t>(left() / 8, 0, most_media);
  check_left("media_cache_bytes");
  return split_.media;
}

std::int64_t MemoryBudget::grant_decoded(bool takes_pictures, std::int64_t host_limit) {
  if (!takes_pictures) return 0;
  split_.decoded_apart = host_limit > 0;
  const std::int64_t from = split_.decoded_apart ? host_limit : left();
  split_.decoded = options_.decoded_bytes >= 0
                       ? options_.decoded_bytes
                       : std::clamp<std::int64_t>(from / 4, 0, most_decoded);
  check_left("decoded_bytes");
  return split_.decoded;
}

int default_snapshot_tokens(std::int64_t page_bytes, std::int64_t slot_bytes, int page_size) {
  constexpr std::int64_t least = 512, most = 2048, share = 4;
  const auto tokens = page_bytes > 0 ? share * slot_bytes * page_size / page_bytes : most;
  const auto pages = (std::clamp(tokens, least, most) + page_size - 1) / page_size;
  return static_cast<int>(pages) * page_size;
}

std::int64_t MemoryBudget::running_slots(const CacheNeeds& needs) const {
  if (needs.slot_bytes == 0) return 0;
  return std::clamp<std::int64_t>(left() / 2 / needs.slot_bytes, 1, options_.max_sequences);
}

// With its share of the snapshots.
double MemoryBudget::bytes_per_page(const CacheNeeds& needs) const {
  const auto bytes = static_cast<double>(needs.page_bytes);
  if (needs.slot_bytes == 0 || !options_.prefix_cache) return bytes;
  return bytes + static_cast<double>(needs.slot_bytes) * options_.page_size / needs.snapshot_tokens;
}

std::int64_t MemoryBudget::cache_bytes() const {
  if (options_.kv_pool_bytes > 0) return options_.kv_pool_bytes;
  return named_ ? left() : std::min(left(), split_.limit / 4);
}

std::int64_t MemoryBudget::num_pages(const CacheNeeds& needs, double first, double each) const {
  const auto pages_for = [&](std::int64_t tokens) {
    return (tokens + options_.page_size - 1) / options_.page_size;
  };
  if (options_.kv_pool_tokens > 0) return pages_for(options_.kv_pool_tokens);
  const auto pages = static_cast<std::int64_t>((static_cast<double>(cache_bytes()) - first) / each);
  const auto most = pages_for(contexts * needs.context);
  if (options_.kv_pool_bytes > 0) return std::min(most, std::max<std::int64_t>(pages, 1));
  return named_ ? pages : std::min(pages, most);
}

// No pages where they would take more apart than together.
MemoryBudget::CacheGrant MemoryBudget::pages_with_windows(const CacheNeeds& needs) const {
  if (needs.window_page_bytes == 0 || needs.slot_bytes > 0) return {};
  const std::int64_t of_sequence = needs.window.of_context(needs.context) + 1,
                     of_steps = needs.window.of_steps();
  const auto bytes = options_.kv_pool_tokens > 0 ? left() : cache_bytes();
  const auto running = std::clamp<std::int64_t>(
      (bytes / 2 / needs.window_page_bytes - of_steps) / of_sequence, 1, options_.max_sequences);
  const auto fixed = running * of_sequence + of_steps;
  const double kept =
      options_.prefix_cache
          ? static_cast<double>(of_sequence * options_.page_size) / tokens_of_kept_window
          : 0;
  const auto window = static_cast<double>(needs.window_page_bytes);
  CacheGrant grant;
  // Where all layers have a window a page itself takes nothing, but what the caches note of it.
  const auto all = static_cast<double>(needs.page_bytes);
  grant.pages = num_pages(needs, window * static_cast<double>(fixed),
                          std::max(all - window * (1 - kept), all / least_share));
  grant.window_pages = fixed + static_cast<std::int64_t>(kept * static_cast<double>(grant.pages));
  return grant.window_pages < grant.pages ? grant : CacheGrant{};
}

void MemoryBudget::refuse_cache() const {
  throw Error(Code::invalid_argument,
              fmt::format("of {} of memory, weights ({}), activations ({}), grammars ({}), "
                          "encoded pictures ({}) and decoded ones ({}) leave no room for a "
                          "page of the attention cache",
                          gb(split_.budget), gb(split_.weights), gb(split_.activations),
                          gb(split_.grammars), gb(split_.media),
                          gb(split_.decoded_apart ? 0 : split_.decoded)),
              "memory_bytes");
}

MemoryBudget::CacheGrant MemoryBudget::grant_cache(const CacheNeeds& needs) {
  auto grant = pages_with_windows(needs);
  const auto running = running_slots(needs);
  if (grant.pages == 0)
    grant.pages =
        num_pages(needs, static_cast<double>(running * needs.slot_bytes), bytes_per_page(needs));
  if (grant.pages < 1) refuse_cache();
  const bool apart = grant.window_pages > 0;
  split_.pages = grant.pages * (needs.page_bytes - (apart ? needs.window_page_bytes : 0)) +
                 grant.window_pages * needs.window_page_bytes;
  if (needs.slot_bytes > 0) {
    const auto snapshots = grant.pages * options_.page_size / needs.snapshot_tokens;
    grant.slots = running + (options_.prefix_cache ? snapshots : 0);
    split_.states = grant.slots * needs.slot_bytes;
  }
  check_left("kv_pool_bytes");
  return grant;
}

// What was asked for by name may be too much.
void MemoryBudget::check_left(const char* field) const {
  if (left() >= 0) return;
  const std::string what = fmt::format(
      "weights, activations, grammars, encoded and decoded pictures, attention cache and states "
      "would take "
      "{} of the {} that the engine may use",
      gb(split_.used()), gb(split_.budget));
  if (named_) throw Error(Code::invalid_argument, what, field);
  spdlog::warn("[engine] {}", what);
}

}  // namespace pippin::engine
