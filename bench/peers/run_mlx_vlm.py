#!/usr/bin/env python3
"""Measures how long mlx-vlm's vision tower encodes a picture on MLX's CPU backend, and prints that as one JSON object.

  run_mlx_vlm.py CHECKPOINT [--side 448] [--repeat 1] [--dtype float32]

The tower's class is mlx-vlm's, loaded with the checkpoint's own weights; the patches are noise. Preparing pixels is not counted.
"""
import argparse
import json
import pathlib
import time

import mlx.core as mx
from mlx_vlm.models.qwen3_vl.config import VisionConfig
from mlx_vlm.models.qwen3_vl.vision import VisionModel

PREFIX = "vision_tower."


def load_tower(checkpoint: pathlib.Path, dtype: mx.Dtype) -> VisionModel:
    config = VisionConfig.from_dict(json.loads((checkpoint / "config.json").read_text())["vision_config"])
    tower = VisionModel(config)
    weights = mx.load(str(checkpoint / "model.safetensors"))
    tower.load_weights([(name.removeprefix(PREFIX), value) for name, value in weights.items() if name.startswith(PREFIX)])
    tower.set_dtype(dtype)
    mx.eval(tower.parameters())
    return tower


def encode(tower: VisionModel, patches: mx.array, grid: mx.array) -> float:
    start = time.perf_counter()
    mx.eval(tower(patches, grid))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--side", type=int, default=448)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    args = parser.parse_args()

    mx.set_default_device(mx.cpu)
    dtype = getattr(mx, args.dtype)
    tower = load_tower(args.checkpoint, dtype)
    c, side = tower.config, args.side // tower.config.patch_size
    patches = mx.random.normal((side * side, c.in_channels * c.temporal_patch_size * c.patch_size**2)).astype(dtype)
    grid = mx.array([[1, side, side]])
    mx.eval(patches)
    encode(tower, patches, grid)  # warms up
    print(json.dumps({"encode_seconds": [encode(tower, patches, grid) for _ in range(args.repeat)]}))


if __name__ == "__main__":
    main()
