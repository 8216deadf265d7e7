"""Seeded weights of the families with multi-head latent attention, under DeepSeek's names."""

import numpy as np

from family_weights import GATED, _bank, _each_expert, _gated, _has_experts
from weights import _linear, _normal, _rms_norm


def _attention(out: dict, name: str, config: dict):
    hidden, heads, bias = (config[k] for k in ("hidden_size", "num_attention_heads", "attention_bias"))
    plain, turned, latent, value, rank = (
        config[k]
        for k in ("qk_nope_head_dim", "qk_rope_head_dim", "kv_lora_rank", "v_head_dim", "q_lora_rank")
    )
    queries = heads * (plain + turned)
    if rank is None:
        _linear(out, f"{name}.q_proj", queries, hidden, gain=1.4)
    else:
        _linear(out, f"{name}.q_a_proj", rank, hidden, bias=bias)
        _rms_norm(out, f"{name}.q_a_layernorm", rank)
        _linear(out, f"{name}.q_b_proj", queries, rank, gain=1.4)
    _linear(out, f"{name}.kv_a_proj_with_mqa", latent + turned, hidden, bias=bias)
    _rms_norm(out, f"{name}.kv_a_layernorm", latent)
    _linear(out, f"{name}.kv_b_proj", heads * (plain + value), latent)
    _linear(out, f"{name}.o_proj", hidden, heads * value, bias=bias)


def _experts(out: dict, name: str, config: dict):
    hidden, inner, count = (config[k] for k in ("hidden_size", "moe_intermediate_size", "n_routed_experts"))
    _linear(out, f"{name}.gate", count, hidden, gain=2.0)
    if config.get("topk_method") == "noaux_tc":
        key = f"{name}.gate.e_score_correction_bias"
        out[key] = _normal(key, (count,), 0.2)
    if config["model_type"] == "mistral4":
        _bank(out, f"{name}.experts.gate_up_proj", count, 2 * inner, hidden, gain=1.5)
        _bank(out, f"{name}.experts.down_proj", count, hidden, inner, gain=1.5)
    else:
        _each_expert(out, f"{name}.experts", GATED, count, hidden, inner)
    if config.get("n_shared_experts"):
        _gated(out, f"{name}.shared_experts", GATED, hidden, config["n_shared_experts"] * inner)


def latent_weights(config: dict) -> dict[str, np.ndarray]:
    """All tensors; what predicts ahead is one that is dropped. mlx-lm drops DeepSeek-V3's by its number."""
    hidden = config["hidden_size"]
    out: dict[str, np.ndarray] = {}
    name = "model.embed_tokens.weight"
    out[name] = _normal(name, (config["vocab_size"], hidden), 0.4)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        _rms_norm(out, f"{layer}.input_layernorm", hidden)
        _rms_norm(out, f"{layer}.post_attention_layernorm", hidden)
        _attention(out, f"{layer}.self_attn", config)
        routed = "n_routed_experts" in config and _has_experts(config, i)
        if routed and i % config.get("moe_layer_freq", 1) == 0:
            _experts(out, f"{layer}.mlp", config)
        else:
            _gated(out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"])
    _rms_norm(out, "model.norm", hidden)
    if not config["tie_word_embeddings"]:
        _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    if config.get("num_nextn_predict_layers"):
        ahead = 61 if config["model_type"] == "deepseek_v3" else config["num_hidden_layers"]
        _linear(out, f"model.layers.{ahead}.eh_proj", 8, 16)
    return out
