#!/usr/bin/env python3
"""Writes the small pictures of src/media/testdata and, beside each, what Pillow sees in it (a .ppm file).

Every picture is drawn from formulas, so a second run writes the same files. What Pillow cannot write
(interlaced and 16-bit RGB PNG, old and odd bitmaps, YCCK) is written here by hand and read back by Pillow.
Needs: pip install pillow==13.0.0 numpy

    python3 tools/media/make_testdata.py src/media/testdata
"""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

H, W = 13, 18


def drawing(height=H, width=W, channels=3):
    """Smooth colours with a hard edge and a little noise: u8 [height, width, channels]."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    planes = [x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 9 % 256, 255 - x * y * 255 // (width * height)]
    planes = [(p + (x * 7 + y * 13 + c * 5) * 37 % 11) % 256 for c, p in enumerate(planes)]
    picture = np.stack(planes[:channels], axis=-1).astype(np.uint8)
    picture[3:7, 5:9, :3] = [250, 10, 60][: min(channels, 3)]
    return picture


def seen(data: bytes) -> Image.Image:
    """The picture as RGB: oriented, transparency over white."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode == "I;16":  # the high byte, as for 16-bit RGB; Pillow's own conversion clips
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
        alpha = rgba[..., 3:]
        over = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
        return Image.fromarray(over.astype(np.uint8))
    return image.convert("RGB")


def saved(image, **options) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, **options)
    return out.getvalue()


def orientation(value: int):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


