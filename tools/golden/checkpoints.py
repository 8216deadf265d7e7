"""The tiny checkpoints: their configs, and how each is laid out on disk.

Unquantized ones carry the Hugging Face names. Quantized ones are made from such a checkpoint by
mlx-lm's and mlx-vlm's own loading and quantizing code, so names and layouts are theirs.
"""

import copy
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx_lm.utils
import mlx_vlm.quant_utils
import mlx_vlm.utils
from mlx.utils import tree_flatten, tree_map

import weights
from families import FAMILIES
from family_weights import Layout, family_weights
from safetensors_io import save, save_json

VOCAB_SIZE = 151  # prime: a multiple of nothing convenient
EOS, VISION_START, VISION_END, IMAGE, VIDEO = 1, 140, 141, 142, 143
SPECIAL = {EOS, VISION_START, VISION_END, IMAGE, VIDEO}

PREPROCESSOR = {  # as Qwen3-VL publishes it, with a budget of pixels that suits tiny pictures
    "size": {"longest_edge": 10240, "shortest_edge": 2048},
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "processor_class": "Qwen3VLProcessor",
    "image_processor_type": "Qwen2VLImageProcessorFast",
}

VIDEO_PREPROCESSOR = PREPROCESSOR | {  # its budget is for all frames of a clip together
    "size": {"longest_edge": 30720, "shortest_edge": 4096},
    "video_processor_type": "Qwen3VLVideoProcessor",
}
del VIDEO_PREPROCESSOR["image_processor_type"]


@dataclass(frozen=True)
class Checkpoint:
    """One directory under tests/golden."""

    name: str
    config: dict
    dtype: mx.Dtype = mx.float32
    num_shards: int = 1
    # MLX affine quantization; None keeps the Hugging Face layout.
    group_size: int | None = None
    bits: int = 4
    # Module path -> {"group_size", "bits"} or False (left unquantized), recorded in the config.
    overrides: dict = field(default_factory=dict)
    # Modules left unquantized with no word in the config: the absence of scales tells.
    unquantized: tuple[str, ...] = ()
    quantize_vision: bool = False
    mode: str = "affine"
    # Banks of experts are published as blocks and scales.
    mxfp4: bool = False
    # Of a family of families.py.
    layout: Layout | None = None

    @property
    def is_vision(self) -> bool:
        return self.config["model_type"].startswith("qwen3_vl")


def _qwen3(**changes) -> dict:
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


def _llama(**changes) -> dict:
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


def _lfm2(**changes) -> dict:
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


