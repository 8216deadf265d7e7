"""What is measured: each case starts the server it needs and yields rows and, at the end, verdicts."""
import dataclasses
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator

import pictures
from client import Answer, Refused, Server

QUESTIONS = ["What is in it?", "Which colour is the largest part?", "Is there a square in the middle?"]
WORDS = ["red", "blue", "green", "circle", "square", "left", "right", "top", "bottom", "name", "number", "word"]
SIZES = [(224, 224), (448, 448), (768, 768), (1024, 1024), (1080, 1920)]  # height, width
CLIP_FRAMES = [2, 4, 8, 16, 32, 64]
CLIP_SIDE = 224
PREFIXES = {"2k": 2048, "8k": 8192}  # tokens
CONFIGURATIONS = {"no cache": ["--no-prefix-cache", "--media-cache-mb", "0"], "encoder outputs": ["--no-prefix-cache"],
                  "KV": ["--media-cache-mb", "0"], "both": []}
# The paper's own ratios (arXiv 2601.19139) and what is aimed at beyond them.
GOAL_PICTURE, GOAL_CLIP, GOAL_PREFIX, GOAL_SUFFIX = 28, 24.7, 20, 1.1


@dataclasses.dataclass
class Row:
    """One request of a case, over the repetitions."""

    case: str
    request: str
    answers: list[Answer]
    encoder_runs: int  # in the last repetition

    def median(self, field: str) -> float:
        return statistics.median(getattr(answer, field) for answer in self.answers)


@dataclasses.dataclass
class Verdict:
    name: str
    goal: str
    measured: str
    met: bool


@dataclasses.dataclass
class Setup:
    program: pathlib.Path
    model: pathlib.Path
    options: list[str]
    context: int  # tokens that the model can take
    scored: bool  # the criteria are about this model
    repeat: int
    discard_first: bool
    answer_tokens: int

    def serve(self, *options: str) -> Server:
        return Server(self.program, self.model, [*self.options, *options])

    def knows(self, option: str) -> bool:
        return option in subprocess.run([self.program, "serve", "--help"], capture_output=True, text=True).stdout

    def seeds(self) -> Iterator[tuple[int, bool]]:
        """A seed for each repetition, and whether it counts."""
        for i in range(self.repeat + self.discard_first):
            yield 1000 + i, i >= self.discard_first


Outcome = tuple[list[Row], list[Verdict]]


@dataclasses.dataclass
class Case:
    name: str
    tokens: int  # about what its longest prompt has
    run: Callable[[Setup], Outcome]


