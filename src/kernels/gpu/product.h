// x [rows, K] times a matrix [N, K] of 4 or 8 bits, or plain (BITS 0): few rows, so that reading the matrix is what takes time. A warp makes units
// of R outputs of M rows, one after the other; a lane reads 16 bytes of a row at a time, AHEAD steps before it multiplies them, and the first ones
// before it waits for x, which the kernel before makes.
// STAGE 1: x goes through shared memory, as numbers S, 2: and is normed there (RMS). GATED: the outputs are silu(gate) * up, gate's rows being the matrix's first half. Else a residual may be added.
struct ProductShape {
  int rows, outputs, inputs, group_bits, has_residual,
      num_groups;  // groups of 2^group_bits numbers; num_groups of threads
  float eps;
};

template <typename T, int BITS>
FN float dot_word(uint word, THREAD const float* x) {
  float codes[8], sum = 0.0f;
  codes_of<T, BITS>(word, codes);
  UNROLL for (int i = 0; i < 32 / BITS; ++i) sum += codes[i] * x[i];
  return sum;
}

// Where number k of x lies in shared memory: the units of 16 bytes that lanes read at once lie side by side.
template <typename S, int EACH>
FN int staged_at(int k) {
  constexpr int UNIT = EACH < 16 / SIZE_OF(S) ? EACH : 16 / SIZE_OF(S), UNITS = EACH / UNIT;
  const int unit = k / UNIT, step = unit / (32 * UNITS);
  return ((step * UNITS + unit % UNITS) * 32 + unit / UNITS % 32) * UNIT + k % UNIT;
}

// Brings x into shared memory [M, pitch]; where NORM, times the norm's weight, rounded to T, and with each row's 1 / RMS in `factor`.
// `sums` [M, pitch / EACH] get the sum of what a lane multiplies by a step's codes.
template <typename T, typename S, int BITS, int EACH, int M, int NORM>
FN void stage_rows(DEVICE const T* x, DEVICE const T* norm, SHARED S* staged, SHARED float* sums,
                   SHARED float* squares, THREAD float* factor, int pitch, ProductShape shape,
                   uint tid) {
  float square[M];
  UNROLL for (int m = 0; m < M; ++m) square[m] = 0.0f;
  for (int first = 0; first < shape.inputs; first += 256 * 4) {
    const int k = first + int(tid) * 4;
    const bool exists = k < shape.inputs;
    float weight[4], number[4];
    if (NORM && exists) load_numbers<T, 4>(norm + k, weight);
    UNROLL for (int m = 0; m < M; ++m) {
      float sum = 0.0f;
      if (exists) {
        load_numbers<T, 4>(x + min(m, shape.rows - 1) * shape.inputs + k, number);
        UNROLL for (int i = 0; i < 4; ++i) {
          square[m] += number[i] * number[i];
          const float rounded = float(T(NORM ? number[i] * weight[i] : number[i]));
          staged[m * pitch + staged_at<S, EACH>(k) + i] = S(rounded);
          sum += rounded;
        }
      }
      if (BITS > 0) {
        const float all = lanes_sum<EACH / 4>(sum);
        if (exists && k % EACH == 0) sums[m * (pitch / EACH) + k / EACH] = all;
      }
    }
  }
  if (NORM) {
    UNROLL for (int m = 0; m < M; ++m) {
      const float all = lanes_sum<32>(square[m]);
      if (tid % 32 == 0) squares[int(tid) / 32 * M + m] = all;
    }
  }
  group_barrier();
  UNROLL for (int m = 0; m < M; ++m) {
    float all = 0.0f;
    if (NORM) UNROLL for (int warp = 0; warp < 8; ++warp) all += squares[warp * M + m];
    factor[m] = NORM ? rsqrt_fast(all / float(shape.inputs) + shape.eps) : 1.0f;
  }
}

// One step of a unit's rows.
template <typename T, int BITS, int R>
struct ProductStep {
  uint words[R][4];
  float scale[R], bias[R];
};

// Fetches a step of the rows first + r * apart, of which `made` exist.
template <typename T, int BITS, int R, int EACH>
FN void fetch_step(DEVICE const uint* w, DEVICE const T* scales, DEVICE const T* biases,
                   THREAD ProductStep<T, BITS, R>& to, int first, int apart, int made, int k,
                   ProductShape shape) {
  if (k >= shape.inputs) return;
  const int packs = shape.inputs / EACH, groups = shape.inputs >> shape.group_bits;
  UNROLL for (int r = 0; r < R; ++r) {
    const int row = apart == 1 ? min(first + r, made - 1) : first + r * apart;
    load_words(w, ulong(row * packs + k / EACH), to.words[r]);
    if (BITS > 0) {
      const int at = row * groups + (k >> shape.group_bits);
      to.scale[r] = float(scales[at]);
      to.bias[r] = float(biases[at]);
    }
  }
}

