"""The configs of the families that have a function of their own, and what all tiny checkpoints share."""

VOCAB_SIZE = 151  # prime: a multiple of nothing convenient
EOS, VISION_START, VISION_END, IMAGE, VIDEO = 1, 140, 141, 142, 143
SPECIAL = {EOS, VISION_START, VISION_END, IMAGE, VIDEO}


def qwen3(**changes) -> dict:
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "rope_scaling": None,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "sliding_window": None,
        "use_sliding_window": False,
        "max_window_layers": 2,
        "bos_token_id": 0,
        "eos_token_id": EOS,
        "torch_dtype": "float32",
        "use_cache": True,
    }
    return config | changes


def llama(**changes) -> dict:
    """Llama's fields; sizes are odd on purpose: 3 query heads a kv head, an MLP of no convenient width."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 48,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": EOS,
        "torch_dtype": "bfloat16",
    }
    return config | changes


def lfm2(**changes) -> dict:
    """LFM2's fields: three convolutions and two layers of attention."""
    config = {
        "architectures": ["Lfm2ForCausalLM"],
        "model_type": "lfm2",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 48,
        "num_hidden_layers": 5,
        "num_attention_heads": 6,
        "num_heads": 6,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "norm_eps": 1e-5,
        "conv_bias": True,
        "conv_L_cache": 3,
        "conv_dim": 48,
        "block_dim": 48,
        "block_ff_dim": 66,
        "block_multiple_of": 8,
        "block_ffn_dim_multiplier": 1.1,
        "block_auto_adjust_ff_dim": True,
        "full_attn_idxs": [1, 4],
        "rope_theta": 1000000.0,
        "tie_embedding": True,
        "eos_token_id": EOS,
        "torch_dtype": "bfloat16",
    }
    return config | changes


def qwen3_5(**changes) -> dict:
    """Qwen3.5's text part: gated delta layers with 3 value heads a key head, attention every third layer."""
    config = llama(
        model_type="qwen3_5_text",
        num_hidden_layers=4,
        hidden_size=48,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=24,
        rms_norm_eps=1e-5,
        full_attention_interval=3,
        linear_num_key_heads=2,
        linear_num_value_heads=6,
        linear_key_head_dim=12,
        linear_value_head_dim=20,
        linear_conv_kernel_dim=4,
        rope_parameters={
            "rope_type": "default",
            "mrope_section": [1, 1, 1],
            "mrope_interleaved": True,
            "partial_rotary_factor": 0.25,
            "rope_theta": 100000.0,
        },
    )
    del config["rope_theta"]
    return config | changes


def gemma3_text(**changes) -> dict:
    config = {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 40,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 24,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
        "query_pre_attn_scalar": 20,
        "sliding_window": 9,
        "sliding_window_pattern": 3,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "max_position_embeddings": 256,
        "bos_token_id": 0,
        "eos_token_id": EOS,
        "torch_dtype": "bfloat16",
    }
    return config | changes


def ministral3(**changes) -> dict:
    return llama(
        architectures=["Ministral3ForCausalLM"],
        model_type="ministral3",
        head_dim=16,
        rope_parameters={
            "rope_type": "yarn",
            "type": "yarn",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "mscale": 1.0,
            "mscale_all_dim": 0.5,
            "original_max_position_embeddings": 16,
            "llama_4_scaling_beta": 0.3,
        },
    ) | changes


def qwen3_vl(text: dict, vision: dict, tied: bool, dtype: str) -> dict:
    text_config = {
        "model_type": "qwen3_vl_text",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 5000,
        # 8 frequencies: T takes 0, 3, 6, 7; H takes 1, 4; W takes 2, 5
        "rope_scaling": {
            "mrope_interleaved": True,
            "mrope_section": [4, 2, 2],
            "rope_type": "default",
        },
        "max_position_embeddings": 512,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": EOS,
        "tie_word_embeddings": tied,
        "dtype": dtype,
    } | text
    vision_config = {
        "model_type": "qwen3_vl",
        "depth": 3,
        "hidden_size": 32,
        "num_heads": 2,
        "intermediate_size": 48,
        "in_channels": 3,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 49,  # a 7 x 7 table
        "out_hidden_size": text_config["hidden_size"],
        "deepstack_visual_indexes": [0, 1, 2],
        "hidden_act": "gelu_pytorch_tanh",
    } | vision
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "image_token_id": IMAGE,
        "video_token_id": VIDEO,
        "vision_start_token_id": VISION_START,
        "vision_end_token_id": VISION_END,
        "tie_word_embeddings": tied,
        "torch_dtype": dtype,
        "text_config": text_config,
        "vision_config": vision_config,
    }


def qwen3_5_vision(text: dict, vision: dict, kind: str = "qwen3_5", tied: bool = False) -> dict:
    """Qwen3.5 with Qwen3-VL's tower, which has no DeepStack here."""
    text_config = qwen3_5(
        model_type=f"{kind}_text",
        hidden_size=40,
        num_hidden_layers=2,
        full_attention_interval=2,
        num_attention_heads=2,
        head_dim=16,
        linear_num_value_heads=4,
        linear_key_head_dim=8,
        linear_value_head_dim=10,
        tie_word_embeddings=tied,
        rope_parameters={
            "rope_type": "default",
            "mrope_section": [1, 1, 1],
            "mrope_interleaved": True,
            "partial_rotary_factor": 0.375,
            "rope_theta": 100000.0,
        },
    ) | text
    vision_config = {
        "model_type": kind,
        "depth": 2,
        "hidden_size": 16,
        "num_heads": 2,
        "intermediate_size": 24,
        "in_channels": 3,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 49,
        "out_hidden_size": text_config["hidden_size"],
        "deepstack_visual_indexes": [],
        "hidden_act": "gelu_pytorch_tanh",
    } | vision
    return {
        "architectures": ["Qwen3_5ForConditionalGeneration"],
        "model_type": kind,
        "image_token_id": IMAGE,
        "video_token_id": VIDEO,
        "vision_start_token_id": VISION_START,
        "vision_end_token_id": VISION_END,
        "tie_word_embeddings": tied,
        "eos_token_id": EOS,
        "torch_dtype": "bfloat16",
        "text_config": text_config,
        "vision_config": vision_config,
    }
