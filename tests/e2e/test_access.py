"""API keys, limits and web pages."""
import os
import pathlib
import socket
import ssl
import subprocess

import httpx
import openai
import pytest

from e2e_harness import BINARY, MODEL, Server, run_program, wait_for

ASK = {"model": MODEL.name, "messages": [{"role": "user", "content": "What is Pippin?"}], "max_tokens": 2}


def client(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=key, max_retries=0)


def test_keys_are_asked_for(tmp_path: pathlib.Path, monkeypatch):
    keys = tmp_path / "keys"
    keys.write_text("# of the house\nfrom-file\n")
    monkeypatch.setitem(os.environ, "PIPPIN_API_KEYS", "from-environment")
    with Server("--api-key", "from-flag", "--api-key-file", str(keys)) as server:
        for key in ("from-flag", "from-file", "from-environment"):
            assert client(server, key).chat.completions.create(**ASK).usage.completion_tokens == 2
            assert server.post(ASK, headers={"X-Api-Key": key}).status == 200
        with pytest.raises(openai.AuthenticationError) as refused:
            client(server, "another").chat.completions.create(**ASK)
        assert refused.value.code == "invalid_api_key"
        for path in ("/v1/models", "/metrics", "/version", "/no-such-route"):
            assert server.get(path).status == 401
        assert server.get("/health").status == 200
        assert "from-" not in server.logged()


def test_a_key_has_its_limits():
    with Server("--api-key", "a", "--api-key", "b", "--requests-per-minute", "2") as server:
        for left in ("1", "0"):
            reply = server.post(ASK, headers={"Authorization": "Bearer a"})
            assert reply.status == 200 and reply.headers["x-ratelimit-remaining-requests"] == left
        with pytest.raises(openai.RateLimitError) as refused:
            client(server, "a").chat.completions.create(**ASK)
        assert int(refused.value.response.headers["Retry-After"]) > 1
        assert client(server, "b").chat.completions.create(**ASK).usage.completion_tokens == 2


def test_pages_of_allowed_origins_may_ask():
    with Server("--cors-origin", "https://chat.example.com") as server:
        def asked(origin: str) -> dict:
            connection = server.connect()
            connection.request("OPTIONS", "/v1/chat/completions", None, {
                "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"})
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            return response.headers

        assert asked("https://chat.example.com")["Access-Control-Allow-Origin"] == "https://chat.example.com"
        assert "Access-Control-Allow-Origin" not in asked("https://elsewhere.example.com")
        reply = server.post({**ASK, "stream": False}, headers={"Origin": "https://chat.example.com"})
        assert reply.headers["Access-Control-Allow-Origin"] == "https://chat.example.com"


def test_without_keys_a_wider_address_is_warned_of():
    with Server("--host", "0.0.0.0") as server:
        assert "--api-key" in server.logged()
    with Server("--host", "0.0.0.0", "--api-key", "k") as server:
        assert "--api-key" not in server.logged()


def test_a_socket_file_takes_the_place_of_a_port(tmp_path: pathlib.Path):
    path = tmp_path / "pippin.sock"

    def ask() -> int:
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://pippin", timeout=60) as http:
            api = openai.OpenAI(base_url="http://pippin/v1", api_key="none", http_client=http, max_retries=0)
            return api.chat.completions.create(**ASK).usage.completion_tokens

    def start() -> subprocess.Popen:
        process = subprocess.Popen([BINARY, "serve", MODEL, "--unix-socket", path], stderr=subprocess.DEVNULL)
        wait_for(path.exists, "the socket file")
        wait_for(lambda: answers(path), "an answer")
        return process

    first = start()
    assert path.stat().st_mode & 0o777 == 0o660
    assert ask() == 2
    # One that is listened on is not taken over.
    second = run_program("serve", MODEL, "--unix-socket", path)
    assert second.returncode != 0 and "can't listen" in second.stderr
    first.kill()
    first.wait()
    assert path.exists()
    third = start()
    assert ask() == 2
    third.terminate()
    assert third.wait(timeout=60) == 0
    assert not path.exists()


def answers(path: pathlib.Path) -> bool:
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as http:
            return http.get("http://pippin/health").status_code == 200
    except httpx.TransportError:
        return False


def test_https_is_spoken_with_a_certificate(tmp_path: pathlib.Path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = run_program("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=pippin", "-addext",
                       "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate, program="openssl")
    assert made.returncode == 0, made.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([BINARY, "serve", MODEL, "--port", str(port), "--tls-cert", certificate, "--tls-key", key],
                               stderr=subprocess.DEVNULL)
    url = f"https://127.0.0.1:{port}"
    with httpx.Client(verify=ssl.create_default_context(cafile=certificate), timeout=60) as http:
        def ready() -> bool:
            try:
                return http.get(url + "/health").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(ready, "an answer")
        api = openai.OpenAI(base_url=url + "/v1", api_key="none", http_client=http, max_retries=0)
        question = {**ASK, "messages": [{"role": "user", "content": "word " * 300}], "max_tokens": 20}
        whole = api.chat.completions.create(**question, temperature=0).choices[0].message.content
        chunks = api.chat.completions.create(**question, temperature=0, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/health", timeout=60)
    process.terminate()
    assert process.wait(timeout=60) == 0


def test_a_certificate_needs_its_key(tmp_path: pathlib.Path):
    refused = run_program("serve", MODEL, "--port", "0", "--tls-cert", tmp_path / "none.pem")
    assert refused.returncode != 0 and "--tls-key" in refused.stderr
