"""Several models in one server: chosen by name, loaded when they are asked for, unloaded for others and for rest."""
import concurrent.futures
import json
import pathlib
import shutil
import threading
import time

import httpx
import ollama
import openai
import pytest

from e2e_harness import MODEL, SLOWDOWN, Server, run_program, wait_for

QUESTION = [{"role": "user", "content": "What is Pippin?"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """one and two, the same model; broken, which is none; a name as a hub has it."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("one", "two", "org/three"):
        copy = folder / name
        copy.mkdir(parents=True)
        for file in MODEL.iterdir():
            (copy / file.name).symlink_to(file)
    broken = folder / "broken"
    shutil.copytree(folder / "one", broken, symlinks=True)
    (broken / "model.safetensors").unlink()
    (broken / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    return folder


class Models(Server):
    """A server of the folder's models, or of those that a file names."""

    def __init__(self, folder: pathlib.Path, *options: str):
        super().__init__("--memory-gb", "3", *options, model=f"--models-dir={folder}")

    def models(self) -> dict[str, dict]:
        return {model["id"]: model for model in self.get("/v1/models").body["data"]}

    def state(self, name: str) -> str:
        return self.models()[name]["status"]["value"]

    def loaded(self) -> set[str]:
        return {name for name, model in self.models().items() if model["status"]["value"] == "loaded"}

    def answer(self, model: str, max_tokens: int = 16, **options):
        return self.client().chat.completions.create(model=model, messages=QUESTION, temperature=0, max_tokens=max_tokens,
                                                     **options)

    def ollama(self) -> ollama.Client:
        return ollama.Client(host=f"http://127.0.0.1:{self.port}", timeout=120 * SLOWDOWN)


@pytest.fixture(scope="module")
def several(folder):
    with Models(folder) as server:
        yield server


def test_a_request_chooses_its_model(server, several):
    assert set(several.models()) == {"broken", "one", "org/three", "two"}
    expected = server.client().chat.completions.create(model=MODEL.name, messages=QUESTION, temperature=0, max_tokens=16)
    for name in ("one", "two", "org/three"):
        answer = several.answer(name)
        assert answer.model == name
        assert answer.choices[0].message.content == expected.choices[0].message.content
        assert several.state(name) == "loaded"
    shown = several.client().models.retrieve("org/three")
    assert shown.id == "org/three" and shown.status["value"] == "loaded" and shown.memory_bytes > 0
    assert several.get("/models").body == several.get("/v1/models").body  # llama.cpp's path
    with pytest.raises(openai.NotFoundError) as refused:
        several.answer("four")
    assert refused.value.code == "model_not_found"


def test_all_apis_choose(several):
    several.answer("one"), several.answer("two")
    said = several.answer("two").choices[0].message.content
    message = several.anthropic().messages.create(model="two", max_tokens=16, messages=QUESTION,
                                                   extra_body={"temperature": 0})
    assert message.model == "two" and message.content[0].text == said
    response = several.client().responses.create(model="one", input="What is Pippin?", temperature=0, max_output_tokens=16)
    assert response.model == "one" and response.output_text == said
    text = several.client().completions.create(model="two", prompt="Pippin is", max_tokens=4)
    assert text.model == "two"
    chat = several.ollama().chat("one", QUESTION, options={"temperature": 0, "num_predict": 16})
    assert chat.model == "one" and chat.message.content == said
    tokens = several.post({"model": "two", "prompt": "Pippin"}, "/tokenize").body
    assert several.post({"model": "two", "tokens": tokens["tokens"]}, "/detokenize").body["prompt"].endswith("Pippin")


def test_a_model_that_fails_fails_its_own_requests(several):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        good = pool.submit(several.answer, "one", 40)
        for _ in range(2):
            with pytest.raises(openai.InternalServerError) as refused:
                several.answer("broken")
            assert refused.value.status_code == 503 and refused.value.code == "model_unavailable"
            assert "broken" in refused.value.message and "Retry-After" in refused.value.response.headers
        assert good.result().choices[0].message.content
    broken = several.models()["broken"]
    assert broken["status"]["value"] == "unloaded" and broken["status"]["failed"] and broken["status"]["error"]
    assert several.get("/health").status == 200


def test_metrics_and_logs_tell_the_model(several):
    several.answer("one"), several.answer("two")
    for name in ("one", "two"):
        assert several.metric("generation_tokens_total", f'model_name="{name}"') > 0
        assert several.metric("e2e_request_latency_seconds_count", f'model_name="{name}"') > 0
        assert several.metric("model_loaded", f'model_name="{name}"') == 1
        assert f'"model":"{name}"' in several.logged().replace(" ", "") or f"model={name}" in several.logged()
    assert several.metric("model_loaded", 'model_name="broken"') == 0


def test_load_and_unload(several):
    wait_for(lambda: several.models()["two"]["requests"]["running"] == 0, "two to be idle")
    assert several.post({"model": "two"}, "/models/unload").body == {"success": True}
    wait_for(lambda: several.state("two") == "unloaded", "two to be unloaded")
    assert several.post({"model": "two"}, "/models/load").body == {"success": True}
    wait_for(lambda: several.state("two") == "loaded", "two to be loaded")
    assert several.post({"model": "four"}, "/models/load").status == 404
    assert several.post({}, "/models/load").status == 400


def test_unloading_waits_for_the_answer(several):
    stream = several.answer("two", 60, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    several.post({"model": "two"}, "/models/unload")
    assert several.state("two") == "loaded"
    rest = [chunk for chunk in stream]
    assert rest[-1].choices[0].finish_reason == "length"
    wait_for(lambda: several.state("two") == "unloaded", "two to be unloaded behind its answer")


def test_ollamas_lists_and_keep_alive(several):
    client = several.ollama()
    assert {model.model for model in client.list().models} == {"broken", "one", "org/three", "two"}
    client.generate("two")  # only loads
    running = {model.model: model for model in client.ps().models}
    assert "two" in running and running["two"].size > 0
    answer = client.chat("two", QUESTION, options={"num_predict": 4}, keep_alive="10m")
    assert answer.done
    left = {model.model: model.expires_at for model in client.ps().models}["two"]
    assert 500 < left.timestamp() - time.time() < 700
    client.chat("two", QUESTION, options={"num_predict": 4}, keep_alive=0)
    wait_for(lambda: several.state("two") == "unloaded", "two to be unloaded behind its answer")
    assert client.generate("one", keep_alive=0).done_reason == "unload"
    wait_for(lambda: several.state("one") == "unloaded", "one to be unloaded")
    assert client.show("one").details.family  # known, though it is not loaded
    assert several.post({"model": "two", "messages": QUESTION, "keep_alive": "soon"}, "/api/chat").status == 400


def test_what_was_used_least_recently_makes_room(folder):
    with Models(folder, "--max-loaded", "2") as server:
        for name in ("one", "two", "one", "org/three"):
            server.answer(name)
        assert server.loaded() == {"one", "org/three"}
        wait_for(lambda: server.metric("model_loaded") == 2, "two models")


def test_models_share_one_memory(folder):
    """Each takes some hundred megabytes: two at once are more than there are."""
    with Models(folder) as roomy:
        roomy.answer("one"), roomy.answer("two")
        assert roomy.loaded() == {"one", "two"}
        sizes = [model["memory_bytes"] for model in roomy.models().values()]
        assert sum(sizes) <= 3 << 30
    with Server("--memory-gb", "0.45", model=f"--models-dir={folder}") as tight:
        for name in ("one", "two", "org/three"):
            tight.client().chat.completions.create(model=name, messages=QUESTION, max_tokens=4)
        loaded = [m for m in tight.get("/v1/models").body["data"] if m["status"]["value"] == "loaded"]
        assert "org/three" in {m["id"] for m in loaded} and len(loaded) < 3
        assert sum(m["memory_bytes"] for m in loaded) <= 0.45 * (1 << 30)


def test_models_that_fit_stay_and_one_alone_gets_all(folder):
    with Models(folder) as server:
        for _ in range(2):
            for name in ("one", "two", "org/three"):
                server.answer(name, 4)
        assert server.loaded() == {"one", "two", "org/three"}
    with Models(folder, "--max-loaded", "1") as server:
        for name in ("one", "two"):
            assert server.answer(name, 4).choices


def test_broken_models_end_no_start(folder, tmp_path):
    (tmp_path / "good").symlink_to(folder / "one")
    for name, text in {"text": "nope", "list": "[]", "hot": '{"temperature": "hot"}'}.items():
        shutil.copytree(folder / "one", tmp_path / name, symlinks=True)
        (tmp_path / name / "generation_config.json").unlink(missing_ok=True)
        (tmp_path / name / "generation_config.json").write_text(text)
    (tmp_path / "empty.gguf").write_bytes(b"")
    (tmp_path / "junk.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    with Models(tmp_path) as server:
        assert server.answer("good", 4).choices
        for name in ("text", "list", "hot", "empty", "junk"):
            with pytest.raises(openai.InternalServerError) as refused:
                server.answer(name, 4)
            assert refused.value.code == "model_unavailable" and name in refused.value.message


def test_idle_models_are_unloaded_and_come_back(folder):
    with Models(folder, "--idle-unload", "0.5") as server:
        first = server.answer("one").choices[0].message.content
        stream = server.answer("two", 200, stream=True, extra_body={"ignore_eos": True})
        next(iter(stream))
        wait_for(lambda: server.state("one") == "unloaded", "one to be unloaded")
        for _ in stream:
            pass
        wait_for(lambda: server.state("two") == "unloaded", "two to be unloaded")
        assert server.answer("one").choices[0].message.content == first
        assert server.metric("model_loads_total", 'model_name="one"') == 2


def test_many_requests_for_a_model_that_is_not_loaded(folder):
    with Models(folder, "--max-loaded", "1") as server:
        names = ["one", "two", "org/three"] * 8
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            answers = list(pool.map(lambda name: server.answer(name, 8), names))
        assert [answer.model for answer in answers] == names
        assert len({answer.choices[0].message.content for answer in answers}) == 1
        health = server.wait_until_idle()
        assert list(health["models"].values()).count("loaded") == 1


def test_clients_that_leave_while_it_loads(folder):
    with Models(folder, "--max-loaded", "1") as server:
        with server.client().chat.completions.create(model="one", messages=QUESTION, max_tokens=3900, stream=True,
                                                     extra_body={"guided_regex": "[a-z ]{20000}"}) as stream:
            next(iter(stream))  # it holds the only place
            for _ in range(3):
                with pytest.raises(httpx.TimeoutException):
                    httpx.post(f"http://127.0.0.1:{server.port}/v1/chat/completions", timeout=0.1,
                               json={"model": "two", "messages": QUESTION})
            wait_for(lambda: server.models()["two"]["requests"]["waiting"] == 0, "no one waits")
            assert server.state("one") == "loaded" and server.models()["one"]["requests"]["running"] == 1
        assert server.answer("org/three").choices[0].message.content
        assert server.metric("model_loads_total", 'model_name="two"') == 0


def test_a_deadline_ends_the_wait(folder):
    with Models(folder, "--max-loaded", "1") as server:
        stream = server.answer("one", 2000, stream=True, extra_body={"ignore_eos": True})
        next(iter(stream))
        late = server.post({"model": "two", "messages": QUESTION, "timeout": 0.3})
        assert late.status == 504 and late.error["code"] == "timeout"
        stream.close()


def test_a_file_names_models(folder, tmp_path):
    file = tmp_path / "models.toml"
    file.write_text(f'[small]\npath = "{folder / "one"}"\naliases = ["default"]\npin = true\nload = true\nmax-context = 512\n\n'
                    f'[other-0.6b]\npath = "{folder / "two"}"\nkv-bits = 8\n')
    with Server("--max-loaded", "2", model=f"--models={file}") as server:
        models = {model["id"]: model for model in server.get("/v1/models").body["data"]}
        assert list(models) == ["small", "other-0.6b"]
        assert models["small"]["status"]["value"] == "loaded" and models["small"]["max_model_len"] == 512
        assert models["other-0.6b"]["status"]["value"] == "unloaded"
        assert server.client().chat.completions.create(model="default", messages=QUESTION, max_tokens=4).model == "default"
        assert server.client().chat.completions.create(model="other-0.6b", messages=QUESTION, max_tokens=4).choices
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[a]\npath = "demo"\ncolour = "red"\n')
    refused = run_program("serve", "--models", str(wrong))
    assert refused.returncode == 1 and "colour" in refused.stderr


def test_keys_apart_unload_nothing(folder):
    with Models(folder, "--api-key", "user", "--admin-key", "root") as server:
        body = json.dumps({"model": "one"}).encode()
        assert server.post(body, "/models/load", {"Authorization": "Bearer user"}).status == 403
        assert server.post(body, "/models/load", {"Authorization": "Bearer root"}).status == 200


def test_a_stream_goes_on_while_another_model_loads(folder):
    """Prints the longest gap of A's stream while B is loaded and unloaded again and again."""
    with Models(folder) as server:
        server.answer("one")
        gaps: list[float] = []
        stop = threading.Event()

        def load_again() -> None:
            while not stop.is_set():
                server.post({"model": "two"}, "/models/load")
                wait_for(lambda: server.state("two") == "loaded", "two to be loaded")
                server.post({"model": "two"}, "/models/unload")
                wait_for(lambda: server.state("two") == "unloaded", "two to be unloaded")

        loader = threading.Thread(target=load_again)
        loader.start()
        last = None
        # Every token is text.
        for _ in server.answer("one", 700, stream=True, extra_body={"guided_regex": "[a-z ]{700}"}):
            now = time.monotonic()
            if last is not None:
                gaps.append(now - last)
            last = now
        stop.set()
        loader.join()
        loads = server.metric("model_loads_total", 'model_name="two"')
        print(f"longest gap {max(gaps) * 1000:.0f} ms while another model was loaded {loads:.0f} times")
        assert loads >= 2 and len(gaps) > 100
        assert max(gaps) < 0.5 * SLOWDOWN  # some 60 ms on two busy cores


def test_the_last_model_that_goes_leaves_no_thread(folder):
    with Models(folder) as server:
        counts = []
        for _ in range(4):
            server.answer("one", 4)
            server.post({"model": "one"}, "/models/unload")
            wait_for(lambda: server.state("one") == "unloaded", "one to be unloaded")
            counts.append(len(list(pathlib.Path(f"/proc/{server.process.pid}/task").iterdir())))
        assert counts[-1] <= counts[0]


def test_loads_and_unloads_leave_nothing_behind(folder):
    with Models(folder) as server:
        def once() -> None:
            server.answer("two", 4)
            server.post({"model": "two"}, "/models/unload")
            wait_for(lambda: server.state("two") == "unloaded", "two to be unloaded")

        def resident() -> int:
            fields = pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()
            return int(fields[1]) * 4096

        server.answer("one", 4)
        for _ in range(12):
            once()
        before = resident()
        for _ in range(12):
            once()
        assert resident() - before < 30 << 20  # one model's weights; a hundred loads leave the same
