"""Tiny checkpoints of the families beyond Llama, Qwen3 and Gemma: their configs and layouts.

Sizes are odd on purpose: expert counts that divide nothing, windows shorter than a page and than the prompt.
"""

from family_weights import Layout


def _config(kind: str, **changes) -> dict:
    return {
        "model_type": kind,
        "vocab_size": 151,
        "hidden_size": 48,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "bfloat16",
    } | changes


def _qwen3_moe(**changes) -> dict:
    return _config(
        "qwen3_moe",
        head_dim=8,
        num_experts=5,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        decoder_sparse_step=1,
        mlp_only_layers=[],
        norm_topk_prob=True,
    ) | changes


QWEN3_MOE = Layout(qk_norm="head", experts="qwen3_moe")

# (name, config, layout, what Checkpoint takes beside them)
FAMILIES = [
    (
        "qwen3_moe-bf16",
        _qwen3_moe(
            num_hidden_layers=3,
            hidden_size=40,
            intermediate_size=16,
            moe_intermediate_size=12,
            mlp_only_layers=[1],
            tie_word_embeddings=False,
        ),
        QWEN3_MOE,
        {},
    ),
    (
        "qwen3_moe-mlx-4bit",
        _qwen3_moe(
            hidden_size=64,
            num_experts=7,
            num_experts_per_tok=3,
            moe_intermediate_size=32,
            decoder_sparse_step=2,
            norm_topk_prob=False,
        ),
        QWEN3_MOE,
        {
            "group_size": 32,
            "overrides": {
                "model.layers.1.mlp.gate": {"group_size": 32, "bits": 8},
                "model.layers.1.mlp.switch_mlp.down_proj": {"group_size": 32, "bits": 6},
            },
        },
    ),
    (
        "qwen2_moe-bf16",
        _config(
            "qwen2_moe",
            num_experts=4,
            num_experts_per_tok=3,
            moe_intermediate_size=16,
            shared_expert_intermediate_size=24,
            norm_topk_prob=False,
            decoder_sparse_step=1,
            use_sliding_window=False,
            tie_word_embeddings=False,
        ),
        Layout(qkv_bias=True, experts="qwen2_moe"),
        {},
    ),
    (
        "mixtral-bf16",
        _config(
            "mixtral",
            intermediate_size=24,
            num_local_experts=3,
            num_experts_per_tok=2,
            sliding_window=None,
            router_jitter_noise=0.0,
        ),
        Layout(experts="mixtral"),
        {},
    ),
    (
        "olmoe-mlx-8bit",
        _config(
            "olmoe",
            hidden_size=64,
            num_attention_heads=4,
            num_experts=3,
            num_experts_per_tok=2,
            norm_topk_prob=False,
            clip_qkv=None,
        ),
        Layout(qk_norm="row", experts="olmoe"),
        {"group_size": 32, "bits": 8},
    ),
    (
        "granite-bf16",
        _config(
            "granite",
            attention_multiplier=0.3,
            embedding_multiplier=6.0,
            residual_multiplier=0.7,
            logits_scaling=0.5,
            mlp_bias=False,
        ),
        Layout(),
        {},
    ),
    (
        "granitemoe-bf16",
        _config(
            "granitemoe",
            intermediate_size=16,
            num_local_experts=5,
            num_experts_per_tok=2,
            attention_multiplier=0.3,
            embedding_multiplier=6.0,
            residual_multiplier=0.7,
            logits_scaling=0.5,
        ),
        Layout(experts="granitemoe"),
        {},
    ),
    (
        "glm4_moe-bf16",
        _config(
            "glm4_moe",
            hidden_size=40,
            head_dim=8,
            num_attention_heads=5,
            num_key_value_heads=1,
            attention_bias=True,
            use_qk_norm=True,
            partial_rotary_factor=0.5,
            rope_scaling=None,
            moe_intermediate_size=16,
            n_routed_experts=8,
            n_shared_experts=1,
            num_experts_per_tok=3,
            n_group=4,
            topk_group=2,
            routed_scaling_factor=1.5,
            norm_topk_prob=True,
            first_k_dense_replace=1,
            num_nextn_predict_layers=1,
            tie_word_embeddings=False,
        ),
        Layout(qkv_bias=True, qk_norm="head", experts="glm4_moe"),
        {},
    ),
]
