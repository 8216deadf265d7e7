#!/usr/bin/env python3
"""Writes a checkpoint of a real shape with seeded RANDOM weights, to measure speed where no weights can be downloaded.

  random_checkpoint.py SHAPE OUT_DIR [--bits 4] [--group-size 64] [--seed 1]      (needs numpy)

SHAPE is one of those below (dimensions of the published models' config.json). The weights are MLX affine quantized, in the
names and layout that mlx-lm writes, so that mlx-lm loads the same directory. Text out is meaningless. Most tokenizers know
single bytes only; the qwen3-vl-2b and 8b shapes can be served: they have the demo model's tokenizer and chat template.
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
# Vision-language models: a text model as above under "text", and the vision tower. This one has the tower of Qwen3-VL-2B and
# next to no text model, so that reading a picture takes as long as encoding it.
VISION_SHAPES = {
    "qwen3-vl-2b-tower": dict(
        text=dict(hidden_size=2048, num_hidden_layers=3, intermediate_size=256, num_attention_heads=2, num_key_value_heads=1,
                  vocab_size=320, tie_word_embeddings=True),
        vision=dict(depth=24, hidden_size=1024, num_heads=16, intermediate_size=4096, out_hidden_size=2048, in_channels=3,
                    patch_size=16, temporal_patch_size=2, spatial_merge_size=2, num_position_embeddings=2304,
                    deepstack_visual_indexes=[5, 11, 17])),
    "qwen3-vl-2b": dict(
        text=dict(hidden_size=2048, num_hidden_layers=28, intermediate_size=6144, num_attention_heads=16, num_key_value_heads=8,
                  tie_word_embeddings=True),
        vision=dict(depth=24, hidden_size=1024, num_heads=16, intermediate_size=4096, out_hidden_size=2048, in_channels=3,
                    patch_size=16, temporal_patch_size=2, spatial_merge_size=2, num_position_embeddings=2304,
                    deepstack_visual_indexes=[5, 11, 17])),
    "qwen3-vl-8b": dict(
        text=dict(hidden_size=4096, num_hidden_layers=36, intermediate_size=12288, num_attention_heads=32,
                  num_key_value_heads=8, tie_word_embeddings=False),
        vision=dict(depth=27, hidden_size=1152, num_heads=16, intermediate_size=4304, out_hidden_size=4096, in_channels=3,
                    patch_size=16, temporal_patch_size=2, spatial_merge_size=2, num_position_embeddings=2304,
                    deepstack_visual_indexes=[8, 16, 24])),
}
SERVABLE = ["qwen3-vl-2b", "qwen3-vl-8b"]
DEMO_MODEL = pathlib.Path(__file__).resolve().parents[1] / "assets/demo-model"
VISION_TOKENS = ["<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>", "<|im_end|>"]  # ids from 256 on
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

    def norm(self, name: str, size: int, bias: bool = False) -> None:
        self.tensors[name + ".weight"] = ("BF16", to_bfloat16(np.ones(size)))
        if bias:
            self.tensors[name + ".bias"] = ("BF16", to_bfloat16(np.zeros(size)))

    def plain(self, name: str, *shape: int, bias: bool = True) -> None:
        """A bfloat16 matrix (or convolution: its first dimension is the outputs) of normal values, and its bias."""
        fan_in = int(np.prod(shape[1:]))
        values = self.random.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan_in))
        self.tensors[name + ".weight"] = ("BF16", to_bfloat16(values))
        if bias:
            self.tensors[name + ".bias"] = ("BF16", to_bfloat16(np.zeros(shape[0])))

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


def add_decoder(out: Writer, c: dict, prefix: str = "") -> None:
    hidden, inner, head = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    queries, keys = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    out.matrix(f"{prefix}model.embed_tokens", c["vocab_size"], hidden)
    for i in range(c["num_hidden_layers"]):
        layer = f"{prefix}model.layers.{i}"
        for name, rows, columns in [("q_proj", queries, hidden), ("k_proj", keys, hidden), ("v_proj", keys, hidden),
                                    ("o_proj", hidden, queries)]:
            out.matrix(f"{layer}.self_attn.{name}", rows, columns)
        for name in ("q_norm", "k_norm"):
            out.norm(f"{layer}.self_attn.{name}", head)
        for name, rows, columns in [("gate_proj", inner, hidden), ("up_proj", inner, hidden), ("down_proj", hidden, inner)]:
            out.matrix(f"{layer}.mlp.{name}", rows, columns)
        for name in ("input_layernorm", "post_attention_layernorm"):
            out.norm(f"{layer}.{name}", hidden)
    out.norm(f"{prefix}model.norm", hidden)
    if not c["tie_word_embeddings"]:
        out.matrix(f"{prefix}lm_head", c["vocab_size"], hidden)


def add_merger(out: Writer, name: str, v: dict, norm_size: int) -> None:
    merged = v["hidden_size"] * v["spatial_merge_size"] ** 2
    out.norm(f"{name}.norm", norm_size, bias=True)
    out.plain(f"{name}.linear_fc1", merged, merged)
    out.plain(f"{name}.linear_fc2", v["out_hidden_size"], merged)


def add_tower(out: Writer, v: dict) -> None:
    """The vision tower, in bfloat16 as mlx-vlm leaves it when it quantizes a model."""
    hidden, inner, patch = v["hidden_size"], v["intermediate_size"], v["patch_size"]
    out.plain("vision_tower.patch_embed.proj", hidden, v["temporal_patch_size"], patch, patch, v["in_channels"])
    out.plain("vision_tower.pos_embed", v["num_position_embeddings"], hidden, bias=False)
    for i in range(v["depth"]):
        block = f"vision_tower.blocks.{i}"
        for name in ("norm1", "norm2"):
            out.norm(f"{block}.{name}", hidden, bias=True)
        for name, rows, columns in [("attn.qkv", 3 * hidden, hidden), ("attn.proj", hidden, hidden),
                                    ("mlp.linear_fc1", inner, hidden), ("mlp.linear_fc2", hidden, inner)]:
            out.plain(f"{block}.{name}", rows, columns)
    add_merger(out, "vision_tower.merger", v, hidden)
    for i in range(len(v["deepstack_visual_indexes"])):
        add_merger(out, f"vision_tower.deepstack_merger_list.{i}", v, hidden * v["spatial_merge_size"] ** 2)


def byte_tokenizer(special: list[str]) -> dict:
    """A byte-level tokenizer without merges: one token a byte, then the special tokens."""
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    others = [b for b in range(256) if b not in printable]
    letters = {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    added = [{"id": 256 + i, "content": token, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False} for i, token in enumerate(special)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": letters, "merges": []}}


def filled_tokenizer(vocab_size: int) -> dict:
    """The demo model's tokenizer with a made-up word for every further id: whatever a model says can be said back to it."""
    tokenizer = json.loads((DEMO_MODEL / "tokenizer.json").read_text())
    added = tokenizer["added_tokens"]
    used = 1 + max([*tokenizer["model"]["vocab"].values(), *(token["id"] for token in added)])
    added += [{"id": i, "content": f"<t{i}>", "special": False, "single_word": False, "lstrip": False, "rstrip": False,
               "normalized": False} for i in range(used, vocab_size)]
    return tokenizer


