"""A hub to play against: Hugging Face's protocol on this machine's loopback, with what goes wrong on real ones.

Small files come from the hub itself, large ones by a redirect from a second server with another port, as from a CDN.
"""
import contextlib
import hashlib
import http.server
import json
import pathlib
import re
import threading
import time
import urllib.parse
from typing import Iterator, NamedTuple

from e2e_harness import MODEL

LARGE = 10_000  # bytes; from here on a file counts as one of large-file storage
REPO = "played/demo"


class Asked(NamedTuple):
    server: str  # "hub" or "cdn"
    method: str
    path: str
    headers: dict[str, str]


class Fault(NamedTuple):
    """What a request for a file gets instead: a status with headers, a body cut off, other bytes."""
    status: int = 0
    headers: dict[str, str] = {}
    cut_at: int | None = None  # bytes of the body, before the connection breaks off
    body: bytes | None = None


class Repo:
    def __init__(self, files: dict[str, bytes], commit: str | None = None):
        self.files = files
        names = json.dumps({name: hashlib.sha1(data).hexdigest() for name, data in files.items()})
        self.commit = commit or hashlib.sha1(names.encode()).hexdigest()
        self.revisions = {"main": self.commit}
        self.extra_entries: list[dict] = []

    def etag(self, path: str) -> str:
        data = self.files[path]
        if len(data) >= LARGE:
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def entry(self, path: str) -> dict:
        size = len(self.files[path])
        entry = {"type": "file", "path": path, "size": size, "oid": hashlib.sha1(path.encode()).hexdigest()}
        if size >= LARGE:
            return {**entry, "lfs": {"oid": self.etag(path), "size": size, "pointerSize": 134}, "xetHash": "ab" * 32}
        return {**entry, "oid": self.etag(path)}


def demo_repo() -> Repo:
    """The demo model, with the files that a repository has beside it."""
    files = {file.name: file.read_bytes() for file in MODEL.iterdir() if file.is_file()}
    return Repo({**files, ".gitattributes": b"x", "pytorch_model.bin": bytes(LARGE), "onnx/model.onnx": b"x"})


def small_repo(weights: bytes = bytes(range(256)) * 4000, **more: bytes) -> Repo:
    """Files that look like a model's from outside."""
    config = {"model_type": "qwen3", "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
              "max_position_embeddings": 1000}
    return Repo({"config.json": json.dumps(config).encode(), "tokenizer.json": b"{}", "model.safetensors": weights, **more})


class Hub:
    def __init__(self):
        self.repos: dict[str, Repo] = {}
        self.asked: list[Asked] = []
        self.faults: dict[str, list[Fault]] = {}  # by file; each is used once
        self.is_silent = False  # the API takes requests and answers none
        self.bytes_per_second: float | None = None
        self._servers = [self._start("hub"), self._start("cdn")]
        self.url, self.cdn_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers)

    def _start(self, name: str) -> http.server.ThreadingHTTPServer:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, name))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def environment(self, home: pathlib.Path, **more: str) -> dict[str, str]:
        return {"HF_HOME": str(home), "HF_ENDPOINT": self.url, "PATH": "/usr/bin:/bin", "HOME": str(home),
                "HF_HUB_DOWNLOAD_TIMEOUT": "2", **more}

    def asked_for(self, path: str, server: str | None = None, method: str = "GET") -> list[Asked]:
        return [asked for asked in self.asked
                if urllib.parse.unquote(asked.path).split("?")[0].endswith("/" + path) and asked.method == method
                and server in (None, asked.server)]

    def ranges(self, path: str) -> list[str | None]:
        """The ranges that the file was asked for, on the server that has it."""
        return [asked.headers.get("range") for asked in self.asked_for(path, "cdn")]


@contextlib.contextmanager
def played(**repos: Repo) -> Iterator[Hub]:
    hub = Hub()
    hub.repos = {name.replace("__", "/"): repo for name, repo in repos.items()}
    try:
        yield hub
    finally:
        hub.stop()


def _handler(hub: Hub, name: str):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            hub.asked.append(Asked(name, self.command, self.path, headers))
            path = urllib.parse.unquote(self.path.split("?")[0])
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/(.+)", path):
                    self._api(*found.groups())
                elif found := re.fullmatch(r"/(?:cdn/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                    self._file(*found.groups())
                else:
                    self._send(404, {"X-Error-Code": "EntryNotFound"})

        def _api(self, repo_name: str, kind: str, revision: str) -> None:
            if hub.is_silent:
                time.sleep(20)
                self.close_connection = True
                return
            repo = hub.repos.get(repo_name)
            if repo is None:
                return self._send(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            commit = repo.revisions.get(revision, revision)
            if commit != repo.commit:
                return self._send(404, {"X-Error-Code": "RevisionNotFound"})
            if kind == "revision":
                body = {"id": repo_name, "sha": commit, "private": False, "gated": False, "tags": [], "downloads": 0,
                        "siblings": [{"rfilename": path} for path in repo.files]}
            else:
                body = [*map(repo.entry, repo.files), *repo.extra_entries]
            self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

        def _file(self, repo_name: str, revision: str, path: str) -> None:
            repo = hub.repos.get(repo_name)
            if repo is None or path not in repo.files:
                return self._send(404, {"X-Error-Code": "EntryNotFound"})
            data = repo.files[path]
            linked = {"X-Repo-Commit": repo.commit, "ETag": f'"{repo.etag(path)}"'}
            is_large = len(data) >= LARGE
            faults = hub.faults.get(path, []) if self.command == "GET" else []
            if faults and name == "hub" and faults[0].status:
                return self._send(faults[0].status, faults.pop(0).headers)
            if is_large and name == "hub":
                return self._send(302, {**linked, "X-Linked-Etag": f'"{repo.etag(path)}"', "X-Linked-Size": str(len(data)),
                                        "X-Xet-Hash": "ab" * 32, "X-Xet-Refresh-Route": "/none",
                                        "Link": f'<{hub.cdn_url}/xet>; rel="xet-auth"',
                                        "Location": f"{hub.cdn_url}/cdn/{repo_name}/resolve/{revision}/{path}?signature=x"})
            if faults:
                fault = faults.pop(0)
                return self._body(fault.body if fault.body is not None else data, {} if is_large else linked, fault.cut_at)
            self._body(data, {} if is_large else linked, None)

        def _body(self, data: bytes, headers: dict[str, str], cut_at: int | None) -> None:
            first = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(first[1]) if first else 0
            if first and start >= len(data):
                return self._send(416, {})
            status = 206 if first else 200
            if first:
                headers = {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self._begin(status, {**headers, "Content-Length": str(len(data) - start)})
            if self.command == "HEAD":
                return
            rest = data[start:] if cut_at is None else data[start:max(start, cut_at)]
            piece = len(rest) or 1
            if hub.bytes_per_second:
                piece = max(1, int(hub.bytes_per_second / 50))
            for at in range(0, len(rest), piece):
                self.wfile.write(rest[at:at + piece])
                if hub.bytes_per_second:
                    self.wfile.flush()
                    time.sleep(0.02)
            if cut_at is not None:
                self.close_connection = True

        def _begin(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()

        def _send(self, status: int, headers: dict[str, str], body: bytes = b"{}") -> None:
            self._begin(status, {**headers, "Content-Length": str(len(body))})
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler
