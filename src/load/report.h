// What a load test measured, for people and for programs.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "load/answer_reader.h"

namespace pippin {

/// Bounds that a good answer keeps, in milliseconds; negative: any will do.
struct ServiceLevels {
  double ttft_ms = -1;       ///< until the first text
  double per_token_ms = -1;  ///< mean of the tokens after it
  double latency_ms = -1;    ///< until the end

  /// "ttft=500,tpot=50,e2e=10000", any of them. Throws Error(invalid_argument).
  static ServiceLevels parse(const std::string& text);
  bool any() const { return ttft_ms >= 0 || per_token_ms >= 0 || latency_ms >= 0; }
  bool kept_by(const RequestResult& result) const;
};

/// The samples of one quantity, in milliseconds.
struct Spread {
  std::vector<double> ascending;

  explicit Spread(std::vector<double> values);
  double mean() const;
  double at(double p) const;
};

struct LoadReport {
  std::size_t requests = 0, failed = 0, good = 0;
  std::map<std::string, std::size_t> errors = {};  ///< by kind
  double seconds = 0;  ///< from the first request until the last answer's end
  std::int64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
  bool by_usage = true;  ///< tokens were counted by every server's answer; else pieces of text were
  Spread ttft, gap, per_token, latency;
  ServiceLevels levels = {};

  double per_second(double count) const { return seconds > 0 ? count / seconds : 0; }
};

LoadReport make_report(const std::vector<RequestResult>& results, const ServiceLevels& levels);

std::string as_table(const LoadReport& report);
json::object as_json(const LoadReport& report);

/// Distributions of the times and the tokens of each second, as an SVG picture.
std::string as_svg(const LoadReport& report, const std::vector<RequestResult>& results,
                   const std::string& title);

}  // namespace pippin
