"""The parts of the benchmark that can be wrong without anybody noticing: what it sends, reads and judges."""
import io
import json
import pathlib
import sys

import numpy as np
import PIL.Image
import PIL.ImageSequence
import pytest
import tokenizers

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "common")]
import cases
import client
import pictures
import random_checkpoint
import report


def test_pictures_are_what_was_drawn():
    image = PIL.Image.open(io.BytesIO(pictures.png(30, 50, 7)))
    assert np.array_equal(np.asarray(image.convert("RGB")), pictures.palette(7)[pictures.draw(30, 50, 7)])


def test_clips_have_their_frames_and_longer_ones_begin_alike():
    def frames(count: int) -> list[np.ndarray]:
        image = PIL.Image.open(io.BytesIO(pictures.clip(count, 40, 60, 3)))
        assert image.info["duration"] == 1000 / pictures.CLIP_FPS
        return [np.asarray(frame.convert("RGB")) for frame in PIL.ImageSequence.Iterator(image)]

    short, long = frames(3), frames(5)
    assert len(short) == 3 and len(long) == 5
    assert all(np.array_equal(a, b) for a, b in zip(short, long))
    assert all(not np.array_equal(long[0], frame) for frame in long[1:])
    assert np.array_equal(long[0][0], pictures.palette(3)[pictures.draw(40, 60, 3)[0]])


def test_a_stream_is_read_to_its_usage():
    lines = [b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n', b"\n",
             b'data: {"choices": [{"delta": {"content": "Hel"}}], "usage": null}\n',
             b'data: {"choices": [{"delta": {"content": "lo"}}], "usage": null}\n',
             b'data: {"choices": [], "usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}}\n',
             b"data: [DONE]\n"]
    answer = client.read_stream(lines, 0)
    assert (answer.text, answer.prompt_tokens, answer.cached_tokens, answer.media_cached) == ("Hello", 9, 4, 0)
    assert answer.ttft <= answer.latency
    with pytest.raises(client.Refused, match="no"):
        client.read_stream([b'data: {"error": {"message": "no"}}\n'], 0)
    with pytest.raises(client.Refused):
        client.read_stream(lines[:3], 0)


def row(case: str, request: str, latencies: list[float]) -> dict:
    answer = dict(ttft=0.5, text="", prompt_tokens=9, cached_tokens=4, media_cached=2)
    return dict(case=case, request=request, encoder_runs=1, answers=[answer | dict(latency=x) for x in latencies])


def test_rows_are_compared_with_their_case_first_by_medians():
    result = dict(model="m", verdicts=[], rows=[row("a", "1", [10, 30, 11]), row("a", "2", [1, 1.1, 9]), row("b", "1", [2])])
    lines = report.measured_table([result]).splitlines()
    assert [line.split("|")[6].strip() for line in lines[2:]] == ["", "10.0x", ""]


def test_a_goal_is_met_at_its_very_figure_and_missed_below():
    assert cases.verdict_ratio("x", 28, 28).met and not cases.verdict_ratio("x", 27.9, 28).met


def test_results_are_kept_over_runs(tmp_path):
    machine = dict(cpu="c", cores=1, isa=[], gpus=[], system="s", date="d")
    result = dict(model="m", case="a", rows=[row("a", "1", [2])], verdicts=[])
    report.write(tmp_path, [result], machine, "command")
    assert report.load(tmp_path) == {("m", "a"): result}
    assert "| m " in (tmp_path / "cache.md").read_text()


@pytest.mark.parametrize("shape", random_checkpoint.SERVABLE)
def test_what_a_random_model_says_can_be_said_back_to_it(shape: str):
    vocab_size = 4000
    text, _, special = random_checkpoint.speech(shape, vocab_size)
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(text))
    said = [vocab_size - 1, 3000, vocab_size - 2]
    assert tokenizer.encode(tokenizer.decode(said)).ids == said
    assert tokenizer.token_to_id("<|image_pad|>") == special["<|image_pad|>"]
