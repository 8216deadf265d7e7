#!/usr/bin/env python3
"""Brings the JavaScript libraries of the chat page from the npm registry: pinned, hash-checked, only the files that are used.

  fetch_page.py --out DIR [--for build|test]

  --for    build: what goes into the page (the default); test: what its tests need

Which packages, with their SHA-512 as the registry states it: page.json. npm downloads them where it is installed, since npm knows the
machine's mirrors; else they come by HTTPS. Node is not needed. Repeatable: a folder that already holds them is left alone.
"""
import argparse
import base64
import fcntl
import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request

PINS = pathlib.Path(__file__).resolve().parent / "page.json"
REGISTRY = "https://registry.npmjs.org"


def read_pins(purpose: str) -> list[dict]:
    return [package for package in json.loads(PINS.read_text()) if package.get("for", "build") == purpose]


def by_npm(package: dict) -> bytes | None:
    """Returns the package's archive; None where npm is not there or can't get it."""
    if not shutil.which("npm"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder,
                   f"{package['name']}@{package['version']}"]
        done = subprocess.run(command, cwd=folder, capture_output=True)
        archives = list(pathlib.Path(folder).glob("*.tgz"))
        return archives[0].read_bytes() if done.returncode == 0 and archives else None


def by_https(package: dict, registry: str = REGISTRY) -> bytes:
    base = package["name"].split("/")[-1]
    url = f"{registry}/{package['name']}/-/{base}-{package['version']}.tgz"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()
    except OSError as error:
        sys.exit(f"fetch_page: {url}: {error} (is the npm registry reachable?)")


def check(package: dict, archive: bytes) -> None:
    kind, _, expected = package["integrity"].partition("-")
    actual = base64.b64encode(hashlib.new(kind, archive).digest()).decode()
    if actual != expected:
        sys.exit(f"fetch_page: {package['name']} {package['version']} has the wrong hash: {kind}-{actual}")


def unpack(package: dict, archive: bytes, out: pathlib.Path) -> str:
    """Writes the files that are used; returns the text of the licence."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {member.name.split("/", 1)[-1]: member for member in tar.getmembers() if member.isfile()}
        for source, target in package["files"].items():
            path = out / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tar.extractfile(files[source]).read())
        return tar.extractfile(files["LICENSE"]).read().decode()


def fetch(packages: list[dict], out: pathlib.Path) -> None:
    """Replaces `out` by the packages' files and LICENSES.txt; never leaves half of them there."""
    stamp = json.dumps(packages)
    if (out / "stamp").exists() and (out / "stamp").read_text() == stamp:
        return
    print(f"-- Fetching {', '.join(package['name'] for package in packages)}", flush=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        scratch = pathlib.Path(name) / "files"
        scratch.mkdir()
        licences = []
        for package in packages:
            archive = by_npm(package) or by_https(package)
            check(package, archive)
            text = unpack(package, archive, scratch)
            licences.append(f"{package['name']} {package['version']}: {package['licence']}\n\n{text.strip()}\n")
        (scratch / "LICENSES.txt").write_text(f"\n{'-' * 80}\n\n".join(licences))
        (scratch / "stamp").write_text(stamp)
        shutil.rmtree(out, ignore_errors=True)
        scratch.rename(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--for", dest="purpose", choices=["build", "test"], default="build")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with open(args.out.parent / ".lock", "w") as lock:  # two configurations may ask at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetch(read_pins(args.purpose), args.out)


if __name__ == "__main__":
    main()
