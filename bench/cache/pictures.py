"""Made-up pictures and clips, written by hand so that no imaging library is needed: PNG, and GIF for clips."""
import base64
import struct
import zlib

import numpy as np

CLIP_FPS = 2  # what Qwen3-VL samples: every frame counts


def draw(height: int, width: int, seed: int) -> np.ndarray:
    """Forty rectangles of 16 colours on a plain ground; [height, width] colour numbers."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width), random.integers(16), np.uint8)
    for _ in range(40):
        top, left = random.integers(height), random.integers(width)
        bottom, right = top + random.integers(1, height // 2 + 2), left + random.integers(1, width // 2 + 2)
        pixels[top:bottom, left:right] = random.integers(16)
    return pixels


def palette(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 3), np.uint8)


def png(height: int, width: int, seed: int) -> bytes:
    rgb = palette(seed)[draw(height, width, seed)]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), rgb.reshape(height, -1)], axis=1)  # each begins with its filter

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
            + chunk(b"IEND", b""))


def uncompressed_lzw(pixels: np.ndarray) -> bytes:
    """GIF's coding of 4-bit pixels without its dictionary: codes of 5 bits throughout, as it is cleared before it grows."""
    clear, end, room = 16, 17, 14
    codes = []
    flat = pixels.ravel()
    for i in range(0, len(flat), room):
        codes += [np.array([clear], np.uint8), flat[i:i + room]]
    stream = np.concatenate([*codes, np.array([end], np.uint8)])
    bits = (stream[:, None] >> np.arange(5, dtype=np.uint8)) & 1
    data = np.packbits(bits.ravel(), bitorder="little").tobytes()
    blocks = [bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255)]
    return bytes([4]) + b"".join(blocks) + b"\0"


def clip(frames: int, height: int, width: int, seed: int) -> bytes:
    """An animated GIF: the same ground for a clip, and a square that moves. A longer clip begins with the shorter one."""
    ground = draw(height, width, seed)
    out = [b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF3, 0, 0) + palette(seed).tobytes()]
    side = height // 4
    for i in range(frames):
        pixels = ground.copy()
        left = i * 3 % (width - side)
        pixels[side:2 * side, left:left + side] = (i + 1) % 16
        out.append(b"\x21\xf9\x04" + struct.pack("<BHBB", 0, 100 // CLIP_FPS, 0, 0))
        out.append(b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + uncompressed_lzw(pixels))
    return b"".join(out) + b"\x3b"


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode()


def picture_part(height: int, width: int, seed: int) -> dict:
    return {"type": "image_url", "image_url": {"url": data_url("image/png", png(height, width, seed))}}


def clip_part(frames: int, height: int, width: int, seed: int) -> dict:
    return {"type": "video_url", "video_url": {"url": data_url("image/gif", clip(frames, height, width, seed))}}
