// Random lengths for made-up traffic, and percentiles of what was measured.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace pippin {

/// A distribution of whole numbers of at least 1.
class Distribution {
 public:
  /// N (always), uniform:LOW:HIGH (both included), lognormal:MEDIAN:SIGMA, exponential:MEAN.
  /// Throws Error(invalid_argument) for anything else.
  static Distribution parse(const std::string& text);

  /// Equal generators give equal numbers, on every machine.
  std::int64_t sample(std::mt19937_64& random) const;

  const std::string& text() const { return text_; }

 private:
  enum class Kind { fixed, uniform, lognormal, exponential };
  Distribution(Kind kind, double a, double b, std::string text)
      : kind_(kind), a_(a), b_(b), text_(std::move(text)) {}

  Kind kind_;
  double a_, b_;
  std::string text_;
};

/// In (0, 1), the same on every machine, which the standard library's distributions are not.
double uniform(std::mt19937_64& random);
/// With this mean.
double exponential(std::mt19937_64& random, double mean);

/// The p-th percentile (p in [0, 100]) of ascending values, linear between them, as numpy's; 0 for none.
double percentile(std::span<const double> ascending, double p);

}  // namespace pippin
