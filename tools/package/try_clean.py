#!/usr/bin/env python3
"""Tries the packages where nobody has a compiler: on a bare Debian of its own folder (debootstrap, chroot), as root.

  try_clean.py --packages build/package [--root DIR]

Installs the Debian package with apt-get, asks the built-in model about a picture, removes the package; installs the wheel into a fresh
virtual environment and asks again; runs the tarball's install script and asks again. Each must answer within a minute, installation
included (not: apt-get's fetching of Python for the wheel). A --root that holds a bare system already is used again.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURE = ROOT / "assets/pictures/shapes.png"
EXPECTED = ("circle", "square")  # what the picture shows
LIMIT_S = 60


class Clean:
    """A root file system without compilers."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        if not (folder / "usr/bin/apt-get").exists():
            print("-- Making a bare Debian with debootstrap", flush=True)
            self.shell_outside(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(folder), mirror()])
        for path in (*(pathlib.Path("/etc/apt").rglob("*.sources")), pathlib.Path("/etc/apt/sources.list"), pathlib.Path("/etc/resolv.conf")):
            if path.exists() and (path.suffix != ".sources" or "debian" in path.stem):
                (folder / path.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / path.relative_to("/"))

    @staticmethod
    def shell_outside(command: list[str]) -> str:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            sys.exit(f"try_clean: {' '.join(command)} failed:\n{result.stdout[-3000:]}")
        return result.stdout

    def shell(self, script: str) -> str:
        """Runs a script inside, with an environment of its own and no network but what apt-get is told of."""
        inside = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
                  "DEBIAN_FRONTEND=noninteractive"]
        return self.shell_outside(["unshare", "--mount", "--pid", "--fork", "--", "sh", "-ec",
                                   'mount -t proc proc "$1/proc"; root=$1; shift; exec chroot "$root" "$@"', "sh", str(self.folder),
                                   *inside, "sh", "-ec", script])

    def give(self, file: pathlib.Path) -> str:
        shutil.copy(file, self.folder / "root" / file.name)
        return f"/root/{file.name}"


def mirror() -> str:
    """Returns where this machine gets its Debian packages."""
    text = "".join(path.read_text() for path in pathlib.Path("/etc/apt").rglob("*") if path.suffix in (".sources", ".list"))
    found = re.search(r"^(?:URIs:|deb)\s+(?:\[.*?\]\s+)?(\S+/debian)/?\s", text, re.M)
    return found[1] if found else sys.exit("try_clean: no Debian mirror in /etc/apt")


def ask(program: str, picture: str) -> str:
    return f"{program} run demo 'Describe the picture.' --image {picture} --temperature 0"


def timed(clean: Clean, name: str, script: str) -> None:
    started = time.monotonic()
    answer = clean.shell(script)
    took = time.monotonic() - started
    said = answer.strip().splitlines()[-3:]
    print(f"   {name}: {took:.1f} s from the package to the answer", *said, sep="\n      ", flush=True)
    if not all(word in answer for word in EXPECTED) or took > LIMIT_S:
        sys.exit(f"try_clean: {name}: expected an answer with {EXPECTED} within {LIMIT_S} s, got after {took:.0f} s:\n{answer[-2000:]}")


def only(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    (file,) = folder.glob(pattern)
    return file


def try_deb(clean: Clean, file: str, picture: str) -> None:
    timed(clean, "Debian package", f"apt-get -qq install --yes --no-install-recommends {file} >/dev/null 2>&1; {ask('pippin', picture)}")
    print("      needs of the system:", clean.shell("ldd /usr/bin/pippin | grep -v /pippin/ | sed 's/ => .*//;s/ (.*//' | xargs").strip())
    clean.shell("apt-get -qq purge --yes pippin >/dev/null 2>&1; ! test -e /usr/lib/pippin; ! test -e /etc/default/pippin")


def try_wheel(clean: Clean, file: str, picture: str) -> None:
    clean.shell("apt-get -qq install --yes --no-install-recommends python3-venv >/dev/null 2>&1; ! command -v cc")
    timed(clean, "Wheel", f"python3 -m venv /root/venv; /root/venv/bin/pip install --quiet --no-index {file}; {ask('/root/venv/bin/pippin', picture)}")
    clean.shell("rm -rf /root/venv; apt-get -qq purge --yes --auto-remove python3-venv >/dev/null 2>&1")


def try_tarball(clean: Clean, file: str, picture: str) -> None:
    clean.shell("apt-get -qq install --yes --no-install-recommends xz-utils >/dev/null 2>&1")
    timed(clean, "Tarball", f"cd /root; tar -xf {file}; pippin-*/install.sh >/dev/null; {ask('/root/.local/bin/pippin', picture)}")
    clean.shell("cd /root; pippin-*/install.sh --uninstall; rm -rf pippin-*-linux-* .local; apt-get -qq purge --yes xz-utils >/dev/null 2>&1")


KINDS = {"*.deb": try_deb, "*.whl": try_wheel, "*.tar.xz": try_tarball}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", required=True, type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "pippin-clean-root")
    parser.add_argument("--only", choices=KINDS, action="append", help="may be repeated [all]")
    args = parser.parse_args()
    clean = Clean(args.root)
    picture = clean.give(PICTURE)
    clean.shell("apt-get -qq update; ! command -v cc; ! command -v c++; ! command -v cargo")
    for pattern in args.only or KINDS:
        KINDS[pattern](clean, clean.give(only(args.packages, pattern)), picture)


if __name__ == "__main__":
    main()
