"""pippin launch: agents on a model of this machine. The agents are played by scripts that do what the real ones do first: they ask."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from e2e_harness import BINARY, MODEL, SLOWDOWN, Server, run_program, wait_for
from e2e_hub import REPO, demo_repo, played
from e2e_terminal import Terminal

CLAUDE = """
    client = anthropic.Anthropic(auth_token=os.environ["ANTHROPIC_AUTH_TOKEN"])
    assert "ANTHROPIC_API_KEY" not in os.environ
    answer = client.messages.create(model=os.environ["ANTHROPIC_MODEL"], max_tokens=48, extra_body={"top_k": 1},
                                    messages=[{"role": "user", "content": "What is Pippin?"}])
    print(next(part.text for part in answer.content if part.type == 'text'), sys.argv[1:])
"""
CODEX = """
    settings = tomllib.loads("\\n".join(sys.argv[2::2]))
    provider = settings["model_providers"][settings["model_provider"]]
    assert provider["wire_api"] == "responses"
    client = openai.OpenAI(base_url=provider["base_url"], api_key=os.environ[provider["env_key"]])
    answer = client.responses.create(model=settings["model"], max_output_tokens=48, temperature=0, input="What is Pippin?")
    print(answer.output_text)
"""
OPENCODE = """
    config = json.loads(os.environ["OPENCODE_CONFIG_CONTENT"])
    provider, _, model = config["model"].partition("/")
    client = openai.OpenAI(base_url=config["provider"][provider]["options"]["baseURL"], api_key=os.environ["PIPPIN_API_KEY"])
    assert model in config["provider"][provider]["models"]
    answer = client.chat.completions.create(model=model, max_tokens=48, temperature=0,
                                            messages=[{"role": "user", "content": "What is Pippin?"}])
    print(answer.choices[0].message.content)
"""
AIDER = """
    assert sys.argv[1] == "--model"
    client = openai.OpenAI(base_url=os.environ["OPENAI_API_BASE"])
    answer = client.chat.completions.create(model=sys.argv[2].removeprefix("openai/"), max_tokens=48, temperature=0,
                                            messages=[{"role": "user", "content": "What is Pippin?"}])
    print(answer.choices[0].message.content)
