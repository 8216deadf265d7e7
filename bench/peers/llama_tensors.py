"""What llama.cpp calls the tensors of Qwen3 and of Qwen3-VL's vision tower, their shapes, and random values for them.

Apart from random_gguf.py so that tests need numpy alone.
"""
import collections.abc
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import random_checkpoint

BLOCK = 32  # weights in a block of Q4_0
BLOCK_BYTES = 18  # a float16 scale, then 16 bytes of two weights each

Tensor = tuple[str, tuple[int, ...]]  # name, shape: rows first, as numpy has it


def full_config(shape: str) -> dict:
    if shape in random_checkpoint.VISION_SHAPES:
        return random_checkpoint.COMMON | random_checkpoint.VISION_SHAPES[shape]["text"]
    return random_checkpoint.COMMON | random_checkpoint.SHAPES[shape]


def decoder_tensors(c: dict) -> collections.abc.Iterator[Tensor]:
    """The names and shapes that llama.cpp wants for its architecture 'qwen3'; those of one dimension are norms."""
    hidden, inner, head = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    queries, keys = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    yield "token_embd.weight", (c["vocab_size"], hidden)
    for i in range(c["num_hidden_layers"]):
        yield f"blk.{i}.attn_norm.weight", (hidden,)
        yield f"blk.{i}.attn_q.weight", (queries, hidden)
        yield f"blk.{i}.attn_k.weight", (keys, hidden)
        yield f"blk.{i}.attn_v.weight", (keys, hidden)
        yield f"blk.{i}.attn_output.weight", (hidden, queries)
        yield f"blk.{i}.attn_q_norm.weight", (head,)
        yield f"blk.{i}.attn_k_norm.weight", (head,)
        yield f"blk.{i}.ffn_norm.weight", (hidden,)
        yield f"blk.{i}.ffn_gate.weight", (inner, hidden)
        yield f"blk.{i}.ffn_up.weight", (inner, hidden)
        yield f"blk.{i}.ffn_down.weight", (hidden, inner)
    yield "output_norm.weight", (hidden,)
    if not c["tie_word_embeddings"]:
        yield "output.weight", (c["vocab_size"], hidden)


def random_q4_0(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Q4_0 blocks, uint8 [rows, columns / 32 * 18]: weights spread evenly around 0, with a variance of 1 / columns."""
    blocks = random.integers(0, 256, (rows, columns // BLOCK, BLOCK_BYTES), np.uint8)
    scale = np.float16(np.sqrt(12 / columns) / 15)  # 16 levels, from -8 to 7 times the scale
    blocks[:, :, :2] = np.frombuffer(scale.tobytes(), np.uint8)
    return blocks.reshape(rows, -1)


def tower_tensors(v: dict) -> collections.abc.Iterator[Tensor]:
    """The names and shapes of llama.cpp's projector 'qwen3vl_merger'."""
    hidden, inner, patch = v["hidden_size"], v["intermediate_size"], v["patch_size"]
    merged, out = hidden * v["spatial_merge_size"] ** 2, v["out_hidden_size"]

    def linear(name: str, rows: int, columns: int) -> collections.abc.Iterator[Tensor]:
        yield f"{name}.weight", (rows, columns)
        yield f"{name}.bias", (rows,)

    def norm(name: str, size: int) -> collections.abc.Iterator[Tensor]:
        yield f"{name}.weight", (size,)
        yield f"{name}.bias", (size,)

    yield "v.patch_embd.weight", (hidden, v["in_channels"], patch, patch)  # the convolution's two frames, one each
    yield "v.patch_embd.weight.1", (hidden, v["in_channels"], patch, patch)
    yield "v.patch_embd.bias", (hidden,)
    yield "v.position_embd.weight", (v["num_position_embeddings"], hidden)
    for i in range(v["depth"]):
        yield from norm(f"v.blk.{i}.ln1", hidden)
        yield from linear(f"v.blk.{i}.attn_qkv", 3 * hidden, hidden)
        yield from linear(f"v.blk.{i}.attn_out", hidden, hidden)
        yield from norm(f"v.blk.{i}.ln2", hidden)
        yield from linear(f"v.blk.{i}.ffn_up", inner, hidden)
        yield from linear(f"v.blk.{i}.ffn_down", hidden, inner)
    for i in v["deepstack_visual_indexes"]:
        yield from norm(f"v.deepstack.{i}.norm", merged)
        yield from linear(f"v.deepstack.{i}.fc1", merged, merged)
        yield from linear(f"v.deepstack.{i}.fc2", out, merged)
    yield from norm("v.post_ln", hidden)
    yield from linear("mm.0", merged, merged)
    yield from linear("mm.2", out, merged)


def random_tower_tensor(random: np.random.Generator, name: str, dims: tuple[int, ...], dtype: str) -> np.ndarray:
    """Vectors and the position table in float32, as llama.cpp's own converter leaves them; bfloat16 as its bits."""
    if len(dims) == 1:
        return np.full(dims, 0.0 if name.endswith(".bias") else 1.0, np.float32)
    values = random.standard_normal(dims, np.float32) / np.float32(np.sqrt(np.prod(dims[1:])))
    if "position" in name or dtype == "f32":
        return values
    return values.astype(np.float16) if dtype == "f16" else random_checkpoint.to_bfloat16(values)
