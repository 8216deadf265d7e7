#!/usr/bin/env python3
"""Writes a GGUF file of a real shape with seeded RANDOM weights for llama.cpp: the counterpart of ../random_checkpoint.py.

  random_gguf.py SHAPE OUT_FILE [--seed 1]      (needs numpy and gguf)

Every matrix is Q4_0, the tied token embedding included: 4.5 bits a weight, which is what MLX's 4 bits in groups of 64 take,
so both sides read the same number of bytes a token. llama.cpp's own quantizer would leave a tied embedding in Q6_K, which
is read whole for every token as the output matrix; Q4_0 there makes llama.cpp decode faster, not slower.
"""
import argparse
import collections.abc
import pathlib
import sys

import gguf
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import random_checkpoint

BLOCK = 32  # weights in a block of Q4_0
BLOCK_BYTES = 18  # a float16 scale, then 16 bytes of two weights each

Tensor = tuple[str, tuple[int, ...]]  # name, shape: rows first, as numpy has it


def full_config(shape: str) -> dict:
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


def add_metadata(writer: gguf.GGUFWriter, c: dict) -> None:
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(c["num_key_value_heads"])
    writer.add_key_length(c["head_dim"])
    writer.add_value_length(c["head_dim"])
    writer.add_rope_freq_base(c["rope_theta"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_vocab_size(c["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_tokenizer_model("no_vocab")


def write_decoder(path: pathlib.Path, shape: str, seed: int = 1) -> None:
    """Tensors are drawn and written one by one, so that a large model needs no memory."""
    config, random = full_config(shape), np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "qwen3")
    add_metadata(writer, config)
    tensors = list(decoder_tensors(config))
    for name, dims in tensors:
        if len(dims) == 1:
            writer.add_tensor_info(name, dims, np.dtype(np.float32), dims[0] * 4)
        else:
            bytes_dims = (dims[0], dims[1] // BLOCK * BLOCK_BYTES)
            writer.add_tensor_info(name, bytes_dims, np.dtype(np.uint8), bytes_dims[0] * bytes_dims[1],
                                   gguf.GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, dims in tensors:
        writer.write_tensor_data(np.ones(dims, np.float32) if len(dims) == 1 else random_q4_0(random, *dims))
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=random_checkpoint.SHAPES)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    write_decoder(args.out, args.shape, args.seed)


if __name__ == "__main__":
    main()
