"""Tests of fetch_rust, with a distribution server that is played here and a toolchain of three small files."""
import hashlib
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import threading

import pytest

import fetch_rust

NAME = fetch_rust.target(os.uname().sysname, os.uname().machine)
PROGRAM = "#!/bin/sh\necho 'rustc 9.99.0 (played)'\n"


def archive(component: str, files: dict[str, str]) -> bytes:
    """A component as Rust publishes it: the installer's own files beside the folder that holds what is installed."""
    out = io.BytesIO()
    top = f"{component}-9.99.0-{NAME}"
    inner = component + (f"-{NAME}" if component == "rust-std" else "")
    with tarfile.open(fileobj=out, mode="w:xz") as tar:
        whole = {"install.sh": "exit 1", "components": inner, f"{inner}/manifest.in": "file:all",
                 **{f"{inner}/{name}": text for name, text in files.items()}}
        for name, text in whole.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


ARCHIVES = {"rustc": archive("rustc", {"bin/rustc": PROGRAM, "lib/rustlib/etc/a": "1"}), "cargo": archive("cargo", {"bin/cargo": PROGRAM}),
            "rust-std": archive("rust-std", {f"lib/rustlib/{NAME}/lib/libstd.rlib": "std"})}


@pytest.fixture
def pins() -> dict:
    hashes = {component: hashlib.sha256(data).hexdigest() for component, data in ARCHIVES.items()}
    return {"version": "9.99.0", "date": "2030-01-01", "targets": {NAME: hashes}}


@pytest.fixture
def server():
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            asked.append(self.path)
            component = re.fullmatch(rf"/dist/2030-01-01/(.*)-9\.99\.0-{NAME}\.tar\.xz", self.path)
            self.send_response(200 if component else 404)
            self.end_headers()
            if component:
                self.wfile.write(ARCHIVES[component[1]])

    play = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=play.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{play.server_port}", asked
    play.shutdown()
    play.server_close()


def test_the_components_are_merged_and_a_whole_folder_is_left_alone(tmp_path, pins, server):
    address, asked = server
    out = tmp_path / "build/rust-toolchain"
    fetch_rust.fetch(pins, NAME, address, out)
    says = subprocess.run([str(out / "bin/rustc")], capture_output=True, text=True, check=True).stdout
    assert "9.99.0" in says and (out / "bin/cargo").exists()
    assert (out / f"lib/rustlib/{NAME}/lib/libstd.rlib").read_text() == "std" and (out / "lib/rustlib/etc/a").exists()
    assert not (out / "manifest.in").exists() and not (out / "install.sh").exists()
    fetch_rust.fetch(pins, NAME, address, out)
    assert len(asked) == 3
    assert [path.name for path in out.parent.iterdir()] == ["rust-toolchain"]  # no scratch left


def test_a_wrong_hash_leaves_what_was_there(tmp_path, pins, server):
    out = tmp_path / "rust-toolchain"
    fetch_rust.fetch(pins, NAME, server[0], out)
    pins["targets"][NAME]["cargo"] = "0" * 64
    with pytest.raises(fetch_rust.Failed, match="cargo.*expected 0000"):
        fetch_rust.fetch(pins, NAME, server[0], out)
    assert (out / "bin/rustc").exists() and [path.name for path in tmp_path.iterdir()] == ["rust-toolchain"]


def test_a_missing_file_is_named(tmp_path, pins, server, monkeypatch):
    monkeypatch.setattr(fetch_rust, "TRIES", 1)
    with pytest.raises(fetch_rust.Failed, match="rustc-1.0.0.*404"):
        fetch_rust.fetch({**pins, "version": "1.0.0"}, NAME, server[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("system, machine", [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")])
def test_every_machine_that_pippin_builds_on_has_pins(system, machine):
    pins = json.loads(fetch_rust.PINS.read_text())
    components = pins["targets"][fetch_rust.target(system, machine)]
    assert set(components) == {"rustc", "cargo", "rust-std"} and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in components.values())
    cmake = (pathlib.Path(fetch_rust.__file__).parents[2] / "cmake/Rust.cmake").read_text()
    least = re.search(r"PIPPIN_RUST_MINIMUM ([\d.]+)", cmake)[1]
    assert [int(part) for part in pins["version"].split(".")] >= [int(part) for part in least.split(".")]


def test_the_program_names_the_machine_that_it_knows_not():
    with pytest.raises(fetch_rust.Failed, match="Plan9"):
        fetch_rust.target("Plan9", "mips")


def test_the_server_can_be_another(tmp_path, server):
    """The real pins against a server that has none of those files: it fails by name, and asked the server that it was told."""
    result = subprocess.run([sys.executable, fetch_rust.__file__, "--out", str(tmp_path / "out")], capture_output=True, text=True,
                            env={**os.environ, "RUSTUP_DIST_SERVER": server[0]}, timeout=60)
    assert result.returncode == 1 and f"fetch_rust: {server[0]}/dist/" in result.stderr and "Traceback" not in result.stderr


def test_the_set_up_brings_rust_where_an_older_one_is_found(tmp_path, pins, server):
    """setup.sh in a tree of its own, on a machine whose rustc is Debian 12's."""
    setup = shutil.copytree(pathlib.Path(fetch_rust.__file__).parent, tmp_path / "tools/setup")
    (setup / "rust.json").write_text(json.dumps(pins))
    old = tmp_path / "bin/rustc"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'rustc 1.63.0'\n")
    old.chmod(0o755)
    environment = {**os.environ, "PATH": f"{old.parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path), "RUSTUP_DIST_SERVER": server[0]}
    result = subprocess.run([str(setup / "setup.sh"), "build"], capture_output=True, text=True, env=environment, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "found: rustc 1.63.0" in result.stdout and "Fetching Rust 9.99.0 into" in result.stdout
    assert (tmp_path / "build/rust-toolchain/bin/cargo").exists() and "Ready to build" in result.stdout