template <typename T, typename S, int BITS, int M, int R, int STAGE, int GATED>
FN void product(DEVICE const T* x, DEVICE const uint* w, DEVICE const T* scales,
                DEVICE const T* biases, DEVICE const T* norm, DEVICE const T* residual,
                DEVICE T* out, SHARED S* staged, SHARED float* sums, SHARED float* squares,
                ProductShape shape, uint3 group, uint tid) {
  constexpr int EACH = BITS == 0 ? 16 / SIZE_OF(T) : 128 / (BITS + (BITS == 0)), AHEAD = 8 / R,
                STEP = 32 * EACH, UNIT = EACH < 16 / SIZE_OF(S) ? EACH : 16 / SIZE_OF(S),
                MADE = GATED ? 1 : R, CODE_BITS = BITS == 0 ? 8 : BITS;
  const int lane = int(tid) % 32, K = shape.inputs,
            made = GATED ? shape.outputs / 2 : shape.outputs, apart = GATED ? made : 1,
            units = (made + MADE - 1) / MADE, steps = (K + STEP - 1) / STEP,
            stride = shape.num_groups * 8;
  int unit = int(group.x) * 8 + int(tid) / 32, step = 0, next_unit = unit, next_step = 0;
  ProductStep<T, BITS, R> ahead[AHEAD];
  UNROLL for (int a = 0; a < AHEAD; ++a) {
    if (next_unit < units)
      fetch_step<T, BITS, R, EACH>(w, scales, biases, ahead[a], next_unit * MADE, apart, made,
                                   next_step * STEP + lane * EACH, shape);
    if (++next_step == steps) {
      next_step = 0;
      next_unit += stride;
    }
  }
  inputs_ready();
  float total[R][M], factor[M], rest = 0.0f;
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int m = 0; m < M; ++m) total[r][m] = 0.0f;
  const int pitch = steps * STEP;
  if (STAGE > 0)
    stage_rows<T, S, BITS, EACH, M, STAGE == 2>(x, norm, staged, sums, squares, factor, pitch,
                                                shape, tid);
  // Lane i writes output i % MADE of row i / MADE.
  const int mine = lane / MADE * made + lane % MADE;
  const bool writes = lane < MADE * M && lane / MADE < shape.rows;
  while (unit < units) {
    UNROLL for (int a = 0; a < AHEAD; ++a) {
      if (unit < units) {
        const int k = step * STEP + lane * EACH;
        const bool exists = writes && unit * MADE + lane % MADE < made;
        if (step == 0 && shape.has_residual && exists) rest = float(residual[unit * MADE + mine]);
        if (k < K) {
          float numbers[M][EACH], sum[M];
          UNROLL for (int m = 0; m < M; ++m) {
            if (STAGE > 0) {
              UNROLL for (int j = 0; j < EACH / UNIT; ++j) load_shared<S, UNIT>(
                  staged + m * pitch + ((step * (EACH / UNIT) + j) * 32 + lane) * UNIT,
                  numbers[m] + j * UNIT);
              if (BITS > 0) sum[m] = sums[m * (pitch / EACH) + step * 32 + lane];
            } else {
              load_numbers<T, EACH>(x + min(m, shape.rows - 1) * K + k, numbers[m]);
              sum[m] = 0.0f;
              if (BITS > 0) UNROLL for (int i = 0; i < EACH; ++i) sum[m] += numbers[m][i];
            }
          }
          UNROLL for (int r = 0; r < R; ++r) {
            const float bias =
                BITS == 0 ? 0.0f : ahead[a].bias[r] - code_offset<T, BITS>() * ahead[a].scale[r];
            UNROLL for (int m = 0; m < M; ++m) {
              float dot = 0.0f;
              if (BITS == 0) {
                float weights[EACH];
                numbers_of<T>(ahead[a].words[r], weights);
                UNROLL for (int i = 0; i < EACH; ++i) dot += weights[i] * numbers[m][i];
                total[r][m] += dot;
              } else {
                UNROLL for (int i = 0; i < 4; ++i) dot +=
                    dot_word<T, CODE_BITS>(ahead[a].words[r][i], numbers[m] + i * (EACH / 4));
                total[r][m] += ahead[a].scale[r] * dot + bias * sum[m];
              }
            }
          }
        }
        if (next_unit < units)
          fetch_step<T, BITS, R, EACH>(w, scales, biases, ahead[a], next_unit * MADE, apart, made,
                                       next_step * STEP + lane * EACH, shape);
        if (++next_step == steps) {
          next_step = 0;
          next_unit += stride;
        }
        if (++step == steps) {
          float y = 0.0f;
          UNROLL for (int m = 0; m < M; ++m) {
            float all[R];
            UNROLL for (int r = 0; r < R; ++r) {
              all[r] = lanes_sum<32>(total[r][m]);
              if (STAGE == 2) all[r] *= factor[m];
              total[r][m] = 0.0f;
            }
            if (GATED) {
              const float gate = float(T(all[0])), up = float(T(all[R - 1]));
              if (lane == m) y = gate / (1.0f + exp2_fast(-1.442695041f * gate)) * up;
            } else {
              UNROLL for (int r = 0; r < R; ++r) if (lane == m * R + r) y = all[r];
            }
          }
          if (exists) out[unit * MADE + mine] = T(y + rest);
          step = 0;
          unit += stride;
        }
      }
    }
  }
}
