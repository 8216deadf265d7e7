#include "kernels/weight.h"

namespace pippin::kernels {
namespace {

mx::array evaluated(const mx::array& x) {
  auto y = mx::contiguous(x);
  y.eval();
  return y;
}

cpu::PackedMatrix pack(CpuBackend& backend, const QuantizedWeight& w) {
  const auto weight = evaluated(w.weight), scales = evaluated(w.scales),
             biases = evaluated(mx::astype(w.biases, w.scales.dtype()));
  const cpu::QuantizedSource source = {weight.data<std::uint32_t>(),
                                       scales.data<void>(),
                                       biases.data<void>(),
                                       weight.shape(0),
                                       weight.shape(1) * 32 / w.bits,
                                       w.group_size,
                                       w.bits,
                                       format_of(scales.dtype())};
  return {backend.team, backend.arena, source};
}

cpu::PackedMatrix pack(CpuBackend& backend, const mx::array& w) {
  const auto weight = evaluated(w);
  return {backend.team, backend.arena,
          cpu::DenseSource{weight.data<void>(), weight.shape(0), weight.shape(1),
                           format_of(weight.dtype())}};
}

mx::array join(const std::vector<Weight>& parts,
               const std::function<mx::array(const Weight&)>& get) {
  std::vector<mx::array> arrays;
  for (const auto& part : parts) arrays.push_back(get(part));
  auto whole = mx::concatenate(std::move(arrays), 0);
  whole.eval();
  return whole;
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
  const auto* q = parts.front().quantized();
  for (const auto& part : parts) {
    const auto* other = part.quantized();
    if (part.packed() || !q != !other) return {};
    if (q && (q->bits != other->bits || q->group_size != other->group_size)) return {};
  }
  if (!q) return join(parts, [](const Weight& w) { return *w.dense(); });
  const auto joined = [&](mx::array QuantizedWeight::* member) {
    return join(parts, [&](const Weight& w) { return w.quantized()->*member; });
  };
  return QuantizedWeight{joined(&QuantizedWeight::weight), joined(&QuantizedWeight::scales),
                         joined(&QuantizedWeight::biases), q->group_size, q->bits};
}

}  // namespace pippin::kernels
