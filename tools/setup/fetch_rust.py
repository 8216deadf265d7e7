#!/usr/bin/env python3
"""Brings the pinned Rust (rustc, cargo and the standard library) into a folder of the build tree, for a machine that has none or an
older one. Nothing outside the folder changes.

  fetch_rust.py --out build/rust-toolchain

Which version, with the hashes that the Rust project publishes for it: rust.json. RUSTUP_DIST_SERVER names another place to fetch
from, as for rustup. Repeatable: a folder that already holds the pinned version is left alone.
"""
import argparse
import hashlib
import json
import os
import pathlib
import platform
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

PINS = pathlib.Path(__file__).resolve().parent / "rust.json"
SERVER = "https://static.rust-lang.org"
TRIES = 3


class Failed(Exception):
    pass


def target(system: str, machine: str) -> str:
    """Returns Rust's name of such a machine."""
    names = {("Linux", "x86_64"): "x86_64-unknown-linux-gnu", ("Linux", "aarch64"): "aarch64-unknown-linux-gnu",
             ("Darwin", "arm64"): "aarch64-apple-darwin"}
    if (system, machine) not in names:
        raise Failed(f"no Rust is pinned for {system} on {machine}; see https://rustup.rs")
    return names[system, machine]


def download(url: str, file: pathlib.Path, expected: str) -> None:
    """Fetches `url` into `file`; its SHA-256 must be `expected`."""
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(url, timeout=60) as response, open(file, "wb") as out:
                shutil.copyfileobj(response, out, 1 << 20)
            break
        except (OSError, urllib.error.URLError) as error:
            if attempt == TRIES - 1:
                raise Failed(f"{url}: {error}") from error
            time.sleep(attempt)
    with open(file, "rb") as done:
        found = hashlib.file_digest(done, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(done.read()).hexdigest()
    if found != expected:
        raise Failed(f"{url} has the SHA-256 {found}, expected {expected}")


def unpack(archive: pathlib.Path, scratch: pathlib.Path, out: pathlib.Path) -> None:
    """Adds a component's files to `out`. An archive holds NAME-VERSION-TARGET/COMPONENT/{bin,lib,...} beside texts."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(scratch, filter="data")
        else:
            tar.extractall(scratch)
    (top,) = scratch.iterdir()
    for component in (folder for folder in top.iterdir() if (folder / "manifest.in").exists()):
        (component / "manifest.in").unlink()
        shutil.copytree(component, out, dirs_exist_ok=True, symlinks=True)


def fetch(pins: dict, name: str, server: str, out: pathlib.Path) -> None:
    """Replaces `out` by the toolchain of `pins` for the target `name`; never leaves half of one there."""
    components = pins["targets"][name]
    stamp = json.dumps([pins["version"], name, components])
    if (out / "stamp").exists() and (out / "stamp").read_text() == stamp:
        return
    print(f"-- Fetching Rust {pins['version']} into {out} (about 120 MB; nothing else on this machine changes)", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        scratch = pathlib.Path(folder)
        for number, (component, digest) in enumerate(components.items(), 1):
            print(f"   {number} of {len(components)}: {component}", flush=True)
            archive = scratch / "archive.tar.xz"
            download(f"{server}/dist/{pins['date']}/{component}-{pins['version']}-{name}.tar.xz", archive, digest)
            (scratch / component).mkdir()
            unpack(archive, scratch / component, scratch / "toolchain")
        (scratch / "toolchain/stamp").write_text(stamp)
        shutil.rmtree(out, ignore_errors=True)
        (scratch / "toolchain").rename(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    out = parser.parse_args().out.absolute()
    try:
        name = target(platform.system(), platform.machine())
        fetch(json.loads(PINS.read_text()), name, os.environ.get("RUSTUP_DIST_SERVER", SERVER), out)
    except Failed as failure:
        sys.exit(f"fetch_rust: {failure}")


if __name__ == "__main__":
    main()
