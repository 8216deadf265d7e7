"""Checkpoints of random weights: made when first asked for, then kept in a folder outside the source tree."""
import os
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parents[1]
DEFAULT_FOLDER = pathlib.Path.home() / ".cache/pippin-bench"


class Checkpoints:
    """A folder of generated files. A file is complete where it exists: it is renamed into place when it has been written."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, name: str, command: list[str]) -> pathlib.Path:
        """The path of `name`, written by the command with its path appended where it was not there."""
        path = self.folder / name
        if not path.exists():
            print(f"-- Writing {path}", file=sys.stderr, flush=True)
            partial = self.folder / f"{name}.partial{os.getpid()}"
            subprocess.run([sys.executable, *command, str(partial)], check=True)
            partial.rename(path)
        return path

    def checkpoint(self, shape: str) -> pathlib.Path:
        """MLX, 4 bits in groups of 64; for Pippin, mlx-lm and mlx-vlm."""
        return self.make(f"{shape}-mlx-4bit", [str(BENCH / "random_checkpoint.py"), shape])
