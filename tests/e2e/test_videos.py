"""Questions about videos, and what of a clip is encoded again."""
import shutil
from typing import Iterator

import openai
import pytest

from e2e_harness import MODEL, Server, run_program
from e2e_pictures import BLUE_SQUARE, data_url
from e2e_pictures import part as picture_part
from e2e_videos import ACTS, CLIPS, HAPPENS, clip_url, falling_frames, gif_url, part, png_urls, question


@pytest.fixture(scope="module")
def own_server(tmp_path_factory) -> Iterator[Server]:
    """A server whose caches only this module's tests use."""
    folder = tmp_path_factory.mktemp("media")
    shutil.copy(CLIPS / "right.mp4", folder)
    with Server("--media-root", str(folder)) as running:
        running.folder = folder
        yield running


def encoder_runs(server: Server) -> int:
    return server.health()["encoder"]["runs"]


@pytest.mark.parametrize("name", ACTS)
def test_a_clip_gets_its_answer(own_server, name):
    assert own_server.text(question(HAPPENS, clip_url(name))) == f"The red circle {ACTS[name]}."


def test_a_follow_up_question_encodes_nothing(own_server):
    clip = gif_url(falling_frames(6, "green"))
    runs = encoder_runs(own_server)
    first = own_server.ask(question(HAPPENS, clip))
    assert first.choices[0].message.content == "The green square moves down."
    assert encoder_runs(own_server) == runs + 3  # one run a pair of frames
    second = own_server.ask(question("What colour is the square?", clip))
    assert second.choices[0].message.content == "The square is green."
    assert encoder_runs(own_server) == runs + 3
    # The clip's tokens come first and are shared, up to whole pages.
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens - 32


def test_a_longer_cut_encodes_only_what_is_new(own_server):
    frames = falling_frames(12, "purple")
    own_server.ask(question(HAPPENS, gif_url(frames[:6])))
    runs = encoder_runs(own_server)
    longer = own_server.ask(question(HAPPENS, gif_url(frames)))
    assert encoder_runs(own_server) == runs + 3
    assert longer.usage.prompt_tokens_details.cached_tokens > 0
    # With other words before it nothing of its prompt is known, and still nothing is encoded.
    own_server.ask([{"type": "text", "text": "Look."}, *question(HAPPENS, gif_url(frames))])
    assert encoder_runs(own_server) == runs + 3


def test_a_clip_as_pictures_is_the_same_clip(own_server):
    frames = falling_frames(8, "yellow")
    expected = own_server.ask(question(HAPPENS, gif_url(frames)))
    runs = encoder_runs(own_server)
    listed = own_server.ask([{"type": "video", "video": png_urls(frames), "fps": 2}, {"type": "text", "text": HAPPENS}])
    joined = own_server.ask(question(HAPPENS, "data:video/jpeg;base64," + ",".join(
        url.split(",")[1] for url in png_urls(frames)), fps=2))
    for answer in (listed, joined):
        assert answer.choices[0].message.content == expected.choices[0].message.content
        assert answer.usage.prompt_tokens == expected.usage.prompt_tokens
    assert encoder_runs(own_server) == runs
    # At another rate other times stand between the frames.
    slower = own_server.ask([{"type": "video", "video": png_urls(frames), "fps": 0.5}, {"type": "text", "text": HAPPENS}])
    assert slower.usage.prompt_tokens_details.cached_tokens < expected.usage.prompt_tokens - 16
    assert encoder_runs(own_server) == runs


def test_sixty_four_frames(own_server):
    runs = encoder_runs(own_server)
    clip = clip_url("left_64_frames.mp4")
    answer = own_server.ask(question(HAPPENS, clip, fps=32, max_frames=64))
    assert encoder_runs(own_server) == runs + 32
    # 32 x a time (some ten tokens), two marks and 2 x 4 merged patches.
    assert 32 * 15 < answer.usage.prompt_tokens < 32 * 25
    assert "red circle" in own_server.text(question("Which object do you see?", clip))


def test_sampling_follows_the_request(own_server):
    def tokens(**sampling) -> int:
        return own_server.ask(question(HAPPENS, clip_url("left_64_frames.mp4"), **sampling)).usage.prompt_tokens

    assert tokens(fps=1) == tokens() < tokens(fps=4) < tokens(fps=16)  # min_frames is 4
    assert tokens(fps=16, max_frames=8) == tokens(fps=4)
    kwargs = own_server.ask(question(HAPPENS, clip_url("left_64_frames.mp4")),
                            extra_body={"mm_processor_kwargs": {"fps": 4}})
    assert kwargs.usage.prompt_tokens == tokens(fps=4)


def test_a_file_below_the_media_root(own_server):
    answer = own_server.ask(question(HAPPENS, f"file://{own_server.folder}/right.mp4"))
    assert answer.choices[0].message.content == "The red circle moves to the right."
    details = answer.usage.prompt_tokens_details
    assert details.model_extra["ignored_audio_tracks"] == 1
    with pytest.raises(openai.BadRequestError) as error:
        own_server.ask(question(HAPPENS, f"file://{CLIPS}/right.mp4"))
    assert error.value.param == "messages.0.content.0.video_url"


def test_a_video_beside_a_picture(own_server):
    parts = [part(clip_url("right.mp4")), picture_part(data_url(BLUE_SQUARE)), {"type": "text", "text": HAPPENS}]
    assert own_server.text(parts) == own_server.text(parts)
    text_token = [part(clip_url("right.mp4")), {"type": "text", "text": "What is <|video_pad|>?"}]
    with pytest.raises(openai.BadRequestError) as error:
        own_server.ask(text_token)
    assert error.value.param == "messages.0"


def test_a_clip_too_long_is_refused():
    with Server("--max-video-seconds", "3") as server, pytest.raises(openai.APIStatusError) as error:
        server.ask(question(HAPPENS, clip_url("right.mp4")))
    assert error.value.status_code == 413 and error.value.param == "messages.0.content.0.video_url"


def test_run_shows_a_video(own_server):
    result = run_program("run", MODEL, HAPPENS, "--video", CLIPS / "up.mov", "--temperature", "0", "--max-tokens", "48")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == own_server.text(question(HAPPENS, clip_url("up.mov")))
    missing = run_program("run", MODEL, HAPPENS, "--video", "/no/such/clip.mp4")
    assert missing.returncode == 1 and "/no/such/clip.mp4" in missing.stderr
