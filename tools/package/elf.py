"""What the dynamic linker reads of a program or library: by readelf and objdump of binutils, which come with every compiler."""
import pathlib
import re
import subprocess
from typing import NamedTuple

# What a system of the platform manylinux_2_36 has by itself (PEP 600; auditwheel's list), where Pippin uses it.
SYSTEM = re.compile(r"(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|libz|ld-linux-x86-64|ld-linux-aarch64)\.so\.\d+")
NEWEST = {"GLIBC": (2, 36), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13)}


class Dynamic(NamedTuple):
    needed: list[str]  # sonames
    runpath: list[str]  # folders, as written: with $ORIGIN


def is_elf(file: pathlib.Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with open(file, "rb") as data:
        return data.read(4) == b"\x7fELF"


def files(tree: pathlib.Path) -> list[pathlib.Path]:
    """Returns the programs and libraries of a tree."""
    return [file for file in sorted(tree.rglob("*")) if is_elf(file)]


def read(file: pathlib.Path) -> Dynamic:
    text = subprocess.run(["readelf", "-dW", str(file)], check=True, capture_output=True, text=True).stdout
    paths = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", text)
    return Dynamic(re.findall(r"\(NEEDED\).*\[(.*)\]", text), [entry for path in paths for entry in path.split(":") if entry])


def versions(file: pathlib.Path) -> dict[str, tuple[int, ...]]:
    """Returns the newest version of each of NEWEST's families that `file` asks for."""
    text = subprocess.run(["objdump", "-T", str(file)], check=True, capture_output=True, text=True).stdout
    newest: dict[str, tuple[int, ...]] = {}
    for family, number in re.findall(r"\b(GLIBC|GLIBCXX|CXXABI)_([\d.]+)", text):
        version = tuple(int(part) for part in number.split("."))
        newest[family] = max(newest.get(family, (0,)), version)
    return newest


def places(file: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders of `file`'s RUNPATH."""
    return [pathlib.Path(entry.replace("${ORIGIN}", str(file.parent)).replace("$ORIGIN", str(file.parent))).resolve()
            for entry in read(file).runpath]


def lacks(file: pathlib.Path) -> list[str]:
    """Returns the sonames that `file` needs, that neither the system nor the folders of its RUNPATH have."""
    folders = places(file)
    return [name for name in read(file).needed
            if not SYSTEM.fullmatch(name) and not any((folder / name).is_file() for folder in folders)]
