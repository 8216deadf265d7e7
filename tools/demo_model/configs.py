"""The files beside the weights: config.json, the processors', the tokenizer's. Loaders of Qwen3-VL read them unchanged."""
import json
import shutil
from pathlib import Path

from demo_model.resize import MAX_PIXELS, MIN_PIXELS
from demo_model.template import TEMPLATE
from demo_model.tokenizer import VOCABULARY

TEXT = dict(hidden=384, layers=8, heads=6, kv_heads=2, head_dim=64, inner=1024, theta=10000.0, mrope=[12, 10, 10])
VISION = dict(hidden=256, layers=8, heads=4, inner=1024, deepstack=[1, 4, 7], table=256)
CONTEXT = 4096


def model_config(tokenizer):
    """config.json without quantization, for a `tokenizers.Tokenizer`."""
    token = tokenizer.token_to_id
    eos, pad = token("<|im_end|>"), token("<|endoftext|>")
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "dtype": "bfloat16", "torch_dtype": "bfloat16",
        "tie_word_embeddings": True, "image_token_id": token("<|image_pad|>"), "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"), "vision_end_token_id": token("<|vision_end|>"),
        "eos_token_id": eos, "pad_token_id": pad,
        "text_config": {
            "model_type": "qwen3_vl_text", "hidden_size": TEXT["hidden"], "num_hidden_layers": TEXT["layers"],
            "num_attention_heads": TEXT["heads"], "num_key_value_heads": TEXT["kv_heads"], "head_dim": TEXT["head_dim"],
            "intermediate_size": TEXT["inner"], "vocab_size": VOCABULARY, "hidden_act": "silu", "rms_norm_eps": 1e-6,
            "max_position_embeddings": CONTEXT, "initializer_range": 0.02, "attention_bias": False, "attention_dropout": 0.0,
            "use_cache": True, "tie_word_embeddings": True, "rope_theta": TEXT["theta"], "bos_token_id": pad, "eos_token_id": eos,
            "dtype": "bfloat16", "rope_scaling": {"rope_type": "default", "mrope_section": TEXT["mrope"], "mrope_interleaved": True},
        },
        "vision_config": {
            "model_type": "qwen3_vl", "depth": VISION["layers"], "hidden_size": VISION["hidden"], "num_heads": VISION["heads"],
            "intermediate_size": VISION["inner"], "out_hidden_size": TEXT["hidden"], "patch_size": 16, "temporal_patch_size": 2,
            "spatial_merge_size": 2, "in_channels": 3, "hidden_act": "gelu_pytorch_tanh", "num_position_embeddings": VISION["table"],
            "deepstack_visual_indexes": VISION["deepstack"], "initializer_range": 0.02,
        },
    }


def write_side_files(folder, tokenizer_file, quantization=None):
    """Everything of a model directory but model.safetensors."""
    from tokenizers import Tokenizer
    folder, tokenizer = Path(folder), Tokenizer.from_file(str(tokenizer_file))
    folder.mkdir(parents=True, exist_ok=True)
    token = tokenizer.token_to_id

    def write(name, value):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")

    # Twice, as mlx-lm writes it: transformers, which cannot read the format, then refuses instead of starting with random weights.
    quantized = {"quantization": quantization, "quantization_config": quantization} if quantization else {}
    write("config.json", model_config(tokenizer) | quantized)
    write("generation_config.json", {"eos_token_id": [token("<|im_end|>"), token("<|endoftext|>")], "pad_token_id": token("<|endoftext|>"),
                                     "do_sample": False, "max_new_tokens": 512})
    if Path(tokenizer_file).resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer_file, folder / "tokenizer.json")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    write("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                                    "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False, "add_bos_token": False,
                                    "chat_template": TEMPLATE})
    processor = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
                 "processor_class": "Qwen3VLProcessor"}
    write("preprocessor_config.json", {"size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS},
                                       "image_processor_type": "Qwen2VLImageProcessorFast", **processor})
    write("video_preprocessor_config.json", {"size": {"shortest_edge": 4096, "longest_edge": 524288}, "fps": 2, "min_frames": 4,
                                             "max_frames": 32, "video_processor_type": "Qwen3VLVideoProcessor", **processor})
