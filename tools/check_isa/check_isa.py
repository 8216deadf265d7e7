#!/usr/bin/env python3
"""Holds the objects of the CPU kernels to their instruction set.

  check_isa.py BUILD_DIRECTORY      prints each violation as object: symbol; exits 1 when there is one

Each isa_NAME.cpp is compiled for processors that have NAME's instructions. The linker keeps one of the equal weak symbols
(inline functions, templates) that it meets: were it that object's, a function used everywhere would need those instructions.
So every weak symbol that such an object defines must lie in namespace pippin::cpu::NAME. For ELF objects (Linux).
"""
import pathlib
import re
import subprocess
import sys
from typing import Iterator

OBJECT = re.compile(r"isa_(\w+)\.cpp\.o$")
WEAK = "WVu"  # nm's letters of weak and unique symbols that are defined


def in_namespace(symbol: str, isa: str) -> bool:
    """Whether a mangled name (Itanium C++ ABI) belongs to pippin::cpu::<isa>, or is local to a function of it."""
    return re.match(rf"_Z(GV|T[ISTV])?[NZKVr]*6pippin3cpu{len(isa)}{isa}", symbol) is not None


def weak_symbols(path: pathlib.Path) -> Iterator[str]:
    listing = subprocess.run(["nm", "--defined-only", "--format=posix", str(path)], check=True, capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        name, letter = line.split()[:2]
        if letter in WEAK:
            yield name


def demangled(symbol: str) -> str:
    return subprocess.run(["c++filt", symbol], check=True, capture_output=True, text=True).stdout.strip()


def objects_below(folder: pathlib.Path) -> dict[pathlib.Path, str]:
    """Returns the objects of one instruction set, and which."""
    found = {path: OBJECT.search(path.name) for path in sorted(folder.rglob("isa_*.cpp.o"))}
    return {path: match[1] for path, match in found.items() if match}


def check(folder: pathlib.Path) -> list[str]:
    """Returns the violations, and one where there is nothing to check."""
    objects = objects_below(folder)
    if not objects:
        return [f"{folder}: no isa_*.cpp.o below it"]
    return [f"{path.name}: {demangled(symbol)}"
            for path, isa in objects.items() for symbol in weak_symbols(path) if not in_namespace(symbol, isa)]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    violations = check(pathlib.Path(sys.argv[1]))
    print("\n".join(violations), end="\n" if violations else "")
    sys.exit(f"{len(violations)} weak symbols outside their instruction set's namespace" if violations else 0)


if __name__ == "__main__":
    main()
