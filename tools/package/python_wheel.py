"""The Python wheel: the tree inside a package `pippin`, whose entry point becomes the program."""
import base64
import hashlib
import pathlib

import archives

LAUNCHER = '''"""Runs the pippin program that lies beside this file."""
import os
import pathlib
import sys


def main() -> None:
    program = pathlib.Path(__file__).resolve().parent / "bin" / "pippin"
    os.execv(program, [str(program), *sys.argv[1:]])


if __name__ == "__main__":
    main()
'''

METADATA = """Metadata-Version: 2.4
Name: pippin
Version: {version}
Summary: Language and vision-language models on your own machine: one server program
License-Expression: Apache-2.0
License-File: LICENSE
License-File: THIRD-PARTY.txt
Requires-Python: >=3.9
Classifier: Environment :: Console
Classifier: Operating System :: POSIX :: Linux
Description-Content-Type: text/markdown

Pippin serves language models and vision-language models on your own machine, through the HTTP APIs of OpenAI and Anthropic.
This wheel carries the program and its libraries; it needs no other Python package and no compiler.

    pippin run demo "What is Pippin?"
    pippin serve demo
"""


def digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def record(entries: list[tuple[str, pathlib.Path | bytes]], name: str) -> bytes:
    lines = []
    for entry, content in entries:
        data = content.read_bytes() if isinstance(content, pathlib.Path) else content
        lines.append(f"{entry},{digest(data)},{len(data)}\n")
    return ("".join(lines) + f"{name},,\n").encode()


def build(tree: pathlib.Path, version: str, platform: str, out: pathlib.Path, when: int) -> pathlib.Path:
    """Writes the wheel into the folder `out` and returns its path. `platform` is such as manylinux_2_36_x86_64."""
    info = f"pippin-{version}.dist-info"
    entries: list[tuple[str, pathlib.Path | bytes]] = [(f"pippin/{name}", path) for name, path in archives.files(tree)]
    entries += [("pippin/__init__.py", LAUNCHER.encode()), ("pippin/__main__.py", b"from pippin import main\n\nmain()\n")]
    entries.sort(key=lambda entry: entry[0])
    entries += [
        (f"{info}/METADATA", METADATA.format(version=version).encode()),
        (f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: pippin\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n".encode()),
        (f"{info}/entry_points.txt", b"[console_scripts]\npippin = pippin:main\n"),
        *((f"{info}/licenses/{name}", tree / "share/pippin" / name) for name in ("LICENSE", "THIRD-PARTY.txt")),
        (f"{info}/sboms/pippin.spdx.json", tree / "share/pippin/sbom.spdx.json")]
    entries.append((f"{info}/RECORD", record(entries, f"{info}/RECORD")))
    file = out / f"pippin-{version}-py3-none-{platform}.whl"
    archives.zip_file(entries, file, when)
    return file
