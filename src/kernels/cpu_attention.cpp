#include "kernels/cpu_attention.h"

#include "kernels/cpu/rope.h"
#include "kernels/kv_codes.h"

namespace pippin::kernels {
namespace {

// The pools are written in place, behind MLX's back: they are state, not values.
cpu::KvPools pools_of(const mx::array& k, const mx::array& v, int head_dim, int page_size) {
  return {const_cast<char*>(k.data<char>()),
          const_cast<char*>(v.data<char>()),
          kv_format_of(k, head_dim),
          k.shape(1),
          head_dim,
          page_size};
}

}  // namespace

mx::array cpu_attention(const mx::array& qkv, const AttentionShape& shape, const QkNorm& norm,
                        const RopeAngles& angles, const mx::array& k_pool, const mx::array& v_pool,
                        const PagedLayout& layout, float scale) {
  // in: qkv, q_norm, k_norm, cos, sin, slots, k_pool, v_pool
  const auto& plan = *layout.cpu;
  auto& backend = *plan.backend;
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto pools = pools_of(in[6], in[7], shape.head_dim, plan.page_size);

    cpu::QkvRows rows{};
    rows.qkv = in[0].data<float>();
    rows.qkv_stride = in[0].shape(1);
    rows.num_heads = shape.num_heads;
    rows.q_norm = in[1].data<float>();
    rows.k_norm = in[2].data<float>();
    rows.eps = norm.eps;
    rows.cos = in[3].data<float>();
    rows.sin = in[4].data<float>();
    rows.rotary_dim = 2 * in[3].shape(-1);
    rows.slots = in[5].data<std::int32_t>();
    rows.q = const_cast<float*>(rows.qkv);  // the projection has no other reader
    rows.q_stride = rows.qkv_stride;
    rows.pools = pools;
    cpu::rope_and_store(backend.team, backend.kernels, rows, in[0].shape(0));

    cpu::PagedAttention attention{};
    attention.q = rows.q;
    attention.q_stride = rows.q_stride;
    attention.num_heads = shape.num_heads;
    attention.pools = pools;
    attention.parts = plan.parts;
    attention.scale = scale;
    attention.out = out.data<float>();
    attention.out_stride = out.shape(1);
    cpu::paged_attention(backend.team, backend.kernels, attention, backend.attention_scratch);
  };
  return host_operation(
      backend, "attention", {qkv.shape(0), shape.num_heads * shape.head_dim}, mx::float32,
      {qkv, norm.q, norm.k, angles.cos, angles.sin, layout.write_slots, k_pool, v_pool}, run);
}

mx::array cpu_vision_attention(const mx::array& qkv, int num_heads, const RopeAngles& angles,
                               const std::vector<int>& segment_ends, float scale,
                               const CpuBackendPtr& backend) {
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const int width = in[0].shape(1) / 3;
    cpu::SegmentAttention args{};
    args.q = in[0].data<float>();
    args.k = args.q + width;
    args.v = args.k + width;
    args.stride = in[0].shape(1);
    args.num_heads = num_heads;
    args.head_dim = width / num_heads;
    args.segment_ends = segment_ends;
    args.cos = in[1].data<float>();
    args.sin = in[2].data<float>();
    args.scale = scale;
    args.out = out.data<float>();
    args.out_stride = width;
    args.exact = backend->exact_activations;
    cpu::segment_attention(backend->team, backend->kernels, args, backend->attention_scratch);
  };
  return host_operation(*backend, "vision_attention", {qkv.shape(0), qkv.shape(1) / 3}, mx::float32,
                        {qkv, angles.cos, angles.sin}, run);
}

}  // namespace pippin::kernels
