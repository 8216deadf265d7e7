"""Clips written again with stamps that begin late, as parts of a recording or of a live stream have them."""

SEGMENT, CLUSTER, TIMESTAMP = 0x18538067, 0x1F43B675, 0xE7  # of Matroska, which WebM is


def _number(data: bytes, at: int) -> tuple[int, int]:
    """An EBML number with its mark of length, and where it ends."""
    end = at + 9 - data[at].bit_length()
    return int.from_bytes(data[at:end], "big"), end


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Identifiers and contents, one after the other."""
    found, at = [], 0
    while at < len(data):
        name, at = _number(data, at)
        marked, begin = _number(data, at)
        size = marked & ((1 << 7 * (begin - at)) - 1)
        found.append((name, data[begin:begin + size]))
        at = begin + size
    return found


def _written(elements: list[tuple[int, bytes]]) -> bytes:
    return b"".join(name.to_bytes((name.bit_length() + 7) // 8, "big") + (1 << 56 | len(content)).to_bytes(8, "big") + content
                    for name, content in elements)


def late_matroska(clip: bytes, seconds: int) -> bytes:
    """Of a clip whose stamps are milliseconds, as FFmpeg writes them."""
    def shifted(name: int, content: bytes) -> tuple[int, bytes]:
        if name in (SEGMENT, CLUSTER):
            return name, _written([shifted(*part) for part in _elements(content)])
        if name == TIMESTAMP:
            return name, (int.from_bytes(content, "big") + 1000 * seconds).to_bytes(8, "big")
        return name, content
    return _written([shifted(*part) for part in _elements(clip)])


def late_mp4(clip: bytes, seconds: int) -> bytes:
    """By an edit without pictures before each track's first. The media data stand before the boxes that grow, as FFmpeg writes them."""
    def boxes(data: bytes) -> bytes:
        out, at = b"", 0
        while at < len(data):
            size, name = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
            content = data[at + 8:at + size]
            if name in (b"moov", b"trak", b"edts"):
                content = boxes(content)
            elif name == b"elst":
                count, edits = int.from_bytes(content[4:8], "big"), content[8:]
                empty = (1000 * seconds).to_bytes(4, "big") + b"\xff\xff\xff\xff\x00\x01\x00\x00"
                content = content[:4] + (count + 1).to_bytes(4, "big") + empty + edits
            out += (8 + len(content)).to_bytes(4, "big") + name + content
            at += size
        return out
    return boxes(clip)
