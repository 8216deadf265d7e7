// How many prompt tokens a step may compute without holding running streams up longer than they may wait.
#pragma once

namespace pippin::engine {

/// A straight line through what was measured as of late: time = fixed + slope * tokens. The newest points weigh most. One point that is far off
/// is passed over (a first compile, a busy machine); two in a row are a machine that has changed, and the line starts anew.
class CostLine {
 public:
  void observe(double tokens, double ms);
  bool measured() const { return weight_ > 0; }
  /// Whether the two parts were told apart; else all is taken for the tokens'.
  bool separated() const { return separated_; }
  double mean_tokens() const { return x_ / weight_; }
  double fixed_ms() const { return fixed_; }
  double token_ms() const { return slope_; }  ///< above 0 once measured

 private:
  bool passes_over(double tokens, double ms);
  void fit();
  bool knows(double tokens) const;

  // Sums over the points, each with its weight: 1, tokens, tokens^2, ms, tokens * ms.
  double weight_ = 0, x_ = 0, xx_ = 0, y_ = 0, xy_ = 0;
  double fixed_ = 0, slope_ = 0;
  bool suspicious_ = false;  ///< the last point was passed over
  bool separated_ = false;
};

/// Learns from the times of steps what a prompt token, a step with prompt tokens and a step of decode rows cost. Owned by the engine's
/// thread; plain arithmetic, so that a simulation on a virtual clock learns the same.
class StepBudget {
 public:
  /// max_tokens: rows of a step; target_ms: the time between two tokens of a stream that is aimed at.
  StepBudget(int max_tokens, double target_ms) : max_tokens_(max_tokens), target_ms_(target_ms) {}

  /// Prompt tokens beside that many decode rows: all there is room for where nobody waits, else as many as are expected
  /// to fit the target, and a few in any case, so that prompts get on. Where what a step costs however few its tokens are takes most
  /// of the target, smaller chunks would save no time, so then as many as take half of that again.
  int prefill_tokens(int decode_rows) const;

  /// A step of these rows took that long.
  void observe(int decode_rows, int prefill_tokens, double ms);

  /// Expected time of computing that many prompt tokens, beside what their steps cost anyhow.
  double prefill_ms(double tokens) const { return tokens * prefill_.token_ms(); }

 private:
  int max_tokens_;
  double target_ms_;
  CostLine prefill_;  ///< of prompt tokens, beside the decode rows' time
  CostLine decode_;   ///< of steps of decode rows alone, whatever their number: 1 a step
};

}  // namespace pippin::engine
