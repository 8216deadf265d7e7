#include "main/answer_options.h"

#include <cstdint>
#include <string>

#include "main/option_group.h"

namespace pippin {
namespace {

using Group = OptionGroup;

void add_sampling_options(CLI::App& app, AnswerCommand& run) {
  Group group(app, "Sampling: as the model recommends, unless chosen here");
  group.number("--temperature", run.temperature, 0.0, 2.0,
               "0 takes the most likely token each time");
  group.number("--top-p", run.top_p, 1e-6, 1.0, "Keep the likeliest tokens up to this probability");
  group.number("--top-k", run.top_k, 0, 1 << 30,
               "Keep this many of the likeliest tokens; 0 keeps all");
  group.number("--min-p", run.min_p, 0.0, 1.0,
               "Drop tokens less likely than this times the likeliest");
  group.add("--seed", run.seed, "N", "Equal seeds give equal answers [random]");
  group.number("--max-tokens", run.stop.max_tokens, std::int64_t{1}, no_limit,
               "Longest answer [what the context holds]");
  group.add("--stop", run.stop.strings, "TEXT", "Text that ends the answer; may be repeated")
      ->allow_extra_args(false);
}

void add_answer_options(CLI::App& app, AnswerCommand& command, EngineUnits& units) {
  app.add_option("--system", command.system, "System prompt")->type_name("TEXT");
  add_offline(app, command.offline);
  add_sampling_options(app, command);
  add_engine_options(app, command.engine, units);
}

}  // namespace

CLI::App* add_run(CLI::App& app, RunCommand& run, EngineUnits& units) {
  CLI::App* running = app.add_subcommand("run", "Answer one prompt in the terminal");
  running->add_option("MODEL", run.model, model_help)->type_name("")->required();
  running
      ->add_option("PROMPT", run.prompt,
                   "The question; read from standard input where it is left out")
      ->type_name("");
  running
      ->add_option("--image", run.images,
                   "Picture to show before the prompt: a file or URL; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  running
      ->add_option("--video", run.videos,
                   "Video to show before the prompt: a file or URL; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  running->add_flag("--stats", run.stats, "Print tokens and speed at the end");
  add_answer_options(*running, run, units);
  return running;
}

CLI::App* add_chat(CLI::App& app, ChatCommand& chat, EngineUnits& units) {
  CLI::App* chatting = app.add_subcommand("chat", "Chat in the terminal");
  chatting->add_option("MODEL", chat.model, std::string(model_help) + " [demo]")->type_name("");
  chatting->add_option("--load", chat.load, "Go on with a chat that /save has written")
      ->type_name("FILE")
      ->check(CLI::ExistingFile.description(""));
  chatting->add_flag("--no-history", chat.no_history, "Keep nothing of what is typed");
  add_answer_options(*chatting, chat, units);
  return chatting;
}

CLI::App* add_bench(CLI::App& app, BenchCommand& bench, EngineUnits& units) {
  CLI::App* measuring = app.add_subcommand("bench", "Measure a model's speed");
  measuring->add_option("MODEL", bench.model, std::string(model_help) + " [demo]")->type_name("");
  add_offline(*measuring, bench.offline);
  Group group(*measuring, "Measurements: what is measured");
  group.add("--batch", bench.batches, "LIST", "Sequences at once, with commas [1,4,16]")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096).description(""));
  group
      .add("--prompt-tokens", bench.prompts, "LIST",
           "Lengths of their prompts, with commas [128,512]")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20).description(""));
  group.number("--new-tokens", bench.new_tokens, 2, 1 << 20, "Tokens that each generates [64]");
  group.number("--image", bench.image, 1, 1 << 14,
               "Instead: read a picture of N x N pixels, with as good as no text");
  group.number("--temperature", bench.temperature, 0.0, 2.0,
               "Sampling at this temperature; 0 takes the most likely token [0]");
  group.number("--top-p", bench.top_p, 1e-6, 1.0,
               "Keep the likeliest tokens up to this probability [1]");
  group.number("--top-k", bench.top_k, 0, 1 << 30,
               "Keep this many of the likeliest tokens; 0 keeps all [0]");
  group.number("--repeat", bench.repeats, 1, 100, "Runs of each; the best counts [1]");
  group.flag("--json", bench.json, "Print JSON instead of a table");
  group.flag("--profile", bench.profile, "Also print the time of each kind of operation (CPU)");
  add_engine_options(*measuring, bench.engine, units);
  return measuring;
}

CLI::App* add_check_gpu(CLI::App& app, CheckGpuCommand& check, EngineUnits& units) {
  CLI::App* checking =
      app.add_subcommand("check-gpu", "Compare Pippin's GPU kernels with MLX's on this machine");
  checking->add_option("MODEL", check.model, std::string(model_help) + " [demo]")->type_name("");
  add_offline(*checking, check.offline);
  add_engine_options(*checking, check.engine, units);
  return checking;
}

}  // namespace pippin
