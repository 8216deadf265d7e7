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

// `w` evaluated and contiguous; where it is a bank, matrix `expert` of it.
cpu::PackedMatrix pack_evaluated(CpuBackend& backend, const QuantizedWeight& w, int expert) {
  const int n = w.weight.shape(-2), words = w.weight.shape(-1);
  const auto at = static_cast<std::size_t>(expert) * static_cast<std::size_t>(n);
  const auto groups = at * static_cast<std::size_t>(w.scales.shape(-1)) * w.scales.itemsize();
  const cpu::QuantizedSource source = {
      w.weight.data<std::uint32_t>() + at * static_cast<std::size_t>(words),
      w.scales.data<std::uint8_t>() + groups,
      w.biases.data<std::uint8_t>() + groups,
      n,
      words * 32 / w.bits,
      w.group_size,
      w.bits,
      format_of(w.scales.dtype())};
  return {backend.team, backend.arena, source};
}

cpu::PackedMatrix pack_evaluated(CpuBackend& backend, const mx::array& w, int expert) {
  const int n = w.shape(-2), k = w.shape(-1);
  const auto at = static_cast<std::size_t>(expert) * static_cast<std::size_t>(n) *
                  static_cast<std::size_t>(k) * w.itemsize();
  return {backend.team, backend.arena,
          cpu::DenseSource{w.data<std::uint8_t>() + at, n, k, format_of(w.dtype())}};
}

QuantizedWeight evaluated(const QuantizedWeight& w) {
  return {evaluated(w.weight), evaluated(w.scales),
          evaluated(mx::astype(w.biases, w.scales.dtype())), w.group_size, w.bits};
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

mx::array join(const std::vector<Weight>& parts,
               const std::function<mx::array(const Weight&)>& get) {
  std::vector<mx::array> arrays;
  for (const auto& part : parts) arrays.push_back(get(part));
  auto whole = mx::concatenate(std::move(arrays), 0);
  whole.eval();
  return whole;
}

// The matrices' arrays with an axis in front.
mx::array stacked(const std::vector<Weight>& parts,
                  const std::function<mx::array(const Weight&)>& get) {
  std::vector<mx::array> arrays;
  for (const auto& part : parts) arrays.push_back(get(part));
  auto whole = mx::stack(arrays, 0);
  whole.eval();
  return whole;
}

// Whether all are stored alike, and none is packed.
bool of_one_scheme(const std::vector<Weight>& parts) {
  const auto* q = parts.front().quantized();
  return std::all_of(parts.begin(), parts.end(), [&](const Weight& part) {
    const auto* other = part.quantized();
    if (part.packed() || !q != !other) return false;
    return !q || (q->bits == other->bits && q->group_size == other->group_size);
  });
}

}  // namespace

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
  if (!of_one_scheme(parts)) return {};
  const auto* q = parts.front().quantized();
  if (!q) return join(parts, [](const Weight& w) { return *w.dense(); });
  const auto joined = [&](mx::array QuantizedWeight::* member) {
    return join(parts, [&](const Weight& w) { return w.quantized()->*member; });
  };
  return QuantizedWeight{joined(&QuantizedWeight::weight), joined(&QuantizedWeight::scales),
                         joined(&QuantizedWeight::biases), q->group_size, q->bits};
}

Bank Bank::stack(const std::vector<Weight>& matrices, const CpuBackendPtr& backend) {
  if (!of_one_scheme(matrices))
    throw Error(Code::invalid_argument,
                "[checkpoint] experts of a layer are quantized differently");
  const auto* q = matrices.front().quantized();
  if (backend) {
    PackedExperts packed{backend, {}};
    for (const auto& w : matrices)
      packed.matrices.push_back(q ? pack(*backend, *w.quantized()) : pack(*backend, *w.dense()));
    return Bank(std::make_shared<const PackedExperts>(std::move(packed)));
  }
  if (!q) return stacked(matrices, [](const Weight& w) { return *w.dense(); });
  const auto all = [&](mx::array QuantizedWeight::* member) {
    return stacked(matrices, [&](const Weight& w) { return w.quantized()->*member; });
  };
  return QuantizedWeight{all(&QuantizedWeight::weight), all(&QuantizedWeight::scales),
                         all(&QuantizedWeight::biases), q->group_size, q->bits};
}

Bank Bank::packed_for(const CpuBackendPtr& backend) const {
  if (packed()) return *this;
  const int num_experts = quantized() ? quantized()->weight.shape(0) : dense()->shape(0);
  auto matrices = quantized() ? pack_bank(*backend, *quantized(), num_experts)
                              : pack_bank(*backend, *dense(), num_experts);
  return Bank(std::make_shared<const PackedExperts>(PackedExperts{backend, std::move(matrices)}));
}

}  // namespace pippin::kernels
