"""Seeded random weights under the names and shapes of published Qwen3 and Qwen3-VL checkpoints.

The scales are chosen so that every part matters: attention is peaked rather than uniform, the
residual stream is not dominated by the embedding, and logits spread over several units. A wrong
rope, norm or merge order then moves the logits far more than the tests allow.
"""

import zlib

import numpy as np

SEED = 20261122


def _normal(name: str, shape: tuple[int, ...], std: float, mean: float = 0.0) -> np.ndarray:
    """Depends on the name and shape alone, so adding a tensor leaves the others as they are."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    return (mean + std * rng.standard_normal(shape)).astype(np.float32)


def _linear(out: dict, name: str, rows: int, cols: int, gain: float = 1.0, bias: bool = False):
    out[f"{name}.weight"] = _normal(f"{name}.weight", (rows, cols), gain / cols**0.5)
    if bias:
        out[f"{name}.bias"] = _normal(f"{name}.bias", (rows,), 0.2)


def _layer_norm(out: dict, name: str, dim: int):
    out[f"{name}.weight"] = _normal(f"{name}.weight", (dim,), 0.2, mean=1.0)
    out[f"{name}.bias"] = _normal(f"{name}.bias", (dim,), 0.1)


def _rms_norm(out: dict, name: str, dim: int, mean: float = 1.0):
    out[f"{name}.weight"] = _normal(f"{name}.weight", (dim,), 0.2, mean)


def text_weights(config: dict, prefix: str) -> dict[str, np.ndarray]:
    """The decoder. `prefix` is "model" for Qwen3, "model.language_model" for Qwen3-VL."""
    hidden, inner, head_dim = (
        config["hidden_size"],
        config["intermediate_size"],
        config["head_dim"],
    )
    query = config["num_attention_heads"] * head_dim
    key = config["num_key_value_heads"] * head_dim
    out: dict[str, np.ndarray] = {}
    name = f"{prefix}.embed_tokens.weight"
    out[name] = _normal(name, (config["vocab_size"], hidden), 0.4)
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}.layers.{i}"
        _rms_norm(out, f"{layer}.input_layernorm", hidden)
        _linear(out, f"{layer}.self_attn.q_proj", query, hidden)
        _linear(out, f"{layer}.self_attn.k_proj", key, hidden)
        _linear(out, f"{layer}.self_attn.v_proj", key, hidden)
        _linear(out, f"{layer}.self_attn.o_proj", hidden, query)
        _rms_norm(out, f"{layer}.self_attn.q_norm", head_dim, mean=1.5)
        _rms_norm(out, f"{layer}.self_attn.k_norm", head_dim, mean=1.5)
        _rms_norm(out, f"{layer}.post_attention_layernorm", hidden)
        _linear(out, f"{layer}.mlp.gate_proj", inner, hidden, gain=1.5)
        _linear(out, f"{layer}.mlp.up_proj", inner, hidden)
        _linear(out, f"{layer}.mlp.down_proj", hidden, inner, gain=1.5)
    _rms_norm(out, f"{prefix}.norm", hidden)
    if not config["tie_word_embeddings"]:
        _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    return out


def vision_weights(config: dict, prefix: str = "model.visual") -> dict[str, np.ndarray]:
    """The vision tower with its main merger and one DeepStack merger a tap."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    merged = hidden * config["spatial_merge_size"] ** 2
    patch = (config["in_channels"], config["temporal_patch_size"]) + (config["patch_size"],) * 2
    out: dict[str, np.ndarray] = {}
    name = f"{prefix}.patch_embed.proj"
    out[f"{name}.weight"] = _normal(f"{name}.weight", (hidden, *patch), 2 / np.prod(patch) ** 0.5)
    out[f"{name}.bias"] = _normal(f"{name}.bias", (hidden,), 0.2)
    name = f"{prefix}.pos_embed.weight"
    out[name] = _normal(name, (config["num_position_embeddings"], hidden), 0.5)
    for i in range(config["depth"]):
        block = f"{prefix}.blocks.{i}"
        _layer_norm(out, f"{block}.norm1", hidden)
        _layer_norm(out, f"{block}.norm2", hidden)
        _linear(out, f"{block}.attn.qkv", 3 * hidden, hidden, gain=1.4, bias=True)
        _linear(out, f"{block}.attn.proj", hidden, hidden, bias=True)
        _linear(out, f"{block}.mlp.linear_fc1", inner, hidden, gain=2.0, bias=True)
        _linear(out, f"{block}.mlp.linear_fc2", hidden, inner, bias=True)
    mergers = {f"{prefix}.merger": hidden}
    for j in range(len(config["deepstack_visual_indexes"])):
        mergers[f"{prefix}.deepstack_merger_list.{j}"] = merged
    for merger, norm_dim in mergers.items():
        _layer_norm(out, f"{merger}.norm", norm_dim)
        _linear(out, f"{merger}.linear_fc1", merged, merged, gain=1.5, bias=True)
        _linear(out, f"{merger}.linear_fc2", config["out_hidden_size"], merged, bias=True)
    return out
