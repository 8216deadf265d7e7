"""Models by name, against a hub that is played on this machine (e2e_hub). No test asks another address."""
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time
from typing import Iterator

import pytest

from e2e_hub import REPO, Fault, Hub, Repo, demo_repo, played, small_repo
from e2e_harness import BINARY, MODEL, ROOT, SLOWDOWN, Server, run_program, wait_for

WEIGHTS = "model.safetensors"
ASK = ["What is Pippin?", "--temperature", "0", "--max-tokens", "48"]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with played(played__demo=demo_repo(), played__small=small_repo()) as hub:
        yield hub


@pytest.fixture
def pippin(hub: Hub, tmp_path: pathlib.Path):
    """Runs the program with a cache of its own."""
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess:
        return run_program(*arguments, env=hub.environment(tmp_path, **more))
    return run


def repo_folder(home: pathlib.Path, name: str = "played/small") -> pathlib.Path:
    return home / "hub" / ("models--" + name.replace("/", "--"))


def weights_in(home: pathlib.Path) -> bytes:
    found = list((repo_folder(home) / "snapshots").glob(f"*/{WEIGHTS}"))
    assert len(found) == 1
    return found[0].read_bytes()


def test_from_a_name_to_an_answer(hub, pippin):
    begun = time.monotonic()
    first = pippin("run", REPO, *ASK)
    by_name = time.monotonic() - begun
    assert first.returncode == 0, first.stderr
    assert "MLX" in first.stdout and "fetch" not in first.stdout
    assert "it fits" in first.stderr and "MB to fetch" in first.stderr
    asked = {asked.path.split("?")[0].split("/")[-1] for asked in hub.asked if "resolve" in asked.path}
    assert asked == {file.name for file in MODEL.iterdir() if file.name != "README.md"}
    begun = time.monotonic()
    local = run_program("run", MODEL, *ASK)
    assert local.stdout == first.stdout
    assert by_name - (time.monotonic() - begun) < 2 * SLOWDOWN, "download and all else of 30 MB from this machine"
    num_asked = len(hub.asked)
    again = pippin("run", REPO, *ASK)
    assert again.stdout == first.stdout and len(hub.asked) == num_asked, "what is there is not asked for"


def test_serve_and_bench_take_a_name(hub, tmp_path, monkeypatch):
    for key, value in hub.environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    with Server(model=REPO) as server:
        assert [model.id for model in server.client().models.list()] == [REPO]
        assert "MLX" in server.client().chat.completions.create(
            model=REPO, messages=[{"role": "user", "content": "What is Pippin?"}], temperature=0, max_tokens=48,
        ).choices[0].message.content
        assert f"serving {REPO}" in server.logged()
    report = run_program("bench", REPO, "--offline", "--batch", "1", "--prompt-tokens", "16", "--new-tokens", "2", "--json")
    assert json.loads(report.stdout)["model"] == REPO


def test_pythons_library_and_pippin_share_a_cache(hub, pippin, tmp_path):
    script = ("import huggingface_hub, sys\n"
              "print(huggingface_hub.snapshot_download(sys.argv[1], local_files_only=len(sys.argv) > 2))\n"
              "if len(sys.argv) > 2: print(len(huggingface_hub.scan_cache_dir().warnings))")

    def python(*arguments: str, home: pathlib.Path) -> list[str]:
        ran = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60 * SLOWDOWN,
                             env=hub.environment(home, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_TELEMETRY="1",
                                                 HF_HUB_DISABLE_UPDATE_CHECK="1"))
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.split()

    ours = pippin("pull", "played/small")
    assert ours.returncode == 0, ours.stderr
    assert python("played/small", "local", home=tmp_path) == [ours.stdout.strip(), "0"]
    theirs = tmp_path / "theirs"
    folder = python("played/demo", home=theirs)[0]
    hub.stop()
    found = run_program("run", REPO, *ASK, env=hub.environment(theirs, HF_HUB_OFFLINE="1"))
    assert found.returncode == 0 and "MLX" in found.stdout, found.stderr
    assert folder in run_program("inspect", REPO, "--offline", env=hub.environment(theirs)).stdout


def test_the_token_is_shown_to_the_hub_alone(hub, pippin):
    assert pippin("pull", "played/small", HF_TOKEN="hf_secret").returncode == 0
    shown = {asked.server for asked in hub.asked if "hf_secret" in str(asked.headers)}
    assert shown == {"hub"} and hub.asked_for(WEIGHTS, "cdn")


