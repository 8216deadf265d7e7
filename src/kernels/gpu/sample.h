// A token of each row of logits, drawn without a sort. Weights are whole numbers, 2^39 for the likeliest token: their sums are the same in any
// order. Cuts are found digit by digit of keys, which order as the logits do. Groups take 4,096 logits of a row, a part, each.
struct SampleRow {
  bool draws;         // else the largest logit is taken
  float top, scale;   // the largest logit; log2(e) / temperature
  float least;        // log2(min_p)
  uint top_k, top_p;  // 0: keeps all; top_p and uniform in parts of 2^32
  uint uniform;
};

// How far a cut is found.
struct SampleState {
  uint prefix;   // the digits of its key so far
  uint cut;      // the least key that top_k keeps
  uint room;     // how many tokens with that key are kept
  ulong above;   // what the tokens above the prefix measure
  ulong target;  // what shall be kept
};

// Sixteen logits at once, so that a thread waits for them together; -infinity from `end` on.
template <typename T>
FN void sample_load(DEVICE const T* numbers, int first, int step, int end, THREAD float* to) {
  UNROLL for (int i = 0; i < 16; ++i) {
    const int at = first + i * step;
    const float x = at < end ? float(numbers[at]) : -INFINITE;
    to[i] = x == x ? x : -INFINITE;
  }
}

