"""Seeded random weights under the names and shapes of published checkpoints.

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


def _is_gemma(config: dict) -> bool:
    return config["model_type"].startswith("gemma3")


def _norms(out: dict, layer: str, config: dict):
    """The norms around attention and MLP; Gemma has four and stores weight - 1."""
    names = ["input_layernorm", "post_attention_layernorm"]
    if _is_gemma(config):
        names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    for name in names:
        _rms_norm(out, f"{layer}.{name}", config["hidden_size"], 0.0 if _is_gemma(config) else 1.0)


def lfm2_weights(config: dict) -> dict[str, np.ndarray]:
    """LFM2 under its own names; attention where full_attn_idxs or layer_types say so."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = hidden // heads
    key = config["num_key_value_heads"] * head_dim
    inner = config.get("intermediate_size") or config["block_ff_dim"]
    if config["block_auto_adjust_ff_dim"]:
        multiple = config["block_multiple_of"]
        inner = int(config["block_ffn_dim_multiplier"] * int(2 * inner / 3))
        inner = (inner + multiple - 1) // multiple * multiple
    types = config.get("layer_types") or [
        "full_attention" if i in config["full_attn_idxs"] else "conv"
        for i in range(config["num_hidden_layers"])
    ]
    out: dict[str, np.ndarray] = {}
    name = "model.embed_tokens.weight"
    out[name] = _normal(name, (config["vocab_size"], hidden), 0.4)
    for i, kind in enumerate(types):
        layer = f"model.layers.{i}"
        _rms_norm(out, f"{layer}.operator_norm", hidden)
        _rms_norm(out, f"{layer}.ffn_norm", hidden)
        if kind == "full_attention":
            _linear(out, f"{layer}.self_attn.q_proj", hidden, hidden)
            _linear(out, f"{layer}.self_attn.k_proj", key, hidden)
            _linear(out, f"{layer}.self_attn.v_proj", key, hidden)
            _linear(out, f"{layer}.self_attn.out_proj", hidden, hidden)
            _rms_norm(out, f"{layer}.self_attn.q_layernorm", head_dim, mean=1.5)
            _rms_norm(out, f"{layer}.self_attn.k_layernorm", head_dim, mean=1.5)
        else:
            bias, taps = config["conv_bias"], config["conv_L_cache"]
            _linear(out, f"{layer}.conv.in_proj", 3 * hidden, hidden, bias=bias)
            _linear(out, f"{layer}.conv.out_proj", hidden, hidden, bias=bias)
            name = f"{layer}.conv.conv.weight"
            out[name] = _normal(name, (hidden, 1, taps), 1.0)
            if bias:
                name = f"{layer}.conv.conv.bias"
                out[name] = _normal(name, (hidden,), 0.2)
        _linear(out, f"{layer}.feed_forward.w1", inner, hidden, gain=1.5)
        _linear(out, f"{layer}.feed_forward.w3", inner, hidden)
        _linear(out, f"{layer}.feed_forward.w2", hidden, inner, gain=1.5)
    _rms_norm(out, "model.embedding_norm", hidden)
    return out


def _gated_delta(out: dict, name: str, config: dict):
    hidden, heads = config["hidden_size"], config["linear_num_value_heads"]
    keys = config["linear_num_key_heads"] * config["linear_key_head_dim"]
    values = heads * config["linear_value_head_dim"]
    _linear(out, f"{name}.in_proj_qkv", 2 * keys + values, hidden)
    _linear(out, f"{name}.in_proj_z", values, hidden)
    _linear(out, f"{name}.in_proj_b", heads, hidden)
    _linear(out, f"{name}.in_proj_a", heads, hidden)
    _linear(out, f"{name}.out_proj", hidden, values, gain=1.5)
    shape = (2 * keys + values, 1, config["linear_conv_kernel_dim"])
    out[f"{name}.conv1d.weight"] = _normal(f"{name}.conv1d.weight", shape, 0.8)
    # A memory of some tokens up to some dozens.
    out[f"{name}.A_log"] = _normal(f"{name}.A_log", (heads,), 0.7, mean=-1.5)
    out[f"{name}.dt_bias"] = _normal(f"{name}.dt_bias", (heads,), 0.5)
    _rms_norm(out, f"{name}.norm", config["linear_value_head_dim"])


