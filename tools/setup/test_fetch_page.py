"""Tests of fetch_page, with a registry that is played here: the pins are whole, a wrong hash leaves nothing behind."""
import base64
import hashlib
import http.server
import io
import re
import tarfile
import threading

import pytest

import fetch_page


def archive(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name.replace('__', '.')}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


PACKAGE = archive(main__js="code", other__js="unused", LICENSE="free")
INTEGRITY = "sha512-" + base64.b64encode(hashlib.sha512(PACKAGE).digest()).decode()


def pin(integrity: str = INTEGRITY) -> dict:
    return {"name": "@a/b", "version": "1.0", "licence": "MIT", "integrity": integrity, "files": {"main.js": "deep/b.js"}}


@pytest.fixture
def registry(monkeypatch):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PACKAGE)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    by_https = fetch_page.by_https
    monkeypatch.setattr(fetch_page, "by_https", lambda package: by_https(package, address))
    monkeypatch.setattr(fetch_page.shutil, "which", lambda _: None)  # no npm
    yield asked
    server.shutdown()
    server.server_close()


def test_only_what_is_used_is_unpacked_and_a_whole_folder_is_left_alone(tmp_path, registry):
    out = tmp_path / "vendor"
    fetch_page.fetch([pin()], out)
    assert (out / "deep/b.js").read_text() == "code"
    assert (out / "LICENSES.txt").read_text() == "@a/b 1.0: MIT\n\nfree\n"
    assert not list(out.rglob("other.js"))
    fetch_page.fetch([pin()], out)
    assert registry == ["/@a/b/-/b-1.0.tgz"]


def test_a_wrong_hash_leaves_the_old_folder(tmp_path, registry):
    out = tmp_path / "vendor"
    fetch_page.fetch([pin()], out)
    with pytest.raises(SystemExit, match="wrong hash"):
        fetch_page.fetch([pin("sha512-AAAA")], out)
    assert (out / "deep/b.js").read_text() == "code"
    assert [path.name for path in tmp_path.iterdir()] == ["vendor"]


@pytest.mark.parametrize("purpose", ["build", "test"])
def test_every_pin_is_whole(purpose):
    packages = fetch_page.read_pins(purpose)
    assert packages
    for package in packages:
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"]), package["name"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"]) and package["licence"] and package["files"]
