#!/usr/bin/env python3
"""Unpacks MLX's pinned Python wheel (headers, libmlx, its bundled libraries) into a folder of the build tree.

  fetch_mlx.py --variant cpu|cuda12|cuda13 --out DIR

Repeatable: a folder that already holds the pinned version is left alone. pip verifies the hash.
"""
import argparse
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile

VERSION = "0.32.4"
# SHA-256 of the wheel for each (variant, machine). A new version means new hashes: `pip download` and `sha256sum`.
WHEELS = {
    ("cpu", "x86_64"): ("mlx-cpu", "0e0a24fa2ce8b6b94d2e6a90604e8813aa8e29fcb918bb2aa01cfb6d133d8cee"),
}


def download(package: str, digest: str, folder: str) -> pathlib.Path:
    requirement = pathlib.Path(folder, "requirements.txt")
    requirement.write_text(f"{package}=={VERSION} --hash=sha256:{digest}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--require-hashes", "-r", str(requirement), "-d", folder]
    if subprocess.run(command).returncode:
        sys.exit(f"fetch_mlx: pip could not download {package}=={VERSION} (is PyPI reachable, is pip installed?)")
    return next(pathlib.Path(folder).glob("*.whl"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True, choices=sorted({variant for variant, _ in WHEELS}))
    parser.add_argument("--out", required=True, type=pathlib.Path)
    args = parser.parse_args()

    package, digest = WHEELS.get((args.variant, platform.machine())) or sys.exit(
        f"fetch_mlx: no MLX wheel is pinned for {args.variant} on {platform.machine()}")
    stamp = args.out / "stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"-- Fetching {package} {VERSION}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(package, digest, folder)
        shutil.rmtree(args.out, ignore_errors=True)
        args.out.mkdir(parents=True)
        zipfile.ZipFile(wheel).extractall(args.out)
    stamp.write_text(digest)


if __name__ == "__main__":
    main()
