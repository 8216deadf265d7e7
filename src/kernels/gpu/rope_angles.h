// Cosines and sines [rows, half] of positions [axes, rows]: frequency i turns with the position of its axis.
FN void rope_angles(DEVICE const int* positions, DEVICE const float* inverse,
                    DEVICE const int* axis, DEVICE float* cosines, DEVICE float* sines, int rows,
                    int half_dim, float factor, uint3 group, uint tid) {
  const int at = int(group.x) * 256 + int(tid);
  if (at >= rows * half_dim) return;
  const int i = at % half_dim;
  const float angle = float(positions[axis[i] * rows + at / half_dim]) * inverse[i];
  cosines[at] = factor * cosine(angle);
  sines[at] = factor * sine(angle);
}
