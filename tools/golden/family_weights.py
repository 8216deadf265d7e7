"""Seeded weights of families that are more than Llama by another name: experts, fused projections, other norms."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weights import _linear, _normal, _rms_norm


@dataclass(frozen=True)
class Layout:
    """What a family's config does not say of its tensors."""

    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: str = ""  # "head": [Dh], "row": [H * Dh]
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")
    experts: str = ""  # which of EXPERTS below
    mlp_bias: bool = False
    fused_qkv: bool = False  # qkv_proj
    fused_gate_up: bool = False  # mlp.gate_up_proj
    norm_mean: float = 1.0  # 0: the norms multiply by 1 + weight
    sinks: bool = False
    embed: float = 0.4  # how large the rows of the table are
    weights: Callable | None = None  # of the config: all tensors; the fields above don't matter then


def _bank(out: dict, name: str, count: int, rows: int, cols: int, gain: float = 1.0):
    """A tensor [E, rows, cols]."""
    out[name] = _normal(name, (count, rows, cols), gain / cols**0.5)


def _gated(
    out: dict, name: str, names: tuple[str, str, str], hidden: int, inner: int, bias: bool = False
):
    gate, up, down = names
    _linear(out, f"{name}.{gate}", inner, hidden, gain=1.5, bias=bias)
    _linear(out, f"{name}.{up}", inner, hidden, bias=bias)
    _linear(out, f"{name}.{down}", hidden, inner, gain=1.5, bias=bias)


GATED = ("gate_proj", "up_proj", "down_proj")


def _each_expert(out: dict, name: str, names: tuple, count: int, hidden: int, inner: int):
    for i in range(count):
        _gated(out, f"{name}.{i}", names, hidden, inner)


def _qwen3_moe(out: dict, layer: str, config: dict):
    hidden, inner = config["hidden_size"], config["moe_intermediate_size"]
    _linear(out, f"{layer}.mlp.gate", config["num_experts"], hidden, gain=2.0)
    _each_expert(out, f"{layer}.mlp.experts", GATED, config["num_experts"], hidden, inner)


def _qwen2_moe(out: dict, layer: str, config: dict):
    _qwen3_moe(out, layer, config)
    hidden = config["hidden_size"]
    _gated(out, f"{layer}.mlp.shared_expert", GATED, hidden, config["shared_expert_intermediate_size"])
    _linear(out, f"{layer}.mlp.shared_expert_gate", 1, hidden, gain=2.0)


def _olmoe(out: dict, layer: str, config: dict):
    _qwen3_moe(out, layer, config | {"moe_intermediate_size": config["intermediate_size"]})


def _mixtral(out: dict, layer: str, config: dict):
    hidden, inner, count = (config[k] for k in ("hidden_size", "intermediate_size", "num_local_experts"))
    name = f"{layer}.block_sparse_moe"
    _linear(out, f"{name}.gate", count, hidden, gain=2.0)
    _each_expert(out, f"{name}.experts", ("w1", "w3", "w2"), count, hidden, inner)


def _granitemoe(out: dict, layer: str, config: dict):
    hidden, inner, count = (config[k] for k in ("hidden_size", "intermediate_size", "num_local_experts"))
    name = f"{layer}.block_sparse_moe"
    _linear(out, f"{name}.router.layer", count, hidden, gain=2.0)
    _bank(out, f"{name}.input_linear.weight", count, 2 * inner, hidden, gain=1.5)
    _bank(out, f"{name}.output_linear.weight", count, hidden, inner, gain=1.5)


def _glm4_moe(out: dict, layer: str, config: dict):
    hidden, inner, count = (config[k] for k in ("hidden_size", "moe_intermediate_size", "n_routed_experts"))
    _linear(out, f"{layer}.mlp.gate", count, hidden, gain=2.0)
    name = f"{layer}.mlp.gate.e_score_correction_bias"
    out[name] = _normal(name, (count,), 0.2)
    _each_expert(out, f"{layer}.mlp.experts", GATED, count, hidden, inner)
    shared = config["n_shared_experts"] * inner
    _gated(out, f"{layer}.mlp.shared_experts", GATED, hidden, shared)


