#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "base/json.h"
#include "main/commands.h"
#include "main/load.h"
#include "main/model_dir.h"
#include "pippin/engine.h"

namespace pippin {
namespace {

struct Row {
  int batch = 0;
  int prompt_tokens = 0;
  double prefill_tps = 0;         // prompt tokens of all sequences, a second
  double decode_tps = 0;          // generated tokens of all sequences, a second
  std::vector<BenchResult> runs;  // every repeat; the speeds above are the best of them
};

Row measure(Engine& engine, const BenchCommand& command, int batch, int prompt_tokens) {
  BenchResult best{1e30, 1e30};
  std::vector<BenchResult> runs;
  for (int i = 0; i < command.repeats; ++i) {
    const BenchResult result = engine.bench(batch, prompt_tokens, command.new_tokens);
    runs.push_back(result);
    best.prefill_s = std::min(best.prefill_s, result.prefill_s);
    best.decode_s = std::min(best.decode_s, result.decode_s);
  }
  const double sequences = batch;
  // The first token of each sequence comes with its prefill.
  return {batch, prompt_tokens, sequences * prompt_tokens / best.prefill_s,
          sequences * (command.new_tokens - 1) / best.decode_s, std::move(runs)};
}

void print_row(const Row& row) {
  std::cout << fmt::format("{:>6} {:>8} {:>15.1f} {:>14.1f} {:>14.1f}", row.batch,
                           row.prompt_tokens, row.prefill_tps, row.decode_tps,
                           row.decode_tps / row.batch)
            << std::endl;
}

json::object to_json(const Row& row) {
  json::array prefill_s, decode_s;
  for (const BenchResult& run : row.runs) {
    prefill_s.push_back(run.prefill_s);
    decode_s.push_back(run.decode_s);
  }
  return {{"batch", row.batch},
          {"prompt_tokens", row.prompt_tokens},
          {"prefill_tokens_per_s", row.prefill_tps},
          {"decode_tokens_per_s", row.decode_tps},
          {"prefill_seconds", std::move(prefill_s)},
          {"decode_seconds", std::move(decode_s)}};
}

}  // namespace

int bench(const BenchCommand& command, const std::filesystem::path& program) {
  const std::unique_ptr<Engine> engine =
      load_model(find_model(command.model, program), command.engine);
  // Warms up: first steps allocate and, on GPUs, compile. A full step shows all that a longer prompt would.
  engine->bench(1, std::min(command.prompts.front(), command.engine.max_batch_tokens), 2);
  if (!command.json) {
    std::cout << fmt::format("{} on the {}, {} new tokens each; tokens a second\n",
                             engine->info().name, engine->info().device, command.new_tokens)
              << fmt::format("{:>6} {:>8} {:>15} {:>14} {:>14}\n", "batch", "prompt",
                             "prefill, total", "decode, total", "decode, each");
  }
  json::array rows;
  for (const int prompt_tokens : command.prompts)
    for (const int batch : command.batches) {
      const Row row = measure(*engine, command, batch, prompt_tokens);
      if (!command.json) print_row(row);
      rows.push_back(to_json(row));
    }
  if (command.json) {
    const ModelInfo& info = engine->info();
    std::cout << json::serialize(json::object{{"model", info.name},
                                              {"device", info.device},
                                              {"new_tokens", command.new_tokens},
                                              {"results", std::move(rows)}})
              << std::endl;
  }
  return EXIT_SUCCESS;
}

}  // namespace pippin