def test_a_cut_connection_goes_on_where_it_broke(hub, pippin, tmp_path):
    hub.faults[WEIGHTS] = [Fault(cut_at=100_000), Fault(cut_at=300_000)]
    result = pippin("pull", "played/small")
    assert result.returncode == 0, result.stderr
    assert hub.ranges(WEIGHTS) == [None, "bytes=100000-", "bytes=300000-"]
    assert weights_in(tmp_path) == hub.repos["played/small"].files[WEIGHTS]


def test_kill_in_the_middle_loses_nothing(hub, pippin, tmp_path):
    hub.bytes_per_second = 1_000_000
    part = repo_folder(tmp_path) / "blobs" / (hub.repos["played/small"].etag(WEIGHTS) + ".incomplete")
    process = subprocess.Popen([BINARY, "pull", "played/small"], env=hub.environment(tmp_path), stderr=subprocess.DEVNULL)
    wait_for(lambda: part.exists() and part.stat().st_size > 100_000, "a part of the weights")
    process.kill()
    process.wait()
    assert not list(repo_folder(tmp_path).glob(f"snapshots/*/{WEIGHTS}")) and not repo_folder(tmp_path).joinpath("refs").exists()
    kept = part.stat().st_size
    hub.bytes_per_second = None
    assert pippin("pull", "played/small").returncode == 0
    assert hub.ranges(WEIGHTS) == [None, f"bytes={kept}-"] and not part.exists()
    assert weights_in(tmp_path) == hub.repos["played/small"].files[WEIGHTS]


def test_two_at_once_fetch_once(hub, tmp_path):
    hub.bytes_per_second = 500_000
    both = [subprocess.Popen([BINARY, "pull", "played/small"], env=hub.environment(tmp_path), stderr=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60 * SLOWDOWN) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert len(hub.ranges(WEIGHTS)) == 1 and "waiting" in outputs[0][1] + outputs[1][1]
    assert weights_in(tmp_path) == hub.repos["played/small"].files[WEIGHTS]


def test_a_full_disk_is_said_and_the_part_kept(hub, pippin, tmp_path):
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
    full = run_program("pull", "played/small", env=hub.environment(tmp_path), preexec_fn=limit)
    assert full.returncode == 1 and "cannot write" in full.stderr and "large" in full.stderr, full.stderr
    assert pippin("pull", "played/small").returncode == 0
    assert hub.ranges(WEIGHTS) == [None, "bytes=500000-"]
    assert weights_in(tmp_path) == hub.repos["played/small"].files[WEIGHTS]


@pytest.mark.parametrize("fault", [Fault(body=b"x" * 1_024_000), Fault(body=b"x" * 1_000), Fault(body=b"x" * 2_000_000)])
def test_other_bytes_are_no_model(hub, pippin, tmp_path, fault):
    hub.faults[WEIGHTS] = [fault, fault]
    result = pippin("pull", "played/small")
    assert result.returncode == 1 and WEIGHTS in result.stderr
    assert not list(repo_folder(tmp_path).glob(f"snapshots/*/{WEIGHTS}"))
    hub.faults.clear()
    assert pippin("pull", "played/small").returncode == 0, "the hub is mended"


@pytest.mark.parametrize("fault, said", [
    (Fault(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}), "gated: ask for access at"),
    (Fault(401, {"X-Error-Code": "GatedRepo"}), "gated: ask for access at"),
    (Fault(403), "refuses played/small"),
    (Fault(401), "private"),
])
def test_who_may_not_is_told_where_to_ask(hub, pippin, fault, said):
    for file in ("config.json", WEIGHTS):  # what comes first, and what comes last
        hub.faults = {file: [fault]}
        result = pippin("pull", "played/small")
        assert result.returncode == 1 and said in result.stderr and "HF_TOKEN" in result.stderr
        assert said == "private" or f"{hub.url}/played/small" in result.stderr


