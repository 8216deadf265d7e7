#include "kernels/gpu/activation.h"

#include "kernels/gpu/products.h"
#include "kernels/gpu/texts.h"

namespace pippin::kernels::gpu {
namespace {

constexpr int threads = 256, numbers_of_thread = 4;  // as gated.h has them

const Kernel kernel = {"gated", {"gate_up", "sizes"}, {"out"}, text::gated, text::gated_call};

}  // namespace

bool gates(const Executor* executor, const mx::array& gate_up) {
  return executor && is_number(gate_up.dtype()) && gate_up.ndim() == 2 &&
         gate_up.shape(1) % (2 * numbers_of_thread) == 0 && gate_up.size() >= 8 &&
         chosen(use_of(Operation::gate, gate_up, gate_up.shape(1)));
}

mx::array gated(Executor& executor, const mx::array& gate_up) {
  if (const auto both = gated_product(executor, gate_up)) return *both;
  const int rows = gate_up.shape(0), width = gate_up.shape(1) / 2;
  constexpr int each = threads * numbers_of_thread;
  return executor
      .run(kernel, {{gate_up, constants(std::vector<int>{width})},
                    {{rows, width}},
                    {gate_up.dtype()},
                    {(width + each - 1) / each, rows, 1},
                    threads,
                    {{"T", gate_up.dtype()}}})
      .front();
}

}  // namespace pippin::kernels::gpu
