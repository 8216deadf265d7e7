"""The shipped model as a plain bfloat16 directory, for programs that cannot read MLX's quantization (transformers).

    python -m demo_model.export_hf assets/demo-model /tmp/demo-model-bf16
"""
import sys
from pathlib import Path

from demo_model import quantize, safetensors_file
from demo_model.configs import write_side_files


def export(folder, out):
    write_side_files(out, Path(folder) / "tokenizer.json")
    tensors = quantize.dequantize_checkpoint(safetensors_file.read(Path(folder) / "model.safetensors"))
    safetensors_file.write(Path(out) / "model.safetensors", quantize.to_hf(tensors), "pt")


if __name__ == "__main__":
    export(*sys.argv[1:3])
