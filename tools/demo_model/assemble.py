"""A training run's parts to the directory that ships: quantized, MLX's names and layout.

    python -m demo_model.assemble RUN tokenizer.json assets/demo-model
"""
import sys
from pathlib import Path

from demo_model import quantize, safetensors_file
from demo_model.configs import write_side_files


def assemble(run, tokenizer_file, out):
    tensors = quantize.to_mlx(safetensors_file.read_parts(run))
    write_side_files(out, tokenizer_file, quantize.config_entry(tensors))
    path = Path(out) / "model.safetensors"
    safetensors_file.write(path, quantize.quantize_checkpoint(tensors), "mlx")
    return path


if __name__ == "__main__":
    path = assemble(*sys.argv[1:4])
    print(path, path.stat().st_size, "bytes")
