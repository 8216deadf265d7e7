#include "kernels/cuda_linear.h"

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>
#include <variant>

#include "kernels/gpu/kernel.h"

namespace pippin::kernels {
namespace {

// MLX 0.32.4 multiplies up to 7 rows one by one, and more by tiles of 128 outputs that no two blocks share: an H200 has 132
// processors, a matrix of 4,096 outputs 32 tiles. This kernel reads each weight once for 32 rows and keeps the whole GPU
// reading (an H200: bench/RESULTS.md).
//
// A block makes 16 MT outputs; its warps take the columns in turns of 128. mma's 16 x 8 result is 16 outputs for 8 rows of x,
// so the weights come from memory as its left operand, without a detour: which columns an mma's 16 are is free as long as both
// sides agree, and a thread takes those whose codes lie in the two words that it reads. Codes become numbers by the trick of
// adding them to the mantissa of 128 (bfloat16) or 1,024 (float16); what that adds to each, and the groups' biases, multiply
// the sum of x over the group, which one more mma by ones gives. 8 bits are two such digits, the second in the mantissa of a
// number 16 times as large. Weights and scales go through shared memory STAGES ahead (cp.async), each thread's own; x, which all
// blocks share, is read from the caches one turn ahead.
//
// The source is short because MLX hashes it at each call.
constexpr const char* header = R"(
#include <cuda_bf16.h>
#include <cuda_fp16.h>
template <typename T> struct Half2;
#define PIPPIN_MMA(type) \
  static __device__ void mma(float (&c)[4], const unsigned (&a)[4], const unsigned* b) { \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])); \
  }
template <> struct Half2<__nv_bfloat16> {
  static constexpr unsigned low = 0x43004300u, high = 0x45004500u, ones = 0x3f803f80u;
  static constexpr float low_offset = 128.0f, high_offset = 2048.0f;
  PIPPIN_MMA("bf16")
};
template <> struct Half2<__half> {
  static constexpr unsigned low = 0x64006400u, high = 0x74007400u, ones = 0x3c003c00u;
  static constexpr float low_offset = 1024.0f, high_offset = 16384.0f;
  PIPPIN_MMA("f16")
};
template <int BYTES> __device__ void copy_async(void* to, const void* from) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"((unsigned)__cvta_generic_to_shared(to)), "l"(from), "n"(BYTES));
}
template <int WORDS> struct alignas(4 * WORDS) Codes { unsigned word[WORDS]; };

template <typename T, int BITS, int GROUP, int MT, int NT>
__device__ void few_rows(const T* x, const unsigned* w, const T* scales, const T* biases, const T* residual, T* out, int M, int N, int K) {
  constexpr int WARPS = 8, STAGES = 3, CHUNK = 128, TURN = WARPS * CHUNK, ROWS = 16 * MT, WORDS = BITS / 2;
  using H = Half2<T>;
  struct Stage {
    Codes<WORDS> codes[MT][2][2][32];
    T scales[2][ROWS][2];
  };
  extern __shared__ __align__(16) char shared[];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, r = lane / 4, t = lane % 4;
  Stage* stages = reinterpret_cast<Stage*>(shared) + warp * STAGES;
  const int n0 = blockIdx.x * ROWS, groups = K / GROUP;
  const size_t pitch = size_t(K) * BITS / 32;
  const unsigned* w_row = w + (n0 + r) * pitch + t * WORDS;
  auto fetch = [&](int k, Stage& to) {
    if (k < K) {
      for (int i = 0; i < MT * 4; ++i)
        copy_async<4 * WORDS>(&to.codes[i / 4][i / 2 % 2][i % 2][lane], w_row + (i / 2 * 8) * pitch + k * BITS / 32 + i % 2 * 4 * WORDS);
      for (int i = lane; i < 2 * ROWS; i += 32) {
        const size_t at = size_t(n0 + i % ROWS) * groups + k / GROUP;
        copy_async<4>(to.scales[i / ROWS][i % ROWS], (i < ROWS ? scales : biases) + (at & ~size_t(1)));
      }
    }
    asm volatile("cp.async.commit_group;");
  };
  uint4 ahead[NT][4];
  auto read_x = [&](int k) {
#pragma unroll
    for (int i = 0; i < NT * 4; ++i) {
      const int m = i / 4 * 8 + r;
      ahead[i / 4][i % 4] = m < M && k < K ? __ldg(reinterpret_cast<const uint4*>(x + size_t(m) * K + k + i / 2 % 2 * 64 + t * 16) + i % 2) : uint4{};
    }
  };
  float total[MT][NT][4] = {};
  const int first = warp * CHUNK;
  for (int s = 0; s < STAGES - 1; ++s) fetch(first + s * TURN, stages[s]);
  read_x(first);
  for (int k = first, turn = 0; k < K; k += TURN, ++turn) {
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2));
    __syncwarp();
    fetch(k + (STAGES - 1) * TURN, stages[(turn + STAGES - 1) % STAGES]);
    const Stage& now = stages[turn % STAGES];
    unsigned xs[NT][2][8];
