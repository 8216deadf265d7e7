const DecodeShape shape = {sizes[0], sizes[1], sizes[2],   sizes[3],
                           sizes[4], sizes[5], numbers[0], numbers[1]};
merge_parts<T, D>(sums, stats, lengths, sinks, out, shape, group, tid);
