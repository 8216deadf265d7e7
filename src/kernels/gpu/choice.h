// Which of the operations that our kernels and MLX have both is done by which: found out on the GPU and the model at hand.
#pragma once

#include <mlx/mlx.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu {

enum class Operation { attention, product, norm, gate, embedding, angles, largest, sampling, step };

/// An operation and what its time depends on.
struct Use {
  Operation operation;
  mx::Dtype::Val dtype;  ///< of its first argument
  /// rows() of a step and, of attention: heads, their keys' heads, numbers of a head; of a product: outputs, inputs, bits, 1 with a residual;
  /// of sampling: the width, 1 with filters, 2 with edits or masks, too; of a step: the
  /// vocabulary, a hash; of all others: the width.
  std::array<int, 5> numbers;
  bool operator==(const Use&) const = default;
  bool operator<(const Use& other) const {
    return std::tie(operation, dtype, numbers) <
           std::tie(other.operation, other.dtype, other.numbers);
  }
};

/// Rows, rounded up to a power of two: steps of nearly as many have one use.
int rows(const mx::array& x);

/// The use of all operations but attention and products.
Use use_of(Operation operation, const mx::array& x, int width);

/// The use of sampling from logits [R, V], which nothing has edited yet.
struct SamplingKind;
Use sampling_use(const mx::array& logits, const SamplingKind& kind);

/// The use that stands for a whole step of decode rows. operations: a hash of what such steps consist of.
Use step_use(std::int64_t vocab_size, int rows, mx::Dtype arithmetic, std::uint64_t operations);

/// As people read it: "product of 4 x 1024 by 4096, 4 bits, bfloat16".
std::string text_of(const Use& use);

/// What a use showed on this machine.
struct Proof {
  Use use;
  double error = 0;   ///< largest difference within a row, by the row's largest number
  double bound = 0;   ///< of a right kernel's error, by the dtype of what it makes
  double own_us = 0;  ///< microseconds a call; 0 where it was not timed
  double mlx_us = 0;
  std::string failure;  ///< what our kernel threw
  bool right() const { return failure.empty() && error <= bound; }
};

/// Whether our kernel is used: where nobody has proved anything, always; else where use_only() says so.
bool chosen(const Use& use);

/// From now on our kernels are for these uses and nothing else.
void use_only(const std::vector<Use>& uses);
/// As before any proof.
void forget_proofs();

/// What use_only() has said: each model's own, where several run in turn.
struct Choices {
  bool proved = false;  ///< what has no proof is MLX's
  std::set<Use> own = {};
};
/// Exchanges what holds now with `choices`; takes no memory.
void swap_choices(Choices& choices);

/// While it lives, each operation that a kernel of ours takes is done by both, once for a use, compared and timed; the model gets MLX's result. On
/// the thread that calls MLX, one at a time.
class Trial {
 public:
  /// `known`: what need not be tried. `calls`: to time each; 0 times none.
  explicit Trial(std::vector<Proof> known, int calls = 16);
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  /// The calling thread's; null where there is none.
  static Trial* running();

  /// Of the uses that came up, in their order.
  std::vector<Proof> proofs() const;

  using Make = std::function<std::vector<mx::array>()>;
  std::vector<mx::array> compare(const Use& use, const Make& own, const Make& mlx);
  /// Not while one side runs.
  bool compares() const { return turn_ == Turn::both; }
  bool times() const { return timing_; }

 private:
  friend bool chosen(const Use&);
  enum class Turn { both, own, mlx };
  Proof proof_of(const Use& use, const Make& own, const Make& mlx);
  std::vector<mx::array> make(Turn turn, const Make& make);
  double microseconds(Turn turn, const Make& make);

  int calls_;
  Turn turn_ = Turn::both;
  bool timing_ = false;
  std::map<Use, Proof> proofs_;  ///< known or tried
  std::set<Use> met_;
};

/// What `own` makes, for a use that is chosen(); within a Trial what `mlx` makes, compared with it.
std::vector<mx::array> proved(const Use& use, const Trial::Make& own, const Trial::Make& mlx);
template <class Own, class Mlx>
mx::array proved_one(const Use& use, const Own& own, const Mlx& mlx);
/// Whether a Trial compares now, and whether one that has compared takes the time.
bool compares();
bool times();

template <class Own, class Mlx>
mx::array proved_one(const Use& use, const Own& own, const Mlx& mlx) {
  if (!compares()) return own();
  return proved(
             use, [&] { return std::vector{own()}; }, [&] { return std::vector{mlx()}; })
      .front();
}

/// Sets a step's error, of logits [R, V], and its bound: rounding adds up over the layers.
void measure_step(const mx::array& own, const mx::array& mlx, Proof& proof);

}  // namespace pippin::kernels::gpu
