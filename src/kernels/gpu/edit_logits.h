// Logits as a row's edits and mask leave them. Groups take 4,096 of a row each. A row's words: the sixth is its mask's number or -1, the seventh
// its first edit, the next row's behind its last. An edit: the token, what is added, a factor of what is negative and a divisor of what is
// positive, what is taken off then.
template <typename T, typename O>
FN void edit_logits(DEVICE const T* x, DEVICE const int* rows, DEVICE const int* edits,
                    DEVICE const int* masks, DEVICE O* out, SHARED float* shared, int width,
                    int mask_words, uint3 group, uint tid) {
  DEVICE const int* words = rows + 8u * ulong(group.y);
  const ulong first = ulong(group.y) * ulong(width);
  const int begin = int(group.x) * 4096, end = min(begin + 4096, width);
  for (int i = begin + int(tid); i < end; i += 256) shared[i - begin] = float(x[first + ulong(i)]);
  group_barrier();
  for (int edit = words[7] + int(tid); edit < words[15]; edit += 256) {
    const int token = edits[4 * edit];
    if (token < begin || token >= end) continue;
    const float factor = float_of_bits(uint(edits[4 * edit + 2]));
    float number = shared[token - begin] + float_of_bits(uint(edits[4 * edit + 1]));
    number = number > 0.0f ? number / factor : number * factor;
    shared[token - begin] = number - float_of_bits(uint(edits[4 * edit + 3]));
  }
  group_barrier();
  const int mask = words[6];
  DEVICE const int* allowed = masks + ulong(max(mask, 0)) * ulong(mask_words);
  for (int i = begin + int(tid); i < end; i += 256) {
    const bool may_be = mask < 0 || ((uint(allowed[i / 32]) >> uint(i % 32)) & 1u) != 0u;
    out[first + ulong(i)] = O(may_be ? shared[i - begin] : -INFINITE);
  }
}