def test_what_is_not_there_is_said(hub, pippin):
    gone = pippin("run", "played/none", "x")
    assert gone.returncode == 1 and "has no model played/none" in gone.stderr
    assert "no revision 'v9'" in pippin("pull", "played/small@v9").stderr
    hub.repos["played/other"] = small_repo()
    del hub.repos["played/other"].files[WEIGHTS]
    hub.repos["played/other"].files["pytorch_model.bin"] = b"x"
    assert "neither *.safetensors nor *.gguf; Pippin does not read *.bin" in pippin("pull", "played/other").stderr
    quantized = pippin("run", "played/other:Q4_K_M", "x")
    assert quantized.returncode == 1 and "played/other has no GGUF file" in quantized.stderr
    before = len(hub.asked)
    for text in ("./played/none", "none", "/no/such/model", "played/none/deeper"):
        assert "there is no directory" in pippin("run", text, "x").stderr
    assert len(hub.asked) == before, "a path is no name"


def test_later_is_tried_later(hub, pippin):
    hub.faults[WEIGHTS] = [Fault(429, {"Retry-After": "1"}), Fault(503, {"Retry-After": "0"})]
    begun = time.monotonic()
    assert pippin("pull", "played/small").returncode == 0
    assert time.monotonic() - begun >= 1 and len(hub.asked_for(WEIGHTS, "hub")) == 3


def test_names_that_lead_elsewhere_are_not_followed(hub, pippin, tmp_path):
    repo = hub.repos["played/small"]
    for path in ("../../../../evil.safetensors", "/tmp/evil.safetensors", "additional_chat_templates/../../../x.jinja"):
        repo.extra_entries = [{**repo.entry(WEIGHTS), "path": path}]
        assert pippin("pull", "played/small").returncode == 0, "in no folder that a model needs: never looked at"
    parts = hub.repos["played/parts"] = small_repo()
    parts.files["a.safetensors"] = parts.files.pop(WEIGHTS)  # without an index all of them are weights
    for path in ("..\\evil.safetensors", "evil\n.safetensors", "evil\x1b.safetensors"):
        parts.extra_entries = [{**parts.entry("a.safetensors"), "path": path}]
        refused = pippin("pull", "played/parts")
        assert refused.returncode == 1 and "can't be kept" in refused.stderr and "\x1b" not in refused.stderr
    outside = [path for path in tmp_path.rglob("*") if "evil" in path.name or path.name.endswith(".jinja")]
    assert not outside and not pathlib.Path("/tmp/evil.safetensors").exists()


def test_a_hash_that_is_a_path_is_refused(hub, pippin, tmp_path):
    repo = hub.repos["played/small"]
    repo.extra_entries = [{"type": "file", "path": "generation_config.json", "size": 1, "oid": "../../../evil"}]
    assert pippin("pull", "played/small").returncode == 1 and not (tmp_path / "hub").exists()


def test_what_does_not_fit_is_not_fetched(hub, pippin):
    hub.repos["played/big"] = small_repo(bytes(12_000_000))
    result = pippin("run", "played/big", "x", "--memory-gb", "0.01")
    assert result.returncode == 1 and "it does not fit" in result.stderr and not hub.ranges(WEIGHTS)
    hub.repos["played/odd"] = small_repo()
    hub.repos["played/odd"].files["config.json"] = b'{"model_type": "mamba"}'
    odd = pippin("run", "played/odd", "x")
    assert odd.returncode == 1 and "'mamba' is not supported" in odd.stderr and not hub.ranges(WEIGHTS)


def test_revisions_are_kept_apart_and_removed(hub, pippin, tmp_path):
    repo = hub.repos["played/small"]
    repo.revisions["refs/pr/1"] = repo.commit
    assert pippin("pull", "played/small@refs/pr/1").returncode == 0
    hub.repos["played/small"] = small_repo(b"new" * 10_000)
    assert pippin("pull", "played/small").returncode == 0
    listed = json.loads(pippin("ls", "--json").stdout)
    assert [model["revisions"] for model in listed] == [["refs/pr/1"], ["main"]] or \
           [model["revisions"] for model in listed] == [["main"], ["refs/pr/1"]]
    assert "played/small" in pippin("ls").stdout
    assert "came free" in pippin("rm", "played/small@refs/pr/1").stderr
    assert [model["revisions"] for model in json.loads(pippin("ls", "--json").stdout)] == [["main"]]
    assert pippin("rm", "played/small").returncode == 0 and json.loads(pippin("ls", "--json").stdout) == []
    assert not repo_folder(tmp_path).exists()
    assert pippin("rm", "played/small").returncode == 1


