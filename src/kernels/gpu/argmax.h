// The largest number of each row, the first of equal ones. Groups take 4,096 numbers each, and a warp a row merges what they found.
struct Largest {
  float number, place;  // places are below 2^24
};

FN Largest larger(Largest a, Largest b) {
  return b.number > a.number || (b.number == a.number && b.place < a.place) ? b : a;
}

FN Largest lanes_largest(Largest mine) {
  for (int i = 16; i > 0; i /= 2) {
    const Largest other = {lane_xor(mine.number, i), lane_xor(mine.place, i)};
    mine = larger(mine, other);
  }
  return mine;
}

template <typename T>
FN void argmax_parts(DEVICE const T* x, DEVICE float* found, SHARED float* shared, int width,
                     int parts, uint3 group, uint tid) {
  DEVICE const T* row = x + ulong(group.y) * ulong(width);
  const int begin = int(group.x) * 4096, end = min(begin + 4096, width);
  Largest mine = {-INFINITE, 16777215.0f};
  for (int i = begin + int(tid); i < end; i += 256) {
    const Largest one = {float(row[i]), float(i)};
    mine = larger(mine, one);
  }
  mine = lanes_largest(mine);
  if (tid % 32 == 0) {
    shared[tid / 32 * 2] = mine.number;
    shared[tid / 32 * 2 + 1] = mine.place;
  }
  group_barrier();
  if (tid == 0) {
    for (int i = 1; i < 8; ++i) {
      const Largest one = {shared[2 * i], shared[2 * i + 1]};
      mine = larger(mine, one);
    }
    const ulong at = (ulong(group.y) * ulong(parts) + ulong(group.x)) * 2u;
    found[at] = mine.number;
    found[at + 1u] = mine.place;
  }
}

FN void argmax_merge(DEVICE const float* found, DEVICE int* out, int parts, int room, uint3 group,
                     uint tid) {
  Largest mine = {-INFINITE, 16777215.0f};
  for (int i = int(tid); i < parts; i += 32) {
    const ulong at = (ulong(group.x) * ulong(room) + ulong(i)) * 2u;
    const Largest one = {found[at], found[at + 1u]};
    mine = larger(mine, one);
  }
  mine = lanes_largest(mine);
  if (tid == 0) out[group.x] = int(mine.place);
}
