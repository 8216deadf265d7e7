qk_norm_rope_write<T, P, D, NORM>(qkv, q_weight, k_weight, cosines, sines, int(group.y), q, k_rows,
                                  v_rows, sizes[0], sizes[1], numbers[0], group, tid);
