#include "main/bench_serve_options.h"

#include <cstdint>

#include "main/option_group.h"

namespace pippin {
namespace {

void add_traffic_options(CLI::App& app, BenchServeCommand& bench, BenchServeUnits& units) {
  OptionGroup group(app, "Traffic: what is asked, and how much at once");
  group.number("--concurrency", bench.load.concurrency, 1, 1 << 16, "Conversations at once [16]");
  group.number("--rate", bench.workload.rate, 1e-3, 1e5,
               "Instead: conversations that begin in a second, at random times (Poisson)");
  group.number("--requests", bench.workload.requests, 1, 1 << 24, "Requests in all [100]");
  group.number("--duration", bench.load.duration_s, 0.1, 1e6,
               "Send none after so many seconds [no limit]");
  group.number("--turns", bench.workload.turns, 1, 1 << 16,
               "Requests of a conversation, each with all that came before [1]");
  group.add(
      "--prompt-tokens", units.prompt_tokens, "LENGTH",
      "New in each turn: N, uniform:LOW:HIGH, lognormal:MEDIAN:SIGMA or exponential:MEAN [128]");
  group.add("--output-tokens", units.output_tokens, "LENGTH", "Longest answers, likewise [64]");
  group.number("--shared-prefix", bench.workload.shared, 0.0, 1.0,
               "Share of a first prompt that others begin with, too [0]");
  group.number("--prefix-groups", bench.workload.groups, 1, 1 << 20,
               "Groups of conversations that share it [1]");
  group.number("--images", bench.workload.images, 0, 64, "Pictures in the first turn [0]");
  group.number("--image-side", bench.workload.image_side, 8, 4096, "Their size in pixels [256]");
  group.number("--image-pool", bench.workload.image_pool, 0, 1 << 20,
               "Different pictures in all; 0: each another [0]");
  group.number("--seed", bench.workload.seed, std::uint64_t{0}, ~std::uint64_t{0},
               "Equal seeds give equal traffic [0]");
}

void add_load_options(CLI::App& app, BenchServeCommand& bench, BenchServeUnits& units) {
  OptionGroup group(app, "Requests: model, key, lengths");
  group.add("--model", bench.load.model, "NAME", "Model to ask for [the first that is listed]");
  group.add("--api-key", bench.load.api_key, "KEY", "Sent as a bearer token [none]")
      ->envname("OPENAI_API_KEY");
  group.number("--temperature", bench.load.temperature, 0.0, 2.0, "Of sampling [the server's]");
  group.flag("--ignore-eos", bench.load.ignore_eos,
             "Ask for answers of full length (not every server can)");
  group.flag("--no-stream", units.no_stream, "Ask for whole answers");
  group.number("--timeout", bench.load.timeout_s, 0.1, 1e6, "Longest answer, in seconds [600]");
}

}  // namespace

CLI::App* add_bench_serve(CLI::App& app, BenchServeCommand& bench, BenchServeUnits& units) {
  CLI::App* loading =
      app.add_subcommand("bench-serve", "Put a server of the OpenAI API under load, and time it");
  loading->add_option("URL", bench.load.url, "Of the API [http://127.0.0.1:8000/v1]")
      ->type_name("");
  add_traffic_options(*loading, bench, units);
  add_load_options(*loading, bench, units);
  OptionGroup group(*loading, "Results: what is told of it");
  group.add("--slo", bench.slo, "LEVELS",
            "Count answers that keep these, in milliseconds: ttft=500,tpot=50,e2e=10000");
  group.add("--json", bench.json_file, "FILE", "Write the results as JSON");
  group.add("--plot", bench.plot_file, "FILE", "Draw them, as SVG");
  return loading;
}

void finish_bench_serve(BenchServeCommand& bench, const BenchServeUnits& units) {
  bench.workload.prompt_tokens = Distribution::parse(units.prompt_tokens);
  bench.workload.output_tokens = Distribution::parse(units.output_tokens);
  bench.load.at_rate = bench.workload.rate > 0;
  bench.load.stream = !units.no_stream;
  while (bench.load.url.ends_with('/')) bench.load.url.pop_back();
}

}  // namespace pippin