#pragma unroll
    for (int i = 0; i < NT * 4; ++i) {
      const uint4 v = ahead[i / 4][i % 4];
      unsigned* to = &xs[i / 4][i / 2 % 2][i % 2 * 4];
      const unsigned from[4] = {v.x, BITS == 4 ? v.z : v.y, BITS == 4 ? v.y : v.z, v.w};
      to[0] = __byte_perm(from[0], from[1], 0x5410);
      to[1] = __byte_perm(from[0], from[1], 0x7632);
      to[2] = __byte_perm(from[2], from[3], 0x5410);
      to[3] = __byte_perm(from[2], from[3], 0x7632);
    }
    read_x(k + TURN);
#pragma unroll
    for (int g = 0; g < 2; ++g) {
      float sum[NT][4] = {};
      const unsigned ones[4] = {H::ones, H::ones, H::ones, H::ones};
#pragma unroll
      for (int i = 0; i < NT * 4; ++i) H::mma(sum[i / 4], ones, &xs[i / 4][g][i % 4 * 2]);
#pragma unroll
      for (int mt = 0; mt < MT; ++mt) {
        const Codes<WORDS> q[2] = {now.codes[mt][0][g][lane], now.codes[mt][1][g][lane]};
        float acc[NT][4] = {};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          unsigned a[4], b[4];
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            const unsigned v = BITS == 4 ? q[h].word[j / 2] >> (8 * (j % 2)) : q[h].word[j];
            a[h] = (v & 0x000f000fu) | H::low;
            a[2 + h] = (v >> (BITS == 4 ? 4 : 8) & 0x000f000fu) | H::low;
            b[h] = (v >> 4 & 0x000f000fu) | H::high;
            b[2 + h] = (v >> 12 & 0x000f000fu) | H::high;
          }
#pragma unroll
          for (int nt = 0; nt < NT; ++nt) {
            H::mma(acc[nt], a, &xs[nt][g][2 * j]);
            if (BITS == 8) H::mma(acc[nt], b, &xs[nt][g][2 * j]);
          }
        }
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int row = mt * 16 + h * 8 + r;
          const int at = GROUP == 64 ? g : int((size_t(n0 + row) * groups + k / GROUP) & 1);
          const float scale = float(now.scales[0][row][at]);
          const float bias = float(now.scales[1][row][at]) - scale * (H::low_offset + (BITS == 8 ? H::high_offset : 0.0f));
#pragma unroll
          for (int i = 0; i < NT * 2; ++i)
            total[mt][i / 2][2 * h + i % 2] += scale * acc[i / 2][2 * h + i % 2] + bias * sum[i / 2][i % 2];
        }
      }
    }
    __syncwarp();
  }
  asm volatile("cp.async.wait_all;");
  __syncthreads();
  float* sums = reinterpret_cast<float*>(shared);
  constexpr int PITCH = ROWS + 1;
