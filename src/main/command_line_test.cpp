#include "main/command_line.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace pippin {
namespace {

int status_of_last = 0;

std::optional<CommandLine> parse(std::initializer_list<const char*> arguments) {
  std::vector<const char*> argv{"pippin"};
  argv.insert(argv.end(), arguments);
  status_of_last = -1;
  return parse_command_line(static_cast<int>(argv.size()), argv.data(), status_of_last);
}

// The exit status with which the arguments are turned down.
int turned_down(std::initializer_list<const char*> arguments) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const bool parsed = parse(arguments).has_value();
  ::testing::internal::GetCapturedStdout();
  ::testing::internal::GetCapturedStderr();
  EXPECT_FALSE(parsed);
  return status_of_last;
}

TEST(CommandLine, ServesTheDemoByDefault) {
  const auto line = parse({"serve"});
  ASSERT_TRUE(line);
  const auto& serve = std::get<ServeCommand>(line->command);
  EXPECT_EQ(serve.models, std::vector<std::string>{"demo"});
  EXPECT_EQ(serve.http.host, "127.0.0.1");
  EXPECT_EQ(serve.http.port, 8000);
  EXPECT_EQ(line->log_level, "info");
  // The command line's own defaults are the structs'.
  EXPECT_EQ(serve.engine.kv_pool_bytes, EngineOptions().kv_pool_bytes);
  EXPECT_EQ(serve.engine.media_cache_bytes, EngineOptions().media_cache_bytes);
  EXPECT_EQ(serve.http.max_body_bytes, server::HttpOptions().max_body_bytes);
  EXPECT_EQ(serve.http.keep_alive_interval, server::HttpOptions().keep_alive_interval);
  EXPECT_EQ(serve.api.responses.max_bytes, server::ApiOptions().responses.max_bytes);
  EXPECT_TRUE(serve.api.canonical_prompts);
  EXPECT_EQ(serve.api.media.image.max_bytes, ImageLimits().max_bytes);
  EXPECT_EQ(serve.api.media.video.max_bytes, VideoLimits().max_bytes);
  EXPECT_EQ(serve.api.media.video.max_seconds, VideoLimits().max_seconds);
  EXPECT_EQ(serve.api.decoded_cache_bytes, server::ApiOptions().decoded_cache_bytes);
}

TEST(CommandLine, TakesABudgetOfMemoryAndOfTime) {
  const auto gb = parse({"serve", "--memory-gb", "1.5", "--request-timeout", "2.5"});
  ASSERT_TRUE(gb);
  const auto& serve = std::get<ServeCommand>(gb->command);
  EXPECT_EQ(serve.engine.memory_bytes, std::int64_t{3} << 29);
  EXPECT_EQ(serve.engine.request_timeout_s, 2.5);
  EXPECT_EQ(serve.fail_every, 0);
  const auto fraction = parse({"run", "demo", "hello", "--memory-fraction", "0.25"});
  ASSERT_TRUE(fraction);
  EXPECT_EQ(std::get<RunCommand>(fraction->command).engine.memory_fraction, 0.25);
  EXPECT_EQ(turned_down({"serve", "--memory-gb", "1", "--memory-fraction", "0.5"}), 2);
  EXPECT_EQ(turned_down({"serve", "--memory-fraction", "1.5"}), 2);
  EXPECT_EQ(turned_down({"serve", "--request-timeout", "-1"}), 2);
}

TEST(CommandLine, TakesWhatWatchesAServer) {
  const auto line = parse({"serve", "--trace", "t.json", "--log-format", "json"});
  ASSERT_TRUE(line);
  EXPECT_EQ(std::get<ServeCommand>(line->command).trace, "t.json");
  EXPECT_EQ(line->log_format, "json");
  EXPECT_EQ(parse({"serve"})->log_format, "text");
  EXPECT_EQ(turned_down({"serve", "--log-format", "xml"}), 2);
}

