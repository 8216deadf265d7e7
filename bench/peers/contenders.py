"""One measurement of one side, in a process of its own."""
import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))
from cases import Case
from machine import Usage
from models import Models

SPIN = "while True: pass"


@dataclasses.dataclass
class Setup:
    pippin: pathlib.Path
    threads: int
    models: Models


@dataclasses.dataclass
class Sample:
    """What one process measured."""

    rate: float
    peak_mib: float  # most memory that it held at once, mapped files included
    others: float  # processors that other processes used meanwhile, on average; the busy process of a case is not counted
    details: dict  # what the process printed


@contextlib.contextmanager
def busy_process(wanted: bool):
    """Keeps one core busy with a process; yields a function that says how many processor seconds it has used."""
    if not wanted:
        yield lambda: 0.0
        return
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    ticks = os.sysconf("SC_CLK_TCK")

    def seconds() -> float:
        path = pathlib.Path(f"/proc/{process.pid}/stat")
        if not path.is_file():
            return 0.0
        fields = path.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    try:
        yield seconds
    finally:
        process.kill()
        process.wait()


def run_process(command: list[str], busy: bool, environment: dict[str, str]) -> Sample:
    """Runs a command that prints one JSON object last; the rate is left for the caller to fill in."""
    with busy_process(busy) as busy_seconds, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        before, hog_before, start = Usage.now(), busy_seconds(), time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=errors, env={**os.environ, **environment})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        after, hog_after = Usage.now(), busy_seconds()
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{errors.read().decode(errors='replace')[-2000:]}")
        details = json.loads(out.read().decode().strip().splitlines()[-1])
    own = used.ru_utime + used.ru_stime
    others = max(0.0, after.busy - before.busy - own - (hog_after - hog_before)) + after.stolen - before.stolen
    kib = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Sample(0.0, kib / 1024, others / wall, details)


def pippin_command(case: Case, setup: Setup) -> list[str]:
    # llama.cpp writes its whole attention cache when it makes it; and a server's pools have been used before, too.
    command = [str(setup.pippin), "bench", str(setup.models.checkpoint(case.model)), "--json", "--device", "cpu",
               "--preallocate-kv", "--threads", str(setup.threads), "--repeat", str(case.repeat)]
    if case.kind == "vision":
        return [*command, "--image", "448"]
    # Two tokens are the fewest that it generates; the prompt's time ends with the first.
    new_tokens = case.steps + 1 if case.kind == "decode" else 2
    room = case.sequences * (case.prompt + new_tokens + 64)
    return [*command, "--batch", str(case.sequences), "--prompt-tokens", str(case.prompt), "--new-tokens",
            str(new_tokens), "--kv-tokens", str(max(room, 1024))]


def llama_command(case: Case, setup: Setup, setting: tuple[str, ...]) -> list[str]:
    threads = ["--threads", str(setup.threads)]
    if case.kind == "vision":
        dtype, *setting = setting
        text, tower = setup.models.vision_gguf(case.model, dtype)
        return [sys.executable, str(HERE / "run_llama_vision.py"), str(text), str(tower), "--repeat", str(case.repeat),
                *threads, *setting]
    command = [sys.executable, str(HERE / "run_llama.py"), str(setup.models.gguf(case.model)), "--prompt", str(case.prompt),
               "--new", str(case.steps), "--batch", str(case.sequences), "--repeat", str(case.repeat), *threads, *setting]
    if case.kind == "decode" and case.prompt > 1024:
        command += ["--state", str(setup.models.state(case.model, case.prompt, "-".join(setting)))]
    return command


def mlx_command(case: Case, setup: Setup, setting: tuple[str, ...]) -> list[str]:
    checkpoint = str(setup.models.checkpoint(case.model))
    if case.kind == "vision":
        return [sys.executable, str(HERE / "run_mlx_vlm.py"), checkpoint, "--repeat", str(case.repeat), *setting]
    return [sys.executable, str(HERE / "run_mlx_lm.py"), checkpoint, "--context", str(case.prompt), "--new",
            str(case.steps), *setting]


def rate_of(case: Case, details: dict) -> float:
    seconds = details[{"decode": "decode_seconds", "prefill": "prefill_seconds", "vision": "encode_seconds"}[case.kind]]
    return case.work * len(seconds) / sum(seconds)


def measure_pippin(case: Case, setup: Setup) -> Sample:
    sample = run_process(pippin_command(case, setup), case.busy, {})
    sample.details = sample.details.get("results", [sample.details])[0]
    sample.rate = rate_of(case, sample.details)
    return sample


def measure_peer(case: Case, setup: Setup, setting: tuple[str, ...]) -> Sample:
    command = llama_command if case.peer == "llama.cpp" else mlx_command
    flags = tuple(part for part in setting if part.startswith("--") or "=" not in part)
    variables = dict(part.split("=", 1) for part in setting if part not in flags)
    sample = run_process(command(case, setup, flags), case.busy, variables)
    sample.rate = rate_of(case, sample.details)
    return sample
