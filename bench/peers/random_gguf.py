#!/usr/bin/env python3
"""Writes a GGUF file of a real shape with seeded RANDOM weights for llama.cpp: the counterpart of ../random_checkpoint.py.

  random_gguf.py SHAPE OUT_FILE [--seed 1]                    a text model      (needs numpy and gguf)
  random_gguf.py --vision f16 SHAPE OUT_FILE [--seed 1]       a vision tower

Every matrix is Q4_0, the tied token embedding included: 4.5 bits a weight, which is what MLX's 4 bits in groups of 64 take,
so both sides read the same number of bytes a token. llama.cpp's own quantizer would leave a tied embedding in Q6_K, which
is read whole for every token as the output matrix; Q4_0 there makes llama.cpp decode faster, not slower.
"""
import argparse
import pathlib

import gguf
import numpy as np

from llama_tensors import (BLOCK, BLOCK_BYTES, decoder_tensors, full_config, random_checkpoint, random_q4_0,
                           random_tower_tensor, tower_tensors)


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


def add_byte_tokenizer(writer: gguf.GGUFWriter, size: int) -> None:
    """One token a byte: what llama.cpp wants of a text model before it encodes a picture."""
    special = [b"<unk>", b"<s>", b"</s>"]
    tokens = [*special, *(f"<0x{byte:02X}>".encode() for byte in range(256))]
    tokens += [f"<unused{i}>".encode() for i in range(size - len(tokens))]
    types = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.BYTE] * 256
    types += [gguf.TokenType.UNUSED] * (size - len(types))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * size)
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def write_decoder(path: pathlib.Path, shape: str, seed: int = 1) -> None:
    """Tensors are drawn and written one by one, so that a large model needs no memory."""
    config, random = full_config(shape), np.random.default_rng(seed)
    if shape in random_checkpoint.VISION_SHAPES:
        writer = gguf.GGUFWriter(path, "qwen3vl")
        writer.add_rope_dimension_sections([24, 20, 20, 0])
        writer.add_num_deepstack_layers(len(random_checkpoint.VISION_SHAPES[shape]["vision"]["deepstack_visual_indexes"]))
        add_byte_tokenizer(writer, config["vocab_size"])
    else:
        writer = gguf.GGUFWriter(path, "qwen3")
        writer.add_tokenizer_model("no_vocab")
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


def add_tower_metadata(writer: gguf.GGUFWriter, v: dict) -> None:
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("qwen3vl_merger")
    writer.add_vision_use_gelu(True)
    writer.add_vision_image_size(round(v["num_position_embeddings"] ** 0.5) * v["patch_size"])
    writer.add_vision_patch_size(v["patch_size"])
    writer.add_vision_spatial_merge_size(v["spatial_merge_size"])
    writer.add_vision_embedding_length(v["hidden_size"])
    writer.add_vision_feed_forward_length(v["intermediate_size"])
    writer.add_vision_block_count(v["depth"])
    writer.add_vision_head_count(v["num_heads"])
    writer.add_vision_projection_dim(v["out_hidden_size"])
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)


def write_tower(path: pathlib.Path, shape: str, dtype: str, seed: int = 1) -> None:
    vision, random = random_checkpoint.VISION_SHAPES[shape]["vision"], np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "clip")
    add_tower_metadata(writer, vision)
    for name, dims in tower_tensors(vision):
        tensor = random_tower_tensor(random, name, dims, dtype)
        raw = gguf.GGMLQuantizationType.BF16 if tensor.dtype == np.uint16 else None
        writer.add_tensor(name, tensor, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=[*random_checkpoint.SHAPES, *random_checkpoint.VISION_SHAPES])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vision", choices=["f32", "f16", "bf16"], help="write the vision tower, with matrices of this type")
    args = parser.parse_args()
    if args.vision:
        write_tower(args.out, args.shape, args.vision, args.seed)
    else:
        write_decoder(args.out, args.shape, args.seed)


if __name__ == "__main__":
    main()