TEST(CommandLine, TakesOptionsOfBenchServe) {
  const auto line = parse({"bench-serve", "http://h:1/v1/", "--rate", "2.5", "--prompt-tokens",
                           "uniform:1:9", "--turns", "3", "--slo", "ttft=5", "--no-stream"});
  ASSERT_TRUE(line);
  const auto& bench = std::get<BenchServeCommand>(line->command);
  EXPECT_EQ(bench.load.url, "http://h:1/v1");
  EXPECT_TRUE(bench.load.at_rate);
  EXPECT_EQ(bench.workload.rate, 2.5);
  EXPECT_EQ(bench.workload.turns, 3);
  EXPECT_EQ(bench.workload.prompt_tokens.text(), "uniform:1:9");
  EXPECT_FALSE(bench.load.stream);
  const auto plain = parse({"bench-serve"});
  ASSERT_TRUE(plain);
  const auto& defaults = std::get<BenchServeCommand>(plain->command);
  EXPECT_FALSE(defaults.load.at_rate);
  EXPECT_TRUE(defaults.load.stream);
  EXPECT_EQ(turned_down({"bench-serve", "--concurrency", "0"}), 2);
}

TEST(CommandLine, TakesOptionsOfServe) {
  const auto line = parse({"serve",
                           "dir",
                           "--port",
                           "0",
                           "--host",
                           "::1",
                           "--served-model-name",
                           "a",
                           "--served-model-name",
                           "b",
                           "--strict-fields",
                           "--no-canonical-prompts",
                           "--no-page",
                           "--max-body-mb",
                           "2",
                           "--max-image-mb",
                           "3",
                           "--max-video-mb",
                           "5",
                           "--max-video-seconds",
                           "7",
                           "--dtype",
                           "bfloat16",
                           "--kv-gb",
                           "0.5",
                           "--kv-bits",
                           "8",
                           "--snapshot-tokens",
                           "256",
                           "--no-prefix-cache",
                           "--no-overlap",
                           "--no-warmup",
                           "--media-root",
                           "/tmp",
                           "--tool-parser",
                           "mistral",
                           "--reasoning-parser",
                           "none",
                           "--log-level",
                           "debug"});
  ASSERT_TRUE(line);
  const auto& serve = std::get<ServeCommand>(line->command);
  EXPECT_EQ(serve.models, std::vector<std::string>{"dir"});
  EXPECT_EQ(serve.http.port, 0);
  EXPECT_EQ(serve.api.model_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(serve.api.strict_fields);
  EXPECT_FALSE(serve.api.canonical_prompts);
  EXPECT_FALSE(serve.api.page);
  EXPECT_EQ(serve.http.max_body_bytes, 2u << 20);
  EXPECT_EQ(serve.api.media.image.max_bytes, 3 << 20);
  EXPECT_EQ(serve.api.media.video.max_bytes, 5 << 20);
  EXPECT_EQ(serve.api.media.video.max_seconds, 7);
  EXPECT_EQ(serve.engine.dtype, DType::bfloat16);
  EXPECT_EQ(serve.engine.kv_pool_bytes, 1 << 29);
  EXPECT_EQ(serve.engine.kv_bits, 8);
  EXPECT_EQ(serve.engine.snapshot_tokens, 256);
  EXPECT_FALSE(serve.engine.prefix_cache);
  EXPECT_FALSE(serve.engine.overlap);
  EXPECT_FALSE(serve.engine.warm_up);
  EXPECT_EQ(serve.engine.tool_parser, "mistral");
  EXPECT_EQ(serve.engine.reasoning_parser, "none");
  EXPECT_EQ(serve.api.fetch.media_root, "/tmp");
  EXPECT_EQ(line->log_level, "debug");
}

TEST(CommandLine, TakesWhoMayUseTheServer) {
  const auto line =
      parse({"serve", "--api-key", "a", "--api-key", "b", "--requests-per-minute", "60",
             "--max-concurrent", "4", "--cors-origin", "*", "--unix-socket", "/tmp/p.sock",
             "--admin-key", "root", "--allowed-host", "llm.example.com", "--cache-per-key"});
  ASSERT_TRUE(line);
  const auto& serve = std::get<ServeCommand>(line->command);
  EXPECT_EQ(serve.models, std::vector<std::string>{"demo"});
  EXPECT_EQ(serve.access.api_keys, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(serve.access.requests_per_minute, 60);
  EXPECT_EQ(serve.access.max_concurrent, 4);
  EXPECT_EQ(serve.access.cors_origins, std::vector<std::string>{"*"});
  EXPECT_EQ(serve.access.admin_keys, std::vector<std::string>{"root"});
  EXPECT_EQ(serve.access.allowed_hosts, std::vector<std::string>{"llm.example.com"});
  EXPECT_TRUE(serve.api.cache_per_key);
  EXPECT_EQ(serve.http.unix_socket, "/tmp/p.sock");
  EXPECT_EQ(turned_down({"serve", "--requests-per-minute", "0"}), 2);
}

TEST(CommandLine, TakesOptionsOfRun) {
  const auto line =
      parse({"run", "demo", "--image", "a.png", "--image", "b.png", "compare", "--video", "c.mp4",
             "--temperature", "0", "--seed", "7", "--stop", "x", "--max-tokens", "5"});
  ASSERT_TRUE(line);
  const auto& run = std::get<RunCommand>(line->command);
  EXPECT_EQ(run.model, "demo");
  EXPECT_EQ(run.prompt, "compare");
  EXPECT_EQ(run.images, (std::vector<std::string>{"a.png", "b.png"}));
  EXPECT_EQ(run.videos, std::vector<std::string>{"c.mp4"});
  EXPECT_EQ(run.temperature, 0);
  EXPECT_EQ(run.seed, 7u);
  EXPECT_EQ(run.stop.strings, std::vector<std::string>{"x"});
  EXPECT_EQ(run.stop.max_tokens, 5);
}

TEST(CommandLine, TakesOptionsOfBench) {
  const auto line = parse({"bench", "demo", "--batch", "1,2", "--prompt-tokens", "64", "--json"});
  ASSERT_TRUE(line);
  const auto& bench = std::get<BenchCommand>(line->command);
  EXPECT_EQ(bench.batches, (std::vector<int>{1, 2}));
  EXPECT_EQ(bench.prompts, std::vector<int>{64});
  EXPECT_TRUE(bench.json);
}

TEST(CommandLine, HelpIsNoMistake) {
  for (const char* flag : {"--help", "--version"}) EXPECT_EQ(turned_down({flag}), 0);
  EXPECT_EQ(turned_down({"serve", "--help"}), 0);
}

TEST(CommandLine, MistakesAreToldApart) {
  EXPECT_EQ(turned_down({"-x"}), 2);
  EXPECT_EQ(turned_down({"server"}), 2);
  EXPECT_EQ(turned_down({"serve", "--prot", "1"}), 2);
  EXPECT_EQ(turned_down({"serve", "--port", "70000"}), 2);
  EXPECT_EQ(turned_down({"serve", "--dtype", "int3"}), 2);
  EXPECT_EQ(turned_down({"serve", "--kv-bits", "5"}), 2);
  EXPECT_EQ(turned_down({"serve", "--tool-parser", "qwen9"}), 2);
  EXPECT_EQ(turned_down({"serve", "--media-root", "/no/such/folder"}), 2);
  EXPECT_EQ(turned_down({"run"}), 2);
  EXPECT_EQ(turned_down({"bench", "demo", "--batch", "0"}), 2);
}

TEST(CommandLine, WithoutArgumentsPrintsTheHelp) {
  ::testing::internal::CaptureStdout();
  EXPECT_FALSE(parse({}));
  EXPECT_NE(::testing::internal::GetCapturedStdout().find("bench-serve"), std::string::npos);
  EXPECT_EQ(status_of_last, 0);
}

TEST(CommandLine, TakesAddressesAsUrlsHaveThem) {
  EXPECT_EQ(std::get<ServeCommand>(parse({"serve", "--host", "[::1]"})->command).http.host, "::1");
  EXPECT_EQ(std::get<ServeCommand>(parse({"serve", "--host", "::1"})->command).http.host, "::1");
}

}  // namespace
}  // namespace pippin
