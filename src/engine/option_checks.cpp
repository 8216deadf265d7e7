#include "engine/option_checks.h"

#include <cmath>
#include <unordered_set>

#include "pippin/error.h"
#include "text/parsers/registry.h"

namespace pippin::engine {

void check(bool holds, const char* field, const std::string& rule) {
  if (!holds)
    throw Error(Code::invalid_argument, std::string("'") + field + "' must be " + rule, field);
}

void check(const SamplingOptions& s, std::int64_t vocab_size) {
  check(s.temperature >= 0 && s.temperature <= 100, "temperature", "in [0, 100]");
  check(s.top_p > 0 && s.top_p <= 1, "top_p", "in (0, 1]");
  check(s.min_p >= 0 && s.min_p <= 1, "min_p", "in [0, 1]");
  check(s.top_k >= 0, "top_k", "at least 0");
  check(std::abs(s.presence_penalty) <= 2, "presence_penalty", "in [-2, 2]");
  check(std::abs(s.frequency_penalty) <= 2, "frequency_penalty", "in [-2, 2]");
  check(s.repetition_penalty >= 0.01f && s.repetition_penalty <= 100, "repetition_penalty",
        "in [0.01, 100]");
  check(s.top_logprobs >= -1 && s.top_logprobs <= 20, "top_logprobs", "in [0, 20]");
  check(s.prompt_logprobs >= -1 && s.prompt_logprobs <= 20, "prompt_logprobs", "in [0, 20]");
  std::unordered_set<std::int32_t> biased;
  for (const auto& [token, bias] : s.logit_bias) {
    check(token >= 0 && token < vocab_size, "logit_bias", "of tokens of the vocabulary");
    check(std::abs(bias) <= 100, "logit_bias", "in [-100, 100]");
    check(biased.insert(token).second, "logit_bias", "given once for a token");
  }
}

void check(const EngineOptions& o) {
  check(o.device.empty() || o.device == "cpu" || o.device == "gpu", "device", "cpu or gpu");
  check(o.page_size >= 1 && o.page_size <= 1024, "page_size", "in [1, 1024]");
  check(o.snapshot_tokens >= 0 && o.snapshot_tokens % o.page_size == 0, "snapshot_tokens",
        "a multiple of page_size, or 0");
  check(o.max_sequences >= 1, "max_sequences", "at least 1");
  check(o.max_batch_tokens == 0 || o.max_batch_tokens >= o.max_sequences, "max_batch_tokens",
        "0 or at least max_sequences");
  check(o.max_queue >= 1, "max_queue", "at least 1");
  check(o.max_context >= 0, "max_context", "at least 0");
  check(o.threads >= 0 && o.threads <= 1024, "threads", "in [0, 1024]");
  check(o.kv_bits == 0 || o.kv_bits == 8 || o.kv_bits == 4, "kv_bits", "0, 8 or 4");
  check(o.kv_bits == 0 || o.kv_dtype == DType::automatic, "kv_bits", "0 where kv_dtype is given");
  check(o.memory_fraction >= 0 && o.memory_fraction <= 1, "memory_fraction", "in [0, 1]");
  check(o.memory_bytes >= 0, "memory_bytes", "at least 0");
  check(o.memory_bytes == 0 || o.memory_fraction == 0, "memory_bytes",
        "0 where memory_fraction is given");
  check(o.kv_pool_tokens >= 0, "kv_pool_tokens", "at least 0");
  check(o.kv_pool_bytes >= 0, "kv_pool_bytes", "at least 0");
  check(o.media_cache_bytes >= -1, "media_cache_bytes", "at least 0, or -1");
  check(o.decoded_bytes >= -1, "decoded_bytes", "at least 0, or -1");
  check(o.max_itl_ms >= 2, "max_itl_ms", "at least 2");
  check(o.request_timeout_s >= 0, "request_timeout_s", "at least 0");
  check(o.max_unread_tokens >= 0, "max_unread_tokens", "at least 0");
  check(o.cache_disk_bytes > 0, "cache_disk_bytes", "above 0");
  check(o.stuck_after_s > 0, "stuck_after_s", "above 0");
  text::OutputFormat::choose(o.tool_parser, o.reasoning_parser, "", "");  // throws
}

}  // namespace pippin::engine
