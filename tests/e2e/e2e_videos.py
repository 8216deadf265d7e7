"""Clips for the tests: the files of clips/ (drawn and encoded by tools/media/make_videos.py), and GIFs drawn here."""
import base64
import io
import pathlib

from PIL import Image, ImageDraw

from e2e_pictures import encoded

CLIPS = pathlib.Path(__file__).parent / "clips"
# What happens in each, in the demo model's words.
ACTS = {"right.mp4": "moves to the right", "up.mov": "moves up", "grows.webm": "grows", "shrinks.gif": "shrinks"}
_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm", ".gif": "image/gif"}

HAPPENS = "What happens in the video?"


def clip_url(name: str) -> str:
    data = base64.b64encode((CLIPS / name).read_bytes()).decode()
    return f"data:{_TYPES[pathlib.Path(name).suffix]};base64,{data}"


def part(url: str, **sampling) -> dict:
    return {"type": "video_url", "video_url": {"url": url, **sampling}}


def question(text: str, url: str, **sampling) -> list[dict]:
    return [part(url, **sampling), {"type": "text", "text": text}]


def falling_frames(count: int, colour: str = "blue", per_frame: int = 7) -> list[Image.Image]:
    """A square that falls by `per_frame` pixels a frame."""
    frames = []
    for i in range(count):
        frame = Image.new("RGB", (160, 128), "white")
        top = 4 + per_frame * i
        ImageDraw.Draw(frame).rectangle((64, top, 96, top + 32), fill=colour)
        frames.append(frame)
    return frames


def gif(frames: list[Image.Image]) -> bytes:
    """Two frames a second, which is as often as the demo model looks."""
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=500, disposal=1)
    return file.getvalue()


def gif_url(frames: list[Image.Image]) -> str:
    return "data:image/gif;base64," + base64.b64encode(gif(frames)).decode()


def png_urls(frames: list[Image.Image]) -> list[str]:
    return ["data:image/png;base64," + base64.b64encode(encoded(frame)).decode() for frame in frames]
