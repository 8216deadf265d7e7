#include "kernels/gpu/choice.h"

#include <algorithm>
#include <bit>
#include <sstream>
#include <utility>

#include "kernels/gpu/sampling.h"
#include "kernels/gpu/tokens.h"

namespace pippin::kernels::gpu {
namespace {

constexpr const char* names[] = {"attention", "product", "norm",     "gate", "embedding",
                                 "angles",    "largest", "sampling", "step"};

Choices& choices() {
  static Choices choices;
  return choices;
}

mx::Dtype dtype_of(mx::Dtype::Val value) {
  for (const auto dtype : {mx::float16, mx::bfloat16, mx::int32})
    if (dtype.val() == value) return dtype;
  return mx::float32;
}

std::string name_of(mx::Dtype::Val value) {
  std::ostringstream text;
  text << dtype_of(value);
  return text.str();
}

}  // namespace

int rows(const mx::array& x) {
  return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(x.shape(0), 1))));
}

Use use_of(Operation operation, const mx::array& x, int width) {
  return {operation, x.dtype().val(), {rows(x), width, 0, 0, 0}};
}

Use sampling_use(const mx::array& logits, const SamplingKind& kind) {
  auto use = use_of(Operation::sampling, before_cast(logits), logits.shape(1));
  use.numbers[2] = kind.edits || kind.masks ? 2 : kind.top_k || kind.top_p ? 1 : 0;
  return use;
}

Use step_use(std::int64_t vocab_size, int rows, mx::Dtype arithmetic, std::uint64_t operations) {
  const auto half = [&](int shift) {
    return static_cast<int>((operations >> shift) & 0x7fffffffu);
  };
  return {Operation::step,
          arithmetic.val(),
          {rows, static_cast<int>(vocab_size), half(0), half(31), 0}};
}

std::string text_of(const Use& use) {
  const auto& n = use.numbers;
  std::ostringstream text;
  text << names[static_cast<int>(use.operation)];
  if (use.operation == Operation::product)
    text << " of " << n[0] << " x " << n[2] << " by " << n[1]
         << (n[3] ? ", " + std::to_string(n[3]) + " bits" : "") << (n[4] ? ", plus residual" : "");
  else if (use.operation == Operation::attention)
    text << " of " << (n[0] ? std::to_string(n[0]) + " rows" : "prompts") << ", " << n[1] << '/'
         << n[2] << " heads of " << n[3];
  else
    text << " of " << n[0] << " x " << n[1];
  if (use.operation == Operation::sampling && n[2] > 0)
    text << (n[2] == 1 ? ", filtered" : ", edited");
  text << ", " << name_of(use.dtype);
  return text.str();
}

bool chosen(const Use& use) {
  if (const auto* trial = Trial::running()) return trial->turn_ != Trial::Turn::mlx;
  const auto& all = choices();
  return !all.proved || all.own.contains(use);
}

void use_only(const std::vector<Use>& uses) { choices() = {true, {uses.begin(), uses.end()}}; }

void forget_proofs() { choices() = {}; }

void swap_choices(Choices& others) { std::swap(choices(), others); }

}  // namespace pippin::kernels::gpu
