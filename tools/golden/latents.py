"""Tiny checkpoints of the families with multi-head latent attention: configs and layouts, as families.py has them."""

from families import _config
from family_weights import Layout
from latent_weights import latent_weights

LATENT = Layout(weights=latent_weights)


def _latent(kind: str, **changes) -> dict:
    """Keys of 24 + 8 numbers, five heads; no size divides another but where a quantization asks for it."""
    return _config(
        kind,
        hidden_size=40,
        num_attention_heads=5,
        num_key_value_heads=5,
        q_lora_rank=20,
        kv_lora_rank=24,
        qk_rope_head_dim=8,
        qk_nope_head_dim=12,
        v_head_dim=20,
        moe_intermediate_size=12,
        n_routed_experts=8,
        n_shared_experts=1,
        num_experts_per_tok=3,
        n_group=4,
        topk_group=2,
        routed_scaling_factor=1.5,
        norm_topk_prob=True,
        moe_layer_freq=1,
        first_k_dense_replace=1,
        rope_scaling=None,
        tie_word_embeddings=False,
    ) | changes


NOAUX = {"topk_method": "noaux_tc", "scoring_func": "sigmoid"}
# Of whole groups of 32.
ROUND = {
    "hidden_size": 64,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "kv_lora_rank": 64,
    "qk_rope_head_dim": 32,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
    "moe_intermediate_size": 32,
    "n_routed_experts": 3,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
}


def _yarn(kind: str, mscale: float, all_dim: float) -> dict:
    return {
        "type": kind,
        "factor": 8.0,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": mscale,
        "mscale_all_dim": all_dim,
        "original_max_position_embeddings": 16,
    }


LATENTS = [
    (
        "glm4_moe_lite-bf16",
        _latent("glm4_moe_lite", attention_bias=True, num_nextn_predict_layers=1, **NOAUX),
        LATENT,
        {},
    ),
    (
        "glm4_moe_lite-mlx-4bit",
        # Five experts: with three a row is so nearly tied that pages of 8 bits send it to another one.
        _latent("glm4_moe_lite", q_lora_rank=32, **NOAUX) | ROUND | {"n_routed_experts": 5},
        LATENT,
        {"group_size": 32},
    ),
    (
        "deepseek_v2-bf16",
        _latent(
            "deepseek_v2",
            topk_method="group_limited_greedy",
            scoring_func="softmax",
            norm_topk_prob=False,
            n_routed_experts=9,
            n_group=3,
            num_hidden_layers=2,
            attention_bias=True,
            rope_scaling=_yarn("yarn", 0.707, 0.707),
        ),
        LATENT,
        {},
    ),
    (
        # mlx-lm leaves kv_b_proj whole, and so quantized along the latent.
        "deepseek_v2-mlx-8bit",
        _latent(
            "deepseek_v2",
            q_lora_rank=None,
            topk_method="greedy",
            scoring_func="softmax",
            norm_topk_prob=False,
            n_shared_experts=None,
            rope_scaling=_yarn("deepseek_yarn", 1.0, 0.5),
        )
        | ROUND,
        LATENT,
        {"group_size": 32, "bits": 8},
    ),
    (
        "deepseek_v3-bf16",
        _latent(
            "deepseek_v3",
            num_hidden_layers=3,
            intermediate_size=16,
            num_attention_heads=3,
            q_lora_rank=None,
            kv_lora_rank=40,
            moe_layer_freq=2,
            n_shared_experts=2,
            num_nextn_predict_layers=1,
            rope_scaling=_yarn("yarn", 1.0, 1.0),
            **NOAUX,
        ),
        LATENT,
        {},
    ),
    (
        "kimi_k2-mlx-4bit",
        _latent("kimi_k2", q_lora_rank=32, rope_scaling=_yarn("yarn", 1.0, 0.5), **NOAUX) | ROUND,
        LATENT,
        {"group_size": 32},
    ),
    (
        "mistral4-bf16",
        _latent(
            "mistral4",
            rope_interleave=False,
            first_k_dense_replace=0,
            num_attention_heads=3,
            rope_parameters=_yarn("yarn", 1.0, 0.5)
            | {"rope_type": "yarn", "rope_theta": 10000.0, "llama_4_scaling_beta": 0.3},
        ),
        LATENT,
        {},
    ),
]
