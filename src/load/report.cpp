#include "load/report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <numeric>
#include <sstream>
#include <utility>

#include "load/distribution.h"
#include "pippin/error.h"

namespace pippin {
namespace {

constexpr double shown[] = {50, 90, 99};

std::vector<double> collect(const std::vector<RequestResult>& results,
                            double (*value)(const RequestResult&)) {
  std::vector<double> values;
  for (const auto& result : results)
    if (result.ok() && value(result) >= 0) values.push_back(1000 * value(result));
  return values;
}

std::vector<double> collect_gaps(const std::vector<RequestResult>& results) {
  std::vector<double> values;
  for (const auto& result : results)
    if (result.ok())
      for (const double gap : result.gaps) values.push_back(1000 * gap);
  return values;
}

double ttft(const RequestResult& result) { return result.first < 0 ? -1 : result.ttft(); }
double per_token(const RequestResult& result) { return result.per_token(); }
double latency(const RequestResult& result) { return result.latency(); }

json::object to_json(const Spread& spread) {
  json::object out{{"count", spread.ascending.size()}, {"mean", spread.mean()}};
  for (const double p : shown) out[fmt::format("p{:.0f}", p)] = spread.at(p);
  out["max"] = spread.at(100);
  return out;
}

std::string row(const char* name, const Spread& spread) {
  return fmt::format("{:<24}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}\n", name, spread.mean(),
                     spread.at(50), spread.at(90), spread.at(99), spread.at(100));
}

}  // namespace

ServiceLevels ServiceLevels::parse(const std::string& text) {
  ServiceLevels levels;
  const std::map<std::string, double*> names = {
      {"ttft", &levels.ttft_ms}, {"tpot", &levels.per_token_ms}, {"e2e", &levels.latency_ms}};
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const auto equals = part.find('=');
    const auto name = names.find(part.substr(0, equals));
    std::istringstream value(equals == std::string::npos ? "" : part.substr(equals + 1));
    if (name == names.end() || !(value >> *name->second) || !value.eof() || *name->second < 0)
      throw Error(Code::invalid_argument,
                  "'" + part + "' is no service level: ttft=MS, tpot=MS or e2e=MS");
  }
  return levels;
}

bool ServiceLevels::kept_by(const RequestResult& result) const {
  const auto keeps = [](double seconds, double bound_ms) {
    return bound_ms < 0 || 1000 * seconds <= bound_ms;
  };
  return result.ok() && keeps(ttft(result), ttft_ms) && keeps(result.per_token(), per_token_ms) &&
         keeps(result.latency(), latency_ms);
}

Spread::Spread(std::vector<double> values) : ascending(std::move(values)) {
  std::sort(ascending.begin(), ascending.end());
}

double Spread::mean() const {
  if (ascending.empty()) return 0;
  return std::accumulate(ascending.begin(), ascending.end(), 0.0) /
         static_cast<double>(ascending.size());
}

double Spread::at(double p) const { return percentile(ascending, p); }

LoadReport make_report(const std::vector<RequestResult>& results, const ServiceLevels& levels) {
  LoadReport report{.ttft = Spread(collect(results, ttft)),
                    .gap = Spread(collect_gaps(results)),
                    .per_token = Spread(collect(results, per_token)),
                    .latency = Spread(collect(results, latency)),
                    .levels = levels};
  double begin = results.empty() ? 0 : results.front().sent, end = begin;
  for (const auto& result : results) {
    ++report.requests;
    begin = std::min(begin, result.sent);
    end = std::max(end, result.ended);
    report.good += levels.kept_by(result);
    report.output_tokens += result.output_tokens;
    if (!result.ok()) {
      ++report.failed;
      ++report.errors[result.error];
      continue;
    }
    report.prompt_tokens += result.prompt_tokens;
    report.cached_tokens += result.cached_tokens;
    report.by_usage = report.by_usage && result.has_usage;
  }
  report.seconds = end - begin;
  return report;
}

std::string as_table(const LoadReport& report) {
  const auto rate = [&](auto count) { return report.per_second(static_cast<double>(count)); };
  std::string out = fmt::format(
      "{} requests in {:.1f} s, {} failed\n"
      "{:.2f} requests/s, {:.1f} output tokens/s, {:.1f} prompt tokens/s ({} of {} from a cache)\n",
      report.requests, report.seconds, report.failed, rate(report.requests - report.failed),
      rate(report.output_tokens), rate(report.prompt_tokens), report.cached_tokens,
      report.prompt_tokens);
  if (!report.by_usage) out += "tokens are pieces of text: the server gives no usage\n";
  for (const auto& [kind, count] : report.errors) out += fmt::format("  {}: {}\n", kind, count);
  out += fmt::format("\n{:<24}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "milliseconds", "mean", "p50",
                     "p90", "p99", "max");
  out += row("time to first token", report.ttft);
  out += row("inter-token latency", report.gap);
  out += row("time per output token", report.per_token);
  out += row("end to end", report.latency);
  if (report.levels.any())
    out += fmt::format("\ngoodput: {} of {} requests keep the service levels, {:.2f} a second\n",
                       report.good, report.requests, rate(report.good));
  return out;
}

json::object as_json(const LoadReport& report) {
  const auto rate = [&](auto count) { return report.per_second(static_cast<double>(count)); };
  json::object errors;
  for (const auto& [kind, count] : report.errors) errors[kind] = count;
  json::object out{{"requests", report.requests},
                   {"completed", report.requests - report.failed},
                   {"failed", report.failed},
                   {"errors", std::move(errors)},
                   {"seconds", report.seconds},
                   {"prompt_tokens", report.prompt_tokens},
                   {"cached_tokens", report.cached_tokens},
                   {"output_tokens", report.output_tokens},
                   {"tokens_by_usage", report.by_usage},
                   {"requests_per_s", rate(report.requests - report.failed)},
                   {"output_tokens_per_s", rate(report.output_tokens)},
                   {"prompt_tokens_per_s", rate(report.prompt_tokens)},
                   {"ttft_ms", to_json(report.ttft)},
                   {"itl_ms", to_json(report.gap)},
                   {"tpot_ms", to_json(report.per_token)},
                   {"e2e_ms", to_json(report.latency)}};
  if (report.levels.any())
    out["goodput"] = json::object{{"requests", report.good}, {"requests_per_s", rate(report.good)}};
  return out;
}

}  // namespace pippin