FN uint sample_key(float x) {
  const uint bits = bits_of(x);
  if (bits == 0x80000000u) return bits;  // -0 equals 0
  return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

// The number with this key, whose LOW last bits are those of all numbers of the type.
template <int LOW>
FN float sample_number_of(uint key) {
  const uint low = (1u << LOW) - 1u, bits = key << LOW;
  return float_of_bits((bits & 0x80000000u) != 0u ? bits & 0x7fffffffu : ~(bits | low));
}

FN float sample_exponent(float x, SampleRow row) { return (x - row.top) * row.scale; }

FN ulong sample_weight(float exponent) {
  if (!(exponent > -40.0f)) return 0u;
  const float scaled = exp2_fast(exponent) * 524288.0f;  // 2^19
  const uint high = uint(scaled);
  return (ulong(high) << 20) + ulong(uint((scaled - float(high)) * 1048576.0f));
}

// x * part / 2^32.
FN ulong sample_part_of(ulong x, uint part) {
  return (x >> 32) * ulong(part) + (((x & 0xffffffffu) * ulong(part)) >> 32);
}

FN ulong sample_pair(DEVICE const uint* pairs, ulong at) {
  return (ulong(pairs[2u * at + 1u]) << 32) + ulong(pairs[2u * at]);
}
FN void sample_set_pair(DEVICE uint* pairs, ulong at, ulong value) {
  pairs[2u * at] = uint(value & 0xffffffffu);
  pairs[2u * at + 1u] = uint(value >> 32);
}
FN ulong sample_shared_pair(SHARED const uint* pairs, uint at) {
  return (ulong(pairs[2u * at + 1u]) << 32) + ulong(pairs[2u * at]);
}
FN void sample_set_shared_pair(SHARED uint* pairs, uint at, ulong value) {
  pairs[2u * at] = uint(value & 0xffffffffu);
  pairs[2u * at + 1u] = uint(value >> 32);
}

FN float sample_top(DEVICE const float* found, int parts, uint tid) {
  float top = -INFINITE;
  for (int first = int(tid % 32u); first < parts; first += 64) {
    const float one = found[2 * first], other = found[2 * min(first + 32, parts - 1)];
    top = one > top ? one : top;
    top = other > top ? other : top;
  }
  for (int i = 16; i > 0; i /= 2) {
    const float other = lane_xor(top, i);
    top = other > top ? other : top;
  }
  return top;
}

// found: what argmax_parts found of the row.
FN SampleRow sample_row(DEVICE const int* words, DEVICE const float* found, int parts, uint tid) {
  const float top = sample_top(found, parts, tid);
  const bool finite = top > -INFINITE && top < INFINITE;
  const SampleRow row = {words[0] != 0 && finite,
                         top,
                         float_of_bits(uint(words[1])),
                         float_of_bits(uint(words[4])),
                         uint(words[2]),
                         uint(words[3]),
                         uint(words[5])};
  return row;
}

// ---- over the 256 threads of a group; `pairs` has room for 272

FN void sample_spread(ulong mine, SHARED uint* pairs, uint tid) {
  group_barrier();
  sample_set_shared_pair(pairs, tid, mine);
  group_barrier();
  if (tid < 16u) {
    ulong sum = 0u;
    for (uint i = 0u; i < 16u; ++i) sum += sample_shared_pair(pairs, 16u * tid + i);
    sample_set_shared_pair(pairs, 256u + tid, sum);
  }
  group_barrier();
}

FN ulong sample_sum(ulong mine, SHARED uint* pairs, uint tid) {
  sample_spread(mine, pairs, tid);
  ulong sum = 0u;
  for (uint i = 0u; i < 16u; ++i) sum += sample_shared_pair(pairs, 256u + i);
  return sum;
}

// The sum of the threads before this one.
FN ulong sample_before(ulong mine, SHARED uint* pairs, uint tid) {
  sample_spread(mine, pairs, tid);
  ulong sum = 0u;
  for (uint i = 0u; i < tid / 16u; ++i) sum += sample_shared_pair(pairs, 256u + i);
  for (uint i = tid / 16u * 16u; i < tid; ++i) sum += sample_shared_pair(pairs, i);
  return sum;
}

// ---- cuts. A level settles one digit of at most 6 bits. Its sizes: what is measured, 1: tokens, for top_k; 2: their weights, for top_p; whether
// it is the first that measures this; the digit's place; the bits that are settled; the digit's bits.

// bins: those of the row's parts, 64 pairs and what top_k keeps above its cut.
template <int LOW>
FN SampleState sample_narrowed(SampleState s, SampleRow row, DEVICE const uint* bins,
                               SHARED uint* pairs, DEVICE const int* level, int parts, uint tid) {
  const uint bin = tid % 64u, turn = tid / 64u;
  ulong sum = 0u, kept = 0u;
  for (uint first = turn; first < uint(parts); first += 32u) {
    UNROLL for (uint i = 0u; i < 8u; ++i) {  // all are waited for together
      const uint part = min(first + 4u * i, uint(parts) - 1u);
      const ulong one = sample_pair(bins, ulong(part) * 65u + ulong(bin));
      sum += first + 4u * i == part ? one : 0u;
    }
  }
  if (level[0] == 2 && level[1] != 0 && bin == 0u)
    for (uint part = turn; part < uint(parts); part += 4u)
      kept += sample_pair(bins, ulong(part) * 65u + 64u);
  group_barrier();
  sample_set_shared_pair(pairs, tid, sum);
  if (bin == 0u) sample_set_shared_pair(pairs, 256u + turn, kept);
  group_barrier();
  if (tid < 64u) {
    for (uint i = 1u; i < 4u; ++i) sum += sample_shared_pair(pairs, 64u * i + tid);
    sample_set_shared_pair(pairs, 260u + tid, sum);
  }
  group_barrier();
  if (level[0] == 2 && level[1] != 0) {
    ulong total = ulong(s.room) * sample_weight(sample_exponent(sample_number_of<LOW>(s.cut), row));
    for (uint i = 0u; i < 4u; ++i) total += sample_shared_pair(pairs, 256u + i);
    s.target = sample_part_of(total, row.top_p);
    if (s.target == 0u) s.target = 1u;
  }
  if (tid < 64u) {  // the digit where the sum from above reaches the target
    ulong above = s.above;
    for (uint i = tid + 1u; i < 64u; ++i) above += sample_shared_pair(pairs, 260u + i);
    if (above < s.target && (above + sum >= s.target || tid == 0u)) {
      sample_set_shared_pair(pairs, 324u, above);
      sample_set_shared_pair(pairs, 325u, ulong(tid));
    }
  }
  group_barrier();
  s.above = sample_shared_pair(pairs, 324u);
  s.prefix |= uint(sample_shared_pair(pairs, 325u)) << uint(level[2]);
  return s;
}

// What the level before left. Rows without top_k and top_p have no states.
template <int LOW>
FN SampleState sample_state(SampleRow row, DEVICE const uint* states, DEVICE const uint* bins,
                            SHARED uint* pairs, DEVICE const int* level, int parts, uint tid) {
  SampleState s = {0u, 0u, 0xffffffffu, 0u, 0u};
  const bool by_count = level[0] == 1 && row.top_k > 0u,
             by_weight = level[0] == 2 && row.top_p > 0u;
  if (by_count || (level[0] == 2 && (row.top_k > 0u || row.top_p > 0u))) {
    s.prefix = states[0];
    s.cut = states[1];
    s.room = states[2];
    s.above = sample_pair(states, 2u);
    s.target = sample_pair(states, 3u);
  }
  if (by_count || by_weight) s = sample_narrowed<LOW>(s, row, bins, pairs, level, parts, tid);
  return s;
}

FN SampleState sample_cut_by_count(SampleState s) {
  s.cut = s.prefix;
  s.room = uint(s.target - s.above);
  return s;
}

template <typename T, int LOW>
FN void sample_bins(DEVICE const T* x, DEVICE const float* found, DEVICE const int* rows,
                    DEVICE const uint* bins_before, DEVICE const uint* states_before,
                    DEVICE uint* bins, DEVICE uint* states, SHARED uint* pairs, SHARED uint* lanes,
                    DEVICE const int* sizes, uint3 group, uint tid) {
  const int width = sizes[0], parts = sizes[1], room = sizes[2];
  const ulong at_row = ulong(group.y), at_part = at_row * ulong(parts) + ulong(group.x);
  const SampleRow row =
      sample_row(rows + 8u * at_row, found + 2u * at_row * ulong(room), parts, tid);
  if (!row.draws || (row.top_k == 0u && row.top_p == 0u)) return;
  for (uint i = tid; i < 4096u; i += 256u) lanes[i] = 0u;
  DEVICE const int* level = sizes + 3;
  DEVICE const int* before = sizes + 8;
  SampleState s =
      sample_state<LOW>(row, states_before + 8u * at_row,
                        bins_before + at_row * ulong(parts) * 130u, pairs, before, parts, tid);
  if (level[1] != 0) {
    if (before[0] == 1 && row.top_k > 0u) s = sample_cut_by_count(s);
    s.prefix = 0u;
    s.above = 0u;
    s.target = ulong(row.top_k);
  }
  if (group.x == 0u && tid == 0u) {
    states[8u * at_row] = s.prefix;
    states[8u * at_row + 1u] = s.cut;
    states[8u * at_row + 2u] = s.room;
    sample_set_pair(states, 4u * at_row + 2u, s.above);
    sample_set_pair(states, 4u * at_row + 3u, s.target);
  }
  const bool by_weight = level[0] == 2;
  if (by_weight ? row.top_p == 0u : row.top_k == 0u) return;
  group_barrier();
  DEVICE const T* numbers = x + at_row * ulong(width);
  const int begin = int(group.x) * 4096, end = min(begin + 4096, width);
  const uint settled = uint(level[3]), digits = uint(level[4]), shift = uint(level[2]);
  float mine[16];
  sample_load(numbers, begin + int(tid), 256, end, mine);
  ulong kept = 0u;
  UNROLL for (int i = 0; i < 16; ++i) {
    const uint key = sample_key(mine[i]) >> LOW;
    if ((key & settled) != s.prefix || begin + int(tid) + 256 * i >= end) continue;
    const ulong weight = by_weight ? sample_weight(sample_exponent(mine[i], row)) : 1u;
    if (key > s.cut) kept += weight;  // of the first level, which looks at all
    const uint at = ((key >> shift) & digits) * 32u + tid % 32u;  // a lane has bins of its own
    shared_add(lanes + at, uint(weight & 0xfffffu));
    if (by_weight) shared_add(lanes + 2048u + at, uint(weight >> 20));
  }
  if (by_weight && level[1] != 0)
    kept = sample_sum(kept, pairs, tid);
  else
    group_barrier();
  ulong sum = 0u;
  for (uint i = 0u; i < 8u; ++i) {
    const uint at = tid % 64u * 32u + tid / 64u * 8u + (i + tid) % 8u;
    sum += (ulong(lanes[2048u + at]) << 20) + ulong(lanes[at]);
  }
  group_barrier();
  sample_set_shared_pair(pairs, tid, sum);
  group_barrier();
  if (tid < 64u) {
    for (uint i = 1u; i < 4u; ++i) sum += sample_shared_pair(pairs, 64u * i + tid);
    sample_set_pair(bins, at_part * 65u + ulong(tid), sum);
  }
  if (tid == 64u) sample_set_pair(bins, at_part * 65u + 64u, kept);
}

// The cut of all filters but min_p: of those of top_k and top_p the higher one.
template <int LOW>
FN SampleState sample_cut(SampleState s, SampleRow row, DEVICE const int* before) {
  if (before[0] == 1 && row.top_k > 0u) s = sample_cut_by_count(s);
  if (before[0] != 2 || row.top_p == 0u) return s;
  const ulong weight = sample_weight(sample_exponent(sample_number_of<LOW>(s.prefix), row));
  const ulong wanted = weight > 0u ? (s.target - s.above + weight - 1u) / weight : 0xffffffffu;
  if (s.prefix > s.cut || (s.prefix == s.cut && wanted < ulong(s.room))) {
    s.cut = s.prefix;
    s.room = uint(wanted);
  }
  return s;
}

// sums: of each part the weight above the cut and the number of tokens at it; cuts: of each row its key and how many tokens at it are kept.
template <typename T, int LOW>
FN void sample_sums(DEVICE const T* x, DEVICE const float* found, DEVICE const int* rows,
                    DEVICE const uint* bins, DEVICE const uint* states, DEVICE uint* sums,
                    DEVICE uint* cuts, SHARED uint* pairs, DEVICE const int* sizes, uint3 group,
                    uint tid) {
  const int width = sizes[0], parts = sizes[1], room = sizes[2];
  const ulong at_row = ulong(group.y);
  const SampleRow row =
      sample_row(rows + 8u * at_row, found + 2u * at_row * ulong(room), parts, tid);
  if (!row.draws) return;
  DEVICE const int* before = sizes + 8;
  SampleState s = sample_state<LOW>(row, states + 8u * at_row, bins + at_row * ulong(parts) * 130u,
                                    pairs, before, parts, tid);
  s = sample_cut<LOW>(s, row, before);
  DEVICE const T* numbers = x + at_row * ulong(width);
  const int begin = int(group.x) * 4096, end = min(begin + 4096, width);
  float mine[16];
  sample_load(numbers, begin + int(tid), 256, end, mine);
  ulong weight = 0u, ties = 0u;
  UNROLL for (int i = 0; i < 16; ++i) {
    const uint key = sample_key(mine[i]) >> LOW;
    const float exponent = sample_exponent(mine[i], row);
    if (key < s.cut || !(exponent >= row.least)) continue;
    if (key == s.cut)
      ties += 1u;
    else
      weight += sample_weight(exponent);
  }
  weight = sample_sum(weight, pairs, tid);
  ties = sample_sum(ties, pairs, tid);
  if (tid != 0u) return;
  const ulong at = at_row * ulong(room) + ulong(group.x);
  sample_set_pair(sums, 2u * at, weight);
  sample_set_pair(sums, 2u * at + 1u, ties);
  if (group.x > 0u) return;
  cuts[8u * at_row] = s.cut;
  cuts[8u * at_row + 1u] = s.room;
}

// The first of the largest logits.
FN int sample_best(DEVICE const float* found, float top, int parts, int width, uint tid) {
  float place = 16777216.0f;
  for (int i = int(tid % 32u); i < parts; i += 32)
    if (found[2 * i] == top && found[2 * i + 1] < place) place = found[2 * i + 1];
  for (int i = 16; i > 0; i /= 2) {
    const float other = lane_xor(place, i);
    place = other < place ? other : place;
  }
  return place < float(width) ? int(place) : 0;  // no number at all
}

// One group a row. In order of id, the first kept token at which the sum of the weights passes the uniform part of the whole.
template <typename T, int LOW>
FN void sample_draw(DEVICE const T* x, DEVICE const float* found, DEVICE const int* rows,
                    DEVICE const uint* sums, DEVICE const uint* cuts, DEVICE int* out,
                    SHARED uint* pairs, SHARED uint* of_parts, SHARED int* chosen,
                    DEVICE const int* sizes, uint3 group, uint tid) {
  const int width = sizes[0], parts = sizes[1], room = sizes[2];
  const ulong at_row = ulong(group.x);
  DEVICE const float* tops = found + 2u * at_row * ulong(room);
  const SampleRow row = sample_row(rows + 8u * at_row, tops, parts, tid);
  const int best = sample_best(tops, row.top, parts, width, tid);
  if (!row.draws) {
    if (tid == 0u) out[at_row] = best;
    return;
  }
  const uint cut = cuts[8u * at_row];
  const ulong at_cut = sample_weight(sample_exponent(sample_number_of<LOW>(cut), row));
  ulong left = ulong(cuts[8u * at_row + 1u]);  // tokens at the cut that are kept
  for (uint i = tid; i < 2u * uint(parts); i += 256u)
    sample_set_shared_pair(of_parts, i, sample_pair(sums, 2u * at_row * ulong(room) + ulong(i)));
  if (tid == 0u) chosen[0] = best;
  group_barrier();
  ulong total = 0u, ties = 0u;
  for (uint part = 0u; part < uint(parts); ++part) {
    total += sample_shared_pair(of_parts, 2u * part);
    ties += sample_shared_pair(of_parts, 2u * part + 1u);
  }
  total += min(ties, left) * at_cut;
  const ulong target = sample_part_of(total, row.uniform);
  ulong before = 0u;
  int part = 0;
  for (; part < parts; ++part) {
    const ulong kept = min(sample_shared_pair(of_parts, 2u * uint(part) + 1u), left);
    const ulong mine = sample_shared_pair(of_parts, 2u * uint(part)) + kept * at_cut;
    if (before + mine > target) break;
    before += mine;
    left -= kept;
  }
  // A thread has 16 tokens, one behind the other.
  DEVICE const T* numbers = x + at_row * ulong(width);
  const int begin = min(part * 4096 + 16 * int(tid), width);
  float mine[16];
  sample_load(numbers, begin, 1, width, mine);
  ulong weight = 0u;
  ties = 0u;
  UNROLL for (int i = 0; i < 16; ++i) {
    const uint key = sample_key(mine[i]) >> LOW;
    const float exponent = sample_exponent(mine[i], row);
    if (key < cut || !(exponent >= row.least)) continue;
    if (key == cut)
      ties += 1u;
    else
      weight += sample_weight(exponent);
  }
  left -= min(sample_before(ties, pairs, tid), left);
  weight += min(ties, left) * at_cut;
  before += sample_before(weight, pairs, tid);
  if (before <= target && before + weight > target) {
    UNROLL for (int i = 0; i < 16; ++i) {
      const uint key = sample_key(mine[i]) >> LOW;
      const float exponent = sample_exponent(mine[i], row);
      if (key < cut || (key == cut && left == 0u) || !(exponent >= row.least)) continue;
      if (key == cut) left -= 1u;
      const ulong sum = before + sample_weight(exponent);
      if (before <= target && sum > target) chosen[0] = begin + i;
      before = sum;
    }
  }
  group_barrier();
  if (tid == 0u) out[at_row] = chosen[0];
}
