#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "load/driver.h"
#include "load/report.h"
#include "main/commands.h"
#include "pippin/error.h"

namespace pippin {
namespace {

// Shows how far the test has got, on standard error.
class ProgressLine {
 public:
  ~ProgressLine() {
    if (terminal_) std::fputs("\r\033[K", stderr);  // the line is cleared for what follows
  }
  void show(const LoadProgress& now, int requests) {
    if (!terminal_ && now.seconds < next_) return;
    next_ = now.seconds + 10;
    const std::string line =
        fmt::format("{:.0f} s: {} of {} requests done, {} running, {} failed, {:.0f} tokens/s",
                    now.seconds, now.done, requests, now.running, now.failed,
                    now.seconds > 0 ? static_cast<double>(now.output_tokens) / now.seconds : 0.0);
    std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", line.c_str());
    std::fflush(stderr);
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  double next_ = 10;
};

// The first model that the server lists.
std::string first_model(const LoadOptions& load) {
  const json::value list = call_once(load, "/models", "");
  boost::system::error_code error;
  const json::value* name = list.find_pointer("/data/0/id", error);
  if (!name || !name->is_string())
    throw Error(Code::unavailable, load.url + "/models names no model; give one by --model");
  return std::string(name->as_string());
}

std::int64_t prompt_tokens(const LoadOptions& load, std::int64_t num_words) {
  const json::object body{
      {"model", load.model},
      {"max_tokens", 1},
      {"messages",
       json::array{json::object{{"role", "user"}, {"content", sample_words(num_words)}}}}};
  const json::value answer = call_once(load, "/chat/completions", json::serialize(body));
  boost::system::error_code error;
  const json::value* count = answer.find_pointer("/usage/prompt_tokens", error);
  return count && count->is_int64() ? count->as_int64() : 0;
}

// Two prompts tell what a word and the template take. A server that gives no usage is taken to read words.
TokenRate measure_rate(const LoadOptions& load) {
  constexpr std::int64_t few = 20, many = 120;
  const auto low = prompt_tokens(load, few), high = prompt_tokens(load, many);
  if (high <= low) return {};
  const double per_word = static_cast<double>(high - low) / (many - few);
  return {per_word, static_cast<double>(low) - per_word * few};
}

std::string title_of(const BenchServeCommand& command, const LoadOptions& load) {
  const auto& work = command.workload;
  const std::string traffic = load.at_rate
                                  ? fmt::format("{:g} conversations/s", work.rate)
                                  : fmt::format("{} conversations at once", load.concurrency);
  return fmt::format("{} at {}: {} requests, {}, prompts {}, answers {}", load.model, load.url,
                     work.requests, traffic, work.prompt_tokens.text(), work.output_tokens.text());
}

json::object settings(const BenchServeCommand& command, const LoadOptions& load) {
  const auto& work = command.workload;
  return {{"url", load.url},
          {"model", load.model},
          {"concurrency", load.at_rate ? json::value(nullptr) : json::value(load.concurrency)},
          {"rate", load.at_rate ? json::value(work.rate) : json::value(nullptr)},
          {"requests", work.requests},
          {"turns", work.turns},
          {"prompt_tokens", work.prompt_tokens.text()},
          {"output_tokens", work.output_tokens.text()},
          {"shared_prefix", work.shared},
          {"prefix_groups", work.groups},
          {"images", work.images},
          {"stream", load.stream},
          {"seed", work.seed}};
}

void write_file(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  if (!(out << text << std::flush))
    throw Error(Code::invalid_argument, "can't write to '" + file + "'");
}

}  // namespace

int bench_serve(const BenchServeCommand& command) {
  const auto levels = ServiceLevels::parse(command.slo);
  LoadOptions load = command.load;
  if (load.model.empty()) load.model = first_model(load);
  const Workload workload(command.workload, measure_rate(load));
  std::vector<RequestResult> results;
  {
    ProgressLine line;
    results = LoadDriver(load, workload).run([&](const LoadProgress& progress) {
      line.show(progress, command.workload.requests);
    });
  }
  const LoadReport report = make_report(results, levels);
  std::cout << title_of(command, load) << '\n' << as_table(report) << std::flush;
  if (!command.json_file.empty()) {
    json::object out = as_json(report);
    out["settings"] = settings(command, load);
    write_file(command.json_file, json::serialize(out) + "\n");
  }
  if (!command.plot_file.empty())
    write_file(command.plot_file, as_svg(report, results, title_of(command, load)));
  return report.failed == report.requests ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace pippin
