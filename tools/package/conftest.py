"""The small program of workshop.py, bare and in a whole tree."""
import pathlib
import sys

import pytest

import tree as trees
from workshop import compile_all

if sys.platform != "linux":  # a Mac has Homebrew's formula, and other libraries and linkers
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def workshop(tmp_path, monkeypatch) -> pathlib.Path:
    """A folder with own/ (libraries built for packages), system/ (found by the dynamic linker) and tree/ with the bare program."""
    compile_all(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "system"))
    return tmp_path


@pytest.fixture(scope="session")
def whole_tree(tmp_path_factory) -> pathlib.Path:
    """A complete tree; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    compile_all(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_LIBRARY_PATH", str(folder / "system"))
        trees.complete(folder / "tree", folder / "own")
    share = folder / "tree/share/pippin"
    (share / "services").mkdir(parents=True)
    (share.parent / "man1").mkdir()
    (share.parent / "man1/pippin.1").write_text("a page")
    for name in ("LICENSE", "THIRD-PARTY.txt", "sbom.spdx.json", "services/pippin.service"):
        (share / name).write_text(f"the {name}\n")
    (folder / "tree/lib/pippin/libssl.so.3").write_text("OpenSSL, say")
    return folder / "tree"