def text_files(shape: str, out: Writer) -> dict[str, dict]:
    """Adds the weights of a text model; returns its JSON files by name."""
    config = COMMON | SHAPES[shape]
    add_decoder(out, config)
    return {"config.json": config, "tokenizer.json": byte_tokenizer([]),
            "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}}


def vision_files(shape: str, out: Writer) -> dict[str, dict]:
    """The same of a vision-language model, in the names of mlx-vlm."""
    text, vision = COMMON | VISION_SHAPES[shape]["text"], VISION_SHAPES[shape]["vision"]
    tokenizer, tokenizer_config, special = speech(shape, text["vocab_size"])
    text |= dict(model_type="qwen3_vl_text", eos_token_id=special["<|im_end|>"], rope_theta=5000000.0,
                 max_position_embeddings=262144,
                 rope_scaling=dict(mrope_interleaved=True, mrope_section=[24, 20, 20], rope_type="default"))
    add_decoder(out, text, "language_model.")
    add_tower(out, vision)
    config = dict(model_type="qwen3_vl", architectures=["Qwen3VLForConditionalGeneration"], torch_dtype="bfloat16",
                  vision_start_token_id=special["<|vision_start|>"], image_token_id=special["<|image_pad|>"],
                  vision_end_token_id=special["<|vision_end|>"], video_token_id=special["<|video_pad|>"],
                  tie_word_embeddings=text["tie_word_embeddings"], text_config=text,
                  vision_config=vision | dict(model_type="qwen3_vl"))
    patches = dict(patch_size=vision["patch_size"], merge_size=2, temporal_patch_size=2, image_mean=[0.5] * 3,
                   image_std=[0.5] * 3, processor_class="Qwen3VLProcessor")
    picture = patches | dict(size=dict(shortest_edge=65536, longest_edge=16777216),
                             image_processor_type="Qwen2VLImageProcessorFast")
    video = patches | dict(size=dict(shortest_edge=4096, longest_edge=25165824), fps=2, min_frames=4, max_frames=768,
                           video_processor_type="Qwen3VLVideoProcessor")
    return {"config.json": config, "tokenizer.json": tokenizer, "tokenizer_config.json": tokenizer_config,
            "preprocessor_config.json": picture, "video_preprocessor_config.json": video}


def speech(shape: str, vocab_size: int) -> tuple[dict, dict, dict[str, int]]:
    """A vision-language model's tokenizer, its configuration with the chat template, and its special tokens' ids."""
    if shape in SERVABLE:
        tokenizer = filled_tokenizer(vocab_size)
        config = json.loads((DEMO_MODEL / "tokenizer_config.json").read_text())
    else:
        tokenizer = byte_tokenizer(VISION_TOKENS)
        template = "{% for m in messages %}{% for p in m.content %}<|vision_start|><|image_pad|><|vision_end|>{% endfor %}{% endfor %}"
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template}
    return tokenizer, config, {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=[*SHAPES, *VISION_SHAPES])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    weights = Writer(args.seed, args.bits, args.group_size)
    files = (text_files if args.shape in SHAPES else vision_files)(args.shape, weights)
    files["config.json"]["quantization"] = {"group_size": args.group_size, "bits": args.bits}
    args.out.mkdir(parents=True, exist_ok=True)
    weights.write(args.out / "model.safetensors")
    for name, content in files.items():
        (args.out / name).write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
