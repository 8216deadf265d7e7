"""Tests of the packages: what is in them, that they install and run, that archives twice gives the same bytes."""
import csv
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

import deb
import package
import archives
import python_wheel
from workshop import run

WHEN = 1_700_000_000


def make_deb(tree: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    return deb.build(tree, package.FILES, "1.2.3", "amd64", out, WHEN)


def make_wheel(tree: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    return python_wheel.build(tree, "1.2.3", "manylinux_2_36_x86_64", out, WHEN)


def make_tarball(tree: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    archives.tar_xz(tree, "pippin-1.2.3", out / "pippin.tar.xz", WHEN)
    return out / "pippin.tar.xz"


@pytest.mark.parametrize("make", [make_deb, make_wheel, make_tarball])
def test_packing_the_same_files_again_gives_the_same_bytes(whole_tree, tmp_path, make):
    """The second tree has other times, another order of creation, another place and another umask."""
    again = tmp_path / "again"
    for file in sorted(whole_tree.rglob("*"), reverse=True):
        if file.is_file():
            copy = again / file.relative_to(whole_tree)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            copy.chmod(0o700 if os.access(file, os.X_OK) and file.parent.name == "bin" else 0o600)
            os.utime(copy, (1, 1))
    results = []
    for number, tree in enumerate((whole_tree, again)):
        out = tmp_path / str(number)
        out.mkdir()
        results.append(hashlib.sha256(make(tree, out).read_bytes()).hexdigest())
    assert results[0] == results[1]


def test_the_debian_package(whole_tree, tmp_path):
    file = make_deb(whole_tree, tmp_path)
    field = lambda name: subprocess.run(["dpkg-deb", "-f", str(file), name], check=True, capture_output=True, text=True).stdout.strip()
    assert (field("Package"), field("Version"), field("Architecture")) == ("pippin", "1.2.3", "amd64")
    assert "libc6 (>= 2." in field("Depends") and "libssl3" in field("Depends") and "libav" not in field("Depends")
    listing = subprocess.run(["dpkg-deb", "-c", str(file)], check=True, capture_output=True, text=True).stdout.splitlines()
    assert all("root/root" in line and "2023-11-14" in line for line in listing)
    names = {line.split()[-1]: line.split()[0] for line in listing}
    assert names["./usr/bin/pippin"] == "-rwxr-xr-x" and names["./etc/default/pippin"] == "-rw-r--r--"
    assert {"./usr/lib/systemd/system/pippin.service", "./usr/share/doc/pippin/copyright", "./usr/lib/pippin/libb.so.1"} <= set(names)
    assert "./usr/lib/pippin/libssl.so.3" not in names  # Debian's own, with its security updates
    assert all(mode.startswith("drwxr-xr-x") for name, mode in names.items() if name.endswith("/"))
    subprocess.run(["dpkg-deb", "-x", str(file), str(tmp_path / "root")], check=True)
    assert run(tmp_path / "root/usr/bin/pippin", "hello") == "42 hello\n"


def test_the_debian_package_keeps_an_edited_configuration(whole_tree, tmp_path):
    subprocess.run(["dpkg-deb", "-e", str(make_deb(whole_tree, tmp_path)), str(tmp_path / "control")], check=True)
    assert (tmp_path / "control/conffiles").read_text() == "/etc/default/pippin\n"


def test_the_wheel_lists_itself(whole_tree, tmp_path):
    file = make_wheel(whole_tree, tmp_path)
    assert file.name == "pippin-1.2.3-py3-none-manylinux_2_36_x86_64.whl"
    with zipfile.ZipFile(file) as archive:
        rows = list(csv.reader(io.StringIO(archive.read("pippin-1.2.3.dist-info/RECORD").decode())))
        assert {row[0] for row in rows} == set(archive.namelist())
        for name, digest, size in rows[:-1]:
            assert digest == python_wheel.digest(archive.read(name)) and int(size) == len(archive.read(name))
        assert archive.getinfo("pippin/bin/pippin").external_attr >> 16 == 0o100755
        assert "pippin/lib/pippin/libssl.so.3" in archive.namelist()  # no system that pip knows of has it


def test_the_installed_wheel_runs_the_program(whole_tree, tmp_path):
    site = tmp_path / "site packages"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--target", str(site),
                    make_wheel(whole_tree, tmp_path)], check=True)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}
    for command in ([sys.executable, "-m", "pippin"], [str(site / "bin/pippin")]):
        result = subprocess.run([*command, "two words"], check=True, capture_output=True, text=True, env=environment)
        assert result.stdout == "42 two words\n"


def test_the_tarball_installs_and_goes_without_a_trace(whole_tree, tmp_path):
    with_script = shutil.copytree(whole_tree, tmp_path / "tree")
    shutil.copy(package.FILES / "install.sh", with_script)
    with tarfile.open(make_tarball(with_script, tmp_path)) as tar:
        assert all(info.uid == info.gid == 0 and info.mtime == WHEN for info in tar)
        tar.extractall(tmp_path / "out", filter="fully_trusted")
    script, prefix = tmp_path / "out/pippin-1.2.3/install.sh", tmp_path / "a prefix"
    (prefix / "share/man1").mkdir(parents=True)
    (prefix / "share/man1/other.1").write_text("the page of another")
    for _ in range(2):  # the second time over the first
        assert "Installed" in run(script, str(prefix))
    assert run(prefix / "bin/pippin", "hello") == "42 hello\n" and (prefix / "share/man1/pippin.1").exists()
    run(script, "--uninstall", str(prefix))
    assert sorted(str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()) == ["share/man1/other.1"]


def test_the_tarball_says_when_the_program_does_not_run(whole_tree, tmp_path):
    broken = shutil.copytree(whole_tree, tmp_path / "tree")
    (broken / "lib/pippin/liba.so.1").unlink()
    script = shutil.copy(package.FILES / "install.sh", broken)
    result = subprocess.run([script, str(tmp_path / "prefix")], capture_output=True, text=True)
    assert result.returncode == 1 and "does not run here" in result.stderr
