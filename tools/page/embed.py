#!/usr/bin/env python3
"""Writes the chat page's files as a C++ source.

  embed.py --page page --vendor build/page/vendor --out page_files.cpp

A file of page/ is found under its name, one of the vendor folder under vendor/NAME. Nothing is changed or packed: the page runs
as it is written.
"""
import argparse
import hashlib
import pathlib

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
LINE = 110  # bytes of a file in a line of the source


def collect(page: pathlib.Path, vendor: pathlib.Path) -> dict[str, bytes]:
    """Returns name -> contents, sorted by name."""
    files = {path.name: path.read_bytes() for path in page.iterdir() if path.suffix in TYPES}
    files |= {f"vendor/{path.relative_to(vendor).as_posix()}": path.read_bytes()
              for path in vendor.rglob("*") if path.suffix in TYPES}
    return dict(sorted(files.items()))


def literal(data: bytes) -> str:
    """Returns a C++ string literal, in lines."""
    def escape(byte: int) -> str:
        char = chr(byte)
        return char if 32 <= byte < 127 and char not in '"\\?' else f"\\{byte:03o}"
    lines = ["".join(escape(byte) for byte in data[at:at + LINE]) for at in range(0, len(data), LINE)]
    return "\n".join(f'    "{line}"' for line in lines or [""])


def source(files: dict[str, bytes]) -> str:
    parts = ["// Made by tools/page/embed.py.", '#include "server/page/page_files.h"', "", "namespace pippin::server {",
             "namespace {", ""]
    for number, data in enumerate(files.values()):
        parts.append(f"constexpr char file_{number}[] =\n{literal(data)};")
    parts += ["", "constexpr PageFile files[] = {"]
    for number, (name, data) in enumerate(files.items()):
        tag = hashlib.sha256(data).hexdigest()[:20]
        kind = TYPES[pathlib.PurePath(name).suffix]
        parts.append(f'    {{"{name}", "{kind}", "\\"{tag}\\"", {{file_{number}, sizeof(file_{number}) - 1}}}},')
    parts += ["};", "", "}  // namespace", "", "std::span<const PageFile> page_files() { return files; }", "",
              "}  // namespace pippin::server", ""]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", required=True, type=pathlib.Path)
    parser.add_argument("--vendor", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    args = parser.parse_args()
    args.out.write_text(source(collect(args.page, args.vendor)))


if __name__ == "__main__":
    main()
