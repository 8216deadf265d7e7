#include "kernels/latent.h"

#include <cstring>
#include <vector>

#include "kernels/experts.h"
#include "pippin/error.h"

namespace pippin::kernels {
namespace {

// ---- the CPU's kernels

/// Rows of so many heads: head h of row t begins at x + t * stride + h * head_stride.
struct HeadRows {
  float* x;
  std::int64_t stride, head_stride;
};

void copy_floats(const float* from, int count, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
}

// One call of the products of all heads, whose rows lie head by head meanwhile: a head's matrix is read once.
class HeadProducts {
 public:
  HeadProducts(CpuBackend& backend, const cpu::PackedBank& matrices, int rows)
      : backend_(backend),
        matrices_(matrices),
        heads_(static_cast<int>(matrices.size())),
        rows_(rows),
        in_(matrices.front().k()),
        out_(matrices.front().n()) {
    auto& scratch = backend.experts_scratch.rows;
    const auto all = static_cast<std::size_t>(heads_) * static_cast<std::size_t>(rows);
    x_ = reinterpret_cast<float*>(
        scratch.grow_to(all * static_cast<std::size_t>(in_ + out_) * sizeof(float)));
    y_ = x_ + static_cast<std::int64_t>(all) * in_;
  }

  void run(const HeadRows& from, const HeadRows& to) {
    for_rows([&](std::int64_t row, int head) {
      copy_floats(from.x + row * from.stride + head * from.head_stride, in_,
                  x_ + (head * std::int64_t{rows_} + row) * in_);
    });
    std::vector<cpu::RowsOfMatrix> runs;
    for (int head = 0; head < heads_; ++head)
      runs.push_back({head * rows_, rows_, &matrices_[static_cast<std::size_t>(head)]});
    cpu::linear_by_runs(
        backend_.team, backend_.kernels, backend_.experts_scratch.linear,
        {x_, in_, heads_ * rows_, {}, false, {y_, out_}, backend_.exact_activations}, runs);
    for_rows([&](std::int64_t row, int head) {
      copy_floats(y_ + (head * std::int64_t{rows_} + row) * out_, out_,
                  to.x + row * to.stride + head * to.head_stride);
    });
  }

 private:
  template <class Body>
  void for_rows(const Body& body) {
    backend_.team.parallel_for(rows_, 8, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto row = begin; row < end; ++row)
        for (int head = 0; head < heads_; ++head) body(row, head);
    });
  }

  CpuBackend& backend_;
  const cpu::PackedBank& matrices_;
  int heads_, rows_, in_, out_;
  float *x_, *y_;  // [H, T, in], [H, T, out]
};

void check_float32(const mx::array& x) {
  if (x.dtype() != mx::float32)
    throw Error(Code::internal, "[cpu] packed weights multiply float32 only");
}

mx::array multiply_packed(const mx::array& x, const PackedExperts& bank) {
  check_float32(x);
  const int heads = static_cast<int>(bank.matrices.size()), rows = x.shape(0);
  const int in = bank.matrices.front().k(), out = bank.matrices.front().n();
  const auto run = [&](const std::vector<mx::array>& inputs, mx::array& y) {
    HeadProducts(*bank.backend, bank.matrices, rows)
        .run({const_cast<float*>(inputs[0].data<float>()), std::int64_t{heads} * in, in},
             {y.data<float>(), std::int64_t{heads} * out, out});
  };
  return host_operation(*bank.backend, "heads", {rows, heads * out}, mx::float32, {x}, run);
}

mx::array packed_rows(const LatentParts& parts, const PackedExperts& bank) {
  check_float32(parts.queries);
  auto& backend = *bank.backend;
  const int heads = static_cast<int>(bank.matrices.size()), rows = parts.queries.shape(0);
  const int query = parts.queries.shape(1) / heads, key = parts.latents.shape(1);
  const int rest = bank.matrices.front().k(), latent = bank.matrices.front().n();
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    auto* queries = const_cast<float*>(in[0].data<float>());
    const std::int64_t width = out.shape(1), query_width = in[0].shape(1);
    HeadProducts(backend, bank.matrices, rows)
        .run({queries, query_width, query}, {out.data<float>(), width, key});
    backend.team.parallel_for(rows, 8, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto row = begin; row < end; ++row) {
        float* to = out.data<float>() + row * width;
        for (int head = 0; head < heads; ++head, to += key)
          copy_floats(queries + row * query_width + head * query + rest, query - rest, to + latent);
        const float* from = in[1].data<float>() + row * key;
        backend.kernels.norm.rms_norm({.x = from,
                                       .out = to,
                                       .weight = in[2].data<float>(),
                                       .width = latent,
                                       .eps = parts.eps},
                                      0, 1);
        copy_floats(from + latent, key - latent, to + latent);
      }
    });
  };
  return host_operation(backend, "latents", {rows, (heads + 1) * key}, mx::float32,
                        {parts.queries, parts.latents, parts.norm}, run);
}

// ---- MLX's operations

// x [H, T, in] -> [H, T, out].
mx::array by_head(const mx::array& x, const Bank& bank) {
  const auto* q = bank.quantized();
  if (!q) return mx::matmul(x, mx::swapaxes(*bank.dense(), -1, -2));
  if (q->global_scale) return by_head(x, Bank(dequantized(*q, x.dtype())));
  return mx::quantized_matmul(x, q->weight, q->scales, q->biases, true, q->group_size, q->bits,
                              name_of(q->scheme));
}

// x [T, H, in] -> [T, H, out].
mx::array multiply(const mx::array& x, const Bank& bank) {
  return mx::swapaxes(by_head(mx::swapaxes(x, 0, 1), bank), 0, 1);
}

int num_heads(const Bank& bank) {
  return bank.quantized() ? bank.quantized()->weight.shape(0) : bank.dense()->shape(0);
}

}  // namespace

mx::array multiply_heads(const mx::array& x, const Bank& matrices) {
  if (const auto packed = matrices.packed()) return multiply_packed(x, *packed);
  const int rows = x.shape(0);
  const auto heads = mx::reshape(x, {rows, num_heads(matrices), -1});
  return mx::reshape(multiply(heads, matrices), {rows, -1});
}

mx::array latent_rows(const LatentParts& parts) {
  if (const auto packed = parts.absorb.packed()) return packed_rows(parts, *packed);
  const int rows = parts.queries.shape(0), heads = num_heads(parts.absorb),
            latent = parts.norm.shape(0), turned = parts.latents.shape(1) - latent;
  const auto queries = mx::reshape(parts.queries, {rows, heads, -1});
  const auto of_query = mx::split(queries, mx::Shape{queries.shape(2) - turned}, -1);
  const auto absorbed = mx::concatenate({multiply(of_query[0], parts.absorb), of_query[1]}, -1);
  const auto of_key = mx::split(parts.latents, mx::Shape{latent}, -1);
  const auto normed = mx::fast::rms_norm(of_key[0], parts.norm, parts.eps);
  return mx::concatenate({mx::reshape(absorbed, {rows, -1}), normed, of_key[1]}, -1);
}

}  // namespace pippin::kernels
