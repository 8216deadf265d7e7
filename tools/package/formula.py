#!/usr/bin/env python3
"""Writes the Homebrew formula of a release.

  formula.py --homepage URL --url URL-OF-THE-SOURCE-ARCHIVE --archive THE-SAME-FILE-HERE > pippin.rb
"""
import argparse
import hashlib
import pathlib

TEMPLATE = pathlib.Path(__file__).resolve().parent / "files/pippin.rb"


def formula(homepage: str, url: str, archive: pathlib.Path) -> str:
    text = TEMPLATE.read_text()
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    for name, value in {"@HOMEPAGE@": homepage, "@URL@": url, "@SHA256@": digest}.items():
        text = text.replace(name, value)
    return text.split("\n", 1)[1]  # less the note to us


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homepage", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--archive", required=True, type=pathlib.Path)
    args = parser.parse_args()
    print(formula(args.homepage, args.url, args.archive), end="")


if __name__ == "__main__":
    main()
