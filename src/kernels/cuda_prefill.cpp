#include "kernels/cuda_prefill.h"

#include <vector>

#include "kernels/cuda_linear.h"
#include "kernels/gpu/kernel.h"

namespace pippin::kernels {
namespace {

// A block attends 64 rows of one head, 16 a warp. Keys and values come from their pages into shared memory one tile of tokens ahead
// (cp.async). mma's left operand is q, then the weights, whose layout as a result is that of a left operand; keys and values are right
// operands by ldmatrix, values transposed on their way. Tiles begin at multiples of TILE whatever the chunk, so that a row adds up the
// same numbers in the same order however its prompt is cut: a tile that a row must not see leaves its sums as they are.
// A row of shared memory has 16 bytes more than a head, an odd number of sixteens: eight rows of an ldmatrix lie in different banks.
constexpr const char* functions = R"(
#include <cuda_bf16.h>
#include <cuda_fp16.h>
template <typename T> struct Units;
#define PIPPIN_UNITS(T, name) \
  template <> struct Units<T> { \
    static __device__ void mma(float* c, const unsigned* a, const unsigned* b) { \
      asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." name "." name ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])); \
    } \
    static __device__ unsigned pair(float x, float y) { \
      unsigned two; \
      asm("cvt.rn." name "x2.f32 %0, %1, %2;" : "=r"(two) : "f"(y), "f"(x)); \
      return two; \
    } \
  };
PIPPIN_UNITS(__nv_bfloat16, "bf16")
PIPPIN_UNITS(__half, "f16")
__device__ unsigned place_of(const void* shared) { return (unsigned)__cvta_generic_to_shared(shared); }
__device__ void copy_or_clear(void* to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place_of(to)), "l"(from), "r"(there ? 16 : 0));
}
__device__ void load_matrices(unsigned* to, const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
    : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(place_of(row)));
}
__device__ void load_transposed(unsigned* to, const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
    : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(place_of(row)));
}
__device__ float over_four(float x, bool largest) {
  for (int mask = 1; mask < 4; mask *= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, x, mask);
    x = largest ? fmaxf(x, other) : x + other;
  }
  return x;
}
__device__ float base_of(float largest) { return largest == -INFINITE ? 0.0f : largest; }

