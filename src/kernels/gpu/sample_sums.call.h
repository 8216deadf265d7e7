SHARED_ARRAY(uint, pairs, 652);
sample_sums<T, LOW>(x, found, rows, bins, states, sums, cuts, pairs, sizes, group, tid);
