#include "load/distribution.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "pippin/error.h"

namespace pippin {
namespace {

constexpr double max_length = 10'000'000;

Error malformed(const std::string& text) {
  return Error(Code::invalid_argument,
               "'" + text +
                   "' is no distribution of lengths: N, uniform:LOW:HIGH, lognormal:MEDIAN:SIGMA "
                   "or exponential:MEAN");
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == ':')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

double number(const std::string& part, const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(part, &used);
  } catch (const std::exception&) {
    throw malformed(text);
  }
  if (used != part.size() || !(value >= 0 && value <= max_length)) throw malformed(text);
  return value;
}

}  // namespace

Distribution Distribution::parse(const std::string& text) {
  const auto parts = split(text);
  const auto is = [&](const char* name, std::size_t size) {
    return parts.front() == name && parts.size() == size;
  };
  const auto at = [&](std::size_t i) { return number(parts[i], text); };
  if (parts.size() == 1) return {Kind::fixed, at(0), 0, text};
  if (is("uniform", 3) && at(1) <= at(2)) return {Kind::uniform, at(1), at(2), text};
  if (is("lognormal", 3) && at(1) > 0) return {Kind::lognormal, at(1), at(2), text};
  if (is("exponential", 2)) return {Kind::exponential, at(1), 0, text};
  throw malformed(text);
}

double uniform(std::mt19937_64& random) {
  return (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53;
}

double exponential(std::mt19937_64& random, double mean) {
  return -mean * std::log(uniform(random));
}

std::int64_t Distribution::sample(std::mt19937_64& random) const {
  double value = a_;
  if (kind_ == Kind::uniform) value = std::floor(a_ + uniform(random) * (b_ - a_ + 1));
  if (kind_ == Kind::exponential) value = exponential(random, a_);
  if (kind_ == Kind::lognormal) {  // Box and Muller
    const double radius = std::sqrt(exponential(random, 2));
    value = a_ * std::exp(b_ * radius * std::cos(2 * std::numbers::pi * uniform(random)));
  }
  return static_cast<std::int64_t>(std::clamp(std::round(value), 1.0, max_length));
}

double percentile(std::span<const double> ascending, double p) {
  if (ascending.empty()) return 0;
  const double place = p / 100 * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, ascending.size() - 1);
  const double part = place - static_cast<double>(below);
  return ascending[below] + part * (ascending[above] - ascending[below]);
}

}  // namespace pippin
