"""Seeded pictures, and what Hugging Face's processor (PIL backend) makes of them.

That processor resizes with PIL's bicubic filter on 8-bit RGB, which mlx-vlm does too; the
torchvision variant may differ by one level a pixel and is not what we are held to.
"""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
    smart_resize,
)

from checkpoints import PREPROCESSOR
from safetensors_io import save, save_json
from weights import SEED

# The pictures of the vision cases. Budget: 2048 to 10240 pixels (checkpoints.PREPROCESSOR).
PICTURES = {
    "noise_45x70": (45, 70),  # down to 32 x 64 in both axes by other factors
    "blobs_64x160": (64, 160),  # exactly the budget: not resized
    "stripes_100x37": (100, 37),  # tall
    "blobs_20x52": (20, 52),  # enlarged
    "stripes_20x52": (20, 52),  # the same grid as the one before, other pixels
    "blobs_150x130": (150, 130),  # over budget
}

# Processor cases: name, (height, width), min_pixels, max_pixels, keep the patches?
PROCESSOR_CASES = [
    ("noise_45x70", (45, 70), 2048, 10240, True),
    ("noise_50x33_up", (50, 33), 9000, 40000, False),  # both axes up, past the rounding
    ("stripes_96x64_same", (96, 64), 2048, 10240, False),  # already fits: copied
    ("blobs_96x50_one_axis", (96, 50), 2048, 10240, False),  # one pass only
    ("noise_97x157_down", (97, 157), 1024, 4096, False),  # down by two to three
    ("blobs_5x400_flat", (5, 400), 3136, 12800, False),  # 1:80; height rounds to 0 first
    ("stripes_300x4_thin", (300, 4), 1024, 4096, False),  # 75:1
    ("noise_48x80_half", (48, 80), 1024, 16384, False),  # 1.5 and 2.5: round half to even
    ("noise_1x1_dot", (1, 1), 1024, 8192, True),  # one pixel becomes a plane
    ("edges_77x61", (77, 61), 8000, 16384, False),  # black and white: overshoot is clipped
]


def draw(name: str, size: tuple[int, int]) -> np.ndarray:
    """u8 [H, W, 3]; the part of the name before the first "_" says what is drawn."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    kind = name.split("_")[0]
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "edges":
        cells = rng.integers(0, 2, (-(-height // 5), -(-width // 5), 3), dtype=np.uint8) * 255
        return cells.repeat(5, axis=0).repeat(5, axis=1)[:height, :width]
    planes = []
    for channel in range(3):
        if kind == "stripes":
            angle, period = rng.uniform(0, np.pi), rng.uniform(5, 20)
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
            planes.append(0.5 + 0.5 * wave)
        else:  # blobs on a gradient
            plane = (x / width + y / height) * rng.uniform(0.1, 0.4)
            for _ in range(4):
                cy, cx = rng.uniform(0, height), rng.uniform(0, width)
                radius = rng.uniform(0.1, 0.4) * min(height, width)
                plane += rng.uniform(-0.6, 0.9) * (np.hypot(y - cy, x - cx) < radius)
            planes.append(plane)
    return np.rint(np.clip(np.stack(planes, -1), 0, 1) * 255).astype(np.uint8)


def process(rgb: np.ndarray, min_pixels: int, max_pixels: int) -> dict[str, np.ndarray]:
    """resized u8 [H', W', 3], pixel_values f32 [n, 1536], grid_thw i32 [3]."""
    options = {k: v for k, v in PREPROCESSOR.items() if not k.endswith(("_class", "_type"))}
    options["size"] = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    processor = Qwen2VLImageProcessorPil(**options)
    image = Image.fromarray(rgb)
    out = processor(images=[image], return_tensors="np")
    factor = PREPROCESSOR["patch_size"] * PREPROCESSOR["merge_size"]
    height, width = smart_resize(*rgb.shape[:2], factor, min_pixels, max_pixels)
    return {
        "resized": np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)),
        "pixel_values": out["pixel_values"].astype(np.float32),
        "grid_thw": out["image_grid_thw"][0].astype(np.int32),
    }


def case_pictures() -> dict[str, dict[str, np.ndarray]]:
    """Picture name -> rgb, resized, pixel_values, grid_thw under the checkpoints' budget."""
    size = PREPROCESSOR["size"]
    out = {}
    for name, shape in PICTURES.items():
        rgb = draw(name, shape)
        out[name] = {"rgb": rgb, **process(rgb, size["shortest_edge"], size["longest_edge"])}
    return out


def write_processor_cases(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    cases, arrays = [], {}
    for name, shape, min_pixels, max_pixels, keep_patches in PROCESSOR_CASES:
        rgb = draw(name, shape)
        result = process(rgb, min_pixels, max_pixels)
        arrays |= {f"{name}.rgb": rgb, f"{name}.resized": result["resized"]}
        if keep_patches:
            arrays[f"{name}.pixel_values"] = result["pixel_values"]
        cases.append(
            {
                "name": name,
                "picture_size": list(shape),
                "min_pixels": min_pixels,
                "max_pixels": max_pixels,
                "resized": list(result["resized"].shape[:2]),
                "grid_thw": result["grid_thw"].tolist(),
                "has_pixel_values": keep_patches,
            }
        )
    reference = "transformers Qwen2VLImageProcessorPil: PIL bicubic on RGB8"
    save(folder / "processor.safetensors", arrays, {"format": "golden"})
    save_json(folder / "processor.json", {"reference": reference, "cases": cases})