# PNG

ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def png(samples: np.ndarray, depth: int, color_type: int, interlaced=False, extra=b"") -> bytes:
    """samples: [h, w, channels] of `depth`-bit values."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def packed(part: np.ndarray) -> bytes:
        rows = part.reshape(part.shape[0], -1)
        if depth == 16:
            return b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
        shifts = np.arange(depth - 1, -1, -1)
        bits = (rows[..., None] >> shifts & 1).reshape(rows.shape[0], -1).astype(np.uint8)
        return b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)

    if interlaced:
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7]
        body = b"".join(packed(part) for part in parts if part.size)
    else:
        body = packed(samples)
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(body, 9)) + chunk(b"IEND", b""))


def pngs():
    rgb, rgba = drawing(), drawing(channels=4)
    gray = drawing()[..., 1]
    yield "rgb", saved(rgb, format="PNG")
    yield "rgba", saved(rgba, format="PNG")
    yield "gray", saved(gray, format="PNG")
    yield "gray_alpha", saved(Image.merge("LA", [Image.fromarray(rgba[..., 0]), Image.fromarray(rgba[..., 3])]), format="PNG")
    yield "gray1", saved(Image.fromarray(gray).convert("1"), format="PNG")
    palette = Image.fromarray(rgb).quantize(16)
    yield "palette4", saved(palette, format="PNG", bits=4)
    yield "palette8", saved(Image.fromarray(rgb).quantize(60), format="PNG")
    yield "palette_transparent", saved(palette, format="PNG", transparency=bytes([0, 60, 128, 250] * 4))
    yield "rgb_transparent", saved(rgb, format="PNG", transparency=(250, 10, 60))
    yield "exif6", saved(rgb, format="PNG", exif=orientation(6))
    wide = (drawing().astype(np.int64) * 257 + 91) % 65536
    yield "rgb16", png(wide, 16, 2)
    yield "gray16", png(wide[..., :1], 16, 0)
    yield "gray2", png(gray[..., None] // 64, 2, 0)
    yield "interlaced", png(rgb.astype(np.int64), 8, 2, interlaced=True)
    yield "interlaced_rgba", png(rgba.astype(np.int64), 8, 6, interlaced=True)


# JPEG


def jpegs():
    rgb = drawing()
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        yield name, saved(rgb, format="JPEG", quality=85, subsampling=subsampling)
    yield "gray", saved(rgb[..., 1], format="JPEG", quality=85)
    yield "progressive", saved(rgb, format="JPEG", quality=85, progressive=True)
    yield "restarts", saved(drawing(24, 40), format="JPEG", quality=85, restart_marker_blocks=2)
    yield "keep_rgb", saved(rgb, format="JPEG", quality=85, keep_rgb=True)
    cmyk = saved(Image.fromarray(drawing(channels=4), mode="CMYK"), format="JPEG", quality=85)
    yield "cmyk", cmyk
    # The Adobe marker's last byte says how the four components are coded: 2 makes them YCCK.
    at = cmyk.index(b"Adobe") + 11
    yield "ycck", cmyk[:at] + b"\x02" + cmyk[at + 1 :]
    for value in range(1, 9):
        yield f"exif{value}", saved(drawing(9, 14), format="JPEG", quality=85, exif=orientation(value))


def webps():
    rgb, rgba = drawing(), drawing(channels=4)
    yield "lossy", saved(rgb, format="WEBP", quality=80)
    yield "lossless", saved(rgb, format="WEBP", lossless=True)
    yield "lossy_alpha", saved(rgba, format="WEBP", quality=80)
    yield "lossless_alpha", saved(rgba, format="WEBP", lossless=True, exact=True)
    yield "exif3", saved(rgb, format="WEBP", lossless=True, exif=orientation(3))
    second = Image.fromarray(255 - rgb)
    yield "animated", saved(Image.fromarray(rgb), format="WEBP", save_all=True, append_images=[second], lossless=True)


def gifs():
    palette = Image.fromarray(drawing()).quantize(32)
    plain = saved(palette, format="GIF", interlace=0)
    yield "palette", plain
    yield "interlaced", saved(palette, format="GIF", interlace=1)
    yield "gray", saved(drawing()[..., 1], format="GIF")
    yield "transparent", saved(palette, format="GIF", transparency=3)
    second = Image.fromarray(255 - drawing()).quantize(32)
    yield "animated", saved(palette, format="GIF", save_all=True, append_images=[second])


# BMP


def bmp(width, height, bits, pixels, compression=0, palette=b"", masks=b"", header_bytes=40) -> bytes:
    """`height` < 0: rows from the top. `masks` follow a 40-byte header or lie in a longer one."""
    if header_bytes == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        colors = len(palette) // 4
        header = struct.pack("<IiiHHIIiiII", header_bytes, width, height, 1, bits, compression, len(pixels), 0, 0, colors, 0)
        header += masks
        header += b"\0" * (header_bytes - len(header))
    offset = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", offset + len(pixels), 0, 0, offset) + header + palette + pixels


def bmp_rows(rows) -> bytes:
    """Rows of bytes, padded to 32 bits, the last row first."""
    return b"".join(row + b"\0" * (-len(row) % 4) for row in reversed(rows))


def bmps():
    rgb = drawing()
    yield "rgb24", saved(rgb, format="BMP")
    yield "gray8", saved(rgb[..., 1], format="BMP")
    yield "palette8", saved(Image.fromarray(rgb).quantize(60), format="BMP")
    yield "mono1", saved(Image.fromarray(rgb[..., 1]).convert("1"), format="BMP")
    yield "rgba32", saved(drawing(channels=4), format="BMP")
    yield "rgbx32", bmp(W, H, 32, bmp_rows([row[:, [2, 1, 0, 1]].tobytes() for row in rgb]))
    yield "top_down", bmp(W, -H, 24, bmp_rows([row[:, ::-1].tobytes() for row in rgb[::-1]]))
    wide = rgb.astype(np.uint16)
    rgb555 = (wide[..., 0] >> 3) << 10 | (wide[..., 1] >> 3) << 5 | wide[..., 2] >> 3
    yield "rgb555", bmp(W, H, 16, bmp_rows([row.astype("<u2").tobytes() for row in rgb555]))
    rgb565 = (wide[..., 0] >> 3) << 11 | (wide[..., 1] >> 2) << 5 | wide[..., 2] >> 3
    fields = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield "rgb565", bmp(W, H, 16, bmp_rows([row.astype("<u2").tobytes() for row in rgb565]), 3, masks=fields)
    colors = bytes(v for i in range(16) for v in (i * 16, 255 - i * 9, i * 5 + 40, 0))
    index = (rgb[..., 0] // 16).astype(np.uint8)
    nibbles = [bytes(int(a) << 4 | int(b) for a, b in zip(row[::2], row[1::2])) for row in index]
    yield "palette4", bmp(W, H, 4, bmp_rows(nibbles), palette=colors)
    core_palette = b"".join(colors[i : i + 3] for i in range(0, 64, 4))
    yield "os2", bmp(W, H, 4, bmp_rows(nibbles), palette=core_palette, header_bytes=12)
    runs = bytearray()
    for row in index[::-1]:  # a literal of 5, then runs
        runs += bytes([0, 5, *row[:5], 0])
        for value in row[5:]:
            runs += bytes([1, value])
        runs += b"\0\0"
    yield "rle8", bmp(W, H, 8, bytes(runs) + b"\0\1", 1, palette=colors)
    runs = bytearray()
    for row in index[::-1]:  # a run of 6 of two alternating colours, a literal of 5, then runs
        a, b = int(row[0]), int(row[1])
        runs += bytes([6, a << 4 | b, 0, 5, int(row[6]) << 4 | int(row[7]), int(row[8]) << 4 | int(row[9]), int(row[10]) << 4, 0])
        for value in row[11:]:
            runs += bytes([1, int(value) << 4])
        runs += b"\0\0"
    yield "rle4", bmp(W, H, 4, bytes(runs) + b"\0\1", 2, palette=colors)


def resizes(folder: Path):
    """source.ppm, and what Pillow's bicubic filter makes of it at the sizes <height>x<width>.ppm.

    10x40 and 11x40 lie on either side of the rule by which Pillow orders its two passes.
    """
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    source = drawing(37, 53)
    source[20:, 30:] = rng.choice([0, 255], size=(17, 23, 3))  # hard edges: the filter over- and undershoots
    image = Image.fromarray(source)
    image.save(folder / "source.ppm")
    for height, width in ((64, 32), (16, 96), (5, 7), (37, 20), (50, 53), (1, 1), (72, 101), (36, 52), (10, 40), (11, 40)):
        image.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{height}x{width}.ppm")


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for extension, pictures in (("png", pngs), ("jpg", jpegs), ("webp", webps), ("gif", gifs), ("bmp", bmps)):
        for name, data in pictures():
            (folder / f"{name}.{extension}").write_bytes(data)
            seen(data).save(folder / f"{name}.{extension}.ppm")
    resizes(folder / "resize")


if __name__ == "__main__":
    main()
