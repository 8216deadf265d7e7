#include "kernels/gpu/products.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "kernels/gpu/texts.h"

namespace pippin::kernels::gpu {
namespace {

constexpr int threads = 256, warps = threads / 32;  // as product.h has them
constexpr int max_rows = 4, max_normed_rows = 128;
// A row more costs a large matrix nearly as much again (an H200, 8B, a step of 1, 2 and 4 rows: 3.1, 5.8 and 12.9 ms), where
// few_rows_linear's matrix units have room (4 rows: 4.2 ms).
constexpr int max_rows_of_large = 1, large_matrix = 1 << 23;
constexpr int staged_bytes = 24576;  // as product.call.h has it
// Outputs up to which a warp makes one at a time, so that more warps share them; of more outputs it makes two, which share what is read of x.
constexpr int narrow = 3168;
constexpr int most_groups = 264;  // two for each processor of an H200, which all read at once

const Kernel product_kernel = {
    "product",
    {"x", "w", "scales", "biases", "norm", "residual", "sizes", "numbers"},
    {"out"},
    text::product,
    text::product_call,
    true};
const Kernel norm_kernel = {
    "rms_norm", {"x", "weight", "sizes", "numbers"}, {"out"}, text::rms_norm, text::rms_norm_call};
const Kernel embed_kernel = {
    "embed", {"ids", "table", "scales", "biases", "sizes"}, {"out"}, text::embed, text::embed_call};

enum Stage { direct, staged, normed };

// Numbers of a row that a lane reads at once: 16 bytes.
int each(const Matrix& w, mx::Dtype dtype) {
  return w.bits ? 128 / w.bits : 16 / static_cast<int>(mx::size_of(dtype));
}

int tiled_rows(int rows) { return rows <= 2 ? rows : max_rows; }

bool fits_shared(const mx::array& x, const Matrix& w, mx::Dtype as) {
  const int step = 32 * each(w, x.dtype()), pitch = (x.shape(1) + step - 1) / step * step;
  return tiled_rows(x.shape(0)) * pitch * static_cast<int>(mx::size_of(as)) <= staged_bytes;
}

// What x is in shared memory: float32 where that fits, so that nothing has to be converted for each code.
mx::Dtype staged_dtype(const mx::array& x, const Matrix& w) {
  return w.bits && fits_shared(x, w, mx::float32) ? mx::float32 : x.dtype();
}

int group_bits(const Matrix& w) {
  return w.bits ? std::countr_zero(static_cast<unsigned>(w.group_size)) : 0;
}

bool format_taken(const Matrix& w, mx::Dtype dtype) {
  if (w.bits == 0) return w.weight.dtype() == dtype;
  return w.biases && (w.bits == 4 || w.bits == 8) && w.scales->dtype() == dtype &&
         (w.group_size == 32 || w.group_size == 64 || w.group_size == 128);
}

int width_of(const Matrix& w) {
  return w.bits ? w.weight.shape(1) * 32 / w.bits : w.weight.shape(1);
}

// Each takes as many rounds as any other, or one less.
int groups_of(int outputs, int outputs_of_warp) {
  const int of_group = warps * outputs_of_warp, wanted = (outputs + of_group - 1) / of_group,
            rounds = (wanted + most_groups - 1) / most_groups;
  return (wanted + rounds - 1) / rounds;
}

std::vector<TemplateArgument> arguments_of(mx::Dtype dtype, mx::Dtype staged, int bits, int rows,
                                           int outputs_of_warp, Stage stage, bool gates) {
  return {{"T", dtype},
          {"S", staged},
          {"BITS", bits},
          {"M", tiled_rows(rows)},
          {"R", outputs_of_warp},
          {"STAGE", static_cast<int>(stage)},
          {"GATED", gates ? 1 : 0}};
}

template <class Value>
Value argument_of(const Launch& launch, const std::string& name) {
  const auto found =
      std::find_if(launch.arguments.begin(), launch.arguments.end(),
                   [&](const TemplateArgument& argument) { return argument.name == name; });
  return std::get<Value>(found->value);
}

}  // namespace

Use product_use(const mx::array& x, const Matrix& w, bool residual) {
  return {Operation::product,
          x.dtype().val(),
          {rows(x), w.outputs(), x.shape(1), w.bits, residual ? 1 : 0}};
}

bool multiplies(const Executor* executor, const mx::array& x, const Matrix& w, bool residual) {
  if (!executor || x.ndim() != 2) return false;
  const int inputs = x.shape(1);
  const bool large = w.outputs() > large_matrix / inputs;
  return x.shape(0) <= (large && w.bits ? max_rows_of_large : max_rows) && is_number(x.dtype()) &&
         format_taken(w, x.dtype()) && inputs % each(w, x.dtype()) == 0 && inputs % 8 == 0 &&
         w.outputs() >= 8 && chosen(product_use(x, w, residual));
}

mx::array product(Executor& executor, const mx::array& x, const Matrix& w,
                  const std::optional<mx::array>& residual) {
  const int rows = x.shape(0), inputs = x.shape(1), outputs = w.outputs();
  const bool fits = fits_shared(x, w, x.dtype());
  // Half numbers may be too large before they are divided by their size.
  const auto* norm = fits && x.dtype() != mx::float16 ? executor.made_by(norm_kernel, x) : nullptr;
  const auto& source = norm ? norm->inputs[0] : x;
  const auto stage = norm ? normed : fits ? staged : direct;
  const int outputs_of_warp = outputs <= narrow ? 1 : 2;
  const int groups = groups_of(outputs, outputs_of_warp);
  const auto sizes = constants(
      std::vector<int>{rows, outputs, inputs, group_bits(w), residual.has_value() ? 1 : 0, groups});
  return executor
      .run(product_kernel,
           {{source, w.weight, w.scales.value_or(w.weight), w.biases.value_or(w.weight),
             norm ? norm->inputs[1] : source, residual.value_or(source), sizes,
             norm ? norm->inputs[3] : constants(std::vector<float>{0})},
            {{rows, outputs}},
            {x.dtype()},
            {groups, 1, 1},
            threads,
            arguments_of(x.dtype(), staged_dtype(x, w), w.bits, rows, outputs_of_warp, stage,
                         false)})
      .front();
}

std::optional<mx::array> gated_product(Executor& executor, const mx::array& gate_up) {
  const auto* made = executor.made_by(product_kernel, gate_up);
  if (!made || gate_up.shape(1) % 2) return {};
  const int rows = gate_up.shape(0), outputs = gate_up.shape(1) / 2;
  const auto stage = static_cast<Stage>(argument_of<int>(*made, "STAGE"));
  const int groups = groups_of(outputs, 1);
  auto inputs = made->inputs;
  const auto* sizes = inputs[6].data<int>();
  inputs[6] = constants(std::vector<int>{rows, sizes[1], sizes[2], sizes[3], 0, groups});
  return executor
      .run(product_kernel, {std::move(inputs),
                            {{rows, outputs}},
                            {gate_up.dtype()},
                            {groups, 1, 1},
                            threads,
                            arguments_of(gate_up.dtype(), argument_of<mx::Dtype>(*made, "S"),
                                         argument_of<int>(*made, "BITS"), rows, 2, stage, true)})
      .front();
}

bool norms(const Executor* executor, const mx::array& x, const mx::array& weight) {
  return executor && x.ndim() == 2 && x.shape(0) <= max_normed_rows && is_number(x.dtype()) &&
         weight.dtype() == x.dtype() && weight.size() >= 8 &&
         chosen(use_of(Operation::norm, x, x.shape(1)));
}

mx::array rms_norm(Executor& executor, const mx::array& x, const mx::array& weight, float eps) {
  return executor
      .run(norm_kernel, {{x, weight, constants(std::vector<int>{x.shape(1)}),
                          constants(std::vector<float>{eps})},
                         {x.shape()},
                         {x.dtype()},
                         {x.shape(0), 1, 1},
                         threads,
                         {{"T", x.dtype()}}})
      .front();
}

Use embedding_use(const mx::array& ids, const Matrix& table, mx::Dtype dtype) {
  return {Operation::embedding, dtype.val(), {rows(ids), width_of(table), 0, table.bits, 0}};
}

bool embeds(const Executor* executor, const mx::array& ids, const Matrix& table, mx::Dtype dtype) {
  const int width = width_of(table);
  return executor && is_number(dtype) && format_taken(table, dtype) && width % 4 == 0 &&
         width >= 8 && chosen(embedding_use(ids, table, dtype));
}

mx::array embed(Executor& executor, const mx::array& ids, const Matrix& table, mx::Dtype dtype) {
  const int rows = ids.shape(0), width = width_of(table);
  constexpr int of_group = threads * 4;
  return executor
      .run(embed_kernel, {{padded_input(ids), table.weight, table.scales.value_or(table.weight),
                           table.biases.value_or(table.weight),
                           constants(std::vector<int>{width, group_bits(table)})},
                          {{rows, width}},
                          {dtype},
                          {(width + of_group - 1) / of_group, rows, 1},
                          threads,
                          {{"T", dtype}, {"BITS", table.bits}}})
      .front();
}

}  // namespace pippin::kernels::gpu
