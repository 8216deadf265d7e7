#!/usr/bin/env python3
"""Unpacks MLX's pinned Python wheel (headers, libmlx, the libraries it needs) into a folder of the build tree.

  fetch_mlx.py --variant cpu|cuda12|cuda13|metal --out DIR [--bare]

  --bare    MLX alone, without the CUDA libraries: for a machine that has them (2 GB less to fetch)

Which wheels, with their hashes: mlx/<variant>.txt. pip downloads and verifies them. Repeatable: a folder that already
holds the pinned wheels is left alone.
"""
import argparse
import fcntl
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

PINS = pathlib.Path(__file__).resolve().parent / "mlx"


def find_pip(scratch: pathlib.Path) -> list[str]:
    """Returns the command line of a pip: this Python's own, or that of a scratch virtual environment where it has none."""
    own = [sys.executable, "-m", "pip"]
    if not subprocess.run(own + ["--version"], capture_output=True).returncode:
        return own
    venv = scratch / "venv"
    if subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True).returncode:
        sys.exit("fetch_mlx: this Python has neither pip nor venv (Debian and Ubuntu: apt-get install python3-venv)")
    return [str(venv / "bin" / "python"), "-m", "pip"]


def bare(pins: str) -> str:
    """Returns the requirements of `pins` that are MLX's own."""
    return "".join(entry + "\n" for entry in pins.replace("\\\n", "").splitlines() if entry.startswith("mlx-"))


def download(pins: str, scratch: pathlib.Path, folder: pathlib.Path) -> None:
    requirements = scratch / "requirements.txt"
    requirements.write_text(pins)
    command = find_pip(scratch) + [
        "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes",
        "-r", str(requirements), "-d", str(folder)]
    if subprocess.run(command).returncode:
        sys.exit("fetch_mlx: pip could not download the wheels (is PyPI reachable? are they published for this system?)")


def fetch(pins: str, out: pathlib.Path) -> None:
    """Replaces `out` by the unpacked wheels of the requirements `pins`; never leaves half of them there."""
    stamp = out / "stamp"
    if stamp.exists() and stamp.read_text() == pins:
        return
    print(f"-- Fetching MLX's wheels{' and the CUDA libraries, about 2 GB' if 'nvidia' in pins else ''}", flush=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        scratch = pathlib.Path(name)
        download(pins, scratch, scratch / "wheels")
        unpacked = scratch / "unpacked"
        for wheel in sorted((scratch / "wheels").glob("*.whl")):
            zipfile.ZipFile(wheel).extractall(unpacked)
        (unpacked / "stamp").write_text(pins)
        shutil.rmtree(out, ignore_errors=True)
        unpacked.rename(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True, choices=sorted(path.stem for path in PINS.glob("*.txt")))
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--bare", action="store_true")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with open(args.out.parent / ".lock", "w") as lock:  # two configurations may ask at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        pins = (PINS / f"{args.variant}.txt").read_text()
        fetch(bare(pins) if args.bare else pins, args.out)


if __name__ == "__main__":
    main()
