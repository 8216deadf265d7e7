#include "server/utilities/cache_reply.h"

#include "base/json.h"
#include "base/memory.h"

namespace pippin::server {

namespace {

json::object disk_object(const DiskStats& disk) {
  return {{"entries", disk.entries},
          {"bytes", disk.bytes},
          {"queued_bytes", disk.queued_bytes},
          {"writes", disk.writes},
          {"written_bytes", disk.written_bytes},
          {"write_errors", disk.write_errors},
          {"hits", disk.hits},
          {"read_bytes", disk.read_bytes},
          {"misses",
           {{"absent", disk.absent}, {"damaged", disk.damaged}, {"unreadable", disk.unreadable}}},
          {"evictions", disk.evictions}};
}

json::object memory_object(const MemorySplit& memory) {
  return {{"limit_bytes", memory.limit},      {"budget_bytes", memory.budget},
          {"weight_bytes", memory.weights},   {"activation_bytes", memory.activations},
          {"grammar_bytes", memory.grammars}, {"media_bytes", memory.media},
          {"decoded_bytes", memory.decoded},  {"page_bytes", memory.pages},
          {"state_bytes", memory.states}};
}

}  // namespace

std::string cache_report(const EngineStats& stats, std::int64_t volatile_lines) {
  return json::serialize(
      json::object{{"object", "cache"},
                   {"pages",
                    {{"total", stats.pages_total},
                     {"free", stats.pages_free},
                     {"cached", stats.pages_cached},
                     {"in_use", stats.pages_total - stats.pages_free - stats.pages_cached},
                     {"page_bytes", stats.page_bytes},
                     {"cached_bytes", stats.pages_cached * stats.page_bytes},
                     {"limit_bytes", stats.pages_total * stats.page_bytes},
                     {"evictions", stats.pages_evicted}}},
                   {"window_pages",
                    {{"total", stats.window_pages},
                     {"free", stats.window_pages_free},
                     {"cached", stats.window_pages_cached},
                     {"page_bytes", stats.window_page_bytes}}},
                   {"states",
                    {{"total", stats.state_slots},
                     {"snapshots", stats.snapshots},
                     {"state_bytes", stats.state_bytes},
                     {"evictions", stats.snapshots_evicted}}},
                   {"prompts",
                    {{"whole", stats.prefix_whole},
                     {"extended", stats.prefix_extended},
                     {"diverged", stats.prefix_diverged},
                     {"evicted", stats.prefix_evicted},
                     {"unknown", stats.prefix_unknown}}},
                   {"tokens", {{"prompt", stats.prompt_tokens}, {"cached", stats.cached_tokens}}},
                   {"media",
                    {{"entries", stats.media_cache_entries},
                     {"bytes", stats.media_cache_bytes},
                     {"limit_bytes", stats.media_cache_limit_bytes},
                     {"evictions", stats.media_cache_evictions}}},
                   {"decoded",
                    {{"bytes", stats.decoded.bytes},
                     {"limit_bytes", stats.decoded.limit_bytes},
                     {"kept", stats.decoded.kept_entries},
                     {"kept_bytes", stats.decoded.kept_bytes},
                     {"waiting", stats.decoded.waiting},
                     {"fetches", stats.decoded.fetches},
                     {"fetched_bytes", stats.decoded.fetched_bytes},
                     {"fetched_limit_bytes", stats.decoded.fetched_limit_bytes}}},
                   {"grammars",
                    {{"kept", stats.grammars.kept},
                     {"bytes", stats.grammars.bytes},
                     {"limit_bytes", stats.grammars.limit_bytes},
                     {"waiting", stats.grammars.waiting},
                     {"compiled", stats.grammars.compiled},
                     {"refused", stats.grammars.refused},
                     {"busy", stats.grammars.busy}}},
                   {"encoder", {{"runs", stats.encoder_runs}, {"hits", stats.encoder_hits}}},
                   {"disk", disk_object(stats.disk)},
                   {"memory", memory_object(stats.memory)},
                   {"volatile_lines_removed", volatile_lines},
                   {"resident_bytes", resident_bytes()}});
}

std::string cleared_report(const ClearedCaches& cleared) {
  return json::serialize(
      json::object{{"object", "cache.cleared"},
                   {"pages", cleared.pages},
                   {"media", cleared.media},
                   {"grammars", cleared.grammars},
                   {"resident_bytes_before", cleared.resident_before},
                   {"resident_bytes_after", cleared.resident_after},
                   {"freed_bytes", cleared.resident_before - cleared.resident_after}});
}

}  // namespace pippin::server
