"""Safetensors files with bfloat16 tensors, in numpy alone.

numpy has no bfloat16, and the recipe should not need torch or MLX to quantize or to export a checkpoint, so this
reads bfloat16 as float32 (exact) and writes float32 as bfloat16 (rounded to nearest even).
"""
import json
from pathlib import Path

import numpy as np

READ_AS = {"BF16": np.uint16, "F16": np.float16, "F32": np.float32, "U32": np.uint32, "I64": np.int64}


def to_bf16_bits(x):
    """float32 array -> the uint16 bit patterns of its values rounded to bfloat16, ties to even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16_bits(bits):
    """uint16 bit patterns of bfloat16 values -> the same values as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def round_to_bf16(x):
    """float32 array -> its values rounded to bfloat16, still as float32."""
    return from_bf16_bits(to_bf16_bits(x))


def read(path):
    """A safetensors file -> {name: array}; bfloat16 and float16 arrive as float32."""
    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        begin, end = (8 + size + at for at in info["data_offsets"])
        x = np.frombuffer(raw[begin:end], READ_AS[info["dtype"]]).reshape(info["shape"])
        if info["dtype"] == "BF16":
            x = from_bf16_bits(x)
        tensors[name] = x.astype(np.float32) if x.dtype == np.float16 else x
    return tensors


def read_parts(folder):
    """All part*.safetensors of a training run's folder, merged."""
    return {k: v for part in sorted(Path(folder).glob("part*.safetensors")) for k, v in read(part).items()}


def write(path, tensors, file_format):
    """Write {name: float32 or uint32 array}; floats become bfloat16. `file_format` is "pt" or "mlx", the metadata
    by which loaders tell the naming and the layout of convolutions apart."""
    header, blobs, at = {"__metadata__": {"format": file_format}}, [], 0
    for name in sorted(tensors):
        x = tensors[name]
        packed = x.dtype == np.uint32
        blob = (np.ascontiguousarray(x) if packed else to_bf16_bits(x)).tobytes()
        header[name] = {"dtype": "U32" if packed else "BF16", "shape": list(x.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
