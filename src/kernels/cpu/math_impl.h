// Elementary functions on 16 lanes. Included once by each isa_*.cpp, after its simd_*.h.
#pragma once

namespace pippin::cpu::PIPPIN_ISA {

/// e^x within 2 ulp for x in [-87, 88]; below it is (almost) zero, above it stays at e^88.
/// Range reduction by ln 2 in two parts, then a polynomial (Cephes' expf).
inline Vf exp(Vf x) {
  x = min(max(x, set1(-87.0f)), set1(88.0f));
  const Vf n = round(x * set1(1.44269504f));
  Vf r = fma(n, set1(-0.693359375f), x);
  r = fma(n, set1(2.12194440e-4f), r);
  Vf p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  return scale_by_power(fma(p, r * r, r + set1(1.0f)), n);
}

inline Vf sigmoid(Vf x) { return set1(1.0f) / (set1(1.0f) + exp(zero() - x)); }
inline Vf silu(Vf x) { return x * sigmoid(x); }
/// tanh x = 2 sigmoid(2x) - 1, which is good to 1e-7 of 1 (not of small x).
inline Vf tanh(Vf x) { return fma(set1(2.0f), sigmoid(x + x), set1(-1.0f)); }
/// tanh x = 2 sigmoid(2x) - 1, so x/2 (1 + tanh u) = x sigmoid(2u).
inline Vf gelu_tanh(Vf x) {
  const Vf u = set1(0.7978845608f) * fma(set1(0.044715f) * x * x, x, x);
  return x * sigmoid(u + u);
}
/// The error function within 6e-7 (Abramowitz and Stegun, 7.1.26, whose own error is 1.5e-7).
inline Vf erf(Vf x) {
  const Vf a = abs(x);
  const Vf t = set1(1.0f) / fma(set1(0.3275911f), a, set1(1.0f));
  Vf p = set1(1.061405429f);
  p = fma(p, t, set1(-1.453152027f));
  p = fma(p, t, set1(1.421413741f));
  p = fma(p, t, set1(-0.284496736f));
  p = fma(p, t, set1(0.254829592f));
  const Vf y = set1(1.0f) - p * t * exp(zero() - a * a);
  return select(less(x, zero()), zero() - y, y);
}
inline Vf gelu(Vf x) { return set1(0.5f) * x * (set1(1.0f) + erf(x * set1(0.7071067812f))); }

}  // namespace pippin::cpu::PIPPIN_ISA
