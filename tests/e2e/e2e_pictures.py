"""Pictures that the tests draw: one coloured shape on white, in any file format."""
import base64
import io

from PIL import Image, ImageDraw

SIDE = 128  # pixels


def shape(kind: str, colour: str, side: int = SIDE) -> Image.Image:
    """A "circle" or "square" in the middle."""
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    box = (side // 4, side // 4, 3 * side // 4, 3 * side // 4)
    if kind == "circle":
        draw.ellipse(box, fill=colour)
    else:
        draw.rectangle(box, fill=colour)
    return picture


RED_CIRCLE = shape("circle", "red")
BLUE_SQUARE = shape("square", "blue")


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def data_url(file: bytes | Image.Image) -> str:
    data = file if isinstance(file, bytes) else encoded(file)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def part(url: str | Image.Image | bytes, **more) -> dict:
    """The content part of a picture."""
    return {"type": "image_url", "image_url": {"url": url if isinstance(url, str) else data_url(url), **more}}


def question(text: str, *pictures: str | Image.Image | bytes) -> list[dict]:
    return [part(picture) for picture in pictures] + [{"type": "text", "text": text}]
