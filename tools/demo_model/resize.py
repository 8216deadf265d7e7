"""Pictures to the size the model sees: Qwen2-VL's rule, as every loader of preprocessor_config.json applies it.

Sides become multiples of a patch times the merge (32), the area stays within [MIN_PIXELS, MAX_PIXELS], the resampling
is antialiased bicubic. 65,536 pixels are 64 visual tokens: little enough for a CPU to read a picture in a moment, and
still 16 x 16 patches for a drawing of simple shapes and short words.
"""
import math

from PIL import Image

FACTOR = 32
MIN_PIXELS, MAX_PIXELS = 16384, 65536


def target_size(width, height, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS):
    """(width, height) -> the size the model sees. Ties round to even, as Python's round does."""
    w, h = (round(side / FACTOR) * FACTOR for side in (width, height))
    if w * h > max_pixels:
        beta = math.sqrt(width * height / max_pixels)
        w, h = (max(FACTOR, math.floor(side / beta / FACTOR) * FACTOR) for side in (width, height))
    elif w * h < min_pixels:
        beta = math.sqrt(min_pixels / (width * height))
        w, h = (math.ceil(side * beta / FACTOR) * FACTOR for side in (width, height))
    return w, h


def to_model_size(picture):
    size = target_size(*picture.size)
    return picture if picture.size == size else picture.resize(size, Image.BICUBIC)
