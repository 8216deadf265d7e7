gated<T>(gate_up, out, sizes[0], group, tid);
