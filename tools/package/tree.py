"""The tree that every package holds: bin/pippin, lib/pippin with each library that a system may lack, share/pippin.

`cmake --install` makes it with MLX; `complete` adds the other libraries, and `faults` tells what would keep it from running elsewhere.
"""
import pathlib
import re
import shutil
import subprocess

import elf

LIBRARIES = "lib/pippin"


def install(build: pathlib.Path, tree: pathlib.Path) -> None:
    """Installs the program of a build folder, stripped; nothing of the C++ API."""
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["cmake", "--install", str(build), "--prefix", str(tree), "--component", "runtime", "--strip"], check=True, stdout=subprocess.DEVNULL)


def found_by_loader(file: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns where this machine's dynamic linker finds all that `file` needs, by soname."""
    text = subprocess.run(["ldd", str(file)], capture_output=True, text=True).stdout
    return {name: pathlib.Path(place) for name, place in re.findall(r"^\s*(\S+) => (/\S+)", text, re.M)}


def take(name: str, source: pathlib.Path, tree: pathlib.Path) -> pathlib.Path:
    """Copies a library into the tree, where it finds its neighbours."""
    copy = tree / LIBRARIES / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source.resolve(), copy)
    copy.chmod(0o644)
    subprocess.run(["strip", "--strip-unneeded", str(copy)], check=True)
    subprocess.run(["patchelf", "--set-rpath", "$ORIGIN", str(copy)], check=True)
    return copy


def complete(tree: pathlib.Path, own: pathlib.Path | None) -> dict[str, pathlib.Path]:
    """Adds what the programs of `tree` need: from the folder `own` first, then from this system.

    Returns where each added library came from, by soname."""
    taken: dict[str, pathlib.Path] = {}
    todo = elf.files(tree)
    while todo:
        file = todo.pop()
        system: dict[str, pathlib.Path] | None = None
        for name in elf.lacks(file):
            if name in taken:
                continue
            if own and (own / name).exists():
                taken[name] = own / name
            else:
                system = found_by_loader(file) if system is None else system
                if name not in system:
                    raise FileNotFoundError(f"{file.name} needs {name}, which this machine does not have")
                taken[name] = system[name]
            todo.append(take(name, taken[name], tree))
    return taken


def text_faults(file: pathlib.Path, name: str, foreign: list[str]) -> list[str]:
    data = file.read_bytes()
    return [f"{name} holds the path {path}" for path in foreign if path.encode() in data]


def elf_faults(file: pathlib.Path, name: str, tree: pathlib.Path) -> list[str]:
    found = [f"{name} needs {needed}, which is neither in the package nor on every system" for needed in elf.lacks(file)]
    for entry, place in zip(elf.read(file).runpath, elf.places(file)):
        if not entry.startswith("$ORIGIN") or not place.is_relative_to(tree):
            found.append(f"{name} looks for libraries in {entry}")
    for family, version in elf.versions(file).items():
        if version > elf.NEWEST[family]:
            found.append(f"{name} needs {family}_{'.'.join(map(str, version))}, newer than the platform's")
    return found


def faults(tree: pathlib.Path, foreign: list[str]) -> list[str]:
    """Returns what is wrong with a tree; `foreign` are paths of the building machine that it must not hold."""
    tree = tree.resolve()
    found = []
    for file in sorted(path for path in tree.rglob("*") if path.is_file()):
        name = str(file.relative_to(tree))
        if file.is_symlink():
            found.append(f"{name} is a link")  # wheels have none
            continue
        found += text_faults(file, name, foreign)
        if elf.is_elf(file):
            found += elf_faults(file, name, tree)
    return found


def platform(tree: pathlib.Path) -> tuple[int, ...]:
    """Returns the glibc that the tree needs."""
    return max(elf.versions(file).get("GLIBC", (0,)) for file in elf.files(tree))
