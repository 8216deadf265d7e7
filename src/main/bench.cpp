#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "base/json.h"
#include "engine/bench.h"
#include "main/commands.h"
#include "main/load.h"
#include "main/model_source.h"
#include "pippin/engine.h"

namespace pippin {
namespace {

struct Row {
  int batch = 0;
  int prompt_tokens = 0;
  double prefill_tps = 0;                 // prompt tokens of all sequences, a second
  double decode_tps = 0;                  // generated tokens of all sequences, a second
  std::vector<engine::BenchResult> runs;  // every repeat; the speeds above are the best of them
  EngineStats before, after;              // around these
};

SamplingOptions sampling_of(const BenchCommand& command) {
  SamplingOptions sampling;
  sampling.temperature = command.temperature;
  sampling.top_p = command.top_p;
  sampling.top_k = command.top_k;
  return sampling;
}

Row measure(Engine& engine, const BenchCommand& command, int batch, int prompt_tokens) {
  const EngineStats before = engine.stats();
  engine::BenchResult best;
  best.prefill_s = best.decode_s = 1e30;
  std::vector<engine::BenchResult> runs;
  for (int i = 0; i < command.repeats; ++i) {
    const engine::BenchResult result = engine::bench(
        engine, batch, prompt_tokens, command.new_tokens, command.profile, sampling_of(command));
    runs.push_back(result);
    best.prefill_s = std::min(best.prefill_s, result.prefill_s);
    best.decode_s = std::min(best.decode_s, result.decode_s);
  }
  const double sequences = batch;
  // The first token of each sequence comes with its prefill.
  return {batch,
          prompt_tokens,
          sequences * prompt_tokens / best.prefill_s,
          sequences * (command.new_tokens - 1) / best.decode_s,
          std::move(runs),
          before,
          engine.stats()};
}

void print_row(const Row& row) {
  std::cout << fmt::format("{:>6} {:>8} {:>15.1f} {:>14.1f} {:>14.1f}", row.batch,
                           row.prompt_tokens, row.prefill_tps, row.decode_tps,
                           row.decode_tps / row.batch)
            << std::endl;
}

// Milliseconds a step, and what is left: the graph, the scheduler, waking threads.
void print_profile(const char* what, double seconds, const engine::OperationTimes& operations,
                   int steps) {
  if (operations.empty()) return;
  double left = seconds;
  const auto line = [&](const std::string& name, double part) {
    std::cout << fmt::format("  {:<8} {:<16} {:>9.3f} ms {:>6.1f} %\n", what, name,
                             1e3 * part / steps, 100 * part / seconds);
  };
  for (const auto& [name, part] : operations) {
    line(name, part);
    left -= part;
  }
  line("everything else", left);
}

void print_profile(const Row& row, int new_tokens) {
  const engine::BenchResult& last = row.runs.back();
  print_profile("prefill", last.prefill_s, last.prefill_operations, 1);
  print_profile("decode", last.decode_s, last.decode_operations, new_tokens - 1);
}

json::object to_json(const engine::OperationTimes& operations) {
  json::object object;
  for (const auto& [name, seconds] : operations) object[name] = seconds;
  return object;
}

// Seconds of all repeats' steps.
json::object steps_of(const EngineStats& before, const EngineStats& after) {
  return {{"number", after.steps - before.steps},
          {"ahead", after.step.ahead - before.step.ahead},
          {"host_seconds", after.step.host_seconds.sum() - before.step.host_seconds.sum()},
          {"device_seconds", after.step.device_seconds.sum() - before.step.device_seconds.sum()}};
}

json::object to_json(const Row& row) {
  json::array prefill_s, decode_s;
  for (const engine::BenchResult& run : row.runs) {
    prefill_s.push_back(run.prefill_s);
    decode_s.push_back(run.decode_s);
  }
  return {{"batch", row.batch},
          {"prompt_tokens", row.prompt_tokens},
          {"prefill_tokens_per_s", row.prefill_tps},
          {"decode_tokens_per_s", row.decode_tps},
          {"prefill_seconds", std::move(prefill_s)},
          {"decode_seconds", std::move(decode_s)},
          {"steps", steps_of(row.before, row.after)},
          {"prefill_operations", to_json(row.runs.back().prefill_operations)},
          {"decode_operations", to_json(row.runs.back().decode_operations)}};
}

// Another picture each time, so that none is found in the cache.
std::shared_ptr<const Pixels> random_picture(int side) {
  static std::mt19937 random{std::random_device{}()};
  auto picture = std::make_shared<Pixels>();
  picture->height = picture->width = side;
  picture->rgb.resize(std::size_t{3} * side * side);
  for (auto& value : picture->rgb) value = static_cast<std::uint8_t>(random());
  return picture;
}

void bench_pictures(Engine& engine, const std::string& name, const BenchCommand& command) {
  engine::bench_picture(engine, random_picture(command.image));  // warms up
  json::array seconds;
  double best = 1e30;
  engine::BenchResult result;
  for (int i = 0; i < command.repeats; ++i) {
    result = engine::bench_picture(engine, random_picture(command.image), command.profile);
    seconds.push_back(result.prefill_s);
    best = std::min(best, result.prefill_s);
  }
  if (command.json) {
    std::cout << json::serialize(json::object{{"model", name},
                                              {"device", engine.info().device},
                                              {"image", command.image},
                                              {"encode_seconds", std::move(seconds)},
                                              {"operations", to_json(result.prefill_operations)}})
              << std::endl;
    return;
  }
  std::cout << fmt::format("{} on the {}: a picture of {} x {} in {:.3f} s\n", name,
                           engine.info().device, command.image, command.image, best)
            << std::flush;
  print_profile("picture", result.prefill_s, result.prefill_operations, 1);
}

}  // namespace

int bench(const BenchCommand& command, const std::filesystem::path& program) {
  const ModelSource source = get_model(command.model, program, command.engine, command.offline);
  const std::unique_ptr<Engine> engine = load_model(source, command.engine);
  if (command.image > 0) {
    bench_pictures(*engine, source.name, command);
    return EXIT_SUCCESS;
  }
  // Warms up: first steps allocate and, on GPUs, compile. A step's rows show all that a longer prompt would.
  constexpr int warm_tokens = 512;
  engine::bench(*engine, 1, std::min(command.prompts.front(), warm_tokens), 2);
  if (!command.json) {
    std::cout << fmt::format("{} on the {}, {} new tokens each; tokens a second\n", source.name,
                             engine->info().device, command.new_tokens)
              << fmt::format("{:>6} {:>8} {:>15} {:>14} {:>14}\n", "batch", "prompt",
                             "prefill, total", "decode, total", "decode, each");
  }
  json::array rows;
  for (const int prompt_tokens : command.prompts)
    for (const int batch : command.batches) {
      const Row row = measure(*engine, command, batch, prompt_tokens);
      if (!command.json) {
        print_row(row);
        print_profile(row, command.new_tokens);
      }
      rows.push_back(to_json(row));
    }
  if (command.json) {
    const ModelInfo& info = engine->info();
    std::cout << json::serialize(json::object{{"model", source.name},
                                              {"device", info.device},
                                              {"new_tokens", command.new_tokens},
                                              {"results", std::move(rows)}})
              << std::endl;
  }
  return EXIT_SUCCESS;
}

}  // namespace pippin
