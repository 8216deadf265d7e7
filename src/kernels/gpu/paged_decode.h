// One group: some query heads of one key/value head, which share what is read, over one part of one row's context. A worker is D / N lanes
// with N numbers of a head each; workers take tokens in turns, AHEAD at once. Parts are fixed ranges of tokens, so that a row's bits depend on
// the row alone.
constexpr int PART = 128, THREADS = 256, AHEAD = 4;

struct DecodeShape {
  int heads_kv, gqa, max_pages, parts, window, has_sinks;
  float scale, softcap;  // softcap 0: none; both in units of log2
};

FN float capped(float score, float softcap) {
  return softcap > 0.0f
             ? softcap * (1.0f - 2.0f / (exp2_fast(2.885390082f * score / softcap) + 1.0f))
             : score;
}

// Writes partial sums [rows, heads, parts, D] and (maximum, weight) [rows, heads, parts, 2].
template <typename T, typename P, int D, int N, int G, int PAGE>
FN void paged_decode(DEVICE const T* q, DEVICE const P* k_pool, DEVICE const P* v_pool,
                     DEVICE const int* table, DEVICE const int* lengths, DEVICE float* sums,
                     DEVICE float* stats, SHARED float* shared, DecodeShape shape, uint3 group,
                     uint tid) {
  constexpr int LANES = D / N, WORKERS = THREADS / LANES;
  const int lane = int(tid) % LANES, worker = int(tid) / LANES, head_groups = shape.gqa / G;
  const int kv = int(group.x) / head_groups,
            first_head = kv * shape.gqa + int(group.x) % head_groups * G;
  const int row = int(group.y), part = int(group.z), length = lengths[row];
  const int first = max(part * PART, shape.window > 0 ? length - shape.window : 0),
            last = min(length, part * PART + PART);
  if (first >= last) return;
  const int heads = shape.heads_kv * shape.gqa;
  float query[G][N], sum[G][N], top[G], weight[G];
  UNROLL for (int h = 0; h < G; ++h) {
    top[h] = -1e30f;
    weight[h] = 0.0f;
    load_numbers<T, N>(q + (row * heads + first_head + h) * D + lane * N, query[h]);
    UNROLL for (int i = 0; i < N; ++i) sum[h][i] = 0.0f;
  }
  for (int base = first; base < last; base += WORKERS * AHEAD) {
    float key[AHEAD][N], value[AHEAD][N];
    UNROLL for (int a = 0; a < AHEAD; ++a) {
      const int t =
          min(base + a * WORKERS + worker, last - 1);  // one too many stands in and weighs nothing
      const ulong slot =
          ulong(table[row * shape.max_pages + t / PAGE]) * ulong(PAGE) + ulong(t % PAGE);
      const ulong at = (slot * ulong(shape.heads_kv) + ulong(kv)) * ulong(D) + ulong(lane * N);
      load_numbers<P, N>(k_pool + at, key[a]);
      load_numbers<P, N>(v_pool + at, value[a]);
    }
    UNROLL for (int h = 0; h < G; ++h) {
      float score[AHEAD], larger = top[h];
      UNROLL for (int a = 0; a < AHEAD; ++a) {
        float dot = 0.0f;
        UNROLL for (int i = 0; i < N; ++i) dot += query[h][i] * key[a][i];
        score[a] = capped(lanes_sum<LANES>(dot) * shape.scale, shape.softcap);
        larger = max(larger, score[a]);
      }
      const float old = exp2_fast(top[h] - larger);
      top[h] = larger;
      weight[h] *= old;
      UNROLL for (int i = 0; i < N; ++i) sum[h][i] *= old;
      UNROLL for (int a = 0; a < AHEAD; ++a) {
        const float p = base + a * WORKERS + worker < last ? exp2_fast(score[a] - larger) : 0.0f;
        weight[h] += p;
        UNROLL for (int i = 0; i < N; ++i) sum[h][i] += p * value[a][i];
      }
    }
  }
  UNROLL for (int h = 0; h < G; ++h) {
    SHARED float* worker_sums = shared + 2 * WORKERS;
    if (lane == 0) {
      shared[worker] = top[h];
      shared[WORKERS + worker] = weight[h];
    }
    UNROLL for (int i = 0; i < N; ++i) worker_sums[worker * D + lane * N + i] = sum[h][i];
    group_barrier();
    const int head = first_head + h;
    float all = -1e30f, total = 0.0f;
    for (int w = 0; w < WORKERS; ++w) all = max(all, shared[w]);
    for (int w = 0; w < WORKERS; ++w) total += shared[WORKERS + w] * exp2_fast(shared[w] - all);
    const int at = (row * heads + head) * shape.parts + part;
    for (int d = int(tid); d < D; d += THREADS) {
      float x = 0.0f;
      for (int w = 0; w < WORKERS; ++w) x += exp2_fast(shared[w] - all) * worker_sums[w * D + d];
      sums[ulong(at) * ulong(D) + ulong(d)] = x;
    }
    if (tid == 0) {
      stats[at * 2] = all;
      stats[at * 2 + 1] = total;
    }
    group_barrier();
  }
}

