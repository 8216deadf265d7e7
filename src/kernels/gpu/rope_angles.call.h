rope_angles(positions, inverse, axis, cosines, sines, sizes[0], sizes[1], numbers[0], group, tid);
