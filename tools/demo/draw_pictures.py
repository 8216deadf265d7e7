#!/usr/bin/env python3
"""Draws assets/pictures/shapes.png, the demo's picture. Python's standard library only; same pixels every time.

  draw_pictures.py [FOLDER]
"""
import math
import pathlib
import struct
import sys
import zlib

WIDTH, HEIGHT = 640, 448
GROUND = (246, 244, 238)

Point = tuple[float, float]
Color = tuple[int, int, int]


def polygon(cx: float, cy: float, radii: list[float], turn: float = -90) -> list[Point]:
    """Returns corners around (cx, cy), the first at `turn` degrees, at the given distances in turn."""
    step = 2 * math.pi / len(radii)
    return [(cx + r * math.cos(math.radians(turn) + i * step), cy + r * math.sin(math.radians(turn) + i * step))
            for i, r in enumerate(radii)]


# Colour and corners; a circle is a polygon of many corners.
SHAPES: list[tuple[Color, list[Point]]] = [
    ((214, 45, 45), polygon(120, 100, [62] * 96)),
    ((40, 90, 205), polygon(520, 100, [84] * 4, turn=-45)),
    ((46, 150, 70), polygon(320, 235, [76] * 3)),
    ((240, 200, 40), polygon(120, 350, [74, 30] * 5)),
]


def distance(point: Point, corners: list[Point]) -> float:
    """Returns the signed distance from a point to a polygon's edge, in pixels; negative inside."""
    x, y = point
    nearest = math.inf
    inside = False
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1]):
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        along = min(1.0, max(0.0, (px * ex + py * ey) / (ex * ex + ey * ey)))
        nearest = min(nearest, math.hypot(px - along * ex, py - along * ey))
        if (ay > y) != (by > y) and x < ax + (y - ay) / ey * ex:
            inside = not inside
    return -nearest if inside else nearest


def draw() -> list[bytearray]:
    """Returns HEIGHT rows of WIDTH RGB pixels, edges smoothed by how much of a pixel a shape covers."""
    rows = [bytearray(bytes(GROUND) * WIDTH) for _ in range(HEIGHT)]
    for color, corners in SHAPES:
        xs, ys = zip(*corners)
        for y in range(int(min(ys)) - 1, int(max(ys)) + 2):
            for x in range(int(min(xs)) - 1, int(max(xs)) + 2):
                cover = min(1.0, max(0.0, 0.5 - distance((x + 0.5, y + 0.5), corners)))
                for channel in range(3):
                    at = 3 * x + channel
                    rows[y][at] = round(rows[y][at] + cover * (color[channel] - rows[y][at]))
    return rows


def encode_png(rows: list[bytearray]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def main() -> None:
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "assets/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shapes.png").write_bytes(encode_png(draw()))


if __name__ == "__main__":
    main()
