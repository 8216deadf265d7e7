#include "kernels/cpu_attention.h"

#include "kernels/cpu/rope.h"
#include "kernels/kv_codes.h"

namespace pippin::kernels {
namespace {

// The pools are written in place, behind MLX's back: they are state, not values.
cpu::KvPools pools_of(const mx::array& k, const mx::array& v, const AttentionShape& shape,
                      int page_size) {
  return {const_cast<char*>(k.data<char>()),
          const_cast<char*>(v.data<char>()),
          kv_format_of(k, shape.head_dim),
          k.shape(1),
          shape.head_dim,
          page_size,
          shape.own_value_dim,
          shape.values_in_keys};
}

/// An operation's inputs, of which some may be absent.
class Inputs {
 public:
  /// Returns its place, -1 where absent.
  int add(const std::optional<mx::array>& x) {
    if (!x) return -1;
    arrays.push_back(*x);
    return static_cast<int>(arrays.size()) - 1;
  }
  int add_float32(const std::optional<mx::array>& x) {
    return x ? add(mx::astype(*x, mx::float32)) : -1;
  }
  static const float* floats(const std::vector<mx::array>& in, int place) {
    return place < 0 ? nullptr : in[static_cast<std::size_t>(place)].data<float>();
  }

  std::vector<mx::array> arrays;
};

/// Where the inputs of cpu_attention lie.
struct Places {
  int qkv, k_pool, v_pool, slots, q_norm, k_norm, cos, sin, q_scales, sinks;
};

Places lay_out(Inputs& inputs, const mx::array& qkv, const AttentionSpec& spec,
               const RowPositions& rows, const mx::array& k_pool, const mx::array& v_pool,
               const PagedLayout& layout) {
  Places at{};
  at.qkv = inputs.add(qkv);
  at.k_pool = inputs.add(k_pool);
  at.v_pool = inputs.add(v_pool);
  at.slots = inputs.add(layout.write_slots);
  at.q_norm = inputs.add_float32(spec.norm.q);
  at.k_norm = inputs.add_float32(spec.norm.k);
  at.cos = rows.angles ? inputs.add(rows.angles->cos) : -1;
  at.sin = rows.angles ? inputs.add(rows.angles->sin) : -1;
  at.q_scales = inputs.add_float32(rows.query_scales);
  at.sinks = inputs.add_float32(spec.scores.sinks);
  return at;
}

cpu::QkvRows qkv_rows(const std::vector<mx::array>& in, const Places& at, const AttentionSpec& spec,
                      const RowPositions& positions, const cpu::KvPools& pools) {
  const auto& qkv = in[static_cast<std::size_t>(at.qkv)];
  cpu::QkvRows rows{};
  rows.qkv = qkv.data<float>();
  rows.qkv_stride = qkv.shape(1);
  rows.num_heads = spec.shape.num_heads;
  rows.kv = spec.kv;
  rows.value_norms = spec.norm.values;
  rows.norms = spec.norm.norms;
  rows.q_norm = Inputs::floats(in, at.q_norm);
  rows.k_norm = Inputs::floats(in, at.k_norm);
  rows.eps = spec.norm.eps;
  rows.q_scales = Inputs::floats(in, at.q_scales);
  rows.cos = Inputs::floats(in, at.cos);
  rows.sin = Inputs::floats(in, at.sin);
  if (positions.angles) {
    rows.rotary_dim = 2 * positions.angles->cos.shape(-1);
    rows.interleaved = positions.angles->interleaved;
  }
  rows.rotary_begin = spec.shape.rotary_begin;
  rows.slots = in[static_cast<std::size_t>(at.slots)].data<std::int32_t>();
  rows.q = const_cast<float*>(rows.qkv);  // the projection has no other reader
  rows.q_stride = rows.qkv_stride;
  rows.pools = pools;
  return rows;
}

}  // namespace

mx::array cpu_attention(const mx::array& qkv, const AttentionSpec& spec,
                        const RowPositions& positions, const mx::array& k_pool,
                        const mx::array& v_pool, const PagedLayout& layout) {
  const auto& plan = *layout.cpu;
  auto& backend = *plan.backend;
  const auto& shape = spec.shape;
  Inputs inputs;
  const auto at = lay_out(inputs, qkv, spec, positions, k_pool, v_pool, layout);
  const auto run = [&](const std::vector<mx::array>& in, mx::array& out) {
    const auto pool = [&](int place) { return in[static_cast<std::size_t>(place)]; };
    const auto pools = pools_of(pool(at.k_pool), pool(at.v_pool), shape, plan.page_size);
    const auto rows = qkv_rows(in, at, spec, positions, pools);
    cpu::rope_and_store(backend.team, backend.kernels, rows, out.shape(0));

    cpu::PagedAttention attention{};
    attention.q = rows.q;
    attention.q_stride = rows.q_stride;
    attention.num_heads = shape.num_heads;
    attention.pools = pools;
    attention.parts = plan.parts;
    attention.scale = spec.scores.scale;
    attention.window = spec.scores.window;
    attention.softcap = spec.scores.softcap;
    attention.sinks = Inputs::floats(in, at.sinks);
    attention.out = out.data<float>();
    attention.out_stride = out.shape(1);
    cpu::paged_attention(backend.team, backend.kernels, attention, backend.attention_scratch);
  };
  return host_operation(backend, "attention", {qkv.shape(0), shape.num_heads * shape.value_dim()},
                        mx::float32, inputs.arrays, run);
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
