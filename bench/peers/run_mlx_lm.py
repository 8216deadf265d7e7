#!/usr/bin/env python3
"""Measures mlx-lm's decoding once, in this process, and prints what was measured as one JSON object.

  run_mlx_lm.py CHECKPOINT --context 128 --new 3 [--dtype float32]

MLX's CPU backend takes seconds a token, so the context is not read but filled in: random keys and values cost as much.
"""
import argparse
import json
import pathlib
import time

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model


def fill(cache: list, model, length: int, dtype: mx.Dtype) -> None:
    heads, size = model.args.num_key_value_heads, model.args.head_dim
    for layer in cache:
        layer.update_and_fetch(*(mx.random.normal((1, heads, length, size)).astype(dtype) for _ in range(2)))


def step(model, token: mx.array, cache: list) -> mx.array:
    """Greedy, as mlx-lm generates at temperature 0."""
    token = mx.argmax(model(token, cache=cache)[:, -1, :], axis=-1, keepdims=True)
    mx.eval(token)
    return token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--new", type=int, required=True)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    args = parser.parse_args()

    mx.set_default_device(mx.cpu)
    dtype = getattr(mx, args.dtype)
    model, _ = load_model(args.checkpoint)
    model.set_dtype(dtype)
    mx.eval(model.parameters())
    cache = make_prompt_cache(model)
    fill(cache, model, args.context, dtype)
    token = step(model, mx.array([[1]]), cache)  # warms up
    start = time.perf_counter()
    for _ in range(args.new):
        token = step(model, token, cache)
    print(json.dumps({"decode_seconds": [time.perf_counter() - start]}))


if __name__ == "__main__":
    main()