def qwen3_5_weights(config: dict, prefix: str) -> dict[str, np.ndarray]:
    """Qwen3.5's text part; all norms but that of the gated delta layers are stored less one."""
    hidden, inner, head_dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, key_heads = config["num_attention_heads"], config["num_key_value_heads"]
    out: dict[str, np.ndarray] = {}
    name = f"{prefix}.embed_tokens.weight"
    out[name] = _normal(name, (config["vocab_size"], hidden), 0.4)
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}.layers.{i}"
        _rms_norm(out, f"{layer}.input_layernorm", hidden, 0.0)
        _rms_norm(out, f"{layer}.post_attention_layernorm", hidden, 0.0)
        if (i + 1) % config["full_attention_interval"] == 0:
            _linear(out, f"{layer}.self_attn.q_proj", 2 * heads * head_dim, hidden)
            _linear(out, f"{layer}.self_attn.k_proj", key_heads * head_dim, hidden)
            _linear(out, f"{layer}.self_attn.v_proj", key_heads * head_dim, hidden)
            _linear(out, f"{layer}.self_attn.o_proj", hidden, heads * head_dim, gain=1.5)
            _rms_norm(out, f"{layer}.self_attn.q_norm", head_dim, 0.5)
            _rms_norm(out, f"{layer}.self_attn.k_norm", head_dim, 0.5)
        else:
            _gated_delta(out, f"{layer}.linear_attn", config)
        _linear(out, f"{layer}.mlp.gate_proj", inner, hidden, gain=1.5)
        _linear(out, f"{layer}.mlp.up_proj", inner, hidden)
        _linear(out, f"{layer}.mlp.down_proj", hidden, inner, gain=1.5)
    _rms_norm(out, f"{prefix}.norm", hidden, 0.0)
    if not config["tie_word_embeddings"]:
        _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    return out


def _stored_experts(out: dict, name: str, config: dict):
    """Qwen3-VL's router, and its experts as banks [E, in, out] without a suffix."""
    hidden, inner, count = (config[k] for k in ("hidden_size", "moe_intermediate_size", "num_experts"))
    _linear(out, f"{name}.gate", count, hidden, gain=2.0)
    for bank, shape in (("gate_up_proj", (hidden, 2 * inner)), ("down_proj", (inner, hidden))):
        bank = f"{name}.experts.{bank}"
        out[bank] = _normal(bank, (count, *shape), 1.5 / shape[0] ** 0.5)


def text_weights(config: dict, prefix: str) -> dict[str, np.ndarray]:
    """The decoder. `prefix` is "model" for text models, "model.language_model" for the others."""
    if config["model_type"] == "lfm2":
        return lfm2_weights(config)
    if config["model_type"].startswith("qwen3_5"):
        return qwen3_5_weights(config, prefix)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    kind = config["model_type"]
    head_dim = config.get("head_dim", hidden // config["num_attention_heads"])
    query = config["num_attention_heads"] * head_dim
    key = config["num_key_value_heads"] * head_dim
    qkv_bias = config.get("attention_bias", False) or kind == "qwen2"
    mlp_bias = config.get("mlp_bias", False)
    out: dict[str, np.ndarray] = {}
    name = f"{prefix}.embed_tokens.weight"
    # Gemma multiplies by the square root of the width.
    embed = 0.4 / hidden**0.5 if _is_gemma(config) else 0.4
    out[name] = _normal(name, (config["vocab_size"], hidden), embed)
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}.layers.{i}"
        _norms(out, layer, config)
        # Without norms of heads, attention is peaked by its weights.
        normed = kind.startswith(("qwen3", "gemma3"))
        gain = 1.0 if normed else 1.4
        _linear(out, f"{layer}.self_attn.q_proj", query, hidden, gain, bias=qkv_bias)
        _linear(out, f"{layer}.self_attn.k_proj", key, hidden, gain, bias=qkv_bias)
        _linear(out, f"{layer}.self_attn.v_proj", key, hidden, bias=qkv_bias)
        _linear(out, f"{layer}.self_attn.o_proj", hidden, query, bias=config.get("attention_bias", False))
        if normed:
            mean = 0.5 if _is_gemma(config) else 1.5
            _rms_norm(out, f"{layer}.self_attn.q_norm", head_dim, mean=mean)
            _rms_norm(out, f"{layer}.self_attn.k_norm", head_dim, mean=mean)
        if i not in config.get("mlp_only_layers", [i]):
            _stored_experts(out, f"{layer}.mlp", config)
            continue
        _linear(out, f"{layer}.mlp.gate_proj", inner, hidden, gain=1.5, bias=mlp_bias)
        _linear(out, f"{layer}.mlp.up_proj", inner, hidden, bias=mlp_bias)
        _linear(out, f"{layer}.mlp.down_proj", hidden, inner, gain=1.5, bias=mlp_bias)
    _rms_norm(out, f"{prefix}.norm", hidden, 0.0 if _is_gemma(config) else 1.0)
    if not config.get("tie_word_embeddings", _is_gemma(config)):
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
