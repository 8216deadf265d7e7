SHARED_ARRAY(float, shared, 2 * (THREADS / (D / N)) + THREADS * N);
const DecodeShape shape = {sizes[0], sizes[1], sizes[2],   sizes[3],
                           sizes[4], sizes[5], numbers[0], numbers[1]};
paged_decode<T, P, D, N, G, PAGE>(q, k_pool, v_pool, table, lengths, sums, stats, shared, shape,
                                  group, tid);
