"""The models that both sides run."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))
from checkpoints import Checkpoints


class Models(Checkpoints):
    """Checkpoints, and what llama.cpp reads in their place."""

    def gguf(self, shape: str) -> pathlib.Path:
        return self.make(f"{shape}-q4_0.gguf", [str(HERE / "random_gguf.py"), shape])

    def vision_gguf(self, shape: str, dtype: str) -> tuple[pathlib.Path, pathlib.Path]:
        """The text model that llama.cpp wants beside a vision tower, and the tower."""
        return (self.make(f"{shape}-text.gguf", [str(HERE / "random_gguf.py"), shape]),
                self.make(f"{shape}-vision-{dtype}.gguf", [str(HERE / "random_gguf.py"), "--vision", dtype, shape]))

    def state(self, shape: str, prompt: int, setting: str) -> pathlib.Path:
        """Where llama.cpp's state after a long prompt is kept; made by the first process that needs it."""
        return self.folder / f"{shape}-{prompt}{setting}.state"
