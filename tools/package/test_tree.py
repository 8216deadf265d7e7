"""Tests of the tree that packages hold: it is whole wherever it is put, and each fault that would break it is found."""
import os
import re
import shutil
import subprocess

import pytest

import elf
import libraries
import tree as trees
from components import ROOT
from workshop import run


def complete(workshop):
    taken = trees.complete(workshop / "tree", workshop / "own")
    return workshop / "tree", taken


def test_a_moved_tree_finds_its_libraries_in_itself(workshop):
    tree, taken = complete(workshop)
    assert taken == {"libb.so.1": workshop / "own/libb.so.1", "liba.so.1": workshop / "system/liba.so.1"}
    shutil.rmtree(workshop / "own")
    shutil.rmtree(workshop / "system")
    moved = shutil.move(tree, workshop / "another place")
    assert run(moved / "bin/pippin", "words") == "42 words\n"
    assert {name: elf.read(moved / "lib/pippin" / name).runpath for name in taken} == {name: ["$ORIGIN"] for name in taken}
    assert trees.faults(moved, [str(workshop / "own")]) == []


def test_the_own_build_of_a_library_comes_before_the_systems(workshop):
    shutil.copy(workshop / "own/libb.so.1", workshop / "system")
    assert complete(workshop)[1]["libb.so.1"] == workshop / "own/libb.so.1"


def test_a_library_that_the_machine_lacks_is_named(workshop):
    (workshop / "system/liba.so.1").unlink()
    with pytest.raises(FileNotFoundError, match="libb.so.1 needs liba.so.1"):
        complete(workshop)


def absolute_path(tree):
    subprocess.run(["patchelf", "--set-rpath", "/opt/lib:$ORIGIN", str(tree / "lib/pippin/libb.so.1")], check=True)


def path_out_of_the_tree(tree):
    subprocess.run(["patchelf", "--set-rpath", "$ORIGIN:$ORIGIN/../../..", str(tree / "lib/pippin/libb.so.1")], check=True)


def library_gone(tree):
    (tree / "lib/pippin/liba.so.1").unlink()


def link(tree):
    os.symlink("libb.so.1", tree / "lib/pippin/libb.so")


def builders_path(tree):
    with open(tree / "bin/pippin", "ab") as program:
        program.write(b"assertion failed: /home/builder/pippin/src/main.cpp")


@pytest.mark.parametrize("damage, fault", [
    (absolute_path, "lib/pippin/libb.so.1 looks for libraries in /opt/lib"),
    (path_out_of_the_tree, "lib/pippin/libb.so.1 looks for libraries in $ORIGIN/../../.."),
    (library_gone, "lib/pippin/libb.so.1 needs liba.so.1, which is neither in the package nor on every system"),
    (link, "lib/pippin/libb.so is a link"),
    (builders_path, "bin/pippin holds the path /home/builder/")])
def test_a_fault_is_found(workshop, damage, fault):
    tree, _ = complete(workshop)
    damage(tree)
    assert trees.faults(tree, ["/home/builder/"]) == [fault]


def test_a_program_for_a_newer_system_is_a_fault(workshop, monkeypatch):
    tree, _ = complete(workshop)
    needed = ".".join(map(str, elf.versions(tree / "bin/pippin")["GLIBC"]))
    monkeypatch.setitem(elf.NEWEST, "GLIBC", (2, 1))
    assert f"bin/pippin needs GLIBC_{needed}, newer than the platform's" in trees.faults(tree, [])


def test_the_libraries_of_every_system_are_few():
    for name in ("libc.so.6", "libstdc++.so.6", "ld-linux-x86-64.so.2", "libz.so.1"):
        assert elf.SYSTEM.fullmatch(name)
    for name in ("libssl.so.3", "libgfortran.so.5", "libavcodec.so.59", "libc.so.6.1", "libcurl.so.4"):
        assert not elf.SYSTEM.fullmatch(name)


def test_ffmpeg_is_built_with_what_the_source_uses():
    source = (ROOT / "src/media/video_source.cpp").read_text()
    decoders = re.search(r'kVideoDecoders = "(.*)"', source)[1].split(",")
    assert libraries.DECODERS.split(",") == [name for name in decoders if name != "av1"]  # FFmpeg's own "av1" needs a GPU
    assert set(libraries.DEMUXERS.split(",")) == set(re.findall(r'av_find_input_format\("(\w+)"\)', source))