def _gpt_oss(out: dict, layer: str, config: dict):
    """Banks whose gates and ups alternate; checkpoints.py makes mxfp4 of them."""
    hidden, inner, count = (config[k] for k in ("hidden_size", "intermediate_size", "num_local_experts"))
    _linear(out, f"{layer}.mlp.router", count, hidden, gain=2.0, bias=True)
    name = f"{layer}.mlp.experts"
    _bank(out, f"{name}.gate_up_proj", count, 2 * inner, hidden, gain=3.0)
    # Small: pages of 4 bits send rows whose router is nearly tied to other experts. With the experts of exact pages the logits drift by a
    # third at most, at any gain; with their own by as much as the logits themselves.
    _bank(out, f"{name}.down_proj", count, hidden, inner, gain=0.4)
    for which, rows in (("gate_up_proj_bias", 2 * inner), ("down_proj_bias", hidden)):
        out[f"{name}.{which}"] = _normal(f"{name}.{which}", (count, rows), 0.3)


EXPERTS = {
    "gpt_oss": _gpt_oss,
    "qwen3_moe": _qwen3_moe,
    "qwen2_moe": _qwen2_moe,
    "olmoe": _olmoe,
    "mixtral": _mixtral,
    "granitemoe": _granitemoe,
    "glm4_moe": _glm4_moe,
}


def _has_experts(config: dict, layer: int) -> bool:
    dense = layer in config.get("mlp_only_layers", []) or layer < config.get("first_k_dense_replace", 0)
    return not dense and (layer + 1) % config.get("decoder_sparse_step", 1) == 0


def _attention(out: dict, name: str, config: dict, layout: Layout):
    hidden, heads, kv_heads = (
        config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    head_dim = config.get("head_dim", hidden // heads)
    gain = 1.0 if layout.qk_norm else 1.4
    if layout.sinks:
        out[f"{name}.sinks"] = _normal(f"{name}.sinks", (heads,), 1.0)
    if layout.fused_qkv:
        _linear(out, f"{name}.qkv_proj", (heads + 2 * kv_heads) * head_dim, hidden, gain)
        return _linear(out, f"{name}.o_proj", hidden, heads * head_dim)
    for which, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
        norm = layout.qk_norm and which != "v"
        _linear(
            out,
            f"{name}.{which}_proj",
            count * head_dim,
            hidden,
            gain=1.0 if which == "v" else gain,
            bias=layout.qkv_bias,
        )
        if norm:
            size = head_dim if layout.qk_norm == "head" else count * head_dim
            _rms_norm(out, f"{name}.{which}_norm", size, mean=1.5)
    _linear(out, f"{name}.o_proj", hidden, heads * head_dim, bias=layout.output_bias)


def family_weights(config: dict, layout: Layout) -> dict[str, np.ndarray]:
    """The tensors of a text model under their Hugging Face names."""
    if layout.weights:
        return layout.weights(config)
    hidden = config["hidden_size"]
    out: dict[str, np.ndarray] = {}
    name = "model.embed_tokens.weight"
    out[name] = _normal(
        name, (config["vocab_size"], hidden), layout.embed / config.get("embedding_multiplier", 1)
    )
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        for norm in layout.norms:
            _rms_norm(out, f"{layer}.{norm}", hidden, layout.norm_mean)
        _attention(out, f"{layer}.self_attn", config, layout)
        if layout.experts and _has_experts(config, i):
            EXPERTS[layout.experts](out, layer, config)
        elif layout.fused_gate_up:
            inner = config["intermediate_size"]
            _linear(out, f"{layer}.mlp.gate_up_proj", 2 * inner, hidden, gain=1.5)
            _linear(out, f"{layer}.mlp.down_proj", hidden, inner, gain=1.5)
        else:
            _gated(
                out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"], layout.mlp_bias
            )
    _rms_norm(out, "model.norm", hidden, layout.norm_mean)
    if not config["tie_word_embeddings"]:
        _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    for i in range(config.get("num_nextn_predict_layers", 0)):
        ahead = f"model.layers.{config['num_hidden_layers'] + i}.eh_proj"
        _linear(out, ahead, 8, 16)  # that predicts ahead, and is dropped
    return out
