"""Writes tests/golden/conversions.json: what mlx-lm's convert makes of the twins in tests/golden/gguf and of other checkpoints there, as digests.

    /tmp/golden/bin/python tools/formats/make_conversions.py    # with tools/golden/requirements.txt
"""

import json
import shutil
import tempfile
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx_lm import convert

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
TOKENIZER = ROOT / "src" / "text" / "testdata" / "tokenizers" / "byte_level"
# Name of the case: the twin, and mlx-lm's and our own options.
CASES = {
    "llama-4bit": ("llama", {"quantize": True, "q_bits": 4, "q_group_size": 32}),
    "qwen3-mixed": ("qwen3", {"quantize": True, "q_group_size": 32, "quant_predicate": "mixed_4_6"}),
    "qwen3-mxfp4": ("qwen3", {"quantize": True, "q_mode": "mxfp4"}),
    "qwen3-nvfp4-bf16": ("qwen3", {"quantize": True, "q_mode": "nvfp4", "dtype": "bfloat16"}),
    "qwen3moe-8bit": ("qwen3moe", {"quantize": True, "q_bits": 8, "q_group_size": 32}),
    "mixtral-plain": ("mixtral", {"dtype": "float16"}),
    "granite-plain": ("../granite-bf16", {"dtype": "float16"}),
    "hunyuan-plain": ("../hunyuan_v1_dense-bf16", {"dtype": "float16"}),
    "ministral3-plain": ("../ministral3-bf16", {}),
    "deepseek_v2-plain": ("../deepseek_v2-bf16", {"dtype": "float16"}),
    "gemma4-plain": ("../gemma4_text-bf16", {}),
    "gemma3-3bit": ("gemma3", {"quantize": True, "q_bits": 3, "q_group_size": 32}),
}


def digest(array: mx.array) -> str:
    """FNV-1a of the bytes."""
    raw = np.array(array.view(mx.uint8) if array.dtype != mx.uint8 else array).tobytes()
    value = 0xCBF29CE484222325
    for byte in raw:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def run(twin: str, options: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "source", Path(folder) / "result"
        shutil.copytree(GOLDEN / "gguf" / twin, source)
        shutil.copy(TOKENIZER / "tokenizer.json", source)
        (source / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        config = json.loads((source / "config.json").read_text())
        convert(str(source), str(result), **options)
        tensors = {}
        for file in sorted(result.glob("*.safetensors")):
            for name, array in mx.load(str(file)).items():
                tensors[name] = [str(array.dtype).removeprefix("mlx.core."), list(array.shape), digest(array)]
        written = json.loads((result / "config.json").read_text())
        index = json.loads((result / "model.safetensors.index.json").read_text())
        added = {k: v for k, v in written.items() if config.get(k) != v}
        return {"twin": twin, "options": options, "added": added, "metadata": index["metadata"], "tensors": dict(sorted(tensors.items()))}


def main() -> None:
    mx.set_default_device(mx.cpu)
    cases = {name: run(twin, options) for name, (twin, options) in CASES.items()}
    (GOLDEN / "conversions.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
