"""Writes tests/golden: python tools/golden/generate.py [OUT] [--only NAME ...]"""

import argparse
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import numpy as np

import checkpoints
import configs
import pictures
import videos
from reference import reference_for, run_cases
from safetensors_io import save, save_json

DEFAULT_OUT = Path(__file__).resolve().parents[2] / "tests" / "golden"


def case_media() -> dict[str, dict[str, np.ndarray]]:
    """The pictures and clips of the vision cases by name."""
    return pictures.case_pictures() | videos.case_clips()


def write_media(out: Path) -> None:
    arrays = {
        f"{name}.{kind}": array for name, item in case_media().items() for kind, array in item.items()
    }
    save(out / "pictures.safetensors", arrays, {"format": "golden"})
    pictures.write_processor_cases(out / "processor")
    videos.write_video_cases(out / "processor")


def write_golden(checkpoint: checkpoints.Checkpoint, out: Path) -> None:
    """The reference outputs of a checkpoint that lies at out/NAME."""
    model = checkpoints.load_f32(checkpoint, out / checkpoint.name)
    entries, arrays = run_cases(checkpoint, reference_for(checkpoint, model), case_media())
    scale = max(np.abs(a).max() for k, a in arrays.items() if k.endswith("logits"))
    package = "mlx-vlm" if checkpoint.is_vision else "mlx-lm"
    description = {
        "checkpoint": checkpoint.name,
        "model_type": checkpoint.config["model_type"],
        "reference": f"{package} {version(package)}, mlx {version('mlx')}, weights cast to float32",
        "vocab_size": configs.VOCAB_SIZE,
        "logit_scale": float(scale),
        "cases": entries,
    }
    save(out / f"{checkpoint.name}.golden.safetensors", arrays, {"format": "golden"})
    save_json(out / f"{checkpoint.name}.golden.json", description)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--only", nargs="*", help="names of checkpoints; all by default")
    args = parser.parse_args()
    mx.set_default_device(mx.cpu)
    args.out.mkdir(parents=True, exist_ok=True)
    write_media(args.out)
    for checkpoint in checkpoints.CHECKPOINTS:
        if args.only is None or checkpoint.name in args.only:
            print(checkpoint.name)
            checkpoints.write(checkpoint, args.out / checkpoint.name)
            write_golden(checkpoint, args.out)


if __name__ == "__main__":
    main()
