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

import configs
import weights
from configs import EOS
from families import FAMILIES
from family_weights import Layout, family_weights
from gemma import GEMMAS
from hybrid_weights import qwen3_5_vision_text_weights
from hybrids import HYBRIDS
from latents import LATENTS
from safetensors_io import save, save_json

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
    # The layout of a family of families.py.
    layout: Layout | None = None

    @property
    def is_vision(self) -> bool:
        return "vision_config" in self.config


CHECKPOINTS = [
    Checkpoint(
        "qwen3-f32",
        configs.qwen3(
            hidden_size=48,  # head_dim is not hidden_size / heads
            intermediate_size=80,
            rope_theta=31337.0,
            rms_norm_eps=1e-3,  # large enough for 1e-6 in its place to show
            tie_word_embeddings=False,
        ),
    ),
    Checkpoint(
        "qwen3-bf16-sharded",
        configs.qwen3(hidden_size=48, intermediate_size=80, torch_dtype="bfloat16"),
        dtype=mx.bfloat16,
        num_shards=2,
    ),
    Checkpoint(
        "qwen3-f16",
        # transformers 5 nests the rope parameters and says dtype for torch_dtype
        {
            key: value
            for key, value in configs.qwen3(
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
        configs.qwen3(num_hidden_layers=3, head_dim=32, torch_dtype="bfloat16"),
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
        configs.qwen3(
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
        configs.qwen3(intermediate_size=64, num_key_value_heads=4, torch_dtype="bfloat16"),
        dtype=mx.bfloat16,
        group_size=64,
        bits=8,
    ),
    Checkpoint(
        "qwen3-mlx-mixed",
        configs.qwen3(torch_dtype="bfloat16"),
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
        configs.llama(
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
        configs.llama(
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
        configs.llama(
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
    Checkpoint("gemma3_text-bf16", configs.gemma3_text(), dtype=mx.bfloat16),
    Checkpoint(
        "gemma3_text-mlx-8bit",
        configs.gemma3_text(
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
    Checkpoint("lfm2-bf16", configs.lfm2(), dtype=mx.bfloat16),
    Checkpoint(
        "lfm2-mlx-4bit",
        configs.lfm2(
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
    Checkpoint("ministral3-bf16", configs.ministral3(), dtype=mx.bfloat16),
    Checkpoint(
        "mistral3-bf16",
        {
            "architectures": ["Mistral3ForConditionalGeneration"],
            "model_type": "mistral3",
            "eos_token_id": EOS,
            "torch_dtype": "bfloat16",
            "text_config": configs.ministral3(
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
            "text_config": configs.qwen3_5(),
            "torch_dtype": "float32",
        },
    ),
    Checkpoint(
        "qwen3_5-mlx-4bit",
        {
            "architectures": ["Qwen3_5ForConditionalGeneration"],
            "model_type": "qwen3_5",
            "eos_token_id": EOS,
            "text_config": configs.qwen3_5(
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
        configs.qwen3_vl({"hidden_size": 48}, {}, tied=False, dtype="float32"),
    ),
    Checkpoint(
        "qwen3_vl-mlx-4bit",
        configs.qwen3_vl({}, {"deepstack_visual_indexes": [0, 2]}, tied=True, dtype="bfloat16"),
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
        configs.qwen3_vl(
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
        configs.qwen3_vl(
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
    Checkpoint(
        "qwen3_5_vision-bf16",
        configs.qwen3_5_vision({"intermediate_size": 24}, {}),
        dtype=mx.bfloat16,
    ),
    Checkpoint(
        "qwen3_5_vision-mlx-4bit",
        configs.qwen3_5_vision(
            {
                "hidden_size": 64,
                "intermediate_size": 32,
                "linear_num_value_heads": 3,
                "linear_num_key_heads": 1,
                "linear_key_head_dim": 16,
                "linear_value_head_dim": 32,
            },
            {},
            tied=True,
        ),
        dtype=mx.bfloat16,
        group_size=32,
    ),
    Checkpoint(
        "qwen3_5_moe-bf16",
        configs.qwen3_5_vision(
            {
                "num_experts": 3,
                "num_experts_per_tok": 2,
                "moe_intermediate_size": 12,
                "shared_expert_intermediate_size": 12,
            },
            {"hidden_size": 8, "num_heads": 1, "intermediate_size": 16},
            kind="qwen3_5_moe",
        ),
        dtype=mx.bfloat16,
    ),
] + [
    Checkpoint(name, config, mx.bfloat16, layout=layout, **options)
    for name, config, layout, options in FAMILIES + HYBRIDS + GEMMAS + LATENTS
]


def _language_weights(config: dict) -> dict:
    if config["model_type"].startswith("qwen3_5"):
        return qwen3_5_vision_text_weights(config, "model.language_model")
    return weights.text_weights(config, "model.language_model")


def hf_weights(checkpoint: Checkpoint) -> dict[str, mx.array]:
    """Every tensor under its Hugging Face name, in the checkpoint's dtype."""
    if checkpoint.layout is not None:
        arrays = family_weights(checkpoint.config, checkpoint.layout)
    elif checkpoint.is_vision:
        arrays = _language_weights(checkpoint.config["text_config"])
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


class GroupedNorm(nn.Module):
    """norm(x * silu(gate)) of each group by itself."""

    def __init__(self, norm, groups: int):
        super().__init__()
        self.weight, self.eps, self.groups = norm.weight, norm.variance_epsilon, groups

    def __call__(self, x, gate):
        x = x * nn.silu(gate)
        parts = mx.fast.rms_norm(x.reshape(*x.shape[:-1], self.groups, -1), None, self.eps)
        return parts.reshape(x.shape) * self.weight


def _complete_falcon(model, config: dict) -> None:
    """mlx-lm 0.32.2 leaves out the keys' multiplier, that of what values are made of, the biases', and the norm's groups; transformers has them."""
    as_stored = lambda x: x.astype(mx.bfloat16).astype(mx.float32)  # noqa: E731
    for layer in model.layers:
        attention, mamba, mlp = layer.self_attn, layer.mamba, layer.feed_forward
        for module, factor, rounded in ((attention.k_proj, config["key_multiplier"], lambda x: x),
                                        (attention.v_proj, config["attention_in_multiplier"], as_stored)):
            for name in ("scales", "biases") if "scales" in module else ("weight",):
                module[name] = rounded(module[name] * factor)
        if "bias" in attention.k_proj:
            attention.k_proj.bias = attention.k_proj.bias * config["key_multiplier"]
        for module, factor in ((attention.o_proj, config["attention_out_multiplier"]), (mamba.in_proj, model.model._mup_vector),
                               (mamba.out_proj, config["ssm_out_multiplier"]), (mlp.gate_proj, config["mlp_multipliers"][0]),
                               (mlp.down_proj, config["mlp_multipliers"][1])):
            if "bias" in module:
                module.bias = as_stored(module.bias * factor)
        if config["mamba_rms_norm"]:
            mamba.norm = GroupedNorm(mamba.norm, config["mamba_n_groups"])


def load_f32(checkpoint: Checkpoint, directory: Path):
    """The same with every floating tensor (scales and biases too) cast to float32."""
    model = load(checkpoint, directory)
    cast = lambda x: x.astype(mx.float32) if mx.issubdtype(x.dtype, mx.floating) else x
    model.update(tree_map(cast, model.parameters()))
    if checkpoint.config["model_type"] == "falcon_h1":
        _complete_falcon(model, checkpoint.config)
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
