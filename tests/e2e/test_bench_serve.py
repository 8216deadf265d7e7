"""pippin bench-serve against the real server."""
import json
import pathlib
import socket
import threading
import xml.etree.ElementTree as ElementTree

from e2e_harness import MODEL, Server, run_program, wait_for

SPREADS = ("ttft_ms", "itl_ms", "tpot_ms", "e2e_ms")


def bench(server: Server, tmp_path: pathlib.Path, *options: str) -> dict:
    file = tmp_path / "bench.json"
    result = run_program("bench-serve", f"http://127.0.0.1:{server.port}/v1/", "--json", file, *options)
    assert result.returncode == 0, result.stderr + result.stdout
    assert "time to first token" in result.stdout
    return json.loads(file.read_text())


def test_counts_agree_with_the_servers(tmp_path):
    with Server() as server:
        plot = tmp_path / "bench.svg"
        report = bench(server, tmp_path, "--requests", "24", "--concurrency", "6", "--prompt-tokens", "uniform:60:120",
                       "--output-tokens", "uniform:5:15", "--ignore-eos", "--slo", "e2e=600000,ttft=600000", "--plot", str(plot))
        assert (report["requests"], report["completed"], report["failed"], report["errors"]) == (24, 24, 0, {})
        assert report["tokens_by_usage"] and report["goodput"]["requests"] == 24
        assert report["settings"]["model"] == MODEL.name and report["settings"]["concurrency"] == 6
        # Two more requests have measured what a word takes.
        wait_for(lambda: server.metric("request_success_total") == 26, "the server has seen all")
        assert server.metric("request_generation_tokens_sum") == report["output_tokens"] + 2
        assert 24 * 5 <= report["output_tokens"] <= 24 * 15
        assert 24 * 50 <= report["prompt_tokens"] <= 24 * 130
        for name in SPREADS:
            spread = report[name]
            assert 0 < spread["p50"] <= spread["p90"] <= spread["p99"] <= spread["max"], name
        assert report["ttft_ms"]["count"] == report["e2e_ms"]["count"] == 24
        assert abs(report["output_tokens_per_s"] * report["seconds"] - report["output_tokens"]) < 1e-6 * report["output_tokens"]
        assert ElementTree.parse(plot).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_conversations_come_at_a_rate_with_pictures_and_go_on(tmp_path):
    with Server() as server:
        report = bench(server, tmp_path, "--requests", "9", "--turns", "3", "--rate", "50", "--images", "1", "--image-side", "64",
                       "--image-pool", "2", "--prompt-tokens", "40", "--output-tokens", "4", "--shared-prefix", "0.5")
        assert report["completed"] == 9
        assert report["cached_tokens"] > 100, "turns go on from what was read before"
        assert server.metric("encoder_runs_total") == 2
        assert report["settings"]["concurrency"] is None and report["settings"]["rate"] == 50


def test_whole_answers_have_no_first_token(server: Server, tmp_path):
    report = bench(server, tmp_path, "--requests", "2", "--output-tokens", "3", "--no-stream")
    assert report["completed"] == 2 and report["ttft_ms"]["count"] == 0 and report["e2e_ms"]["count"] == 2


def test_a_duration_ends_it(server: Server, tmp_path):
    report = bench(server, tmp_path, "--requests", "100000", "--duration", "1", "--concurrency", "2", "--output-tokens", "2",
                   "--prompt-tokens", "20")
    assert 0 < report["completed"] < 100000


def test_errors_are_counted_by_kind(tmp_path):
    with Server("--max-sequences", "1", "--max-queue", "1") as server:
        report = bench(server, tmp_path, "--requests", "12", "--concurrency", "12", "--output-tokens", "50", "--ignore-eos")
        assert set(report["errors"]) == {"http 429"}
        assert report["completed"] + report["errors"]["http 429"] == 12 and report["completed"] >= 1


def test_the_bench_names_what_is_wrong(server: Server):
    result = run_program("bench-serve", "http://127.0.0.1:1/v1")
    assert result.returncode == 1 and "127.0.0.1:1" in result.stderr
    result = run_program("bench-serve", f"http://127.0.0.1:{server.port}/v1", "--model", "gpt-9")
    assert result.returncode == 1 and "gpt-9" in result.stderr
    result = run_program("bench-serve", "--prompt-tokens", "often")
    assert result.returncode == 1 and "often" in result.stderr


def test_a_server_that_talks_nonsense_breaks_nothing(tmp_path):
    """Answers with what no server of this API says."""
    nonsense = [b'{"data": [{"id": 7}]}', b"[]", b"\xff\xfe", b'{"choices": {"0": []}}']
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer() -> None:
            for body in nonsense:
                with listener.accept()[0] as client:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        for _ in nonsense:
            result = run_program("bench-serve", url)
            assert result.returncode == 1 and result.stderr.startswith("pippin: "), result.stderr
        thread.join()