template <typename T, int D, int PAGE, int TILE>
__device__ void prefill(const T* q, const T* k_pool, const T* v_pool, const int* table, const int* place, const float* sinks, T* out,
                        int width, int heads, int kv_heads, int window, bool has_sinks, float scale, float cap) {
  constexpr int ROWS = 64, PITCH = D + 8, STEPS = D / 16, CHUNKS = D / 8, THREADS = 128;
  constexpr bool HELD = D <= 128;
  extern __shared__ __align__(16) char shared[];
  T* tiles = reinterpret_cast<T*>(shared);  // keys and values of two stages, then q where it is not held in registers
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, r = lane / 4, t = lane % 4;
  const int head = blockIdx.x, kv_head = head / (heads / kv_heads);
  const int first_row = place[0], rows = place[1], position = place[2], out_row = place[4];
  const int* pages = table + size_t(place[3]) * width;
  const int end = position + rows;
  const int begin = window > 0 && position >= window ? (position - window + 1) / TILE * TILE : 0;
  const T* queries = q + (size_t(first_row) * heads + head) * D;
  const size_t q_pitch = size_t(heads) * D, kv_pitch = size_t(kv_heads) * D;

  auto fetch = [&](int at, int stage) {
    T* keys = tiles + stage * 2 * TILE * PITCH;
    T* values = keys + TILE * PITCH;
#pragma unroll
    for (int i = threadIdx.x; i < TILE * CHUNKS; i += THREADS) {
      const int token = at + i / CHUNKS, part = i % CHUNKS * 8;
      const bool there = token < end;
      const size_t slot = there ? size_t(__ldg(pages + token / PAGE)) * PAGE + token % PAGE : 0;
      const size_t from = slot * kv_pitch + size_t(kv_head) * D + part;
      const int to = i / CHUNKS * PITCH + part;
      copy_or_clear(keys + to, k_pool + from, there);
      copy_or_clear(values + to, v_pool + from, there);
    }
    asm volatile("cp.async.commit_group;");
  };
  T* q_tile = tiles + 4 * TILE * PITCH;
  if (!HELD)
    for (int i = threadIdx.x; i < ROWS * CHUNKS; i += THREADS) {
      const int row = i / CHUNKS, part = i % CHUNKS * 8;
      copy_or_clear(q_tile + row * PITCH + part, queries + (row < rows ? row * q_pitch : 0) + part, row < rows);
    }
  fetch(begin, 0);
  unsigned held[HELD ? STEPS : 1][4];
  const int mine = warp * 16 + r;  // and mine + 8
  if (HELD) {
#pragma unroll
    for (int i = 0; i < STEPS * 4; ++i) {
      const int row = mine + i % 2 * 8;
      held[i / 4][i % 4] = row < rows ? __ldg(reinterpret_cast<const unsigned*>(queries + row * q_pitch + i / 4 * 16 + i / 2 % 2 * 8 + t * 2)) : 0u;
    }
  }
  float o[D / 8][4] = {}, largest[2] = {-INFINITE, -INFINITE}, sum[2] = {};
  for (int at = begin, turn = 0; at < end; at += TILE, ++turn) {
    if (at + TILE < end) fetch(at + TILE, (turn + 1) % 2);
    else asm volatile("cp.async.commit_group;");
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();
    const T* keys = tiles + turn % 2 * 2 * TILE * PITCH;
    const T* values = keys + TILE * PITCH;
    float s[TILE / 8][4] = {};
#pragma unroll
    for (int step = 0; step < STEPS; ++step) {
      unsigned loaded[4];
      const unsigned* a = held[HELD ? step : 0];
      if (!HELD) {
        load_matrices(loaded, q_tile + (warp * 16 + lane % 16) * PITCH + step * 16 + lane / 16 * 8);
        a = loaded;
      }
#pragma unroll
      for (int j = 0; j < TILE / 16; ++j) {
        unsigned b[4];
        load_matrices(b, keys + (j * 16 + lane / 16 * 8 + lane % 8) * PITCH + step * 16 + lane / 8 % 2 * 8);
        Units<T>::mma(s[2 * j], a, b);
        Units<T>::mma(s[2 * j + 1], a, b + 2);
      }
    }
    const bool partly = at + TILE > position + 1 || (window > 0 && at < end - window);
    float most[2] = {largest[0], largest[1]};
#pragma unroll
    for (int i = 0; i < TILE / 2; ++i) {
      float& x = s[i / 4][i % 4];
      x *= scale;
      if (cap > 0) x = cap * tanhf(x / cap);
      if (partly) {
        const int token = at + i / 4 * 8 + t * 2 + i % 2, self = position + mine + i / 2 % 2 * 8;
        if (token > self || (window > 0 && token <= self - window)) x = -INFINITE;
      }
      most[i / 2 % 2] = fmaxf(most[i / 2 % 2], x);
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      most[h] = over_four(most[h], true);
      const float shrink = exp2f(largest[h] - base_of(most[h]));
      largest[h] = most[h];
      sum[h] *= shrink;
#pragma unroll
      for (int i = 0; i < D / 8; ++i) {
        o[i][2 * h] *= shrink;
        o[i][2 * h + 1] *= shrink;
      }
    }
#pragma unroll
    for (int i = 0; i < TILE / 2; ++i) {
      float& x = s[i / 4][i % 4];
      x = exp2f(x - base_of(largest[i / 2 % 2]));
      sum[i / 2 % 2] += x;
    }
#pragma unroll
    for (int step = 0; step < TILE / 16; ++step) {
      unsigned a[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) a[i] = Units<T>::pair(s[2 * step + i / 2][i % 2 * 2], s[2 * step + i / 2][i % 2 * 2 + 1]);
#pragma unroll
      for (int j = 0; j < D / 16; ++j) {
        unsigned b[4];
        load_transposed(b, values + (step * 16 + lane / 8 % 2 * 8 + lane % 8) * PITCH + j * 16 + lane / 16 * 8);
        Units<T>::mma(o[2 * j], a, b);
        Units<T>::mma(o[2 * j + 1], a, b + 2);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float total = over_four(sum[h], false), shrink = 1.0f;
    if (has_sinks) {
      const float sink = sinks[head], most = fmaxf(largest[h], sink);
      shrink = exp2f(largest[h] - most);
      total = total * shrink + exp2f(sink - most);
    }
    const float by = total > 0 ? shrink / total : 0.0f;
    const int row = mine + h * 8;
    if (row < rows)
#pragma unroll
      for (int i = 0; i < D / 8; ++i)
        *reinterpret_cast<unsigned*>(out + (size_t(out_row + row) * heads + head) * D + i * 8 + t * 2) = Units<T>::pair(o[i][2 * h] * by, o[i][2 * h + 1] * by);
  }
}
)";
constexpr const char* call = R"(
  prefill<T, D, PAGE, TILE>(q, k_pool, v_pool, table, places + 8 * blockIdx.y, sinks, out, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4] != 0, numbers[0], numbers[1]);
)";

