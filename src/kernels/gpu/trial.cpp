// See choice.h: an operation done by both sides.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/gpu/choice.h"

namespace pippin::kernels::gpu {
namespace {

Trial*& running_trial() {
  static thread_local Trial* trial = nullptr;
  return trial;
}

// Both sides round to the dtype, and MLX rounds between its operations, too: some units of the last place of the row's largest number.
double bound_of(mx::Dtype::Val dtype) {
  if (dtype == mx::Dtype::Val::bfloat16) return 8 / 256.0;
  if (dtype == mx::Dtype::Val::float16) return 8 / 2048.0;
  return dtype == mx::Dtype::Val::float32 ? 2e-4 : 0;
}

// Largest difference within a row, by the row's largest number; infinite where one side alone is not a number.
double error_of(const mx::array& mine, const mx::array& theirs) {
  if (mine.shape() != theirs.shape()) return std::numeric_limits<double>::infinity();
  const int width = mine.ndim() ? std::max(mine.shape(-1), 1) : 1;
  const auto as_rows = [&](const mx::array& x) {
    return mx::reshape(mx::astype(x, mx::float32), {-1, width});
  };
  const auto a = as_rows(mine), b = as_rows(theirs);
  const auto tiny = mx::array(std::numeric_limits<float>::min());
  const auto errors = mx::max(mx::abs(a - b), 1) / mx::maximum(mx::max(mx::abs(b), 1), tiny);
  const auto error = mx::max(errors).item<float>();
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

double worst_by_bound(const std::vector<mx::array>& mine, const std::vector<mx::array>& theirs,
                      Proof& proof) {
  double worst = -1;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const double bound = bound_of(theirs[i].dtype().val()), error = error_of(mine[i], theirs[i]);
    const double part = bound > 0 ? error / bound : error * 1e9;
    if (part <= worst) continue;
    worst = part;
    proof.error = error;
    proof.bound = bound;
  }
  return worst;
}

}  // namespace

Trial* Trial::running() { return running_trial(); }

Trial::Trial(std::vector<Proof> known, int calls) : calls_(calls) {
  for (auto& proof : known) proofs_.emplace(proof.use, std::move(proof));
  running_trial() = this;
}

Trial::~Trial() { running_trial() = nullptr; }

std::vector<Proof> Trial::proofs() const {
  std::vector<Proof> all;
  for (const auto& use : met_) all.push_back(proofs_.at(use));
  return all;
}

// Each layer rounds a few times, at random: eight times an operation's bound (an H200, bfloat16, 36 layers: a quarter of that). A kernel that is
// wrong changes logits by as much as they are large.
void measure_step(const mx::array& own, const mx::array& mlx, Proof& proof) {
  constexpr double roundings = 8;
  proof.error = error_of(own, mlx);
  proof.bound = roundings * bound_of(proof.use.dtype);
}

std::vector<mx::array> Trial::make(Turn turn, const Make& make) {
  const auto before = std::exchange(turn_, turn);
  try {
    auto made = make();
    mx::eval(made);
    turn_ = before;
    return made;
  } catch (...) {
    turn_ = before;
    throw;
  }
}

// The best of three rounds, each of which the device gets at once.
double Trial::microseconds(Turn turn, const Make& make) {
  const auto all = [&] {
    std::vector<mx::array> made;
    for (int i = 0; i < calls_; ++i)
      for (auto& one : make()) made.push_back(std::move(one));
    return made;
  };
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 3; ++round) {
    const auto start = std::chrono::steady_clock::now();
    this->make(turn, all);
    const std::chrono::duration<double, std::micro> taken =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count() / calls_);
  }
  return best;
}

Proof Trial::proof_of(const Use& use, const Make& own, const Make& mlx) {
  Proof proof{use, 0, 0, 0, 0, {}};
  try {
    const auto theirs = make(Turn::mlx, mlx);
    const auto mine = make(Turn::own, own);
    worst_by_bound(mine, theirs, proof);
    if (!proof.right() || calls_ == 0) return proof;
    timing_ = true;
    proof.own_us = microseconds(Turn::own, own);
    proof.mlx_us = microseconds(Turn::mlx, mlx);
  } catch (const std::exception& thrown) {
    proof.failure = thrown.what();
  }
  timing_ = false;
  return proof;
}

std::vector<mx::array> Trial::compare(const Use& use, const Make& own, const Make& mlx) {
  met_.insert(use);
  if (!proofs_.contains(use)) proofs_.emplace(use, proof_of(use, own, mlx));
  return make(Turn::mlx, mlx);
}

bool compares() { return Trial::running() && Trial::running()->compares(); }
bool times() { return Trial::running() && Trial::running()->times(); }

std::vector<mx::array> proved(const Use& use, const Trial::Make& own, const Trial::Make& mlx) {
  return compares() ? Trial::running()->compare(use, own, mlx) : own();
}

}  // namespace pippin::kernels::gpu
