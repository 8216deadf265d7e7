// How many prompt tokens a step may compute without holding running streams up longer than they may wait.
#pragma once

namespace pippin::engine {

/// Learns from the times of steps what a prompt token and a step of decode rows cost. Owned by the engine's thread; plain
/// arithmetic, so that a simulation on a virtual clock learns the same.
class StepBudget {
 public:
  /// max_tokens: rows of a step; target_ms: the time between two tokens of a stream that is aimed at.
  StepBudget(int max_tokens, double target_ms) : max_tokens_(max_tokens), target_ms_(target_ms) {}

  /// Prompt tokens beside that many decode rows: all there is room for where nobody waits, else as many as are expected
  /// to fit the target, and a few in any case, so that prompts get on.
  int prefill_tokens(int decode_rows) const;

  /// A step of these rows took that long.
  void observe(int decode_rows, int prefill_tokens, double ms);

  /// Expected time of computing that many prompt tokens.
  double prefill_ms(double tokens) const { return tokens * token_ms_; }

 private:
  int max_tokens_;
  double target_ms_;
  double token_ms_ = 0;   ///< a prompt token; 0 until one was measured
  double decode_ms_ = 0;  ///< a step of decode rows alone, as of late
};

}  // namespace pippin::engine
