SHARED_ARRAY(uint, pairs, 544);
SHARED_ARRAY(uint, of_parts, 4096);
SHARED_ARRAY(int, chosen, 1);
sample_draw<T, LOW>(x, found, rows, sums, cuts, out, pairs, of_parts, chosen, sizes, group, tid);
