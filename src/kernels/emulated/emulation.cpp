#include "kernels/emulated/emulation.h"

#include <map>
#include <utility>

#include "kernels/emulated/prelude.h"
#include "kernels/gpu/plan.h"
#include "pippin/error.h"

namespace pippin::kernels::gpu {
namespace emulated {

struct uint3 {
  uint x, y, z;
};

// Files of one text each, in the order in which GPUs' compilers get them.
#include "kernels/gpu/argmax.h"
#include "kernels/gpu/edit_logits.h"
#include "kernels/gpu/embed.h"
#include "kernels/gpu/gated.h"
#include "kernels/gpu/paged_decode.h"
#include "kernels/gpu/pick_tokens.h"
#include "kernels/gpu/product.h"
#include "kernels/gpu/qk_norm_rope_write.h"
#include "kernels/gpu/rms_norm.h"
#include "kernels/gpu/rope_angles.h"
#include "kernels/gpu/sample.h"

// An argument as the generated functions of GPUs have it: a pointer of the type that is wanted.
struct Argument {
  void* memory;
  template <class T>
  operator T*() const {
    return static_cast<T*>(memory);
  }
};

using Thread = void (*)(const EmulatedCall&, uint3 group, uint tid);
using Instances = std::map<std::string, Thread>;

template <class T, class P, int D, int N, int G, int PAGE>
void paged_decode_parts_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument q{call.in[0]}, k_pool{call.in[1]}, v_pool{call.in[2]}, table{call.in[3]},
      lengths{call.in[4]}, sums{call.out[0]}, stats{call.out[1]};
  const int* sizes = Argument{call.in[5]};
  const float* numbers = Argument{call.in[6]};
#include "kernels/gpu/paged_decode_parts.call.h"
}

template <class T, int D>
void merge_parts_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument sums{call.in[0]}, stats{call.in[1]}, lengths{call.in[2]}, sinks{call.in[3]},
      out{call.out[0]};
  const int* sizes = Argument{call.in[4]};
  const float* numbers = Argument{call.in[5]};
#include "kernels/gpu/merge_parts.call.h"
}

template <class T, class P, int D, int NORM>
void qk_norm_rope_write_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument qkv{call.in[0]}, q_weight{call.in[1]}, k_weight{call.in[2]}, cosines{call.in[3]},
      sines{call.in[4]}, k_pool{call.in[6]}, v_pool{call.in[7]}, q{call.out[0]};
  const int* slots = Argument{call.in[5]};
  const int* sizes = Argument{call.in[8]};
  const float* numbers = Argument{call.in[9]};
#include "kernels/gpu/qk_norm_rope_write.call.h"
}

template <class T, class P, int D, int NORM>
void qk_norm_rope_rows_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument qkv{call.in[0]}, q_weight{call.in[1]}, k_weight{call.in[2]}, cosines{call.in[3]},
      sines{call.in[4]}, q{call.out[0]}, k_rows{call.out[1]}, v_rows{call.out[2]};
  const int* sizes = Argument{call.in[5]};
  const float* numbers = Argument{call.in[6]};
#include "kernels/gpu/qk_norm_rope_rows.call.h"
}

template <class T>
void gated_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument gate_up{call.in[0]}, out{call.out[0]};
  const int* sizes = Argument{call.in[1]};
#include "kernels/gpu/gated.call.h"
}

template <class T, class S, int BITS, int M, int R, int STAGE, int GATED>
void product_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument x{call.in[0]}, scales{call.in[2]}, biases{call.in[3]}, norm{call.in[4]},
      residual{call.in[5]}, out{call.out[0]};
  const uint* w = Argument{call.in[1]};
  const int* sizes = Argument{call.in[6]};
  const float* numbers = Argument{call.in[7]};
#include "kernels/gpu/product.call.h"
}

template <class T>
void rms_norm_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument x{call.in[0]}, weight{call.in[1]}, out{call.out[0]};
  const int* sizes = Argument{call.in[2]};
  const float* numbers = Argument{call.in[3]};
#include "kernels/gpu/rms_norm.call.h"
}

template <class T, int BITS>
void embed_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument ids{call.in[0]}, scales{call.in[2]}, biases{call.in[3]}, out{call.out[0]};
  const void* table = call.in[1];
  const int* sizes = Argument{call.in[4]};
