"""Tiny checkpoints of Gemma 3n and 4: configs and weights, as families.py has them.

Heads of full attention are wider than those with a window; the last layers share keys and values, and carry tensors of their own in vain.
"""

import numpy as np

from configs import EOS, VOCAB_SIZE
from family_weights import GATED, Layout, _bank, _gated
from weights import _linear, _normal, _rms_norm


def _text(**changes) -> dict:
    """The layout of E2B and E4B: shared keys and values, layer inputs, MLPs of twice the width."""
    return {
        "model_type": "gemma4_text",
        "vocab_size": VOCAB_SIZE,
        "vocab_size_per_layer_input": VOCAB_SIZE,
        "hidden_size": 20,
        "hidden_size_per_layer_input": 6,
        "intermediate_size": 14,
        "num_hidden_layers": 5,
        "num_kv_shared_layers": 2,
        "layer_types": [
            "sliding_attention",
            "sliding_attention",
            "full_attention",
            "sliding_attention",
            "full_attention",
        ],
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "num_global_key_value_heads": None,
        "head_dim": 8,
        "global_head_dim": 16,
        "sliding_window": 9,
        "attention_k_eq_v": False,
        "attention_bias": False,
        "use_double_wide_mlp": True,
        "use_bidirectional_attention": None,
        "enable_moe_block": False,
        "num_experts": None,
        "top_k_experts": None,
        "moe_intermediate_size": None,
        "hidden_activation": "gelu_pytorch_tanh",
        "final_logit_softcapping": 6.0,
        "rms_norm_eps": 1e-3,
        "rope_parameters": {
            "full_attention": {
                "rope_type": "proportional",
                "partial_rotary_factor": 0.375,
                "rope_theta": 1000.0,
            },
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
        },
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": EOS,
        "dtype": "bfloat16",
    } | changes


def _experts(**changes) -> dict:
    """The layout of 26B-A4B: experts beside the MLP, keys that are values, no sharing and no layer inputs."""
    return _text(
        hidden_size_per_layer_input=0,
        num_hidden_layers=3,
        num_kv_shared_layers=0,
        layer_types=["sliding_attention", "full_attention", "full_attention"],
        num_attention_heads=6,
        num_key_value_heads=2,
        num_global_key_value_heads=3,
        head_dim=8,
        global_head_dim=16,
        attention_k_eq_v=True,
        use_double_wide_mlp=False,
        use_bidirectional_attention="vision",
        enable_moe_block=True,
        num_experts=5,
        top_k_experts=2,
        moe_intermediate_size=8,
    ) | changes


def _with_towers(text: dict) -> dict:
    return {
        "architectures": ["Gemma4ForConditionalGeneration"],
        "model_type": "gemma4",
        "vocab_size": VOCAB_SIZE,
        "eos_token_id": EOS,
        "image_token_id": 142,
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
        "text_config": text,
    }


def _attention(out: dict, name: str, config: dict, full: bool):
    hidden, heads, kv_heads = (
        config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    same = full and config.get("attention_k_eq_v")
    if same and config["num_global_key_value_heads"]:
        kv_heads = config["num_global_key_value_heads"]
    head_dim = config["global_head_dim" if full else "head_dim"]
    _linear(out, f"{name}.q_proj", heads * head_dim, hidden)
    _linear(out, f"{name}.k_proj", kv_heads * head_dim, hidden)
    if not same:
        _linear(out, f"{name}.v_proj", kv_heads * head_dim, hidden)
    _linear(out, f"{name}.o_proj", hidden, heads * head_dim)
    for which in ("q_norm", "k_norm"):
        _rms_norm(out, f"{name}.{which}", head_dim, mean=0.7)


def _experts_of_layer(out: dict, layer: str, config: dict):
    hidden, inner, count = (
        config[k] for k in ("hidden_size", "moe_intermediate_size", "num_experts")
    )
    # The router's input is of length 1.
    _linear(out, f"{layer}.router.proj", count, hidden, gain=2.0 * hidden**0.5)
    for which, size, std in (("scale", hidden, 0.2), ("per_expert_scale", count, 0.4)):
        out[f"{layer}.router.{which}"] = _normal(f"{layer}.router.{which}", (size,), std, 1.0)
    _bank(out, f"{layer}.experts.gate_up_proj", count, 2 * inner, hidden, gain=1.5)
    _bank(out, f"{layer}.experts.down_proj", count, hidden, inner, gain=1.5)
    for norm in (
        "post_feedforward_layernorm_1",
        "pre_feedforward_layernorm_2",
        "post_feedforward_layernorm_2",
    ):
        _rms_norm(out, f"{layer}.{norm}", hidden)


NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)


