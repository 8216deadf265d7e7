// One warp a head of one row of qkv [rows, heads + 2 heads_kv, D]: head norms (where NORM) and rotation of queries and keys; values as they are.
// Queries go to q [rows, heads, D]; keys and values to slot[row] of pools, or where slot is the row itself, to rows of their own.
template <typename T, typename P, int D, int NORM>
FN void qk_norm_rope_write(DEVICE const T* qkv, DEVICE const T* q_weight, DEVICE const T* k_weight,
                           DEVICE const float* cosines, DEVICE const float* sines, int slot,
                           DEVICE T* q, DEVICE P* k_to, DEVICE P* v_to, int heads, int heads_kv,
                           float eps, uint3 group, uint tid) {
  constexpr int HALF = D / 2, EACH = (HALF + 31) / 32;
  const int lane = int(tid) % 32, head = int(group.x) * 8 + int(tid) / 32, row = int(group.y),
            all = heads + 2 * heads_kv;
  if (head >= all) return;
  DEVICE const T* x = qkv + (ulong(row) * ulong(all) + ulong(head)) * ulong(D);
  float low[EACH], high[EACH], squares = 0.0f;
  UNROLL for (int i = 0; i < EACH; ++i) {
    const int d = i * 32 + lane;
    low[i] = d < HALF ? float(x[d]) : 0.0f;
    high[i] = d < HALF ? float(x[HALF + d]) : 0.0f;
    squares += low[i] * low[i] + high[i] * high[i];
  }
  const bool is_query = head < heads, is_value = head >= heads + heads_kv;
  const float factor = NORM ? rsqrt_fast(lanes_sum<32>(squares) / float(D) + eps) : 1.0f;
  DEVICE const T* weight = is_query ? q_weight : k_weight;
  const ulong kv_at =
      (ulong(slot) * ulong(heads_kv) + ulong(is_value ? head - heads - heads_kv : head - heads)) *
      ulong(D);
  UNROLL for (int i = 0; i < EACH; ++i) {
    const int d = i * 32 + lane;
    if (d < HALF) {
      float a = low[i], b = high[i];
      if (!is_value) {
        if (NORM) {
          a = a * factor * float(weight[d]);
          b = b * factor * float(weight[HALF + d]);
        }
        const float c = cosines[row * HALF + d], s = sines[row * HALF + d], turned = a * c - b * s;
        b = b * c + a * s;
        a = turned;
      }
      if (is_query) {
        DEVICE T* to = q + (ulong(row) * ulong(heads) + ulong(head)) * ulong(D);
        to[d] = T(a);
        to[HALF + d] = T(b);
      } else {
        DEVICE P* to = (is_value ? v_to : k_to) + kv_at;
        to[d] = P(a);
        to[HALF + d] = P(b);
      }
    }
  }
}
