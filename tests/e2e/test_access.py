"""API keys, limits and web pages."""
import http.client
import json
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


def send(server: Server, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> http.client.HTTPResponse:
    """A request of exactly these headers, with a Host among them."""
    connection = server.connect()
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": f"localhost:{server.port}", "Content-Length": str(len(body or b"")), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def computed(server: Server) -> int:
    return server.health()["tokens"]["generated"]


def test_pages_of_allowed_origins_may_ask():
    with Server("--cors-origin", "https://chat.example.com") as server:
        def asked(origin: str) -> http.client.HTTPResponse:
            return send(server, "OPTIONS", "/v1/chat/completions", {
                "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type",
                "Access-Control-Request-Private-Network": "true"})

        allowed = asked("https://chat.example.com")
        assert allowed.status == 200 and allowed.headers["Access-Control-Allow-Origin"] == "https://chat.example.com"
        assert allowed.headers["Access-Control-Allow-Private-Network"] == "true"
        refused = asked("https://elsewhere.example.com")
        assert refused.status == 403 and "Access-Control-Allow-Origin" not in refused.headers
        reply = server.post({**ASK, "stream": False}, headers={"Origin": "https://chat.example.com"})
        assert reply.headers["Access-Control-Allow-Origin"] == "https://chat.example.com"
        before = computed(server)
        reply = server.post(ASK, headers={"Origin": "https://elsewhere.example.com"})
        assert reply.status == 403 and reply.error["code"] == "origin_not_allowed"
        assert computed(server) == before


def test_pages_of_other_sites_reach_nothing(server: Server):
    body = json.dumps(ASK).encode()
    as_json = {"Content-Type": "application/json"}
    before = computed(server)
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example"):
        assert send(server, "POST", "/v1/chat/completions", {**as_json, "Host": host}, body).status == 403
        assert send(server, "GET", "/v1/models", {"Host": host}).status == 403
    for origin in ("https://evil.example", "null"):
        for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
            assert send(server, "POST", "/v1/chat/completions", {"Origin": origin, "Content-Type": content_type}, body).status == 403
        assert send(server, "DELETE", "/v1/cache", {"Origin": origin}).status == 403
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        assert send(server, "POST", "/v1/chat/completions", {"Content-Type": content_type}, body).status == 415
    assert computed(server) == before
    assert send(server, "POST", "/v1/chat/completions", {}, body).status == 200
    for host in ("localhost", f"127.0.0.1:{server.port}", "[::1]:1"):
        assert send(server, "POST", "/v1/chat/completions", {**as_json, "Host": host}, body).status == 200
    own = {**as_json, "Origin": f"http://localhost:{server.port}"}
    assert send(server, "POST", "/v1/chat/completions", own, body).status == 200


def test_further_names_are_allowed_by_name():
    with Server("--allowed-host", "llm.example.com") as server:
        page = {"Host": "llm.example.com", "Origin": "https://llm.example.com"}
        assert send(server, "GET", "/v1/models", page).status == 200
        assert send(server, "GET", "/v1/models", {"Host": "other.example.com"}).status == 403


def test_keys_share_nothing():
    with Server("--api-key", "a", "--api-key", "b", "--admin-key", "root", "--cache-per-key") as server:
        def ask(key: str, **members) -> int:
            body = {**ASK, "messages": [{"role": "user", "content": "Tell me about yourself. " * 8}], **members}
            reply = server.post(body, headers={"Authorization": f"Bearer {key}"})
            assert reply.status == 200, reply.body
            return reply.body["usage"]["prompt_tokens_details"]["cached_tokens"]

        assert ask("a") == 0 and ask("a") > 0
        assert ask("b") == 0 and ask("b") > 0
        assert ask("a", cache_salt="s") == 0 and ask("a", cache_salt="s") > 0
        assert ask("b", cache_salt="s") == 0

        stored = client(server, "a").responses.create(model=MODEL.name, input="What is Pippin?", max_output_tokens=4)
        for forbidden in (lambda api: api.responses.retrieve(stored.id), lambda api: api.responses.delete(stored.id),
                          lambda api: api.responses.input_items.list(stored.id),
                          lambda api: api.responses.create(model=MODEL.name, input="And?", previous_response_id=stored.id)):
            with pytest.raises(openai.NotFoundError):
                forbidden(client(server, "b"))
        assert client(server, "a").responses.retrieve(stored.id).output_text == stored.output_text

        def clear(key: str) -> int:
            return send(server, "DELETE", "/v1/cache", {"X-Api-Key": key}).status

        assert clear("b") == 403 and ask("a") > 0
        assert clear("root") == 200 and ask("a") == 0


def test_a_salt_parts_what_is_cached(server: Server):
    def ask(salt: str | None) -> int:
        body = {**ASK, "messages": [{"role": "user", "content": "How are you today, my friend? " * 8}]}
        return server.post({**body, "cache_salt": salt}).body["usage"]["prompt_tokens_details"]["cached_tokens"]

    ask(None)
    assert ask(None) > 0
    for salt in ("mine", "yours"):
        assert ask(salt) == 0 and ask(salt) > 0


@pytest.mark.parametrize("keys", ["", " ", ",", " , "])
def test_a_variable_without_keys_is_refused(keys: str, monkeypatch):
    monkeypatch.setitem(os.environ, "PIPPIN_API_KEYS", keys)
    refused = run_program("serve", MODEL, "--port", "0")
    assert refused.returncode == 1 and "PIPPIN_API_KEYS" in refused.stderr


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