def _layer(out: dict, layer: str, config: dict, index: int):
    hidden, width = config["hidden_size"], config["hidden_size_per_layer_input"]
    # Branches add little, so that pages of 4 bits in three layers, which five read, move the logits no more than two layers do elsewhere.
    for norm in NORMS:
        _rms_norm(out, f"{layer}.{norm}", hidden, mean=0.35 if norm.startswith("post") else 0.6)
    full = config["layer_types"][index] == "full_attention"
    _attention(out, f"{layer}.self_attn", config, full)
    shared = index >= config["num_hidden_layers"] - config["num_kv_shared_layers"]
    wide = shared and config["use_double_wide_mlp"]
    _gated(out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"] * (2 if wide else 1))
    if config["enable_moe_block"]:
        _experts_of_layer(out, layer, config)
    if width:
        _linear(out, f"{layer}.per_layer_input_gate", width, hidden, gain=1.5)
        _linear(out, f"{layer}.per_layer_projection", hidden, width)
        _rms_norm(out, f"{layer}.post_per_layer_input_norm", hidden, mean=0.6)
    out[f"{layer}.layer_scalar"] = _normal(f"{layer}.layer_scalar", (1,), 0.1, 0.8)


def gemma4_weights(config: dict) -> dict[str, np.ndarray]:
    """The tensors under their Hugging Face names."""
    text = config.get("text_config", config)
    prefix = "model.language_model" if "text_config" in config else "model"
    hidden, count, width = (
        text[k] for k in ("hidden_size", "num_hidden_layers", "hidden_size_per_layer_input")
    )
    out: dict[str, np.ndarray] = {}
    name = f"{prefix}.embed_tokens.weight"
    out[name] = _normal(name, (text["vocab_size"], hidden), 0.6 / hidden**0.5)
    if width:
        name = f"{prefix}.embed_tokens_per_layer.weight"
        out[name] = _normal(name, (text["vocab_size"], count * width), 1 / width**0.5)
        _linear(out, f"{prefix}.per_layer_model_projection", count * width, hidden)
        _rms_norm(out, f"{prefix}.per_layer_projection_norm", width)
    for i in range(count):
        _layer(out, f"{prefix}.layers.{i}", text, i)
    _rms_norm(out, f"{prefix}.norm", hidden, mean=6.0)
    if "text_config" in config:
        _linear(out, "model.vision_tower.patch_embedder.input_proj", 8, 16)  # no part of the text
    return out


def _gemma3n() -> dict:
    """Three streams of which the second is active; gates of the first layer are sparse."""
    text = {
        "model_type": "gemma3n_text",
        "vocab_size": VOCAB_SIZE,
        "vocab_size_per_layer_input": 120,  # what lies behind it reads the first row
        "hidden_size": 20,
        "hidden_size_per_layer_input": 6,
        "intermediate_size": [14, 18, 14, 10, 22],
        "activation_sparsity_pattern": [0.8, 0.0, 0.6, 0.0, 0.0],
        "num_hidden_layers": 5,
        "num_kv_shared_layers": 2,
        "layer_types": [
            "sliding_attention",
            "sliding_attention",
            "full_attention",
            "sliding_attention",
            "full_attention",
        ],
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "sliding_window": 9,
        "hidden_activation": "gelu_pytorch_tanh",
        "final_logit_softcapping": 6.0,
        "rms_norm_eps": 1e-3,
        "rope_theta": 1000.0,
        "rope_local_base_freq": 100.0,
        "rope_scaling": None,
        "altup_num_inputs": 3,
        "altup_active_idx": 1,
        "altup_coef_clip": 0.5,
        "altup_correct_scale": True,
        "laurel_rank": 4,
        "max_position_embeddings": 256,
        "attention_bias": False,
    }
    return {
        "architectures": ["Gemma3nForConditionalGeneration"],
        "model_type": "gemma3n",
        "eos_token_id": EOS,
        "torch_dtype": "bfloat16",
        "text_config": text,
    }


def _gemma3n_layer(out: dict, layer: str, config: dict, index: int):
    hidden, width, streams, rank = (
        config[k]
        for k in (
            "hidden_size",
            "hidden_size_per_layer_input",
            "altup_num_inputs",
            "laurel_rank",
        )
    )
    for norm in NORMS:
        _rms_norm(out, f"{layer}.{norm}", hidden, mean=0.6)
    _attention(out, f"{layer}.self_attn", config, False)
    _gated(out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"][index])
    _linear(out, f"{layer}.laurel.linear_left", rank, hidden)
    _linear(out, f"{layer}.laurel.linear_right", hidden, rank)
    _rms_norm(out, f"{layer}.laurel.post_laurel_norm", hidden, mean=0.6)
    name = f"{layer}.altup"
    _linear(out, f"{name}.prediction_coefs", streams**2, streams, gain=0.6)
    _linear(out, f"{name}.correction_coefs", streams, streams, gain=0.6)
    # The router's input is 1 / hidden of a normed row.
    _linear(out, f"{name}.modality_router", streams, hidden, gain=1.5 * hidden)
    _rms_norm(out, f"{name}.router_norm", hidden)
    out[f"{name}.correct_output_scale"] = _normal(f"{name}.correct_output_scale", (hidden,), 0.3, 0.8)
    _linear(out, f"{layer}.per_layer_input_gate", width, hidden, gain=1.5)
    _linear(out, f"{layer}.per_layer_projection", hidden, width)
    _rms_norm(out, f"{layer}.post_per_layer_input_norm", hidden, mean=0.6)


def gemma3n_weights(config: dict) -> dict[str, np.ndarray]:
    """The tensors under their Hugging Face names."""
    text, prefix = config["text_config"], "model.language_model"
    hidden, count, width = (
        text[k] for k in ("hidden_size", "num_hidden_layers", "hidden_size_per_layer_input")
    )
    out: dict[str, np.ndarray] = {}
    name = f"{prefix}.embed_tokens.weight"
    out[name] = _normal(name, (text["vocab_size"], hidden), 0.6 / hidden**0.5)
    name = f"{prefix}.embed_tokens_per_layer.weight"
    rows = text["vocab_size_per_layer_input"]
    out[name] = _normal(name, (rows, count * width), 1 / width**0.5)
    _linear(out, f"{prefix}.per_layer_model_projection", count * width, hidden)
    _rms_norm(out, f"{prefix}.per_layer_projection_norm", width)
    for i in range(text["altup_num_inputs"] - 1):
        _linear(out, f"{prefix}.altup_projections.{i}", hidden, hidden)
        _linear(out, f"{prefix}.altup_unembed_projections.{i}", hidden, hidden)
    for i in range(count):
        _gemma3n_layer(out, f"{prefix}.layers.{i}", text, i)
    _rms_norm(out, f"{prefix}.norm", hidden, mean=6.0)
    _linear(out, "model.audio_tower.conformer.0.norm", 8, 16)  # no part of the text
    return out


GEMMA4 = Layout(weights=gemma4_weights)

# (name, config, layout, what Checkpoint takes beside them)
GEMMAS = [
    ("gemma3n-bf16", _gemma3n(), Layout(weights=gemma3n_weights), {}),
    ("gemma4_text-bf16", _text(), GEMMA4, {}),
    ("gemma4-bf16", _with_towers(_experts()), GEMMA4, {}),
    (
        # Everything at once, as mlx-lm's conversion writes it.
        "gemma4-mlx-4bit",
        _with_towers(
            _experts(
                hidden_size=32,
                hidden_size_per_layer_input=32,
                intermediate_size=32,
                num_kv_shared_layers=1,
                layer_types=["full_attention", "sliding_attention", "full_attention"],
                num_global_key_value_heads=None,
                head_dim=16,
                global_head_dim=32,
                num_experts=3,
                moe_intermediate_size=32,
                use_double_wide_mlp=True,
            )
        ),
        GEMMA4,
        {
            "group_size": 32,
            "overrides": {
                f"language_model.model.layers.{layer}.{module}": {"group_size": 32, "bits": bits}
                for layer, module, bits in [(i, "router.proj", 8) for i in range(3)]
                + [(1, "experts.switch_glu.down_proj", 6), (0, "self_attn.k_proj", 8)]
            },
        },
    ),
]
