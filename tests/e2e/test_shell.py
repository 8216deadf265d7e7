"""What shells and man get from the program: completions and the manual page."""
import pathlib
import subprocess

from e2e_harness import BINARY, run_program
from e2e_hub import played, small_repo


def bash(*words: str, env: dict[str, str] | None = None) -> list[str]:
    """What bash offers for the last word."""
    script = ('eval "$(pippin completions bash)"\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n_pippin\n'
              'printf "%s\\n" "${COMPREPLY[@]}"')
    ran = subprocess.run(["bash", "-c", script, "bash", "pippin", *words], capture_output=True, text=True,
                         env={"PATH": f"{BINARY.parent}:/usr/bin:/bin", **(env or {})})
    assert ran.returncode == 0 and not ran.stderr, ran.stderr
    return ran.stdout.split()


def test_bash_completes_commands_options_values_and_models(tmp_path: pathlib.Path):
    assert bash("ser") == ["serve"] and bash("serve", "--tls-c") == ["--tls-cert"]
    assert bash("serve", "--device", "") == ["cpu", "gpu"] and bash("chat", "qwen3-0") == ["qwen3-0.6b"]
    with played(played__small=small_repo()) as hub:
        assert run_program("pull", "played/small", env=hub.environment(tmp_path)).returncode == 0
    assert bash("rm", "pl", env={"HF_HOME": str(tmp_path)}) == ["played/small"]


def test_scripts_are_ones_of_their_shells():
    for shell in ("bash", "zsh", "fish"):
        script = run_program("completions", shell)
        assert script.returncode == 0 and "__complete" in script.stdout
    assert run_program("completions", "csh").returncode == 2


def test_the_manual_page_is_one():
    page = run_program("man")
    assert page.returncode == 0 and page.stdout.startswith(".TH PIPPIN 1")
    help_text = run_program("serve", "--help", "all").stdout
    assert "--max-batch-tokens" in help_text and r"\-\-max\-batch\-tokens" in page.stdout
