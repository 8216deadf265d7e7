"""The Debian package, by CPack: the tree under /usr, less the libraries that Debian keeps safe (OpenSSL), and a systemd unit."""
import os
import pathlib
import shutil
import subprocess

import tree as trees

# From the system, whose security updates they then get: soname -> package.
SYSTEM = {"libssl.so.3": "libssl3", "libcrypto.so.3": "libssl3"}
DEPENDS = "libc6 (>= {glibc}), libstdc++6 (>= 12), libgcc-s1, zlib1g, libssl3, ca-certificates"

CONFIG = """set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pippin)
set(CPACK_PACKAGE_VERSION {version})
set(CPACK_PACKAGE_VENDOR Pippin)
set(CPACK_PACKAGE_CONTACT "The Pippin authors <pippin@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Language and vision-language models on your own machine")
set(CPACK_PACKAGE_DESCRIPTION "A server for the APIs of OpenAI and Anthropic, with a small built-in model.")
set(CPACK_PACKAGE_FILE_NAME {name})
set(CPACK_PACKAGE_DIRECTORY "{out}")
set(CPACK_INSTALLED_DIRECTORIES "{stage};/")
set(CPACK_PACKAGING_INSTALL_PREFIX "/")
set(CPACK_SET_DESTDIR OFF)
set(CPACK_THREADS 1)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE {architecture})
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "{depends}")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "{conffiles}")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION TRUE)
"""


def stage(tree: pathlib.Path, files: pathlib.Path, folder: pathlib.Path) -> None:
    """Lays out the package's files as they will lie under /."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree, folder / "usr")
    for name in SYSTEM:
        (folder / "usr" / trees.LIBRARIES / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "usr/share/pippin/services", ignore_errors=True)
    for source, place in {"pippin.service": "usr/lib/systemd/system", "default": "etc/default"}.items():
        (folder / place).mkdir(parents=True)
        shutil.copy(files / source, folder / place / ("pippin" if source == "default" else source))
    documents = folder / "usr/share/doc/pippin"
    documents.mkdir(parents=True)
    shutil.copy(tree / "share/pippin/THIRD-PARTY.txt", documents / "copyright")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def build(tree: pathlib.Path, files: pathlib.Path, version: str, architecture: str, out: pathlib.Path, when: int) -> pathlib.Path:
    """Writes the package into the folder `out` and returns its path."""
    work = out / "deb"
    stage(tree, files, work / "root")
    for path in [*sorted((work / "root").rglob("*")), work / "root"]:
        os.utime(path, (when, when))
    (work / "conffiles").write_text("/etc/default/pippin\n")
    (work / "conffiles").chmod(0o644)
    name = f"pippin_{version}_{architecture}"
    glibc = ".".join(map(str, trees.platform(tree)))
    (work / "config.cmake").write_text(CONFIG.format(
        version=version, name=name, out=work, stage=work / "root", architecture=architecture, conffiles=work / "conffiles",
        depends=DEPENDS.format(glibc=glibc)))
    result = subprocess.run(["cpack", "--config", str(work / "config.cmake")], capture_output=True, text=True, cwd=work,
                            env={**os.environ, "SOURCE_DATE_EPOCH": str(when)})
    if result.returncode:
        raise RuntimeError(f"cpack failed: {result.stdout}{result.stderr}")
    return shutil.move(work / f"{name}.deb", out / f"{name}.deb")
