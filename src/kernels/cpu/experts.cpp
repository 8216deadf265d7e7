#include "kernels/cpu/experts.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pippin::cpu {
namespace {

// A slot is the place of one (token, expert) pair in the order of experts.
struct Slots {
  std::vector<std::int32_t> of_pair;  ///< [rows * top_k]
  std::vector<int> begins;            ///< of each expert's slots, and the end
};

// Counting sort: within an expert, slots keep the tokens' order.
Slots sort_by_expert(const ExpertsArgs& args) {
  const auto pairs = static_cast<std::size_t>(args.rows) * static_cast<std::size_t>(args.top_k);
  Slots slots{std::vector<std::int32_t>(pairs), std::vector<int>(args.gate.size() + 1)};
  for (std::size_t i = 0; i < pairs; ++i)
    ++slots.begins[static_cast<std::size_t>(args.chosen[i]) + 1];
  for (std::size_t e = 1; e < slots.begins.size(); ++e) slots.begins[e] += slots.begins[e - 1];
  auto next = slots.begins;
  for (std::size_t i = 0; i < pairs; ++i)
    slots.of_pair[i] = next[static_cast<std::size_t>(args.chosen[i])]++;
  return slots;
}

const float* row_of(const float* biases, std::size_t expert, int n) {
  return biases ? biases + expert * static_cast<std::size_t>(n) : nullptr;
}

class Operation {
 public:
  Operation(Team& team, const Kernels& kernels, ExpertsScratch& scratch, const ExpertsArgs& args)
      : team_(team),
        kernels_(kernels),
        scratch_(scratch),
        args_(args),
        slots_(sort_by_expert(args)),
        num_slots_(args.rows * args.top_k),
        k_(args.gate.front().k()),
        n_(args.gate.front().n()),
        alike_(!args.up || args.gate.front().same_layout(args.up->front())) {
    const auto slots = static_cast<std::size_t>(num_slots_);
    const auto wide = slots * static_cast<std::size_t>(k_);
    const auto hidden = slots * static_cast<std::size_t>(n_);
    x_ = reinterpret_cast<float*>(
        scratch.rows.grow_to((2 * wide + (alike_ ? 1 : 2) * hidden) * sizeof(float)));
    y_ = x_ + wide;
    hidden_ = y_ + wide;
    up_ = hidden_ + hidden;
  }

  void run() {
    gather();
    gate_and_up();
    down();
    add_up();
  }

 private:
  template <class Body>
  void for_tokens(const Body& body) {
    team_.parallel_for(args_.rows, 8, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto token = begin; token < end; ++token) body(token);
    });
  }

  std::int64_t slot(std::int64_t token, int i) const {
    return slots_.of_pair[static_cast<std::size_t>(token * args_.top_k + i)];
  }

  void gather() {
    for_tokens([&](std::int64_t token) {
      for (int i = 0; i < args_.top_k; ++i)
        std::memcpy(x_ + slot(token, i) * k_, args_.x + token * k_,
                    static_cast<std::size_t>(k_) * sizeof(float));
    });
  }

  // Calls add(expert, first slot, slots) for every expert that has some.
  template <class Add>
  void for_chosen(const Add& add) const {
    for (std::size_t e = 0; e + 1 < slots_.begins.size(); ++e)
      if (const int count = slots_.begins[e + 1] - slots_.begins[e])
        add(e, slots_.begins[e], count);
  }

  void multiply(const float* x, int k, float* out, int n, Activation activation,
                const std::vector<RowsOfMatrix>& runs) {
    Output output{out, n};
    output.activation = activation;
    linear_by_runs(team_, kernels_, scratch_.linear,
                   {x, k, num_slots_, {}, false, output, args_.exact}, runs);
  }

  void gate_and_up() {
    std::vector<RowsOfMatrix> runs;
    for_chosen([&](std::size_t e, int first, int count) {
      runs.push_back({first, count, &args_.gate[e], args_.up ? &(*args_.up)[e] : nullptr,
                      row_of(args_.gate_bias, e, n_), row_of(args_.up_bias, e, n_)});
    });
    if (alike_) return multiply(x_, k_, hidden_, n_, args_.activation, runs);
    auto ups = runs;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      ups[i].w = std::exchange(runs[i].times, nullptr);
      ups[i].bias = std::exchange(runs[i].times_bias, nullptr);
      ups[i].times = nullptr;
      ups[i].times_bias = nullptr;
    }
    multiply(x_, k_, hidden_, n_, args_.activation, runs);
    multiply(x_, k_, up_, n_, Activation::none, ups);
    multiply_up();
  }

  // hidden *= what the kernels multiply an activation by.
  void multiply_up() {
    const bool clipped = args_.activation == Activation::clipped_swiglu;
    team_.parallel_for(num_slots_, 8, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto i = begin * n_; i < end * n_; ++i)
        hidden_[i] *= clipped ? std::clamp(up_[i], -7.0f, 7.0f) + 1.0f : up_[i];
    });
  }

  void down() {
    std::vector<RowsOfMatrix> runs;
    for_chosen([&](std::size_t e, int first, int count) {
      runs.push_back({first, count, &args_.down[e], nullptr, row_of(args_.down_bias, e, k_)});
    });
    multiply(hidden_, n_, y_, k_, Activation::none, runs);
  }

  void add_up() {
    for_tokens([&](std::int64_t token) {
      float* out = args_.out + token * k_;
      if (args_.residual)
        std::copy_n(args_.residual + token * k_, k_, out);
      else
        std::fill_n(out, k_, 0.0f);
      for (int i = 0; i < args_.top_k; ++i) {
        const float weight = args_.weights[token * args_.top_k + i];
        const float* y = y_ + slot(token, i) * k_;
        for (int j = 0; j < k_; ++j) out[j] += weight * y[j];
      }
    });
  }

  Team& team_;
  const Kernels& kernels_;
  ExpertsScratch& scratch_;
  const ExpertsArgs& args_;
  Slots slots_;
  int num_slots_, k_, n_;
  bool alike_;                     // gates and ups are stored alike, so that one product makes both
  float *x_, *y_, *hidden_, *up_;  // [slots, K], [slots, K], [slots, N], [slots, N] where not alike
};

}  // namespace

void experts(Team& team, const Kernels& kernels, ExpertsScratch& scratch, const ExpertsArgs& args) {
  if (args.rows > 0) Operation(team, kernels, scratch, args).run();
}

}  // namespace pippin::cpu
