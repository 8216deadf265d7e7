#!/usr/bin/env python3
"""Writes the small clips of src/media/testdata/video and tests/e2e/clips.

Beside each clip of the former lies what FFmpeg itself shows of it: a .ppm file with all frames, one below the other,
converted to RGB as src/media does (the transparent GIF: what Pillow shows of it, over white). Every frame is drawn from
formulas; another version of FFmpeg's encoders may write other bytes, and then the .ppm files change with them.
Needs: FFmpeg 5.1's command (apt-get install ffmpeg), pip install pillow==13.0.0 numpy

    python3 tools/media/make_videos.py src/media/testdata/video tests/e2e/clips
"""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FLAGS = "bilinear+accurate_rnd+full_chroma_int+bitexact"
H, W = 30, 44  # even, for chroma; no multiple of a codec's blocks


def ffmpeg(*arguments: str, data: bytes = b"") -> bytes:
    command = ["ffmpeg", "-v", "error", "-bitexact", *arguments]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def drawing(index: int) -> np.ndarray:
    """Frame number `index`: a gradient that turns, and a block that moves; u8 [H, W, 3]."""
    y, x = np.mgrid[:H, :W]
    frame = np.stack([x * 255 // (W - 1), y * 255 // (H - 1), (x + y + 6 * index) * 2 % 256], -1).astype(np.uint8)
    frame[8:20, 1 + index : 13 + index] = [240, 20 + 9 * index, 60]
    return frame


def encode(file: Path, frames: list, rate: float, *options: str) -> None:
    height, width = np.asarray(frames[0]).shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), "-i", "-"]
    keep = ["-flags:v", "+bitexact", "-fflags", "+bitexact", "-y", str(file)]
    ffmpeg(*raw, *options, *keep, data=b"".join(np.asarray(frame).tobytes() for frame in frames))


def write_ppm(file: Path, frames: np.ndarray) -> None:
    Image.fromarray(frames.reshape(-1, *frames.shape[2:])).save(f"{file}.ppm")


def write_shown(file: Path, quarter_turns: int = 0) -> None:
    """The frames as stored, turned here, against the clock."""
    out = ffmpeg("-noautorotate", "-i", str(file), "-vf", f"scale=flags={FLAGS}", "-sws_flags", FLAGS, "-vsync", "0",
                 "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    frames = np.frombuffer(out, np.uint8).reshape(-1, H, W, 3)
    write_ppm(file, np.rot90(frames, quarter_turns, axes=(1, 2)))


SILENCE = ["-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-shortest", "-b:a", "8k"]
X264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-threads", "1"]


def clips(folder: Path) -> None:
    twenty = [drawing(i) for i in range(20)]
    # Frames out of order, three groups, and a sound track.
    encode(folder / "h264.mp4", twenty, 10, *SILENCE, *X264, "-g", "8", "-bf", "2", "-c:a", "aac")
    # Colours by another matrix; 30000/1001 frames a second.
    bt709 = ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    encode(folder / "bt709.mov", twenty[:7], "30000/1001", *bt709, *X264)
    encode(folder / "full_range.mov", twenty[:3], 5, "-c:v", "mjpeg", "-pix_fmt", "yuvj422p", "-q:v", "3")
    encode(folder / "hevc.mp4", twenty[:5], 4, "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none:pools=1")
    encode(folder / "vp9.webm", twenty, 25, "-c:v", "libvpx-vp9", "-g", "6", "-crf", "30", "-b:v", "0")
    encode(folder / "vp8.webm", twenty[:6], 3, *SILENCE, "-c:v", "libvpx", "-b:v", "200k", "-c:a", "libopus")
    encode(folder / "av1.mkv", twenty[:4], 2, "-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "35")
    for clip in ("h264.mp4", "bt709.mov", "full_range.mov", "hevc.mp4", "vp9.webm", "vp8.webm", "av1.mkv"):
        write_shown(folder / clip)
    for turns in (1, 2, 3):
        turned = folder / f"turned{90 * turns}.mp4"
        ffmpeg("-i", str(folder / "h264.mp4"), "-frames:v", "3", "-an", "-c", "copy", "-metadata:s:v", f"rotate={90 * turns}",
               "-fflags", "+bitexact", "-y", str(turned))
        write_shown(turned, turns)
    transparent_gif(folder / "transparent.gif")


def transparent_gif(file: Path) -> None:
    """Frames of unequal length that build on each other, with holes in them."""
    frames = []
    for i in range(5):
        frame = Image.new("RGBA", (W, H), (0, 0, 0, 0))
        draw = ImageDraw.Draw(frame)
        draw.ellipse((5 * i, 4, 5 * i + 20, 24), fill=(200, 30 * i, 40, 255))
        frames.append(frame)
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=[200, 400, 200, 400, 300], disposal=2)
    image = Image.open(file)
    shown = []
    for i in range(5):
        image.seek(i)
        rgba = image.convert("RGBA")
        shown.append(np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")))
    write_ppm(file, np.stack(shown))


def act(kind: str, num_frames: int = 8) -> list:
    """A red circle on a light ground that does what the demo model knows how to describe; 128 x 160 pixels."""
    frames = []
    for i in range(num_frames):
        at = i / (num_frames - 1)
        x, y, radius = 80, 64, 17
        if kind in ("right", "left"):
            x = 40 + 80 * at if kind == "right" else 120 - 80 * at
        elif kind in ("down", "up"):
            y = 30 + 66 * at if kind == "down" else 96 - 66 * at
        else:
            radius = 10 + 20 * at if kind == "grows" else 30 - 20 * at
        frame = Image.new("RGB", (160 * 4, 128 * 4), (240, 240, 236))
        ImageDraw.Draw(frame).ellipse([4 * v for v in (x - radius, y - radius, x + radius, y + radius)], fill=(215, 40, 40))
        frames.append(frame.resize((160, 128), Image.Resampling.LANCZOS))
    return frames


def answerable(folder: Path) -> None:
    """Clips for questions to the demo model: one act in each kind of file."""
    encode(folder / "right.mp4", act("right"), 2, *SILENCE, *X264, "-crf", "20", "-c:a", "aac")
    encode(folder / "up.mov", act("up"), 2, *X264, "-crf", "20")
    encode(folder / "grows.webm", act("grows"), 2, "-c:v", "libvpx-vp9", "-crf", "25", "-b:v", "0")
    # 64 frames in two seconds: a fast one.
    encode(folder / "left_64_frames.mp4", act("left", 64), 32, *X264, "-crf", "22")
    gif = [frame.quantize(64) for frame in act("shrinks")]
    data = io.BytesIO()
    gif[0].save(data, "GIF", save_all=True, append_images=gif[1:], duration=500, loop=0)
    (folder / "shrinks.gif").write_bytes(data.getvalue())


def main() -> None:
    for folder, write in zip(map(Path, sys.argv[1:3]), (clips, answerable), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)


if __name__ == "__main__":
    main()
