"""Which frames of a clip Hugging Face's Qwen3-VL processor takes, at what size, under which times; seeded clips.

Its modules want torch to be imported, but the arithmetic is plain Python and numpy: the functions are taken out of the
installed transformers' source and run as they are.
"""

import ast
import importlib.util
import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from mlx_vlm.models.qwen3_vl.processing_qwen3_vl import Qwen3VLVideoProcessor

from checkpoints import VIDEO_PREPROCESSOR
from pictures import draw
from safetensors_io import save_json

# The clips of the vision cases: frames, height, width.
CLIPS = {
    "noise_5x45x70": (5, 45, 70),  # the last frame is repeated
    "blobs_4x150x130": (4, 150, 130),  # over the budget of all frames together
}

_FOLDER = Path(importlib.util.find_spec("transformers").origin).parent / "models" / "qwen3_vl"


def _function(module: str, name: str):
    """A function or method of transformers' own source, without the module around it."""
    tree = ast.parse((_FOLDER / f"{module}.py").read_text())
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name)
    node = next(nodes)
    node.decorator_list, node.returns = [], None
    for argument in (*node.args.args, node.args.kwarg):
        if argument is not None:
            argument.annotation = None
    space = {"np": np, "math": math}
    exec(compile(ast.Module([node], []), module, "exec"), space)
    return space[name]


smart_resize = _function("video_processing_qwen3_vl", "smart_resize")
_sample_frames = _function("video_processing_qwen3_vl", "sample_frames")
_calculate_timestamps = _function("processing_qwen3_vl", "_calculate_timestamps")


def sampled(total: int, rate: float, fps: float, low: int, high: int, num_frames: int) -> dict:
    processor = SimpleNamespace(fps=fps, min_frames=low, max_frames=high)
    metadata = SimpleNamespace(total_num_frames=total, fps=rate)
    indices = _sample_frames(processor, metadata, num_frames or None, None if num_frames else fps)
    times = _calculate_timestamps(None, indices.copy(), rate, 2)
    return {
        "total": total, "rate": rate, "fps": fps, "min_frames": low, "max_frames": high, "num_frames": num_frames,
        "indices": " ".join(map(str, indices)), "timestamps": "".join(f"<{time:.1f} seconds>" for time in times),
    }  # fmt: skip


def resized(frames: int, height: int, width: int, low: int, high: int, cap: bool) -> dict:
    factor, most = 32, high
    if cap:  # as Qwen3VLVideoProcessor.resize writes it
        most = max(min(768 * factor * factor, high // frames), int(low * 1.05)) * frames
    size = smart_resize(frames, height, width, 2, factor, low, most)
    return {
        "frames": frames, "size": [height, width], "min_pixels": low, "max_pixels": high,
        "cap_pixels_per_frame": cap, "resized": list(size),
    }  # fmt: skip


def process(rgb: np.ndarray) -> dict[str, np.ndarray]:
    """rgb u8 [T, H, W, 3], pixel_values f32 [n, 1536] and grid_thw i32 [3] under the checkpoints' budget.

    mlx-vlm resizes every frame with PIL, as its and our pictures are.
    """
    size = VIDEO_PREPROCESSOR["size"]
    low, high = size["shortest_edge"], size["longest_edge"]
    options = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "min_pixels": low, "max_pixels": high}
    out = Qwen3VLVideoProcessor(patch_size=16, **options)(rgb)
    grid = out["video_grid_thw"][0]
    assert tuple(grid[1:] * 16) == smart_resize(*rgb.shape[:3], 2, 32, low, high)
    values = out["pixel_values_videos"].astype(np.float32)
    return {"rgb": rgb, "pixel_values": values, "grid_thw": grid.astype(np.int32)}


def case_clips() -> dict[str, dict[str, np.ndarray]]:
    """Clip name -> what `process` makes of it."""
    frames = {
        name: np.stack([draw(f"{name}_{i}", size) for i in range(count)])
        for name, (count, *size) in CLIPS.items()
    }
    return {name: process(rgb) for name, rgb in frames.items()}


def write_video_cases(folder: Path) -> None:
    rates = [1.0, 2.0, 10.0, 24.0, 25.0, 30000 / 1001, 60.0]
    sampling = [
        sampled(total, rate, fps, low, high, 0)
        for total, rate, (fps, low, high) in itertools.product(
            [1, 2, 3, 7, 49, 250, 901], rates, [(2, 4, 768), (0.5, 1, 16), (3.3, 4, 33)]
        )
    ]
    sampling += [sampled(total, 25.0, 2, 4, 768, n) for total in (1, 5, 64) for n in (1, 2, 7, 64)]
    sizes = [(128, 160), (20, 700), (31, 31), (720, 1280), (1080, 1920), (500, 96)]
    budgets = [(4096, 524288), (4096, 25165824), (131072, 786432)]
    sizing = [
        resized(frames, *size, *budget, cap)
        for frames, size, budget, cap in itertools.product(
            [2, 3, 5, 8, 33, 64, 768], sizes, budgets, [False, True]
        )
    ]
    reference = "transformers Qwen3VLVideoProcessor and Qwen3VLProcessor"
    save_json(folder / "video.json", {"reference": reference, "sampling": sampling, "sizes": sizing})
