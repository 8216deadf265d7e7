// A step's tokens: those that the host knows, or of row from[i] of the step before.
FN void pick_tokens(DEVICE const int* known, DEVICE const int* from, DEVICE const int* sampled,
                    DEVICE int* out, int rows, uint tid) {
  for (int i = int(tid); i < rows; i += 32) out[i] = from[i] >= 0 ? sampled[from[i]] : known[i];
}