const gpu::Kernel kernel = {
    "prefill_attention",
    {"q", "k_pool", "v_pool", "table", "places", "sinks", "sizes", "numbers"},
    {"out"},
    functions,
    call};

constexpr int threads = 128;  // 4 warps
constexpr int held_dim = 128;

// Larger heads leave less room: of shared memory, where q is there too, and of registers.
constexpr int tile_of(int head_dim) { return head_dim <= held_dim ? 64 : 32; }

// As the source has them.
constexpr int shared_bytes(int head_dim) {
  const int rows = 4 * tile_of(head_dim) + (head_dim <= held_dim ? 0 : gpu::chunk_rows);
  return rows * (head_dim + 8) * 2;
}

// A block has 99 KB of shared memory on the GPUs that have least (compute capability 8.6, 8.9, 12.0).
constexpr int max_head_dim = 256;
static_assert(shared_bytes(held_dim) <= 99 << 10 && shared_bytes(max_head_dim) <= 99 << 10);

}  // namespace

bool prefill_kernel_takes(const gpu::Executor* executor, int head_dim, mx::Dtype dtype,
                          mx::Dtype pool) {
  if (!executor || executor->is_emulated() || !has_matrix_units()) return false;
  return (dtype == mx::bfloat16 || dtype == mx::float16) && pool == dtype && head_dim % 16 == 0 &&
         head_dim <= max_head_dim;
}

mx::array prefill_attention(gpu::Executor& executor, const mx::array& q, const mx::array& k_pool,
                            const mx::array& v_pool, const gpu::Chunks& chunks,
                            const gpu::DecodeOptions& options) {
  const int heads = q.shape(1), head_dim = q.shape(2);
  const auto sizes = gpu::constants(std::vector<int>{chunks.table.shape(1), heads, k_pool.shape(1),
                                                     options.window, options.sinks ? 1 : 0});
  return executor
      .run(kernel, {{q, k_pool, v_pool, chunks.table, chunks.places, gpu::sinks_of(options), sizes,
                     gpu::numbers_of(options)},
                    {{chunks.rows, heads * head_dim}},
                    {q.dtype()},
                    {heads, chunks.places.shape(0), 1},
                    threads,
                    {{"T", q.dtype()},
                     {"D", head_dim},
                     {"PAGE", chunks.page_size},
                     {"TILE", tile_of(head_dim)}},
                    shared_bytes(head_dim)})
      .front();
}

}  // namespace pippin::kernels
