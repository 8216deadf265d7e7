SHARED_ARRAY(uint, pairs, 652);
SHARED_ARRAY(uint, lanes, 4096);
sample_bins<T, LOW>(x, found, rows, bins_before, states_before, bins, states, pairs, lanes, sizes,
                    group, tid);