#include "kernels/gpu/embed.call.h"
}

void rope_angles_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument positions{call.in[0]}, inverse{call.in[1]}, axis{call.in[2]}, cosines{call.out[0]},
      sines{call.out[1]};
  const int* sizes = Argument{call.in[3]};
  const float* numbers = Argument{call.in[4]};
#include "kernels/gpu/rope_angles.call.h"
}

template <class T>
void argmax_parts_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument x{call.in[0]}, found{call.out[0]};
  const int* sizes = Argument{call.in[1]};
#include "kernels/gpu/argmax_parts.call.h"
}

void argmax_merge_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument found{call.in[0]}, out{call.out[0]};
  const int* sizes = Argument{call.in[1]};
#include "kernels/gpu/argmax_merge.call.h"
}

void pick_tokens_thread(const EmulatedCall& call, uint3, uint tid) {
  const Argument known{call.in[0]}, from{call.in[1]}, sampled{call.in[2]}, out{call.out[0]};
  const int* sizes = Argument{call.in[3]};
#include "kernels/gpu/pick_tokens.call.h"
}

template <class T, int LOW>
void sample_bins_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument x{call.in[0]}, found{call.in[1]}, rows{call.in[2]}, bins_before{call.in[3]},
      states_before{call.in[4]}, bins{call.out[0]}, states{call.out[1]};
  const int* sizes = Argument{call.in[5]};
#include "kernels/gpu/sample_bins.call.h"
}

template <class T, int LOW>
void sample_sums_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument x{call.in[0]}, found{call.in[1]}, rows{call.in[2]}, bins{call.in[3]},
      states{call.in[4]}, sums{call.out[0]}, cuts{call.out[1]};
  const int* sizes = Argument{call.in[5]};
#include "kernels/gpu/sample_sums.call.h"
}

template <class T, int LOW>
void sample_draw_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument x{call.in[0]}, found{call.in[1]}, rows{call.in[2]}, sums{call.in[3]},
      cuts{call.in[4]}, out{call.out[0]};
  const int* sizes = Argument{call.in[5]};
#include "kernels/gpu/sample_draw.call.h"
}

template <class T, class O>
void edit_logits_thread(const EmulatedCall& call, uint3 group, uint tid) {
  const Argument x{call.in[0]}, rows{call.in[1]}, edits{call.in[2]}, masks{call.in[3]},
      out{call.out[0]};
  const int* sizes = Argument{call.in[4]};
#include "kernels/gpu/edit_logits.call.h"
}

// ---- what is compiled: the shapes of the tests

template <class T>
constexpr const char* type_name = nullptr;
template <>
constexpr const char* type_name<float> = "float32";
template <>
constexpr const char* type_name<mx::bfloat16_t> = "bfloat16";
template <>
constexpr const char* type_name<mx::float16_t> = "float16";

template <class... Types, class... Numbers>
std::string instance(Numbers... numbers) {
  std::string name;
  ((name += std::string(type_name<Types>) + ' '), ...);
  ((name += std::to_string(numbers) + ' '), ...);
  return name;
}

template <class T, class P, int D, int N, int G>
void add_decode(Instances& parts) {
  parts[instance<T, P>(D, N, G, 16)] = paged_decode_parts_thread<T, P, D, N, G, 16>;
}

template <class T, class P>
void add_decodes(Instances& parts) {
  add_decode<T, P, 16, 8, 1>(parts);
  add_decode<T, P, 16, 8, 2>(parts);
  add_decode<T, P, 32, 8, 2>(parts);
  add_decode<T, P, 32, 8, 3>(parts);
  add_decode<T, P, 64, 8, 4>(parts);
  add_decode<T, P, 80, 10, 1>(parts);
  add_decode<T, P, 128, 8, 2>(parts);
  add_decode<T, P, 256, 8, 2>(parts);
  add_decode<T, P, 512, 16, 1>(parts);
}

template <class T, int D>
void add_merge(Instances& instances) {
  instances[instance<T>(D)] = merge_parts_thread<T, D>;
}

