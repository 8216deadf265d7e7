"""A safetensors writer whose bytes depend on the arrays alone (names sorted, fixed header).

MLX's own writer orders tensors by a hash table and numpy has no bfloat16, hence these few lines.
"""

import json
import struct
from pathlib import Path

import mlx.core as mx
import numpy as np

_TAGS = {
    mx.float32: "F32",
    mx.float16: "F16",
    mx.bfloat16: "BF16",
    mx.uint32: "U32",
    mx.int32: "I32",
    mx.uint8: "U8",
}


def _bytes(array: mx.array) -> bytes:
    if array.dtype == mx.bfloat16:  # numpy has no bfloat16: write the same two bytes a number
        array = array.view(mx.uint16)
    return np.ascontiguousarray(np.array(array)).tobytes()


def save(path: Path, arrays: dict[str, mx.array | np.ndarray], metadata: dict[str, str]) -> int:
    """Writes the file and returns the number of data bytes."""
    header: dict = {"__metadata__": metadata}
    chunks, end = [], 0
    for name in sorted(arrays):
        array = arrays[name] if isinstance(arrays[name], mx.array) else mx.array(arrays[name])
        data = _bytes(array)
        header[name] = {
            "dtype": _TAGS[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [end, end + len(data)],
        }
        chunks.append(data)
        end += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # data starts at a multiple of 8 bytes
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))
    return end


def save_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
