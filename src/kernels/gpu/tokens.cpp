#include "kernels/gpu/tokens.h"

#include <mlx/primitives.h>

#include <algorithm>
#include <string_view>

#include "kernels/gpu/choice.h"
#include "kernels/gpu/texts.h"

namespace pippin::kernels::gpu {
namespace {

constexpr int threads = 256, numbers_of_group = 4096;  // as argmax.h has them
constexpr int max_width = 1 << 24;                     // places are floats on their way
constexpr int max_rows = 128;

const Kernel angles_kernel = {"rope_angles",
                              {"positions", "inverse", "axis", "sizes", "numbers"},
                              {"cosines", "sines"},
                              text::rope_angles,
                              text::rope_angles_call};
const Kernel parts_kernel = {
    "argmax_parts", {"x", "sizes"}, {"found"}, text::argmax, text::argmax_parts_call};
const Kernel merge_kernel = {
    "argmax_merge", {"found", "sizes"}, {"out"}, text::argmax, text::argmax_merge_call};
const Kernel pick_kernel = {"pick_tokens",
                            {"known", "from", "sampled", "sizes"},
                            {"out"},
                            text::pick_tokens,
                            text::pick_tokens_call};

int parts_of(int width) { return (width + numbers_of_group - 1) / numbers_of_group; }

}  // namespace

CosinesAndSines rope_angles(Executor& executor, const mx::array& positions,
                            const std::vector<float>& frequencies, const std::vector<int>& axes,
                            float factor) {
  const int rows = positions.shape(1), half = static_cast<int>(frequencies.size());
  const mx::Shape shape = {rows, 1, half};
  const auto made = executor.run(
      angles_kernel,
      {{padded_input(positions), constants(frequencies), constants(axes),
        constants(std::vector<int>{rows, half}), constants(std::vector<float>{factor})},
       {shape, shape},
       {mx::float32, mx::float32},
       {(rows * half + threads - 1) / threads, 1, 1},
       threads,
       {}});
  return {made[0], made[1]};
}

mx::array before_cast(const mx::array& x) {
  if (!x.has_primitive() || std::string_view(x.primitive().name()) != "AsType") return x;
  const auto& source = x.inputs().front();
  return source.dtype() == mx::bfloat16 || source.dtype() == mx::float16 ? source : x;
}

bool finds_largest(const Executor* executor, const mx::array& x) {
  return executor && x.ndim() == 2 && is_number(x.dtype()) && x.shape(0) <= max_rows &&
         x.shape(1) >= 8 && x.shape(1) < max_width &&
         chosen(use_of(Operation::largest, x, x.shape(1)));
}

mx::array largest_of_parts(Executor& executor, const mx::array& x) {
  const int rows = x.shape(0), width = x.shape(1), parts = parts_of(width);
  const int room = std::max(parts, 4);  // found is an input of others: 8 numbers at least
  return executor
      .run(parts_kernel, {{x, constants(std::vector<int>{width, room})},
                          {{rows, room, 2}},
                          {mx::float32},
                          {parts, rows, 1},
                          threads,
                          {{"T", x.dtype()}}})
      .front();
}

mx::array argmax(Executor& executor, const mx::array& logits) {
  const auto x = before_cast(logits);
  const int rows = x.shape(0), parts = parts_of(x.shape(1));
  const auto found = largest_of_parts(executor, x);
  return executor
      .run(merge_kernel, {{found, constants(std::vector<int>{parts, found.shape(1)})},
                          {{rows}},
                          {mx::int32},
                          {rows, 1, 1},
                          32,
                          {}})
      .front();
}

mx::array pick_tokens(Executor& executor, const mx::array& known, const mx::array& from,
                      const mx::array& sampled, int rows) {
  return executor
      .run(pick_kernel, {{known, from, sampled, constants(std::vector<int>{rows})},
                         {{rows}},
                         {mx::int32},
                         {1, 1, 1},
                         32,
                         {}})
      .front();
}

}  // namespace pippin::kernels::gpu
