"""Tiny checkpoints of the families beyond Llama, Qwen3 and Gemma: their configs and layouts.

Sizes are odd on purpose: expert counts that divide nothing, windows shorter than a page and than the prompt.
"""

from configs import EOS, VOCAB_SIZE
from family_weights import Layout


def _config(kind: str, **changes) -> dict:
    return {
        "model_type": kind,
        "vocab_size": VOCAB_SIZE,
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
        "eos_token_id": EOS,
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


def _qwen3(**changes) -> dict:
    return _config(
        "qwen3", hidden_size=64, intermediate_size=64, num_attention_heads=4, head_dim=16
    ) | changes


def _gpt_oss(**changes) -> dict:
    return _config(
        "gpt_oss",
        hidden_size=64,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=16,
        attention_bias=True,
        num_local_experts=5,
        num_experts_per_tok=2,
        sliding_window=9,
        layer_types=["sliding_attention", "full_attention"],
        swiglu_limit=7.0,
        rope_theta=1000.0,
        rope_scaling={
            "rope_type": "yarn",
            "factor": 8.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "original_max_position_embeddings": 16,
        },
        tie_word_embeddings=False,
    ) | changes


POST_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
GPT_OSS = Layout(qkv_bias=True, output_bias=True, sinks=True, experts="gpt_oss")
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
    (
        "gpt_oss-bf16",
        _gpt_oss(),
        GPT_OSS,
        {"mxfp4": True},
    ),
    (
        # mlx-lm's own conversion: attention in 8 bits, experts stay as they are.
        "gpt_oss-mlx-mxfp4",
        _gpt_oss(layer_types=["full_attention", "sliding_attention"], num_experts_per_tok=3),
        GPT_OSS,
        {"mxfp4": True, "group_size": 32, "bits": 8},
    ),
    ("qwen3-mlx-mxfp4", _qwen3(), Layout(qk_norm="head"), {"group_size": 32, "mode": "mxfp4"}),
    (
        "qwen3-mlx-mxfp8",
        _qwen3(num_hidden_layers=1),
        Layout(qk_norm="head"),
        {"group_size": 32, "bits": 8, "mode": "mxfp8"},
    ),
    (
        "qwen3_moe-mlx-nvfp4",
        _qwen3_moe(hidden_size=64, num_experts=4, moe_intermediate_size=32, num_hidden_layers=1),
        QWEN3_MOE,
        {"group_size": 16, "mode": "nvfp4"},
    ),
    (
        "smollm3-bf16",
        _config("smollm3", no_rope_layers=[1, 0], no_rope_layer_interval=2, use_sliding_window=False),
        Layout(),
        {},
    ),
    (
        "phi3-bf16",
        _config(
            "phi3",
            num_attention_heads=3,
            num_key_value_heads=1,
            partial_rotary_factor=0.75,
            original_max_position_embeddings=16,
            rope_scaling={
                "type": "longrope",
                "short_factor": [1.0] * 6,
                "long_factor": [1.0, 1.1, 1.3, 1.7, 2.5, 4.0],
            },
            sliding_window=None,
        ),
        Layout(fused_qkv=True, fused_gate_up=True),
        {},
    ),
    (
        "olmo2-bf16",
        _config("olmo2", tie_word_embeddings=False),
        Layout(qk_norm="row", norms=POST_NORMS, embed=1.0),
        {},
    ),
    (
        "olmo3-bf16",
        _config(
            "olmo3",
            num_hidden_layers=4,
            intermediate_size=16,
            sliding_window=9,
            rope_scaling={
                "rope_type": "yarn",
                "factor": 8.0,
                "beta_fast": 32,
                "beta_slow": 1,
                "attention_factor": 1.2079441541679836,
                "original_max_position_embeddings": 16,
            },
        ),
        Layout(qk_norm="row", norms=POST_NORMS, embed=1.0),
        {},
    ),
    (
        "glm4-bf16",
        _config(
            "glm4",
            head_dim=16,
            num_attention_heads=3,
            num_key_value_heads=1,
            attention_bias=True,
            partial_rotary_factor=0.5,
            tie_word_embeddings=False,
        ),
        Layout(
            qkv_bias=True,
            fused_gate_up=True,
            norms=(
                "input_layernorm",
                "post_self_attn_layernorm",
                "post_attention_layernorm",
                "post_mlp_layernorm",
            ),
        ),
        {},
    ),
    (
        "exaone4-bf16",
        _config(
            "exaone4",
            head_dim=8,
            num_hidden_layers=3,
            sliding_window=9,
            sliding_window_pattern="LG",
            rope_scaling={
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        ),
        Layout(qk_norm="head", norms=POST_NORMS, embed=1.0),
        {},
    ),
    (
        "cohere2-bf16",
        _config(
            "cohere2",
            head_dim=8,
            layer_norm_eps=1e-3,
            logit_scale=0.7,
            sliding_window=9,
            sliding_window_pattern=2,
        ),
        Layout(norms=("input_layernorm",)),
        {},
    ),
    (
        "seed_oss-bf16",
        _config(
            "seed_oss",
            head_dim=8,
            attention_bias=True,
            attention_out_bias=False,
            tie_word_embeddings=False,
        ),
        Layout(qkv_bias=True),
        {},
    ),
    (
        "ernie4_5-bf16",
        _config("ernie4_5", head_dim=8, use_bias=True),
        Layout(qkv_bias=True, output_bias=True, mlp_bias=True),
        {},
    ),
    (
        "gemma2-bf16",
        _config(
            "gemma2",
            head_dim=16,
            num_attention_heads=3,
            num_key_value_heads=1,
            hidden_activation="gelu_pytorch_tanh",
            hidden_act="gelu_pytorch_tanh",
            query_pre_attn_scalar=20,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0,
            sliding_window=64,
        ),
        Layout(
            norms=(
                "input_layernorm",
                "post_attention_layernorm",
                "pre_feedforward_layernorm",
                "post_feedforward_layernorm",
            ),
            norm_mean=0.0,
            embed=0.4 / 48**0.5,
        ),
        {},
    ),
]
