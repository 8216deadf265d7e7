#!/usr/bin/env python3
"""Writes a checkpoint of a real shape with seeded RANDOM weights, to measure speed where no weights can be downloaded.

  random_checkpoint.py SHAPE OUT_DIR [--bits 4] [--group-size 64] [--seed 1]      (needs numpy)

SHAPE is one of those below (dimensions of the published models' config.json). The weights are MLX affine quantized, in the
names and layout that mlx-lm writes, so that mlx-lm loads the same directory. The tokenizer knows single bytes only; text in
and out is meaningless.
"""
import argparse
import json
import pathlib
import struct

import numpy as np

SHAPES = {
    "qwen3-0.6b": dict(hidden_size=1024, num_hidden_layers=28, intermediate_size=3072, num_attention_heads=16,
                       num_key_value_heads=8, tie_word_embeddings=True),
    "qwen3-4b": dict(hidden_size=2560, num_hidden_layers=36, intermediate_size=9728, num_attention_heads=32,
                     num_key_value_heads=8, tie_word_embeddings=True),
    "qwen3-8b": dict(hidden_size=4096, num_hidden_layers=36, intermediate_size=12288, num_attention_heads=32,
                     num_key_value_heads=8, tie_word_embeddings=False),
}
COMMON = dict(model_type="qwen3", architectures=["Qwen3ForCausalLM"], head_dim=128, vocab_size=151936,
              max_position_embeddings=40960, rope_theta=1000000.0, rms_norm_eps=1e-6, torch_dtype="bfloat16",
              eos_token_id=151645)


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 values: bfloat16 by truncation."""
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


class Writer:
    """Collects tensors, then writes them as one .safetensors file."""

    def __init__(self, seed: int, bits: int, group_size: int):
        self.random = np.random.default_rng(seed)
        self.bits, self.group_size = bits, group_size
        self.tensors: dict[str, tuple[str, np.ndarray]] = {}

    def norm(self, name: str, size: int) -> None:
        self.tensors[name + ".weight"] = ("BF16", to_bfloat16(np.ones(size)))

    def matrix(self, name: str, rows: int, columns: int) -> None:
        """A quantized matrix whose values are spread evenly around 0, with the variance 1 / columns."""
        words = columns * self.bits // 32
        weight = self.random.integers(0, 1 << 32, (rows, words), np.uint32, endpoint=False)
        levels = (1 << self.bits) - 1
        step = np.sqrt(12 / columns) / levels
        groups = (rows, columns // self.group_size)
        self.tensors[name + ".weight"] = ("U32", weight)
        self.tensors[name + ".scales"] = ("BF16", to_bfloat16(np.full(groups, step)))
        self.tensors[name + ".biases"] = ("BF16", to_bfloat16(np.full(groups, -step * levels / 2)))

    def write(self, path: pathlib.Path) -> None:
        header, offset = {}, 0
        for name, (dtype, array) in self.tensors.items():
            header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
            offset += array.nbytes
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for _, array in self.tensors.values():
                file.write(array.tobytes())


def add_decoder(out: Writer, c: dict) -> None:
    hidden, inner, head = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    queries, keys = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    out.matrix("model.embed_tokens", c["vocab_size"], hidden)
    for i in range(c["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        for name, rows, columns in [("q_proj", queries, hidden), ("k_proj", keys, hidden), ("v_proj", keys, hidden),
                                    ("o_proj", hidden, queries)]:
            out.matrix(f"{layer}.self_attn.{name}", rows, columns)
        for name in ("q_norm", "k_norm"):
            out.norm(f"{layer}.self_attn.{name}", head)
        for name, rows, columns in [("gate_proj", inner, hidden), ("up_proj", inner, hidden), ("down_proj", hidden, inner)]:
            out.matrix(f"{layer}.mlp.{name}", rows, columns)
        for name in ("input_layernorm", "post_attention_layernorm"):
            out.norm(f"{layer}.{name}", hidden)
    out.norm("model.norm", hidden)
    if not c["tie_word_embeddings"]:
        out.matrix("lm_head", c["vocab_size"], hidden)


def byte_tokenizer() -> dict:
    """A byte-level tokenizer without merges: one token a byte."""
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    others = [b for b in range(256) if b not in printable]
    letters = {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": letters, "merges": []}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    config = COMMON | SHAPES[args.shape]
    config["quantization"] = {"group_size": args.group_size, "bits": args.bits}
    args.out.mkdir(parents=True, exist_ok=True)
    weights = Writer(args.seed, args.bits, args.group_size)
    add_decoder(weights, config)
    weights.write(args.out / "model.safetensors")
    (args.out / "config.json").write_text(json.dumps(config, indent=1))
    (args.out / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))
    (args.out / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


if __name__ == "__main__":
    main()