"""
AGENTS = {"claude": CLAUDE, "codex": CODEX, "opencode": OPENCODE, "aider": AIDER}


def play(folder: pathlib.Path, name: str, body: str) -> None:
    script = folder / name
    script.write_text(f"#!{sys.executable}\nimport anthropic, json, openai, os, signal, sys, time, tomllib\n{textwrap.dedent(body)}")
    script.chmod(0o755)


@pytest.fixture
def home(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "bin").mkdir()
    for name, body in AGENTS.items():
        play(tmp_path / "bin", name, body)
    return tmp_path


def environment(home: pathlib.Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin", **more}


def free_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def listens(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_on_a_server_that_runs(server: Server, home, agent):
    url = f"http://127.0.0.1:{server.port}"
    result = run_program("launch", agent, "--url", url, env=environment(home))
    assert result.returncode == 0 and "MLX" in result.stdout, result.stderr
    assert f"a server runs at {url}" in result.stderr and MODEL.name in result.stderr
    assert server.health()["status"] == "ok", "it is not ours to end"


def test_a_server_is_started_where_none_runs_and_ends_with_the_agent(home):
    url = free_url()
    result = run_program("launch", "claude", str(MODEL), "--url", url, "--", "--continue", "x y", env=environment(home))
    assert result.returncode == 0 and "MLX" in result.stdout and "['--continue', 'x y']" in result.stdout, result.stderr
    assert f"no server answers at {url}; starting one" in result.stderr and "ANTHROPIC_BASE_URL=" + url in result.stderr
    assert "stopped" in (home / ".local/state/pippin/serve.log").read_text() and not listens(url)


def test_a_model_by_name_is_fetched_first(home):
    with played(played__demo=demo_repo()) as hub:
        result = run_program("launch", "aider", REPO, "--url", free_url(),
                             env={**hub.environment(home), "PATH": f"{home}/bin:/usr/bin:/bin"})
    assert result.returncode == 0 and "MLX" in result.stdout, result.stderr
    assert "MB to fetch" in result.stderr and f"openai/{REPO}" in result.stderr


def test_keys_are_passed_on_and_not_shown(home):
    with Server("--api-key", "hush-hush") as server:
        url = f"http://127.0.0.1:{server.port}"
        refused = run_program("launch", "claude", "--url", url, env=environment(home))
        assert refused.returncode == 1 and "wants a key" in refused.stderr
        for agent in AGENTS if SLOWDOWN < 8 else ["codex"]:
            result = run_program("launch", agent, "--url", url, env=environment(home, PIPPIN_API_KEY="hush-hush"))
            assert result.returncode == 0 and "MLX" in result.stdout, result.stderr
            assert "hush-hush" not in result.stderr
    started = run_program("launch", "codex", str(MODEL), "--url", free_url(), env=environment(home, PIPPIN_API_KEY="hush-hush"))
    assert started.returncode == 0 and "MLX" in started.stdout, started.stderr


def test_the_agents_status_is_ours(server: Server, home):
    play(home / "bin", "aider", "sys.exit(7)")
    assert run_program("launch", "aider", "--url", f"http://127.0.0.1:{server.port}", env=environment(home)).returncode == 7


def test_what_goes_wrong_is_said(server: Server, home, tmp_path):
    url = f"http://127.0.0.1:{server.port}"
    nobody = run_program("launch", "codex", "--url", url, env={"HOME": str(home), "PATH": "/nowhere"})
    assert nobody.returncode == 1 and "codex is not installed" in nobody.stderr and "npm install" in nobody.stderr
    other = run_program("launch", "claude", "org/other", "--url", url, env=environment(home))
    assert other.returncode == 1 and f"serves {MODEL.name}, not org/other" in other.stderr
    assert run_program("launch", "emacs", env=environment(home)).returncode == 2
    with played() as hub:  # a web server, but none of models
        strange = run_program("launch", "claude", "--url", hub.url, env=environment(home))
    assert strange.returncode == 1 and "no server of language models" in strange.stderr
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "mamba"}')
    ended = run_program("launch", "claude", str(broken), "--url", free_url(), env=environment(home))
    assert ended.returncode == 1 and "the server has ended" in ended.stderr and "mamba" in ended.stderr


def test_print_starts_nothing(home):
    url = free_url()
    result = run_program("launch", "claude", "org/name", "--url", url, "--print", env={"HOME": str(home), "PATH": "/nowhere"})
    assert result.returncode == 0 and not listens(url)
    assert f"export ANTHROPIC_BASE_URL={url}\n" in result.stdout and result.stdout.endswith("\nclaude\n")


def test_ctrl_c_is_the_agents(home):
    play(home / "bin", "claude", """
        def interrupted(*_):
            os.write(1, b"the agent heard it\\n")  # print() may be the very call that the signal cuts
        signal.signal(signal.SIGINT, interrupted)
        print("the agent is up", flush=True)
        sys.stdin.readline()  # not input(), which may hear of the signal at the next key only
    """)
    url = free_url()
    with Terminal("launch", "claude", str(MODEL), "--url", url, env=environment(home)) as terminal:
        terminal.wait_for("the agent is up")
        terminal.type("\x03")
        terminal.wait_for("the agent heard it")
        assert listens(url), "the server lives on"
        terminal.enter("")
        assert terminal.end() == 0
    assert not listens(url)


@pytest.mark.parametrize("when", ["loading", "running"])
def test_what_ends_launch_ends_all(home, when):
    play(home / "bin", "claude", "print('the agent is up', flush=True)\ntime.sleep(60)")
    url = free_url()
    process = subprocess.Popen([BINARY, "launch", "claude", MODEL, "--url", url], env=environment(home), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    if when == "running":
        assert process.stdout.readline() == "the agent is up\n"
    else:
        assert any("starting one" in line for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60 * SLOWDOWN)
    assert process.returncode == (128 + signal.SIGTERM if when == "running" else 130)
    wait_for(lambda: not listens(url), "the server's end")