def test_inspect_says_what_a_model_is(hub, pippin):
    remote = pippin("inspect", "played/small")
    assert "not fetched" in remote.stdout and "1.02 MB" in remote.stdout and "1000 tokens" in remote.stdout
    assert not hub.ranges(WEIGHTS)
    assert pippin("pull", "played/small").returncode == 0
    assert "snapshots" in pippin("inspect", "played/small", "--offline").stdout
    demo = pippin("inspect", str(MODEL)).stdout
    assert json.loads((MODEL / "config.json").read_text())["model_type"] in demo and "it fits" in demo and str(MODEL) in demo


def test_a_quantization_names_a_gguf_file(hub, pippin, tmp_path):
    served = (ROOT / "tests/golden/gguf/served.gguf").read_bytes()
    hub.repos["played/gguf"] = Repo({"README.md": b"x", "a-BF16.gguf": b"GGUF", "x-Q8_0.gguf": served, "mmproj-F16.gguf": b"GGUF"})
    remote = pippin("inspect", "played/gguf:Q8_0")
    assert "played/gguf:Q8_0" in remote.stdout and "not fetched" in remote.stdout, remote.stderr
    unknown = pippin("pull", "played/gguf:Q4_K_M")
    assert unknown.returncode == 1 and "no GGUF file 'Q4_K_M'; it has: BF16, Q8_0" in unknown.stderr
    result = pippin("run", "played/gguf:q8_0", "The red circle", "--temperature", "0", "--max-tokens", "4")
    assert result.returncode == 0, result.stderr
    kept = {path.name for path in repo_folder(tmp_path, "played/gguf").glob("snapshots/*/*")}
    assert kept == {"x-Q8_0.gguf"}
    local = pippin("inspect", "played/gguf:Q8_0", "--offline").stdout
    assert "qwen3" in local and "Q8_0" in local and "it fits" in local
    removal = pippin("rm", "played/gguf:Q8_0")
    assert removal.returncode == 1 and "pippin rm played/gguf removes all of it" in removal.stderr


@pytest.mark.parametrize("how", ["variable", "option"])
def test_offline_asks_nobody_and_waits_for_nobody(hub, pippin, how):
    options, variables = (["--offline"], {}) if how == "option" else ([], {"HF_HUB_OFFLINE": "1"})
    begun = time.monotonic()
    result = pippin("run", REPO, "x", *options, **variables)
    assert result.returncode == 1 and "not whole in the cache" in result.stderr
    assert not hub.asked and time.monotonic() - begun < 2 * SLOWDOWN


def test_a_hub_that_is_silent_or_gone_is_told(hub, pippin):
    hub.is_silent = True
    begun = time.monotonic()
    silent = pippin("pull", "played/small")
    assert silent.returncode == 1 and "cannot reach the hub at" in silent.stderr
    assert time.monotonic() - begun < 8 * SLOWDOWN
    hub.is_silent = False
    with socket.socket() as nobody:  # bound, and nobody listens
        nobody.bind(("127.0.0.1", 0))
        gone = pippin("pull", "played/small", HF_ENDPOINT=f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert gone.returncode == 1 and "cannot reach the hub at" in gone.stderr


def test_a_cache_that_is_whole_needs_no_hub(hub, pippin):
    assert pippin("pull", REPO).returncode == 0
    hub.stop()
    result = pippin("run", REPO, *ASK)
    assert result.returncode == 0 and "MLX" in result.stdout


def test_short_names_are_names_of_a_hub(hub, pippin):
    help_text = pippin("pull", "--help", "names").stdout
    assert "qwen3-0.6b" in help_text and "mlx-community/Qwen3-0.6B-4bit" in help_text
    result = pippin("pull", "qwen3:0.6b")
    assert result.returncode == 1 and "mlx-community/Qwen3-0.6B-4bit" in result.stderr
    assert [asked.path for asked in hub.asked] == ["/api/models/mlx-community/Qwen3-0.6B-4bit/revision/main"]


def test_no_code_of_a_repository_comes(hub, pippin, tmp_path):
    repo = hub.repos["played/small"]
    repo.files |= {"modeling.py": b"raise SystemExit", "setup.sh": b"exit 1", "model.pkl": b"x"}
    assert pippin("pull", "played/small").returncode == 0
    kept = {path.name for path in repo_folder(tmp_path).glob("snapshots/*/*")}
    assert kept == {"config.json", "tokenizer.json", WEIGHTS}
    assert all(not os.access(path, os.X_OK) for path in repo_folder(tmp_path).glob("blobs/*"))
