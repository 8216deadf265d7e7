"""MLX's affine quantization, and the naming of MLX checkpoints, in numpy.

A weight row is cut into groups of `GROUP` values; each group keeps a scale and a bias (bfloat16) and one `BITS`-bit
code a value, w ~ scale * code + bias. Codes are packed into uint32 words, lowest bits first: exactly what
`mlx.core.dequantize` reads. The codes are chosen after the scale and the bias have been rounded to bfloat16, so that
rounding costs nothing.
"""
import numpy as np

from demo_model.safetensors_file import round_to_bf16

BITS, GROUP = 8, 64

# What stays bfloat16: the tied embedding (it is also the output layer), the patch embedding (a convolution) and the
# position table. Together 2 M of 25 M parameters.
KEEP = ("embed_tokens", "patch_embed", "pos_embed")


def round_up_to_bf16(x):
    """The smallest bfloat16 not below a positive x (as float32)."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0xFFFF) & np.uint32(0xFFFF0000)).view(np.float32)


def quantize(w, bits=BITS, group=GROUP):
    """(rows, columns) float32 -> (packed uint32, scales, biases), columns divisible by `group`."""
    rows, columns = w.shape
    g = w.reshape(rows, columns // group, group).astype(np.float32)
    top = 2**bits - 1
    low, high = g.min(-1), g.max(-1)
    bias = round_to_bf16(low)
    # A bias rounded up would clip the smallest value, one rounded down wastes a little range; both stay within a step.
    scale = round_up_to_bf16(np.maximum((high - np.minimum(bias, low)) / top, 1e-8))
    codes = np.clip(np.rint((g - bias[..., None]) / scale[..., None]), 0, top).astype(np.uint32)
    per_word = 32 // bits
    words = codes.reshape(rows, columns // per_word, per_word) << (bits * np.arange(per_word, dtype=np.uint32))
    return np.bitwise_or.reduce(words, -1), scale, bias


def dequantize(packed, scale, bias, bits=BITS):
    """The inverse of `quantize`, as float32."""
    codes = (packed[..., None] >> (bits * np.arange(32 // bits, dtype=np.uint32))) & np.uint32(2**bits - 1)
    g = codes.reshape(*scale.shape, -1).astype(np.float32) * scale[..., None] + bias[..., None]
    return g.reshape(packed.shape[0], -1)


def is_quantized(name, w):
    """Whether the tensor of this (Hugging Face or MLX) name is stored quantized."""
    return w.ndim == 2 and name.endswith(".weight") and w.shape[1] % GROUP == 0 and not any(k in name for k in KEEP)


def to_mlx(tensors):
    """Hugging Face names and layouts -> MLX's: names, and channels last in the patch convolution."""
    out = {}
    for name, w in tensors.items():
        name = name.replace("model.language_model.", "language_model.model.").replace("model.visual.", "vision_tower.")
        out[name] = w.transpose(0, 2, 3, 4, 1) if name.endswith("patch_embed.proj.weight") else w
    return out


def to_hf(tensors):
    """The inverse of `to_mlx`."""
    out = {}
    for name, w in tensors.items():
        name = name.replace("language_model.model.", "model.language_model.").replace("vision_tower.", "model.visual.")
        out[name] = w.transpose(0, 4, 1, 2, 3) if name.endswith("patch_embed.proj.weight") else w
    return out


def quantize_checkpoint(tensors):
    """{name: float32} -> {name: what is stored}: .weight/.scales/.biases for a quantized layer."""
    out = {}
    for name, w in tensors.items():
        if not is_quantized(name, w):
            out[name] = w
            continue
        stem = name.removesuffix("weight")
        out[name], out[stem + "scales"], out[stem + "biases"] = quantize(w)
    return out


def dequantize_checkpoint(tensors):
    """The inverse of `quantize_checkpoint`: {name: float32}."""
    out = {}
    for name, w in tensors.items():
        if name.endswith((".scales", ".biases")):
            continue
        stem = name.removesuffix("weight")
        quantized = stem + "scales" in tensors
        out[name] = dequantize(w, tensors[stem + "scales"], tensors[stem + "biases"]) if quantized else w
    return out


def config_entry(tensors):
    """The "quantization" entry of config.json for unquantized MLX-named tensors: the default, and the exceptions."""
    kept = {n.removesuffix(".weight"): False for n in tensors if "embed" in n and n.endswith(".weight")}
    return {"group_size": GROUP, "bits": BITS, **kept}