def words(count: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def user(*parts: dict | str) -> dict:
    return {"role": "user", "content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]}


class Recorder:
    """Collects a case's answers by request."""

    def __init__(self, case: str, server: Server):
        self.case, self.server = case, server
        self.rows: dict[str, Row] = {}

    def ask(self, request: str, messages: list[dict], max_tokens: int, counts: bool = True) -> Answer:
        before = self.server.encoder_runs()
        answer = self.server.ask(messages, max_tokens)
        if counts:
            row = self.rows.setdefault(request, Row(self.case, request, [], 0))
            row.answers.append(answer)
            row.encoder_runs = self.server.encoder_runs() - before
        return answer

    def ratio(self, field: str, cold: str, warm: str) -> float:
        return self.rows[cold].median(field) / self.rows[warm].median(field)


def converse(recorder: Recorder, part: dict, max_tokens: int, counts: bool, turns: int = 3, label: str = "") -> None:
    """A conversation about one picture or clip; `label` goes before the requests' names."""
    messages: list[dict] = []
    for i in range(turns):
        messages.append(user(part, QUESTIONS[i]) if i == 0 else user(QUESTIONS[i]))
        answer = recorder.ask(f"{label}turn {i + 1}", messages, max_tokens, counts)
        messages.append({"role": "assistant", "content": answer.text})


def text_as_long(recorder: Recorder, second: Answer, seed: int, counts: bool) -> None:
    """Two prompts of text alone, of which the second begins like the first: as many of its tokens are known as of `second`, and
    as many are new."""
    def ask(num_known: int, num_new: int, seed: int, counts: bool) -> Answer:
        begin = words(num_known, seed)
        recorder.ask("text as long, first", [user(begin)], 1, counts)
        return recorder.ask("text as long, second", [user(begin + " " + words(num_new, seed + 1))], 1, counts)

    known, new = second.cached_tokens, second.prompt_tokens - second.cached_tokens
    trial = ask(known, new, 4 * seed, False)  # says what the template adds; and warms up, as the picture's turns did
    before, after = trial.cached_tokens - known, trial.prompt_tokens - trial.cached_tokens - new
    ask(max(1, known - before), max(1, new - after), 4 * seed + 2, counts)


def verdict_ratio(name: str, ratio: float, goal: float) -> Verdict:
    return Verdict(name, f">= {goal:g}x", f"{ratio:.1f}x", ratio >= goal)


def verdict_no_encoder(row: Row, name: str) -> Verdict:
    return Verdict(f"{name}: encoder runs", "0", str(row.encoder_runs), row.encoder_runs == 0)


def picture(setup: Setup, height: int, width: int) -> Outcome:
    name = f"picture {width}x{height}"
    with setup.serve() as server:
        recorder = Recorder(name, server)
        for seed, counts in setup.seeds():
            converse(recorder, pictures.picture_part(height, width, seed), setup.answer_tokens, counts)
            if counts:
                text_as_long(recorder, recorder.rows["turn 2"].answers[-1], seed, counts)
            server.request("DELETE", "/v1/cache")
        rows = list(recorder.rows.values())
        suffix = recorder.ratio("ttft", "turn 2", "text as long, second")
        verdicts = [verdict_no_encoder(recorder.rows["turn 2"], f"{name}, second question"),
                    Verdict(f"{name}, second question: time to first token against text alone", f"<= {GOAL_SUFFIX:g}x",
                            f"{suffix:.2f}x", suffix <= GOAL_SUFFIX)]
        if setup.scored and (height, width) == (1024, 1024):
            verdicts.append(verdict_ratio(f"{name}, second question: latency", recorder.ratio("latency", "turn 1", "turn 2"),
                                          GOAL_PICTURE))
    return rows, verdicts


def ablation(setup: Setup) -> Outcome:
    rows = []
    for name, options in CONFIGURATIONS.items():
        with setup.serve(*options) as server:
            recorder = Recorder("caches, 1024x1024", server)  # one case: all is compared with the first turn without any
            for seed, counts in setup.seeds():
                converse(recorder, pictures.picture_part(1024, 1024, seed), setup.answer_tokens, counts, 2, f"{name}, ")
                server.request("DELETE", "/v1/cache")
            rows += recorder.rows.values()
    return rows, []


def clip(setup: Setup, frames: int) -> Outcome:
    name = f"clip of {frames} frames"
    with setup.serve() as server:
        recorder = Recorder(name, server)
        for seed, counts in setup.seeds():
            part = pictures.clip_part(frames, CLIP_SIDE, CLIP_SIDE, seed)
            try:
                converse(recorder, part, setup.answer_tokens, counts, turns=2)
            except Refused as why:
                return [], [Verdict(name, "an answer", f"refused: {why}", False)]
            server.request("DELETE", "/v1/cache")
        verdicts = [verdict_no_encoder(recorder.rows["turn 2"], f"{name}, second question")]
        if setup.scored and frames == 64:
            verdicts.append(verdict_ratio(f"{name}, second question: latency", recorder.ratio("latency", "turn 1", "turn 2"),
                                          GOAL_CLIP))
        return list(recorder.rows.values()), verdicts


def shared_prompt(recorder: Recorder, tokens: int, seed: int, requests: list[str], counts: bool) -> None:
    """Requests of other users under one system prompt of that many tokens."""
    system = {"role": "system", "content": words(tokens, seed)}  # a word is a token
    for i, request in enumerate(requests):
        recorder.ask(request, [system, user(words(16, seed + i + 1))], 1, counts)


def prefix(setup: Setup, name: str) -> Outcome:
    with setup.serve() as server:
        recorder = Recorder(f"shared prefix of {name}", server)
        for seed, counts in setup.seeds():
            shared_prompt(recorder, PREFIXES[name], 10 * seed, ["first user", "second user"], counts)
            server.request("DELETE", "/v1/cache")
        verdicts = []
        if name == "8k":
            ratio = recorder.ratio("ttft", "first user", "second user")
            verdicts.append(verdict_ratio(f"{recorder.case}: time to first token", ratio, GOAL_PREFIX))
        return list(recorder.rows.values()), verdicts


def leave_page_cache(folder: pathlib.Path) -> bool:
    """Has the system forget what it keeps in memory of a folder's files: the next to read them reads the disk. False where
    the system can't be told."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for file in filter(pathlib.Path.is_file, folder.rglob("*")):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())  # pages that are not written yet would stay
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def restart(setup: Setup) -> Outcome:
    """The same after the server has been stopped and started with the same --cache-dir; first requests count. Once with what the
    system still has in memory of the files, and once from the disk."""
    if not setup.knows("--cache-dir"):
        return [], [Verdict("restart", "--cache-dir", "this server has no such option", False)]
    prompt_tokens = min(PREFIXES["8k"], setup.context // 2)
    messages = [user(pictures.picture_part(1024, 1024, 1), QUESTIONS[0])]

    def ask(case: str, folder: pathlib.Path) -> Recorder:
        with setup.serve("--cache-dir", str(folder)) as server:
            recorder = Recorder(case, server)
            recorder.ask("picture 1024x1024", messages, setup.answer_tokens)
            shared_prompt(recorder, prompt_tokens, 1, ["shared prefix"], True)
        return recorder

    with tempfile.TemporaryDirectory() as parent:
        warm, cold = pathlib.Path(parent, "warm"), pathlib.Path(parent, "cold")
        before = ask("before the restart", warm)
        shutil.copytree(warm, cold)
        answer = before.rows["picture 1024x1024"].answers[0]
        messages += [{"role": "assistant", "content": answer.text}, user(QUESTIONS[1])]
        restarts = [ask("after the restart", warm)]
        if leave_page_cache(cold):
            restarts.append(ask("after the restart, from the disk", cold))
    verdicts = []
    for after in restarts:
        verdicts.append(verdict_no_encoder(after.rows["picture 1024x1024"], f"{after.case}, second question"))
        if setup.scored:
            for request, field, goal in (("picture 1024x1024", "latency", GOAL_PICTURE), ("shared prefix", "ttft", GOAL_PREFIX)):
                ratio = before.rows[request].median(field) / after.rows[request].median(field)
                verdicts.append(verdict_ratio(f"{after.case}, {request}: {field}", ratio, goal))
    return [row for recorder in [before, *restarts] for row in recorder.rows.values()], verdicts


def all_cases() -> list[Case]:
    cases = [Case(f"picture {width}x{height}", height * width // 1024 + 300,
                  lambda setup, h=height, w=width: picture(setup, h, w)) for height, width in SIZES]
    cases.append(Case("ablation", 1400, ablation))
    cases += [Case(f"clip {frames}", 64 * frames, lambda setup, n=frames: clip(setup, n)) for frames in CLIP_FRAMES]
    cases += [Case(f"prefix {name}", tokens + 100, lambda setup, n=name: prefix(setup, n))
              for name, tokens in PREFIXES.items()]
    return [*cases, Case("restart", 1400, restart)]
