#include "engine/run/dry_run.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/layout.h"

namespace pippin::engine {
namespace {

namespace mx = mlx::core;

// Bytes that `work` allocates at most beside what is there.
template <class Work>
std::int64_t peak_of(const Work& work) {
  const auto before = static_cast<std::int64_t>(mx::get_active_memory());
  mx::reset_peak_memory();
  work();
  return std::max<std::int64_t>(static_cast<std::int64_t>(mx::get_peak_memory()) - before, 0);
}

mx::array int_array(const std::vector<std::int32_t>& values, const mx::Shape& shape) {
  return mx::reshape(mx::array(values.begin(), {static_cast<int>(values.size())}, mx::int32),
                     shape);
}

// A prompt of that many tokens; the last ones' logits are wanted.
models::StepInput prompt(const std::vector<std::int32_t>& pages, int rows, int logit_rows, int axes,
                         const DryRun& run) {
  std::vector<std::int32_t> positions;
  for (int axis = 0; axis < axes; ++axis)
    for (int i = 0; i < rows; ++i) positions.push_back(i);
  std::vector<std::int32_t> last(static_cast<std::size_t>(logit_rows));
  std::iota(last.begin(), last.end(), rows - logit_rows);
  const auto count = static_cast<std::size_t>(rows);
  return {int_array(std::vector<std::int32_t>(count, 0), {rows}),
          int_array(positions, {axes, rows}),
          true,
          int_array(last, {logit_rows}),
          kernels::make_layout({{pages, rows, rows}}, run.page_size, run.cpu),
          {},
          {{0, 0, rows}}};
}

std::int64_t text_bytes(const models::Model& model, const DryRun& run, int rows) {
  const auto& traits = model.traits();
  std::vector<std::int32_t> pages(
      static_cast<std::size_t>((rows + run.page_size - 1) / run.page_size));
  std::iota(pages.begin(), pages.end(), 0);
  nn::ModelState state(traits.layers, {static_cast<int>(pages.size()), run.page_size, 1}, run.kv,
                       run.cpu != nullptr);
  const std::int32_t slot = 0;
  state.slots().clear_pages({&slot, 1});
  const auto input = prompt(pages, rows, 1, traits.position_axes, run);
  return peak_of([&] {
    const auto logits = model.forward(input, state);
    auto results = state.arrays();
    results.push_back(logits);
    mx::eval(std::move(results));
  });
}

std::int64_t picture_bytes(const models::Model& model, const DryRun& run, int rows) {
  const auto& config = *run.pictures;
  // A square; at least two of the squares that become a row, so that the tower attends to something.
  const int side = std::max(2, static_cast<int>(std::sqrt(static_cast<double>(rows))));
  const int pixels = side * config.merge_size * config.patch_size;
  const Pixels grey{pixels, pixels,
                    std::vector<std::uint8_t>(static_cast<std::size_t>(pixels) * pixels * 3, 128)};
  const auto patches = media::make_patches(std::span(&grey, 1), {pixels, pixels}, config);
  return peak_of([&] { model.encode(patches); }) / (side * side);
}

}  // namespace

std::int64_t measure_activations(const models::Model& model, const DryRun& run) {
  const int rows = run.measured_rows > 0 ? std::min(run.measured_rows, run.rows) : run.rows;
  // What does not grow with the rows is small beside what does, and counted too often rather than not at all.
  std::int64_t bytes = text_bytes(model, run, rows) * run.rows / rows;
  // Logits, and once more while they are filtered.
  bytes += std::int64_t{2} * 4 * std::min(run.logit_rows, run.rows) * model.traits().vocab_size;
  if (run.pictures) bytes += picture_bytes(model, run, rows) * run.picture_rows;
  return bytes;
}

}  // namespace pippin::engine
