#!/usr/bin/env python3
"""What serving over HTTP costs against the engine in a process of its own, and what of a step is not the model's.

  serving_cost.py [--pippin build/release/pippin] [--rounds 3] [--streams 16] [MODEL]

Alternating rounds of `pippin bench` (16 sequences at once, in process) and of `pippin serve` under `pippin bench-serve` (16
streams), of the same lengths. Compared are tokens a second over the whole round, from the first request to the last token. The
load generator runs on the same machine and costs what it costs. The step's split is the server's own, from /metrics.
"""
import argparse
import json
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/common"))

import machine  # noqa: E402

PROMPT_TOKENS, NEW_TOKENS = 128, 256


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def with_template(model: str, folder: pathlib.Path) -> str:
    """The model, with a plain chat template where it has none (a checkpoint of random weights)."""
    source = pathlib.Path(model)
    if not source.is_dir() or (source / "chat_template.jinja").exists():
        return model
    copy = folder / source.name
    copy.mkdir()
    for file in source.resolve().iterdir():
        (copy / file.name).symlink_to(file)
    (copy / "chat_template.jinja").write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    return str(copy)


def in_process(pippin: pathlib.Path, model: str, streams: int) -> float:
    """Generated tokens a second."""
    done = subprocess.run([pippin, "bench", model, "--batch", str(streams), "--prompt-tokens", str(PROMPT_TOKENS),
                           "--new-tokens", str(NEW_TOKENS), "--json", "--log-level", "error"], capture_output=True, text=True, check=True)
    row = json.loads(done.stdout)["results"][0]
    return streams * NEW_TOKENS / (row["prefill_seconds"][0] + row["decode_seconds"][0])


class Server:
    def __init__(self, pippin: pathlib.Path, model: str):
        self.port = free_port()
        self.process = subprocess.Popen([pippin, "serve", model, "--port", str(self.port), "--log-level", "error"])
        while True:
            try:
                self.get("/health")
                return
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("serving_cost: the server ended")
                time.sleep(0.05)

    def get(self, path: str) -> str:
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10).read().decode()

    def seconds(self, name: str) -> float:
        return float(re.search(rf"^pippin:{name}_sum\{{[^}}]*\}} (\S+)$", self.get("/metrics"), re.M)[1])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()


def served(pippin: pathlib.Path, model: str, streams: int) -> tuple[float, float]:
    """Generated tokens a second, and the host's share of the steps."""
    with Server(pippin, model) as server, tempfile.TemporaryDirectory() as folder:
        result = pathlib.Path(folder) / "result.json"
        subprocess.run([pippin, "bench-serve", f"http://127.0.0.1:{server.port}/v1", "--concurrency", str(streams), "--requests",
                        str(streams), "--prompt-tokens", str(PROMPT_TOKENS), "--output-tokens", str(NEW_TOKENS), "--ignore-eos",
                        "--temperature", "0", "--json", result], capture_output=True, check=True)
        rate = json.loads(result.read_text())["output_tokens_per_s"]
        host, device = server.seconds("step_host_seconds"), server.seconds("step_device_seconds")
        return rate, host / (host + device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="demo")
    parser.add_argument("--pippin", type=pathlib.Path, default=ROOT / "build/release/pippin")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=16)
    args = parser.parse_args()
    print(json.dumps(machine.describe()))
    alone, over_http, hosts = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        model = with_template(args.model, pathlib.Path(folder))
        for number in range(args.rounds):
            alone.append(in_process(args.pippin, model, args.streams))
            rate, host = served(args.pippin, model, args.streams)
            over_http.append(rate)
            hosts.append(host)
            print(f"round {number + 1}: in process {alone[-1]:.1f} tok/s, over HTTP {rate:.1f} tok/s, host {host:.2%} of the "
                  "steps", flush=True)
    a, b = statistics.median(alone), statistics.median(over_http)
    print(f"medians: {a:.1f} and {b:.1f} tok/s: HTTP costs {1 - b / a:.1%}; all but the model takes "
          f"{statistics.median(hosts):.2%} of a step")


if __name__ == "__main__":
    main()
