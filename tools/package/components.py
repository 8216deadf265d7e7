"""What a package is made of: every crate, library and script that travels, with version, licence and licence text."""
import dataclasses
import json
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADERS = {"libboost1.81-dev": "BSL-1.0", "libboost-dev": "BSL-1.0", "libcli11-dev": "BSD-3-Clause"}  # compiled in: no library travels

# Of Debian's packages whose libraries may travel. One that is not here is listed with its copyright file and NOASSERTION.
DEBIAN = {"libopenblas0-pthread": "BSD-3-Clause", "libgfortran5": "GPL-3.0-or-later WITH GCC-exception-3.1",
          "libquadmath0": "LGPL-2.1-or-later", "libjpeg62-turbo": "IJG AND BSD-3-Clause AND Zlib", "libpng16-16": "libpng-2.0",
          "libgif7": "MIT", "libwebp7": "BSD-3-Clause", "libwebpdemux2": "BSD-3-Clause", "libboost-json1.81.0": "BSL-1.0",
          "libboost-url1.81.0": "BSL-1.0", "libspdlog1.10": "MIT", "libfmt9": "MIT", "libprometheus-cpp-core1.0": "MIT",
          "libssl3": "Apache-2.0", "libdav1d6": "BSD-2-Clause"}


@dataclasses.dataclass
class Component:
    name: str
    version: str
    license: str  # an SPDX expression
    purl: str  # package URL
    texts: list[str]  # of the licences


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def spdx(expression: str) -> str:
    """Returns a crate's licence as an SPDX expression: older crates write a slash for OR."""
    return re.sub(r"\s*/\s*", " OR ", expression)


def license_texts(folder: pathlib.Path) -> list[str]:
    names = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT")
    found = sorted(file for file in folder.iterdir() if file.name.upper().startswith(names) and file.is_file() and file.suffix != ".html")
    return [file.read_text(errors="replace").strip() for file in found]


def used(metadata: dict) -> list[dict]:
    """Returns the packages that `cargo metadata` says are compiled into the library: not those of tests, build scripts and macros."""
    macros = {package["id"] for package in metadata["packages"] if any("proc-macro" in target["kind"] for target in package["targets"])}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    seen, todo = set(), [root]
    while todo:
        package = todo.pop()
        if package not in seen | macros:
            seen.add(package)
            todo += [link["pkg"] for link in nodes[package]["deps"] if any(kind["kind"] is None for kind in link["dep_kinds"])]
    return sorted((package for package in metadata["packages"] if package["id"] in seen - {root}),
                  key=lambda package: (package["name"], package["version"]))


def crates(root: pathlib.Path) -> list[Component]:
    host = re.search(r"host: (\S+)", output("rustc", "-vV"))[1]
    metadata = json.loads(output("cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host,
                                 "--manifest-path", str(root / "rust/Cargo.toml")))
    found = [Component(package["name"], package["version"], spdx(package["license"] or "NOASSERTION"),
                       f"pkg:cargo/{package['name']}@{package['version']}",
                       license_texts(pathlib.Path(package["manifest_path"]).parent)) for package in used(metadata)]
    documents = pathlib.Path(output("rustc", "--print", "sysroot").strip()) / "share/doc/rust"
    version = output("rustc", "--version").split()[1]
    found.append(Component("rust-std", version, "MIT OR Apache-2.0", f"pkg:generic/rust-std@{version}",
                           license_texts(documents) if documents.is_dir() else []))
    return found


def mlx(root: pathlib.Path) -> list[Component]:
    found = []
    for info in sorted((root / "build/mlx/cpu").glob("*.dist-info")):
        name, version = info.name.removesuffix(".dist-info").split("-", 1)
        found.append(Component(name.replace("_", "-"), version, "MIT", f"pkg:pypi/{name.replace('_', '-')}@{version}",
                               license_texts(info / "licenses")))
    found.append(Component("lapack", "3.10.0", "BSD-3-Clause", "pkg:generic/lapack@3.10.0",
                           ["BLAS and LAPACK of netlib, as MLX's wheel brings them. Licence: https://www.netlib.org/lapack/LICENSE.txt"]))
    return found


def debian_package(file: pathlib.Path) -> str:
    """Returns the name of the Debian package that installed `file`."""
    for path in (file.resolve(), pathlib.Path(str(file.resolve()).removeprefix("/usr")), pathlib.Path(f"/usr{file}")):
        found = subprocess.run(["dpkg", "-S", str(path)], capture_output=True, text=True).stdout
        if found:
            return found.split(":")[0]
    raise LookupError(f"no package of this system holds {file}")


def debian(name: str, license: str) -> Component:
    version = output("dpkg-query", "-W", "-f=${Version}", name)
    copyright = pathlib.Path(f"/usr/share/doc/{name}/copyright")
    return Component(name, version, license, f"pkg:deb/debian/{name}@{version}",
                     [copyright.read_text(errors="replace").strip()] if copyright.exists() else [])


def is_installed(name: str) -> bool:
    return "installed" == subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status}", name], capture_output=True, text=True).stdout


def system_libraries(files: list[pathlib.Path]) -> list[Component]:
    names = sorted({debian_package(file) for file in files})
    return [debian(name, DEBIAN.get(name, "NOASSERTION")) for name in names] + [
        debian(name, license) for name, license in HEADERS.items() if is_installed(name)]


def own_builds(pins: dict, folder: pathlib.Path) -> list[Component]:
    """FFmpeg and libcurl, built by libraries.py."""
    return [Component(name, pin["version"], pin["spdx"], f"pkg:deb/debian/{name}@{pin['version']}?arch=source",
                      [(folder / f"{name}.license").read_text().strip()]) for name, pin in pins.items()]


def scripts(root: pathlib.Path) -> list[Component]:
    """The chat page's libraries."""
    pins = [pin for pin in json.loads((root / "tools/setup/page.json").read_text()) if "for" not in pin]
    text = (root / "build/page/vendor/LICENSES.txt").read_text().strip()
    return [Component(pin["name"], pin["version"], re.sub(r" \(or (.*)\)", r" OR \1", pin["licence"]),
                      f"pkg:npm/{pin['name'].replace('@', '%40')}@{pin['version']}", [text]) for pin in pins]
