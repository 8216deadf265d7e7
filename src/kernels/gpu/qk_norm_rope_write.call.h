qk_norm_rope_write<T, P, D, NORM>(qkv, q_weight, k_weight, cosines, sines, slots[group.y], q,
                                  (DEVICE P*)k_pool, (DEVICE P*)v_pool, sizes[0], sizes[1],
                                  numbers[0], group, tid);