template <class T>
void add_merges(Instances& instances) {
  add_merge<T, 16>(instances);
  add_merge<T, 32>(instances);
  add_merge<T, 64>(instances);
  add_merge<T, 80>(instances);
  add_merge<T, 128>(instances);
  add_merge<T, 256>(instances);
  add_merge<T, 512>(instances);
}

template <class T, class P, int D>
void add_rope(Instances& write, Instances& rows) {
  write[instance<T, P>(D, 0)] = qk_norm_rope_write_thread<T, P, D, 0>;
  write[instance<T, P>(D, 1)] = qk_norm_rope_write_thread<T, P, D, 1>;
  rows[instance<T, P>(D, 0)] = qk_norm_rope_rows_thread<T, P, D, 0>;
  rows[instance<T, P>(D, 1)] = qk_norm_rope_rows_thread<T, P, D, 1>;
}

template <class T, class P>
void add_ropes(Instances& write, Instances& rows) {
  add_rope<T, P, 16>(write, rows);
  add_rope<T, P, 32>(write, rows);
  add_rope<T, P, 80>(write, rows);
  add_rope<T, P, 128>(write, rows);
}

// Heads of the golden checkpoints that no other test has.
void add_golden_shapes(Instances& parts, Instances& merge, Instances& write, Instances& rows) {
  add_decode<float, float, 8, 8, 1>(parts);
  add_decode<float, float, 8, 8, 3>(parts);
  add_decode<float, float, 16, 8, 3>(parts);
  add_decode<float, float, 24, 12, 4>(parts);
  add_merge<float, 8>(merge);
  add_merge<float, 24>(merge);
  add_rope<float, float, 8>(write, rows);
  add_rope<float, float, 24>(write, rows);
}

template <class T, class S, int BITS, int M, int R, int STAGE>
void add_stage(Instances& instances) {
  instances[instance<T, S>(BITS, M, R, STAGE, 0)] = product_thread<T, S, BITS, M, R, STAGE, 0>;
  if constexpr (R == 2)
    instances[instance<T, S>(BITS, M, R, STAGE, 1)] = product_thread<T, S, BITS, M, R, STAGE, 1>;
}

template <class T, int BITS, int M, int R>
void add_product(Instances& instances) {
  add_stage<T, T, BITS, M, R, 0>(instances);
  add_stage<T, T, BITS, M, R, 1>(instances);
  add_stage<T, T, BITS, M, R, 2>(instances);
  if constexpr (BITS > 0 && !std::is_same_v<T, float>) {
    add_stage<T, float, BITS, M, R, 1>(instances);
    add_stage<T, float, BITS, M, R, 2>(instances);
  }
}

template <class T, int BITS>
void add_products(Instances& instances) {
  add_product<T, BITS, 1, 1>(instances);
  add_product<T, BITS, 1, 2>(instances);
  add_product<T, BITS, 2, 1>(instances);
  add_product<T, BITS, 2, 2>(instances);
  add_product<T, BITS, 4, 1>(instances);
  add_product<T, BITS, 4, 2>(instances);
}

template <class T>
constexpr int key_low = 0;  // as sampling.cpp has it
template <>
constexpr int key_low<mx::bfloat16_t> = 16;
template <>
constexpr int key_low<mx::float16_t> = 13;