#pragma unroll
  for (int i = 0; i < MT * NT * 4; ++i) {
    const int mt = i / (NT * 4), nt = i / 4 % NT, c = i % 4;
    sums[(warp * 8 * NT + nt * 8 + t * 2 + c % 2) * PITCH + mt * 16 + c / 2 * 8 + r] = total[mt][nt][c];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < ROWS * M; i += WARPS * 32) {
    float y = 0;
    for (int v = 0; v < WARPS; ++v) y += sums[(v * 8 * NT + i / ROWS) * PITCH + i % ROWS];
    const size_t at = size_t(i / ROWS) * N + n0 + i % ROWS;
    out[at] = T(residual ? y + float(residual[at]) : y);
  }
}
)";
// Blocks of 32 rows of x stand one behind the other: those behind find the weights in the second-level cache.
constexpr const char* body = R"(
  const int m0 = 32 * blockIdx.y, M = x_shape[0] - m0, K = x_shape[1], N = w_shape[0];
  few_rows<T, BITS, GROUP, MT, NT>(x + size_t(m0) * K, w, scales, biases, (const T*)0, out + size_t(m0) * N, M < 8 * NT ? M : 8 * NT, N, K);
)";
constexpr const char* residual_body = R"(
  const int m0 = 32 * blockIdx.y, M = x_shape[0] - m0, K = x_shape[1], N = w_shape[0];
  few_rows<T, BITS, GROUP, MT, NT>(x + size_t(m0) * K, w, scales, biases, residual + size_t(m0) * N, out + size_t(m0) * N, M < 8 * NT ? M : 8 * NT, N, K);
)";

// The same where a launch is only written down: sizes are rows, N and K.
constexpr const char* planned_call = R"(
  const int m0 = 32 * blockIdx.y, M = sizes[0] - m0, N = sizes[1], K = sizes[2];
  few_rows<T, BITS, GROUP, MT, NT>(x + size_t(m0) * K, w, scales, biases, sizes[3] ? residual + size_t(m0) * N : (const T*)0, out + size_t(m0) * N, M < 8 * NT ? M : 8 * NT, N, K);
)";
const gpu::Kernel planned = {
    "few_rows", {"x", "w", "scales", "biases", "residual", "sizes"}, {"out"}, header, planned_call};

constexpr int max_rows = 128;
// One row: MLX's kernel for vectors is as fast up to this many numbers (measured on an H100).
constexpr int small_matrix = 1 << 23;
constexpr int rows_of_a_block = 32;
constexpr int threads = 256;  // 8 warps

// As the source has them: the stages, or the sums that take their place at the end.
constexpr int shared_bytes(int bits, int m_tiles, int n_tiles) {
  const int stages = 8 * 3 * m_tiles * (256 * bits + 128);
  const int sums = 8 * 8 * n_tiles * (16 * m_tiles + 1) * 4;
  return std::max(stages, sums);
}

// Shared memory of a block on the GPUs that have least (compute capability 8.6, 8.9, 12.0); 8 bits by two tiles take more.
constexpr int max_shared_bytes = 99 << 10;
static_assert(shared_bytes(8, 1, 4) <= max_shared_bytes &&
              shared_bytes(4, 2, 4) <= max_shared_bytes);

bool ampere_or_newer() {
  const auto& info = mx::device_info(mx::Device::gpu);
  const auto found = info.find("compute_capability_major");  // CUDA alone has it
  return found != info.end() && std::get<std::size_t>(found->second) >= 8;
}

std::vector<mx::array> inputs_of(const mx::array& x, const QuantizedWeight& w,
                                 const std::optional<mx::array>& residual) {
  std::vector<mx::array> inputs = {x, w.weight, w.scales, *w.biases};
  if (residual) inputs.push_back(*residual);
  return inputs;
}

struct Tiles {
  int m, n, row_blocks;
};

// Each variant takes a second or two to compile, at every start. More outputs a block read x less often, which has little to
// say for 8 rows.
Tiles tiles_of(int rows, const QuantizedWeight& w) {
  const int n = rows <= 8 ? 1 : rows <= 16 ? 2 : 4;
  const bool fits = shared_bytes(w.bits, 2, n) <= max_shared_bytes;
  return {n > 1 && w.weight.shape(0) % 32 == 0 && fits ? 2 : 1, n,
          (rows + rows_of_a_block - 1) / rows_of_a_block};
}

