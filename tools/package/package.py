#!/usr/bin/env python3
"""Makes the packages of a build: a Debian package, a Python wheel and a tarball with an install script, in build/package.

  package.py --build build/release --out build/package

Each holds the same tree: the program, every library that a system may lack, the built-in model, licences and an SBOM. The same build
gives the same bytes; SOURCE_DATE_EPOCH is the last commit's time unless it is set. SHA256SUMS lists the results.
"""
import argparse
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import components
import deb
import libraries
import notices
import archives
import tree as trees
import python_wheel

FILES = pathlib.Path(__file__).resolve().parent / "files"
ROOT = components.ROOT
DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
ALLOWED_MB = 60


def source_date() -> int:
    """Returns the time that all files get, in seconds since 1970."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or components.output("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))


def version() -> str:
    return re.search(r"project\(pippin VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]


def parts(taken: dict[str, pathlib.Path], own: pathlib.Path) -> list[components.Component]:
    """Returns what the tree is made of; `taken`: where each library came from."""
    pins = json.loads(libraries.PINS.read_text())
    from_system = [file for file in taken.values() if not file.is_relative_to(own)]
    return [*components.own_builds(pins, own), *components.mlx(ROOT), *components.system_libraries(from_system), *components.crates(ROOT),
            *components.scripts(ROOT)]


def make_tree(build: pathlib.Path, own: pathlib.Path, tree: pathlib.Path, when: int) -> None:
    trees.install(build, tree)
    made_of = parts(trees.complete(tree, own / "lib"), own)
    share = tree / "share/pippin"
    (share / "THIRD-PARTY.txt").write_text(notices.third_party(made_of))
    (share / "sbom.spdx.json").write_text(notices.sbom(made_of, version(), when))
    shutil.copytree(FILES, share / "services", ignore=shutil.ignore_patterns("install.sh", "default"))


def check(tree: pathlib.Path) -> None:
    foreign = [str(ROOT) + "/", str(pathlib.Path.home()) + "/", os.environ.get("CARGO_HOME", str(ROOT)) + "/"]
    found = trees.faults(tree, foreign)
    if found:
        sys.exit("package: the tree would not run elsewhere:\n  " + "\n  ".join(found))


def pack(tree: pathlib.Path, out: pathlib.Path, when: int) -> list[pathlib.Path]:
    machine = platform.machine()
    glibc = "_".join(map(str, trees.platform(tree)))
    top = f"pippin-{version()}-linux-{machine}"
    made = [deb.build(tree, FILES, version(), DEBIAN_NAMES[machine], out, when),
            python_wheel.build(tree, version(), f"manylinux_{glibc}_{machine}", out, when)]
    shutil.copy(FILES / "install.sh", tree / "install.sh")
    archives.tar_xz(tree, top, out / f"{top}.tar.xz", when)
    (tree / "install.sh").unlink()
    return [*made, out / f"{top}.tar.xz"]


def report(made: list[pathlib.Path], out: pathlib.Path) -> None:
    lines = []
    for file in sorted(made):
        megabytes = file.stat().st_size / 1e6
        print(f"   {megabytes:5.1f} MB  {file}{'  (more than we aim for)' if megabytes > ALLOWED_MB else ''}")
        lines.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
    (out / "SHA256SUMS").write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path, help="folder with the built program")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the packages and the libraries built for them")
    args = parser.parse_args()
    out, when = args.out.resolve(), source_date()
    subprocess.run([sys.executable, libraries.__file__, "--out", str(out / "libraries")], check=True)
    print("-- Collecting the tree", flush=True)
    make_tree(args.build, out / "libraries", out / "tree", when)
    check(out / "tree")
    print("-- Packing", flush=True)
    report(pack(out / "tree", out, when), out)


if __name__ == "__main__":
    main()
