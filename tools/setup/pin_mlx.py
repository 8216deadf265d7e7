#!/usr/bin/env python3
"""Writes mlx/<variant>.txt: the wheels that MLX of one version needs, each with its SHA-256 as PyPI states it.

  pin_mlx.py VERSION        run by hand when Pippin moves to another MLX; commit the result

Only metadata is fetched (pip's dry run), for every platform that we support.
"""
import json
import pathlib
import subprocess
import sys

LINUX_TAGS = ["manylinux_2_35", "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014"]
LINUX = [[f"{tag}_{machine}" for tag in LINUX_TAGS] for machine in ("x86_64", "aarch64")]
MAC = [[f"macosx_{major}_0_arm64"] for major in (14, 15, 26)]
# The package of each variant, the platforms it is published for, and whether its dependencies are unpacked beside it:
# the CUDA libraries are, where libmlx's rpath looks for them.
VARIANTS = {
    "cpu": ("mlx-cpu", LINUX, False),
    "cuda12": ("mlx-cuda-12", LINUX, True),
    "cuda13": ("mlx-cuda-13", LINUX, True),
    "metal": ("mlx-metal", MAC, False),
}


def resolve(requirement: str, tags: list[str], dependencies: bool) -> list[tuple[str, str]]:
    """Returns (name==version, SHA-256) of everything that pip would install for a platform."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-",
               "--only-binary=:all:", "--target", "unused", requirement]
    command += [argument for tag in tags for argument in ("--platform", tag)]
    command += [] if dependencies else ["--no-deps"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [(f"{wheel['metadata']['name']}=={wheel['metadata']['version']}",
             wheel["download_info"]["archive_info"]["hashes"]["sha256"]) for wheel in report["install"]]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for variant, (package, platforms, dependencies) in VARIANTS.items():
        pins: dict[str, list[str]] = {}
        for tags in platforms:
            for name, digest in resolve(f"{package}=={sys.argv[1]}", tags, dependencies):
                pins.setdefault(name, []).append(digest)
        lines = [" \\\n    ".join([name] + [f"--hash=sha256:{digest}" for digest in dict.fromkeys(digests)])
                 for name, digests in pins.items()]
        target = pathlib.Path(__file__).parent / "mlx" / f"{variant}.txt"
        target.write_text("# Written by tools/setup/pin_mlx.py.\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