mx::array run(gpu::Executor& executor, const mx::array& x, const QuantizedWeight& w,
              const std::optional<mx::array>& residual) {
  const int rows = x.shape(0), inputs = x.shape(1), outputs = w.weight.shape(0);
  const auto [m_tiles, n_tiles, row_blocks] = tiles_of(rows, w);
  const auto sizes =
      gpu::constants(std::vector<int>{rows, outputs, inputs, residual.has_value() ? 1 : 0});
  return executor
      .run(planned, {{x, w.weight, w.scales, *w.biases, residual.value_or(x), sizes},
                     {{rows, outputs}},
                     {x.dtype()},
                     {outputs / (16 * m_tiles), row_blocks, 1},
                     threads,
                     {{"T", x.dtype()},
                      {"BITS", w.bits},
                      {"GROUP", w.group_size},
                      {"MT", m_tiles},
                      {"NT", n_tiles}},
                     shared_bytes(w.bits, m_tiles, n_tiles)})
      .front();
}

mx::array call(const mx::array& x, const QuantizedWeight& w,
               const std::optional<mx::array>& residual) {
  const int rows = x.shape(0), outputs = w.weight.shape(0);
  const auto [m_tiles, n_tiles, row_blocks] = tiles_of(rows, w);
  std::vector<std::string> names = {"x", "w", "scales", "biases"};
  if (residual) names.emplace_back("residual");
  const auto kernel = mx::fast::cuda_kernel(residual ? "few_rows_residual" : "few_rows", names,
                                            {"out"}, residual ? residual_body : body, header, true,
                                            shared_bytes(w.bits, m_tiles, n_tiles));
  return kernel(inputs_of(x, w, residual), {{rows, outputs}}, {x.dtype()},
                {outputs / (16 * m_tiles) * threads, row_blocks, 1}, {threads, 1, 1},
                {{"T", x.dtype()},
                 {"BITS", w.bits},
                 {"GROUP", w.group_size},
                 {"MT", m_tiles},
                 {"NT", n_tiles}},
                std::nullopt, false, {})
      .front();
}

// What tells one call from another, but for the arrays.
using Variant = std::tuple<int, int, mx::Dtype::Val, int, int, int, bool>;

}  // namespace

bool has_matrix_units() {
  if (mx::default_device() != mx::Device::gpu) return false;
  static const bool supported = ampere_or_newer();
  return supported;
}

bool few_rows_kernel_takes(const mx::array& x, const QuantizedWeight& w, bool residual) {
  const bool half = x.dtype() == mx::bfloat16 || x.dtype() == mx::float16;
  const bool for_mlx =
      !residual && x.shape(0) == 1 && w.weight.shape(0) <= small_matrix / x.shape(1);
  return has_matrix_units() && x.shape(0) <= max_rows && !for_mlx && half &&
         x.dtype() == w.scales.dtype() && (w.bits == 4 || w.bits == 8) &&
         (w.group_size == 64 || w.group_size == 128) && w.weight.shape(0) % 16 == 0 &&
         x.shape(1) % 128 == 0;
}

mx::array few_rows_linear(const mx::array& x, const QuantizedWeight& w,
                          const std::optional<mx::array>& residual) {
  if (auto* executor = gpu::executor(); executor && !executor->is_emulated())
    return run(*executor, x, w, residual);
  // Each call of MLX's function writes the kernel's source anew: 10 us, and a step has hundreds. A primitive has no state but
  // that source and the grid, so calls alike share one.
  thread_local std::map<Variant, std::shared_ptr<mx::Primitive>> primitives;
  const int rows = x.shape(0), outputs = w.weight.shape(0);
  const mx::Stream stream = mx::default_stream(mx::default_device());
  auto& primitive = primitives[{stream.index, rows, x.dtype().val(), w.bits, w.group_size, outputs,
                                residual.has_value()}];
  if (!primitive) primitive = call(x, w, residual).primitive_ptr();
  return mx::array({rows, outputs}, x.dtype(), primitive, inputs_of(x, w, residual));
}

}  // namespace pippin::kernels