def _qwen3_5(**changes) -> dict:
    """Qwen3.5's text part: gated delta layers with 3 value heads a key head, attention every third layer."""
    config = _llama(
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


def _gemma3_text(**changes) -> dict:
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


def _ministral3(**changes) -> dict:
    return _llama(
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


def _qwen3_vl(text: dict, vision: dict, tied: bool, dtype: str) -> dict:
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


CHECKPOINTS = [
    Checkpoint(
        "qwen3-f32",
        _qwen3(
            hidden_size=48,  # head_dim is not hidden_size / heads
            intermediate_size=80,
            rope_theta=31337.0,
            rms_norm_eps=1e-3,  # large enough for 1e-6 in its place to show
            tie_word_embeddings=False,
        ),
    ),
    Checkpoint(
        "qwen3-bf16-sharded",
        _qwen3(hidden_size=48, intermediate_size=80, torch_dtype="bfloat16"),
        dtype=mx.bfloat16,
        num_shards=2,
    ),
    Checkpoint(
        "qwen3-f16",
        # transformers 5 nests the rope parameters and says dtype for torch_dtype
        {
            key: value
            for key, value in _qwen3(
                hidden_size=48,
                intermediate_size=80,
                rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
                dtype="float16",
            ).items()
            if key not in ("rope_theta", "rope_scaling", "torch_dtype")
        },
        dtype=mx.float16,
    ),
    Checkpoint(
        "qwen3-mlx-4bit",
        _qwen3(num_hidden_layers=3, head_dim=32, torch_dtype="bfloat16"),
        dtype=mx.bfloat16,
        group_size=64,
        overrides={
            "model.layers.0.mlp.down_proj": {"group_size": 64, "bits": 8},
            "model.layers.1.self_attn.q_proj": {"group_size": 32, "bits": 4, "mode": "affine"},
            "model.layers.1.self_attn.v_proj": {"group_size": 32, "bits": 8, "mode": "affine"},
            "model.layers.2.self_attn.o_proj": False,
        },
    ),
    Checkpoint(
        "qwen3-mlx-4bit-g32",
        _qwen3(
            hidden_size=96,
            intermediate_size=96,
            num_attention_heads=3,
            num_key_value_heads=1,
            head_dim=32,
            tie_word_embeddings=False,
            torch_dtype="float16",
        ),
        dtype=mx.float16,
        group_size=32,
        unquantized=("model.layers.0.self_attn.o_proj",),
    ),
    Checkpoint(
        "qwen3-mlx-8bit",
        _qwen3(intermediate_size=64, num_key_value_heads=4, torch_dtype="bfloat16"),
        dtype=mx.bfloat16,
        group_size=64,
        bits=8,
    ),
    Checkpoint(
        "qwen3-mlx-mixed",
        _qwen3(torch_dtype="bfloat16"),
        dtype=mx.bfloat16,
        group_size=64,
        bits=6,
        overrides={
            "model.layers.0.mlp.gate_proj": {"group_size": 64, "bits": 3},
            "model.layers.0.mlp.up_proj": {"group_size": 32, "bits": 2},
            "model.layers.1.mlp.down_proj": {"group_size": 128, "bits": 5},
        },
    ),
    Checkpoint(
        "llama-bf16",
        _llama(
            intermediate_size=32,
            attention_bias=True,
            mlp_bias=True,
            num_hidden_layers=3,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            sliding_window=11,
            rope_scaling={
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        ),
        dtype=mx.bfloat16,
    ),
    Checkpoint(
        "mistral-mlx-4bit",
        _llama(
            architectures=["MistralForCausalLM"],
            model_type="mistral",
            hidden_size=64,
            intermediate_size=128,
            num_attention_heads=4,
            head_dim=24,
            num_key_value_heads=1,
            sliding_window=None,
        ),
        dtype=mx.bfloat16,
        group_size=32,
    ),
    Checkpoint(
        "qwen2-bf16",
        _llama(
            architectures=["Qwen2ForCausalLM"],
            model_type="qwen2",
            hidden_size=56,
            num_attention_heads=7,
            num_key_value_heads=1,
            rope_theta=1000000.0,
            tie_word_embeddings=True,
            use_sliding_window=False,
            sliding_window=64,
            max_window_layers=1,
        ),
        dtype=mx.bfloat16,
    ),
    Checkpoint("gemma3_text-bf16", _gemma3_text(), dtype=mx.bfloat16),
    Checkpoint(
        "gemma3_text-mlx-8bit",
        _gemma3_text(
            hidden_size=64,
            intermediate_size=64,
            layer_types=["sliding_attention", "sliding_attention", "full_attention"],
            num_attention_heads=3,
            num_key_value_heads=1,
            head_dim=16,
            rope_scaling={"rope_type": "linear", "factor": 4.0},
        ),
        dtype=mx.bfloat16,
        group_size=32,
        bits=8,
    ),
    Checkpoint("lfm2-bf16", _lfm2(), dtype=mx.bfloat16),
    Checkpoint(
        "lfm2-mlx-4bit",
        _lfm2(
            hidden_size=96,
            block_dim=96,
            num_attention_heads=3,
            num_key_value_heads=1,
            num_hidden_layers=4,
            num_heads=3,
            conv_dim=96,
            conv_bias=False,
            conv_L_cache=4,
            full_attn_idxs=None,
            layer_types=["conv", "full_attention", "conv", "conv"],
            block_ff_dim=64,
            block_auto_adjust_ff_dim=False,
        ),
        dtype=mx.bfloat16,
        group_size=32,
    ),
    Checkpoint("ministral3-bf16", _ministral3(), dtype=mx.bfloat16),
    Checkpoint(
        "mistral3-bf16",
        {
            "architectures": ["Mistral3ForConditionalGeneration"],
            "model_type": "mistral3",
            "eos_token_id": EOS,
            "torch_dtype": "bfloat16",
            "text_config": _ministral3(
                layer_types=["full_attention", "sliding_attention"],
                sliding_window=13,
                tie_word_embeddings=True,
            ),
        },
        dtype=mx.bfloat16,
    ),
    Checkpoint(
        # float32, since mlx-lm adds one to the stored norms in the checkpoint's dtype.
        "qwen3_5-f32",
        {
            "architectures": ["Qwen3_5ForConditionalGeneration"],
            "model_type": "qwen3_5",
            "eos_token_id": EOS,
            "text_config": _qwen3_5(),
            "torch_dtype": "float32",
        },
    ),
    Checkpoint(
        "qwen3_5-mlx-4bit",
        {
            "architectures": ["Qwen3_5ForConditionalGeneration"],
            "model_type": "qwen3_5",
            "eos_token_id": EOS,
            "text_config": _qwen3_5(
                hidden_size=64,
                intermediate_size=64,
                num_attention_heads=4,
                num_key_value_heads=2,
                linear_num_key_heads=2,
                linear_num_value_heads=4,
                linear_key_head_dim=32,
                linear_value_head_dim=32,
                head_dim=32,
                tie_word_embeddings=True,
            ),
            "torch_dtype": "bfloat16",
        },
        dtype=mx.bfloat16,
        group_size=32,
    ),
    Checkpoint(
        "qwen3_vl-f32",
        _qwen3_vl({"hidden_size": 48}, {}, tied=False, dtype="float32"),
    ),
    Checkpoint(
        "qwen3_vl-mlx-4bit",
        _qwen3_vl({}, {"deepstack_visual_indexes": [0, 2]}, tied=True, dtype="bfloat16"),
        dtype=mx.bfloat16,
        group_size=64,
        overrides={
            "language_model.model.layers.3.mlp.down_proj": {"group_size": 64, "bits": 8},
        },
    ),
    Checkpoint(
        "qwen3_vl-mlx-8bit",
        # 48 is no multiple of 32: the blocks' linear_fc2 stay unquantized. mlx-vlm expects no
        # quantized table of a size that 64 does not divide, hence 6 x 6 positions.
        _qwen3_vl(
            {},
            {"num_position_embeddings": 36, "depth": 4, "deepstack_visual_indexes": [1, 3]},
            tied=False,
            dtype="bfloat16",
        ),
        dtype=mx.bfloat16,
        group_size=32,
        bits=8,
        quantize_vision=True,
    ),
    Checkpoint(
        "qwen3_vl_moe-bf16",
        _qwen3_vl(
            {
                "model_type": "qwen3_vl_moe_text",
                "hidden_size": 40,
                "intermediate_size": 16,
                "num_hidden_layers": 2,
                "num_experts": 3,
                "num_experts_per_tok": 2,
                "moe_intermediate_size": 12,
                "norm_topk_prob": True,
                "decoder_sparse_step": 1,
                "mlp_only_layers": [0],
            },
            {
                "model_type": "qwen3_vl_moe",
                "hidden_size": 16,
                "intermediate_size": 16,
                "depth": 2,
                "deepstack_visual_indexes": [1],
            },
            tied=True,
            dtype="bfloat16",
        )
        | {
            "architectures": ["Qwen3VLMoeForConditionalGeneration"],
            "model_type": "qwen3_vl_moe",
        },
        dtype=mx.bfloat16,
    ),
] + [
    Checkpoint(name, config, mx.bfloat16, layout=layout, **options)
    for name, config, layout, options in FAMILIES
]


def hf_weights(checkpoint: Checkpoint) -> dict[str, mx.array]:
    """Every tensor under its Hugging Face name, in the checkpoint's dtype."""
    if checkpoint.layout is not None:
        arrays = family_weights(checkpoint.config, checkpoint.layout)
    elif checkpoint.is_vision:
        arrays = weights.text_weights(checkpoint.config["text_config"], "model.language_model")
        arrays |= weights.vision_weights(checkpoint.config["vision_config"])
    elif "text_config" in checkpoint.config:
        arrays = weights.text_weights(checkpoint.config["text_config"], "model.language_model")
    else:
        arrays = weights.text_weights(checkpoint.config, "model")
    arrays = {name: mx.array(array).astype(checkpoint.dtype) for name, array in arrays.items()}
    return _mxfp4_banks(arrays) if checkpoint.mxfp4 else arrays


def _mxfp4_banks(arrays: dict[str, mx.array]) -> dict[str, mx.array]:
    """Banks [E, out, in] as gpt-oss stores them: blocks u8 [E, out, in / 32, 16], scales u8 [E, out, in / 32]."""
    out = {}
    for name, array in arrays.items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            out[name] = array
            continue
        words, scales = mx.quantize(array, 32, 4, mode="mxfp4")
        out[f"{name}_blocks"] = words.view(mx.uint8).reshape(*scales.shape, 16)
        out[f"{name}_scales"] = scales
    return out


def _exchange_activations(tower) -> None:
    """mlx-vlm 0.7.10 has the two kinds of GELU of this tower the other way round.

    transformers, the config's hidden_act and mlx-vlm's own qwen3_vl have tanh's in the blocks, erf's in the mergers.
    """
    for block in tower.blocks:
        block.mlp.act_fn = nn.GELU(approx="tanh")
    for merger in [tower.merger, *tower.deepstack_merger_list]:
        merger.act_fn = nn.GELU()


def load(checkpoint: Checkpoint, directory: Path):
    """The reference implementation's model, weights as stored."""
    if checkpoint.is_vision:
        model = mlx_vlm.utils.load_model(directory)
        if checkpoint.config["model_type"] == "qwen3_vl_moe":
            _exchange_activations(model.vision_tower)
        return model
    return mlx_lm.utils.load_model(directory)[0]


def load_f32(checkpoint: Checkpoint, directory: Path):
    """The same with every floating tensor (scales and biases too) cast to float32."""
    model = load(checkpoint, directory)
    cast = lambda x: x.astype(mx.float32) if mx.issubdtype(x.dtype, mx.floating) else x
    model.update(tree_map(cast, model.parameters()))
    return model


def write(checkpoint: Checkpoint, directory: Path) -> None:
    """Writes the directory afresh."""
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    if checkpoint.group_size is None:
        _write_files(checkpoint, directory, _published(checkpoint), hf_weights(checkpoint), "pt")
    else:
        config, arrays = _quantize(checkpoint)
        _write_files(checkpoint, directory, config, arrays, "mlx")
    if checkpoint.is_vision:
        save_json(directory / "preprocessor_config.json", PREPROCESSOR)
        save_json(directory / "video_preprocessor_config.json", VIDEO_PREPROCESSOR)


def _published(checkpoint: Checkpoint) -> dict:
    """The config before any conversion by MLX's tools."""
    if not checkpoint.mxfp4:
        return checkpoint.config
    return checkpoint.config | {"quantization_config": {"quant_method": "mxfp4"}}


def _quantize(checkpoint: Checkpoint) -> tuple[dict, dict[str, mx.array]]:
    """The config and the tensors that mlx-lm / mlx-vlm would save after quantizing."""

    def predicate(path: str, module) -> bool | dict:
        if path in checkpoint.unquantized:
            return False
        if path.startswith("vision_tower") and not checkpoint.quantize_vision:
            return False
        return checkpoint.overrides.get(path, True)

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        _write_files(checkpoint, source, _published(checkpoint), hf_weights(checkpoint), "pt")
        model = load(checkpoint, source)
        module = mlx_vlm.quant_utils if checkpoint.is_vision else mlx_lm.utils
        model, config = module.quantize_model(
            model,
            copy.deepcopy(_published(checkpoint)),
            checkpoint.group_size,
            checkpoint.bits,
            quant_predicate=predicate,
            **({} if checkpoint.mode == "affine" else {"mode": checkpoint.mode}),
        )
        arrays = dict(tree_flatten(model.parameters()))
        mx.eval(arrays)
    # The tools record objects only; published checkpoints also say `false`.
    refused = {path: False for path, value in checkpoint.overrides.items() if value is False}
    config["quantization"] |= refused
    config["quantization_config"] = config["quantization"]
    return config, arrays


def _write_files(
    checkpoint: Checkpoint, directory: Path, config: dict, arrays: dict, format: str
) -> None:
    save_json(directory / "config.json", config)
    names, count = sorted(arrays), checkpoint.num_shards
    weight_map, total = {}, 0
    for i in range(count):
        file = f"model-{i + 1:05}-of-{count:05}.safetensors" if count > 1 else "model.safetensors"
        shard = names[i * len(names) // count : (i + 1) * len(names) // count]
        total += save(directory / file, {n: arrays[n] for n in shard}, {"format": format})
        weight_map |= dict.fromkeys(shard, file)
    if count > 1 or format == "mlx":  # MLX writes an index beside a single file too
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        save_json(directory / "model.safetensors.index.json", index)
