#include "kernels/weight.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "pippin/error.h"

namespace pippin::kernels {
namespace {

mx::array evaluated(const mx::array& x) {
  auto y = mx::contiguous(x);
  y.eval();
  return y;
}

// What nvfp4's scales of matrix `expert` are multiplied by.
float factor_of(const QuantizedWeight& w, int expert) {
  if (!w.global_scale) return 1;
  return w.global_scale->data<float>()[w.global_scale->ndim() == 0 ? 0 : expert] / (448.0f * 6.0f);
}

// `w` evaluated and contiguous; where it is a bank, matrix `expert` of it.
cpu::PackedMatrix pack_evaluated(CpuBackend& backend, const QuantizedWeight& w, int expert) {
  const int n = w.weight.shape(-2), words = w.weight.shape(-1);
  const auto at = static_cast<std::size_t>(expert) * static_cast<std::size_t>(n);
  const auto groups = at * static_cast<std::size_t>(w.scales.shape(-1)) * w.scales.itemsize();
  const bool affine = w.scheme == Scheme::affine;
  const cpu::QuantizedSource source = {
      w.weight.data<std::uint32_t>() + at * static_cast<std::size_t>(words),
      w.scales.data<std::uint8_t>() + groups,
      affine ? w.biases->data<std::uint8_t>() + groups : nullptr,
      n,
      words * 32 / w.bits,
      w.group_size,
      w.bits,
      affine ? format_of(w.scales.dtype()) : cpu::Format::f32,
      w.scheme,
      factor_of(w, expert)};
  return {backend.team, backend.arena, source};
}

cpu::PackedMatrix pack_evaluated(CpuBackend& backend, const mx::array& w, int expert) {
  const int n = w.shape(-2), k = w.shape(-1);
  const auto at = static_cast<std::size_t>(expert) * static_cast<std::size_t>(n) *
                  static_cast<std::size_t>(k) * w.itemsize();
  return {backend.team, backend.arena,
          cpu::DenseSource{w.data<std::uint8_t>() + at, n, k, format_of(w.dtype())}};
}

QuantizedWeight evaluated(QuantizedWeight w) {
  w.weight = evaluated(w.weight);
  w.scales = evaluated(w.scales);
  if (w.biases) w.biases = evaluated(mx::astype(*w.biases, w.scales.dtype()));
  if (w.global_scale) w.global_scale = evaluated(*w.global_scale);
  return w;
}

template <class Content>
cpu::PackedMatrix pack(CpuBackend& backend, const Content& w) {
  return pack_evaluated(backend, evaluated(w), 0);
}

template <class Content>
cpu::PackedBank pack_bank(CpuBackend& backend, const Content& bank, int num_experts) {
  const auto all = evaluated(bank);
  cpu::PackedBank packed;
  for (int e = 0; e < num_experts; ++e) packed.push_back(pack_evaluated(backend, all, e));
  return packed;
}

using Get = std::function<std::optional<mx::array>(const Weight&)>;
using Join = std::function<mx::array(std::vector<mx::array>)>;

// What `join` makes of the matrices' arrays, evaluated; absent where they have none.
std::optional<mx::array> joined(const std::vector<Weight>& parts, const Join& join,
                                const Get& get) {
  std::vector<mx::array> arrays;
  for (const auto& part : parts)
    if (auto array = get(part)) arrays.push_back(std::move(*array));
  if (arrays.empty()) return {};
  auto whole = join(std::move(arrays));
  whole.eval();
  return whole;
}

// All parts as one, plain or quantized; Kind: Weight or Bank.
template <class Kind>
Kind join_all(const std::vector<Weight>& parts, const Join& join) {
  const auto* q = parts.front().quantized();
  if (!q) return *joined(parts, join, [](const Weight& w) { return *w.dense(); });
  auto whole = *q;
  whole.weight = *joined(parts, join, [](const Weight& w) { return w.quantized()->weight; });
  whole.scales = *joined(parts, join, [](const Weight& w) { return w.quantized()->scales; });
  whole.biases = joined(parts, join, [](const Weight& w) { return w.quantized()->biases; });
  whole.global_scale =
      joined(parts, join, [](const Weight& w) { return w.quantized()->global_scale; });
  return whole;
}

// Whether all are stored alike, and none is packed.
bool of_one_scheme(const std::vector<Weight>& parts) {
  const auto* q = parts.front().quantized();
  return std::all_of(parts.begin(), parts.end(), [&](const Weight& part) {
    const auto* other = part.quantized();
    if (part.packed() || !q != !other) return false;
    return !q || (q->bits == other->bits && q->group_size == other->group_size &&
                  q->scheme == other->scheme && !q->global_scale == !other->global_scale);
  });
}

// MLX knows no groups of 16: it gives the codes, as groups whose scale is 1.
mx::array dequantized_by_16(const QuantizedWeight& w) {
  auto groups = w.scales.shape();
  groups.back() /= 2;
  const auto codes = mx::dequantize(w.weight, mx::ones(groups, mx::float32),
                                    mx::zeros(groups, mx::float32), 32, w.bits);
  auto shape = w.scales.shape();
  shape.push_back(16);
  const auto values =
      mx::reshape(codes, shape) * mx::expand_dims(mx::astype(w.scales, mx::float32), -1) +
      mx::expand_dims(mx::astype(*w.biases, mx::float32), -1);
  return mx::reshape(values, codes.shape());
}

}  // namespace

const char* name_of(Scheme scheme) {
  constexpr const char* names[] = {"affine", "mxfp4", "nvfp4", "mxfp8"};
  return names[static_cast<int>(scheme)];
}

mx::array dequantized(const QuantizedWeight& w, mx::Dtype dtype) {
  // MLX's affine mode computes in the scales' dtype; the others have none of their own.
  std::optional<mx::Dtype> computed;
  if (w.scheme == Scheme::affine && w.group_size == 16)
    return mx::astype(dequantized_by_16(w), dtype);
  if (w.scheme != Scheme::affine) computed = dtype;
  // MLX takes a scale of one matrix, not one for each of a bank.
  const bool by_matrix = w.global_scale && w.global_scale->ndim() == 1;
  auto values =
      mx::dequantize(w.weight, w.scales, w.biases, w.group_size, w.bits, name_of(w.scheme),
                     by_matrix ? std::nullopt : w.global_scale, computed);
  if (by_matrix)
    values = values * mx::reshape(*w.global_scale / mx::array(448.0f * 6.0f), {-1, 1, 1});
  return mx::astype(values, dtype);
}

Weight Weight::packed_for(const CpuBackendPtr& backend) const {
  if (packed()) return *this;
  auto matrix = quantized() ? pack(*backend, *quantized()) : pack(*backend, *dense());
  return Weight(std::make_shared<const PackedWeight>(PackedWeight{backend, std::move(matrix)}));
}

int Weight::outputs() const {
  if (const auto p = packed()) return p->matrix.n();
  return quantized() ? quantized()->weight.shape(0) : dense()->shape(0);
}

int Weight::inputs() const {
  if (const auto p = packed()) return p->matrix.k();
  return quantized() ? quantized()->weight.shape(1) * 32 / quantized()->bits : dense()->shape(1);
}

std::optional<Weight> Weight::concatenate(const std::vector<Weight>& parts) {
  const auto* q = parts.front().quantized();
  if (!of_one_scheme(parts) || (q && q->global_scale)) return {};
  return join_all<Weight>(parts, [](auto arrays) { return mx::concatenate(std::move(arrays), 0); });
}

Bank Bank::stack(const std::vector<Weight>& matrices, const CpuBackendPtr& backend) {
  if (!of_one_scheme(matrices))
    throw Error(Code::invalid_argument,
                "[checkpoint] experts of a layer are quantized differently");
  if (!backend)
    return join_all<Bank>(matrices, [](const auto& arrays) { return mx::stack(arrays, 0); });
  PackedExperts packed{backend, {}};
  for (const auto& w : matrices)
    packed.matrices.push_back(w.quantized() ? pack(*backend, *w.quantized())
                                            : pack(*backend, *w.dense()));
  return Bank(std::make_shared<const PackedExperts>(std::move(packed)));
}

Bank Bank::packed_for(const CpuBackendPtr& backend) const {
  if (packed()) return *this;
  const int num_experts = quantized() ? quantized()->weight.shape(0) : dense()->shape(0);
  auto matrices = quantized() ? pack_bank(*backend, *quantized(), num_experts)
                              : pack_bank(*backend, *dense(), num_experts);
  return Bank(std::make_shared<const PackedExperts>(PackedExperts{backend, std::move(matrices)}));
}

}  // namespace pippin::kernels