// By kernel.
struct Tables {
  std::map<std::string, Instances> all;
  Instances &parts = all["paged_decode_parts"], &merge = all["merge_parts"],
            &write = all["qk_norm_rope_write"], &rows = all["qk_norm_rope_rows"],
            &gated = all["gated"], &product = all["product"], &norm = all["rms_norm"],
            &embed = all["embed"], &argmax_parts = all["argmax_parts"], &bins = all["sample_bins"],
            &sums = all["sample_sums"], &draw = all["sample_draw"], &edit = all["edit_logits"];
  template <class T>
  void add_of() {
    add_products<T, 0>(product);
    add_products<T, 4>(product);
    add_products<T, 8>(product);
    norm[instance<T>()] = rms_norm_thread<T>;
    embed[instance<T>(0)] = embed_thread<T, 0>;
    embed[instance<T>(4)] = embed_thread<T, 4>;
    embed[instance<T>(8)] = embed_thread<T, 8>;
    argmax_parts[instance<T>()] = argmax_parts_thread<T>;
    bins[instance<T>(key_low<T>)] = sample_bins_thread<T, key_low<T>>;
    sums[instance<T>(key_low<T>)] = sample_sums_thread<T, key_low<T>>;
    draw[instance<T>(key_low<T>)] = sample_draw_thread<T, key_low<T>>;
    edit[instance<T, float>()] = edit_logits_thread<T, float>;
    edit[instance<T, T>()] = edit_logits_thread<T, T>;
  }
  Tables() {
    using mx::bfloat16_t, mx::float16_t;
    add_decodes<float, float>(parts);
    add_decodes<bfloat16_t, bfloat16_t>(parts);
    add_golden_shapes(parts, merge, write, rows);
    add_decode<float16_t, float16_t, 16, 8, 2>(parts);
    add_merges<float>(merge);
    add_merges<bfloat16_t>(merge);
    add_merge<float16_t, 16>(merge);
    add_ropes<float, float>(write, rows);
    add_ropes<bfloat16_t, bfloat16_t>(write, rows);
    add_rope<float16_t, float16_t, 16>(write, rows);
    add_of<float>();
    add_of<bfloat16_t>();
    add_of<float16_t>();
    all["rope_angles"][""] = rope_angles_thread;
    all["argmax_merge"][""] = argmax_merge_thread;
    all["pick_tokens"][""] = pick_tokens_thread;
    gated = {{instance<float>(), gated_thread<float>},
             {instance<bfloat16_t>(), gated_thread<bfloat16_t>},
             {instance<float16_t>(), gated_thread<float16_t>}};
  }
};

Thread thread_of(const Kernel& kernel, const std::string& instance) {
  static const Tables tables;
  const auto instances = tables.all.find(kernel.name);
  if (instances != tables.all.end())
    if (const auto found = instances->second.find(instance); found != instances->second.end())
      return found->second;
  throw Error(Code::internal, "[gpu] " + kernel.name + " is not emulated for " + instance);
}

}  // namespace emulated

void emulate(const Kernel& kernel, const EmulatedCall& call) {
  const auto thread = emulated::thread_of(kernel, call.instance);
  const auto [width, height, depth] = call.groups;
  for (int z = 0; z < depth; ++z)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const emulated::uint3 group{static_cast<unsigned>(x), static_cast<unsigned>(y),
                                    static_cast<unsigned>(z)};
        emulated::Fibers::now().run(call.threads, [&](unsigned tid) { thread(call, group, tid); });
      }
}

namespace {

std::string text_of(mx::Dtype dtype) {
  if (dtype == mx::bfloat16) return "bfloat16";
  return dtype == mx::float16 ? "float16" : "float32";
}

}  // namespace

std::string instance_of(const std::vector<TemplateArgument>& arguments) {
  std::string instance;
  for (const auto& [name, value] : arguments)
    instance += (value.index() == 0 ? std::to_string(std::get<int>(value))
                                    : text_of(std::get<mx::Dtype>(value))) +
                ' ';
  return instance;
}

namespace {

class Emulated final : public Executor {
 public:
  bool is_emulated() const override { return true; }
  bool writes_inputs() const override { return true; }
  std::unique_ptr<Player> make_player() const override { return emulated_player(); }

 private:
  std::vector<mx::array> execute(const Kernel& kernel, const Launch& launch) override {
    EmulatedCall call{instance_of(launch.arguments), {}, {}, launch.groups, launch.threads};
    std::vector<mx::array> inputs, outputs;
    for (const auto& input : launch.inputs) {
      inputs.push_back(input);
      inputs.back().eval();
      if (!inputs.back().flags().row_contiguous) {
        inputs.back() = mx::contiguous(inputs.back());
        inputs.back().eval();
      }
      call.in.push_back(inputs.back().data<std::uint8_t>());
    }
    for (std::size_t i = 0; i < launch.shapes.size(); ++i) {
      outputs.push_back(mx::full(launch.shapes[i], mx::array(NAN),
                                 launch.dtypes[i]));  // what stays unwritten shows
      outputs.back().eval();
      call.out.push_back(outputs.back().data<std::uint8_t>());
    }
    emulate(kernel, call);
    return outputs;
  }
};

}  // namespace

std::unique_ptr<Executor> emulated_executor() { return std::make_unique<Emulated>(); }

}  // namespace pippin::kernels::gpu
