"""Holds the golden data to transformers on torch, an implementation that shares no code with MLX.

python tools/golden/second_opinion.py [GOLDEN]     (pip install torch first: it is large, so it is
no requirement.) Unquantized directories are loaded as they are; quantized ones are dequantized
into Hugging Face's names first. Exits 1 if anything is further off than float32 explains.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch
from transformers import Qwen3ForCausalLM, Qwen3VLForConditionalGeneration

from checkpoints import CHECKPOINTS, Checkpoint
from configs import IMAGE, VIDEO
from generate import DEFAULT_OUT
from safetensors_io import save, save_json

# A fraction of the logits' (features') scale. Two float32 implementations differ by less.
BOUND = 2e-5

_TO_HF = [
    ("language_model.model.", "model.language_model."),
    ("vision_tower.", "model.visual."),
    ("language_model.lm_head.", "lm_head."),
]


def _dequantized(directory: Path) -> tuple[dict, dict[str, mx.array]]:
    """The config without quantization and float32 tensors in the Hugging Face layout."""
    config = json.loads((directory / "config.json").read_text())
    quantization = config.pop("quantization")
    config.pop("quantization_config")
    stored = mx.load(str(directory / "model.safetensors"))
    out = {}
    for name, array in stored.items():
        if name.endswith((".scales", ".biases")):
            continue
        path = name.removesuffix(".weight")
        if f"{path}.scales" in stored:
            options = quantization | (quantization.get(path) or {})
            array = mx.dequantize(
                array,
                stored[f"{path}.scales"].astype(mx.float32),
                stored[f"{path}.biases"].astype(mx.float32),
                options["group_size"],
                options["bits"],
            )
        if config["model_type"] == "qwen3_vl":
            for mlx_prefix, hf_prefix in _TO_HF:
                if name.startswith(mlx_prefix):
                    name = hf_prefix + name.removeprefix(mlx_prefix)
                    break
            if name.endswith("patch_embed.proj.weight"):
                array = array.transpose(0, 4, 1, 2, 3)
        out[name] = array.astype(mx.float32)
    return config, out


def _model(checkpoint: Checkpoint, directory: Path):
    kind = Qwen3VLForConditionalGeneration if checkpoint.is_vision else Qwen3ForCausalLM
    with tempfile.TemporaryDirectory() as folder:
        if checkpoint.group_size is not None:
            config, arrays = _dequantized(directory)
            directory = Path(folder)
            save_json(directory / "config.json", config)
            save(directory / "model.safetensors", arrays, {"format": "pt"})
        model, report = kind.from_pretrained(
            directory, dtype=torch.float32, output_loading_info=True
        )
    wrong = report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"]
    assert not wrong, f"{checkpoint.name}: {report}"
    return model.eval()


def _stacked(pictures: dict, names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """The patches and grids of pictures and clips, in order."""
    values = np.concatenate([np.array(pictures[f"{name}.pixel_values"]) for name in names])
    grids = np.stack([np.array(pictures[f"{name}.grid_thw"]) for name in names])
    return torch.tensor(values), torch.tensor(grids).long()


def _run(model, case: dict, arrays: dict, pictures: dict) -> dict[str, np.ndarray]:
    """The case's arrays as transformers computes them, fed the golden tokens."""
    tokens = torch.tensor(np.array(arrays["tokens"]))[None].long()
    inputs, out = {"input_ids": tokens}, {}
    if case["pictures"]:
        pixels, grids = _stacked(pictures, case["pictures"])
        vision = model.model.visual(pixels, grid_thw=grids)
        out["features"] = vision.pooler_output.numpy()
        out["deepstack"] = torch.stack(list(vision.deepstack_features)).numpy()
        shown = {"mm_token_type_ids": (tokens == IMAGE).int() + 2 * (tokens == VIDEO).int()}
        for kind, values, rank in (("image", "pixel_values", 3), ("video", "pixel_values_videos", 4)):
            names = [name for name in case["pictures"] if pictures[f"{name}.rgb"].ndim == rank]
            if names:
                inputs[values], shown[f"{kind}_grid_thw"] = _stacked(pictures, names)
        out["positions"] = model.model.get_rope_index(input_ids=tokens, **shown)[0][:, 0].numpy()
        inputs |= shown
    answer = model(**inputs, use_cache=True)
    out["logits"] = answer.logits[0].numpy()
    rows = []
    for k, token in enumerate(np.array(arrays["decode_tokens"]).tolist()):
        index = tokens.shape[1] + k + case["rope_delta"]
        extra = {}
        if isinstance(model, Qwen3VLForConditionalGeneration):
            extra["position_ids"] = torch.full((3, 1, 1), index)
        answer = model(
            input_ids=torch.tensor([[token]]), past_key_values=answer.past_key_values, **extra
        )
        rows.append(answer.logits[0, -1].numpy())
    out["decode_logits"] = np.stack(rows)
    return out


@torch.no_grad()
def compare(checkpoint: Checkpoint, golden: Path) -> float:
    """The largest error relative to the scale of the array it is in."""
    model = _model(checkpoint, golden / checkpoint.name)
    description = json.loads((golden / f"{checkpoint.name}.golden.json").read_text())
    arrays = mx.load(str(golden / f"{checkpoint.name}.golden.safetensors"))
    pictures = mx.load(str(golden / "pictures.safetensors"))
    worst = 0.0
    for case in description["cases"]:
        name = case["name"]
        own = {k.removeprefix(f"{name}."): v for k, v in arrays.items() if k.startswith(f"{name}.")}
        for kind, theirs in _run(model, case, own, pictures).items():
            ours = np.array(own[kind])
            scale = description["logit_scale"] if "logits" in kind else np.abs(ours).max()
            error = float(np.abs(ours - theirs).max() / max(scale, 1))
            worst = max(worst, error)
            if error > BOUND:
                print(f"{checkpoint.name} {name}.{kind}: off by {error:.1e} of the scale")
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("golden", nargs="?", type=Path, default=DEFAULT_OUT)
    golden = parser.parse_args().golden
    mx.set_default_device(mx.cpu)
    torch.set_num_threads(1)
    errors = {checkpoint.name: compare(checkpoint, golden) for checkpoint in CHECKPOINTS}
    for name, error in errors.items():
        print(f"{name:22} largest error {error:.1e}")
    sys.exit(max(errors.values()) > BOUND)


if __name__ == "__main__":
    main()
