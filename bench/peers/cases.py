"""What is measured: the work, its goal, and how each side is asked to do it."""
import ctypes.util
import dataclasses


@dataclasses.dataclass(frozen=True)
class Case:
    """One kind of work. The figure is a rate, so more is better: tokens a second of all sequences, or pictures a second."""

    name: str
    kind: str  # decode, prefill or vision
    model: str = "qwen3-0.6b"  # a shape of ../random_checkpoint.py
    prompt: int = 128  # tokens of context that each sequence has before what is measured
    sequences: int = 1
    steps: int = 0  # tokens that each sequence then generates
    repeat: int = 1  # times within one process; their total counts
    peer: str = "llama.cpp"
    peer_dtype: str = ""  # what the peer computes in, where that is not left to a trial of which is fastest
    busy: bool = False  # beside a process that keeps one core busy
    goal: float = 0.0  # Pippin's rate over the peer's; 0 for none
    quick: bool = False  # part of the short comparison
    rounds: int = 0  # fewer rounds than asked for, where the peer is very slow; 0 for as many

    @property
    def unit(self) -> str:
        return "pictures/s" if self.kind == "vision" else "tok/s"

    @property
    def work(self) -> int:
        """What one repeat does, in units of the rate."""
        return {"decode": self.sequences * self.steps, "prefill": self.sequences * self.prompt, "vision": 1}[self.kind]


CASES = [
    Case("decode, context 128", "decode", steps=64, repeat=3, goal=1.87, quick=True),
    Case("decode, context 512", "decode", prompt=512, steps=64, repeat=2, goal=1.87),
    Case("decode, context 8192", "decode", prompt=8192, steps=32, goal=1.5),
    Case("prefill 128", "prefill", repeat=4, goal=3.0, quick=True),
    Case("prefill 512", "prefill", prompt=512, repeat=2, goal=2.5, quick=True),
    Case("prefill 4096", "prefill", prompt=4096, goal=2.0),
    Case("decode, 4 sequences", "decode", sequences=4, steps=48, repeat=2, goal=2.5, quick=True),
    Case("decode, 16 sequences", "decode", sequences=16, steps=32, goal=2.5, quick=True),
    Case("decode beside a busy process", "decode", steps=64, busy=True, goal=2.0, quick=True),
    Case("4B: decode, context 128", "decode", model="qwen3-4b", steps=24, repeat=2, goal=1.5),
    Case("4B: prefill 512", "prefill", model="qwen3-4b", prompt=512, goal=2.5),
    # As it comes it computes in the checkpoint's bfloat16, which MLX does one number at a time on a CPU.
    Case("decode, context 128, mlx-lm", "decode", steps=3, peer="mlx-lm", peer_dtype="bfloat16", goal=250.0, rounds=2),
    Case("decode, context 128, mlx-lm told to use float32", "decode", steps=3, peer="mlx-lm", peer_dtype="float32", rounds=2),
    Case("picture of 448 x 448", "vision", model="qwen3-vl-2b-tower", repeat=2, goal=2.0),
    Case("picture of 448 x 448, mlx-vlm", "vision", model="qwen3-vl-2b-tower", peer="mlx-vlm", goal=2.0, rounds=2),
]


def settings(case: Case) -> list[tuple[str, ...]]:
    """The settings of the peer that are tried before a case: flags and environment variables. The fastest one represents it."""
    if case.peer == "mlx-lm":
        return [("--dtype", case.peer_dtype)]
    if case.peer == "mlx-vlm":
        # MLX's wheel for Linux multiplies float32 by the reference BLAS, many times slower than bfloat16; OpenBLAS loaded
        # before it takes that over, as in Pippin.
        blas = ctypes.util.find_library("openblas")
        return [("--dtype", "float32", f"LD_PRELOAD={blas}") if blas else ("--dtype", "bfloat16")]
    if case.busy:  # by default OpenMP's threads spin while they wait, for the core that the other process has
        return [("--no-flash",), ("--no-flash", "OMP_WAIT_POLICY=passive")]
    if case.kind == "vision":  # the type of the tower's matrices first; quantizing it is not usual
        return [("f16",), ("bf16",), ("f32",), ("f16", "--no-flash"), ("bf16", "--no-flash")]
    if case.kind == "decode" and case.sequences > 1:
        return [(), ("--no-flash",), ("--unified",), ("--no-flash", "--unified")]
    return [(), ("--no-flash",)]
