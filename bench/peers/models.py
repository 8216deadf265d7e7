"""The models that both sides run: made when first asked for, then kept in a folder outside the source tree."""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


class Models:
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
        return self.make(f"{shape}-mlx-4bit", [str(HERE.parent / "random_checkpoint.py"), shape])

    def gguf(self, shape: str) -> pathlib.Path:
        return self.make(f"{shape}-q4_0.gguf", [str(HERE / "random_gguf.py"), shape])

    def vision_gguf(self, shape: str, dtype: str) -> tuple[pathlib.Path, pathlib.Path]:
        """The text model that llama.cpp wants beside a vision tower, and the tower."""
        return (self.make(f"{shape}-text.gguf", [str(HERE / "random_gguf.py"), shape]),
                self.make(f"{shape}-vision-{dtype}.gguf", [str(HERE / "random_gguf.py"), "--vision", dtype, shape]))

    def state(self, shape: str, prompt: int, setting: str) -> pathlib.Path:
        """Where llama.cpp's state after a long prompt is kept; made by the first process that needs it."""
        return self.folder / f"{shape}-{prompt}{setting}.state"
