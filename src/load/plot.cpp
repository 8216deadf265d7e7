#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "load/report.h"

namespace pippin {
namespace {

constexpr double width = 300, height = 200, gap = 60, top = 60, left = 55;

using Points = std::vector<std::pair<double, double>>;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out;
}

std::string label(double x, double y, const std::string& anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(text));
}

std::string line(double x1, double y1, double x2, double y2) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", x1, y1,
      x2, y2);
}

std::string number(double value) {
  return value >= 10000 ? fmt::format("{:.0f}k", value / 1000) : fmt::format("{:g}", value);
}

// A diagram in the place numbered `index`; its values lie in [0, 1] of both axes.
class Panel {
 public:
  Panel(int index, const std::string& title) : x_(left + index * (width + gap)) {
    out_ = label(x_ + width / 2, top - 12, "middle", title);
    out_ += line(x_, top + height, x_ + width, top + height) + line(x_, top, x_, top + height);
  }
  void x_tick(double at, const std::string& text) {
    out_ += line(x(at), top, x(at), top + height) + label(x(at), top + height + 16, "middle", text);
  }
  void y_tick(double at, const std::string& text) {
    out_ += line(x_, y(at), x_ + width, y(at)) + label(x_ - 6, y(at) + 4, "end", text);
  }
  void curve(const Points& points) {
    out_ += "<polyline fill=\"none\" stroke=\"#2a6\" stroke-width=\"1.5\" points=\"";
    for (const auto& [px, py] : points) out_ += fmt::format("{:.1f},{:.1f} ", x(px), y(py));
    out_ += "\"/>\n";
  }
  const std::string& text() const { return out_; }

 private:
  double x(double at) const { return x_ + width * at; }
  static double y(double at) { return top + height * (1 - at); }

  double x_;
  std::string out_;
};

// Which share of the values is at most so large; the axis is logarithmic, from one power of ten to another.
std::string distribution(int index, const std::string& title, const Spread& spread) {
  Panel panel(index, title);
  for (const double share : {0.0, 0.5, 0.9, 0.99})
    panel.y_tick(share, fmt::format("{:.0f} %", 100 * share));
  const auto& values = spread.ascending;
  if (values.empty()) return panel.text();
  const auto log = [](double value) { return std::log10(std::max(value, 1e-3)); };
  const double low = std::floor(log(values.front())),
               high = std::max(low + 1, std::ceil(log(values.back())));
  for (double power = low; power <= high; ++power)
    panel.x_tick((power - low) / (high - low), number(std::pow(10, power)));
  Points points;
  const std::size_t step = std::max<std::size_t>(1, values.size() / 500);
  const double last = static_cast<double>(values.size());
  for (std::size_t i = 0; i < values.size(); i += step)
    points.emplace_back((log(values[i]) - low) / (high - low), static_cast<double>(i + 1) / last);
  points.emplace_back((log(values.back()) - low) / (high - low), 1);
  panel.curve(points);
  return panel.text();
}

// An answer's tokens are spread evenly over its time.
std::vector<double> tokens_by_bin(const std::vector<RequestResult>& results, double bin,
                                  std::size_t bins) {
  std::vector<double> tokens(bins);
  for (const auto& result : results) {
    const double from = result.first >= 0 ? result.first : result.sent,
                 to = std::max(result.ended, from + 1e-9);
    for (auto i = static_cast<std::size_t>(from / bin);
         i < bins && static_cast<double>(i) * bin < to; ++i) {
      const double begin = static_cast<double>(i) * bin;
      const double overlap = std::min(to, begin + bin) - std::max(from, begin);
      tokens[i] += static_cast<double>(result.output_tokens) * overlap / (to - from);
    }
  }
  return tokens;
}

std::string throughput(int index, const std::vector<RequestResult>& results) {
  Panel panel(index, "output tokens a second, by seconds");
  double end = 0;
  for (const auto& result : results) end = std::max(end, result.ended);
  if (end <= 0) return panel.text();
  constexpr std::size_t bins = 60;
  const double bin = end / bins;
  const auto tokens = tokens_by_bin(results, bin, bins);
  const double most = std::max(1e-9, *std::max_element(tokens.begin(), tokens.end()));
  Points points;
  for (std::size_t i = 0; i < bins; ++i)
    points.emplace_back((static_cast<double>(i) + 0.5) / bins, tokens[i] / most);
  for (const double share : {0.0, 0.5, 1.0}) {
    panel.x_tick(share, fmt::format("{:.1f}", share * end));
    panel.y_tick(share, number(std::round(share * most / bin)));
  }
  panel.curve(points);
  return panel.text();
}

}  // namespace

std::string as_svg(const LoadReport& report, const std::vector<RequestResult>& results,
                   const std::string& title) {
  const double total = left + 3 * (width + gap);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"white\"/>\n",
      total, top + height + 40);
  out += label(left, 20, "start", title);
  out += distribution(0, "time to first token, ms", report.ttft);
  out += distribution(1, "inter-token latency, ms", report.gap);
  out += throughput(2, results);
  return out + "</svg>\n";
}

}  // namespace pippin