// One warp a head: a row's parts become its result [rows, heads, D].
template <typename T, int D>
FN void merge_parts(DEVICE const float* sums, DEVICE const float* stats, DEVICE const int* lengths,
                    DEVICE const float* sinks, DEVICE T* out, DecodeShape shape, uint3 group,
                    uint tid) {
  const int heads = shape.heads_kv * shape.gqa,
            head = int(group.x) * (THREADS / 32) + int(tid) / 32, row = int(group.y);
  if (head >= heads) return;
  const int length = lengths[row],
            first = shape.window > 0 ? max(0, length - shape.window) / PART : 0,
            last = (length + PART - 1) / PART;
  const ulong at = (ulong(row) * ulong(heads) + ulong(head)) * ulong(shape.parts);
  constexpr int EACH = (D + 31) / 32,
                TOGETHER = 4;  // numbers of a lane; parts that are read at once
  const int lane = int(tid) % 32;
  float all = shape.has_sinks ? sinks[head] : -1e30f, total = shape.has_sinks ? 1.0f : 0.0f,
        x[EACH];
  UNROLL for (int i = 0; i < EACH; ++i) x[i] = 0.0f;
  for (int p = first; p < last; p += TOGETHER) {
    float top[TOGETHER], weight[TOGETHER], sum[TOGETHER][EACH], larger = all;
    UNROLL for (int j = 0; j < TOGETHER; ++j) {
      const ulong part =
          at + ulong(min(p + j, last - 1));  // one too many stands in and weighs nothing
      top[j] = stats[part * 2];
      weight[j] = p + j < last ? stats[part * 2 + 1] : 0.0f;
      UNROLL for (int i = 0; i < EACH; ++i) sum[j][i] =
          i * 32 + lane < D ? sums[part * ulong(D) + ulong(i * 32 + lane)] : 0.0f;
      larger = max(larger, top[j]);
    }
    const float old = exp2_fast(all - larger);
    all = larger;
    total *= old;
    UNROLL for (int i = 0; i < EACH; ++i) x[i] *= old;
    UNROLL for (int j = 0; j < TOGETHER; ++j) {
      const float factor = p + j < last ? exp2_fast(top[j] - larger) : 0.0f;
      total += factor * weight[j];
      UNROLL for (int i = 0; i < EACH; ++i) x[i] += factor * sum[j][i];
    }
  }
  UNROLL for (int i = 0; i < EACH; ++i) if (i * 32 + lane < D)
      out[(ulong(row) * ulong(heads) + ulong(head)) * ulong(D) + ulong(i * 32 + lane)] =
          T(x[i] / total);
}
