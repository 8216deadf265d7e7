"""Conversations to numbers, and many conversations into one array of fixed size.

A training step reads one pack: conversations end to end, no padding between them, so that every shape is constant and
the layers compile once. The arrays live in memory shared with the drawing processes.
"""
import functools
import re
from dataclasses import dataclass

import numpy as np

from demo_model.resize import to_model_size
from demo_model.template import Media, Spelled, render

PATCH, MERGE, TABLE = 16, 2, 16        # pixels of a patch's side, patches merged a side, side of the position table
PATCH_VALUES = 3 * PATCH * PATCH       # of one frame
LONGEST, LONGEST_PICTURE = 2048, 256   # tokens of a conversation, patches of a picture: longer ones are left out

# What one pack holds: tokens, labels, patches, patches of frames, conversations, pictures (or pairs of frames).
CAPACITY = dict(tokens=49152, labels=14336, patches=49152, frames=53248, rows=1024, blocks=1024)


def patchify(picture):
    """PIL picture with sides divisible by 32 -> (patches, 768) uint8 in the order of the 2 x 2 merges; channels first."""
    x = np.asarray(picture)
    h, w = x.shape[0] // PATCH, x.shape[1] // PATCH
    return x.reshape(h // 2, 2, PATCH, w // 2, 2, PATCH, 3).transpose(0, 3, 1, 4, 6, 2, 5).reshape(h * w, PATCH_VALUES)


@functools.lru_cache(maxsize=4096)
def grid(h, w):
    """For h x w patches in merge order: (row, column) of each, its 4 neighbours in the position table, their weights."""
    r, c = np.meshgrid(np.arange(h), np.arange(w), indexing="ij")
    r, c = (x.reshape(h // 2, 2, w // 2, 2).transpose(0, 2, 1, 3).reshape(-1) for x in (r, c))
    y, x = np.linspace(0, TABLE - 1, h, dtype=np.float32)[r], np.linspace(0, TABLE - 1, w, dtype=np.float32)[c]
    y0, x0 = y.astype(np.int32), x.astype(np.int32)
    y1, x1 = np.minimum(y0 + 1, TABLE - 1), np.minimum(x0 + 1, TABLE - 1)
    dy, dx = y - y0, x - x0
    index = np.stack([y0 * TABLE + x0, y0 * TABLE + x1, y1 * TABLE + x0, y1 * TABLE + x1], 1).astype(np.int32)
    weight = np.stack([(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx], 1).astype(np.float32)
    return np.stack([r, c], 1).astype(np.int32), index, weight


@dataclass
class Sample:
    """One conversation in numbers. `blocks` are (patch rows, patch columns, first frame, second frame)."""
    ids: np.ndarray          # (tokens,) int32
    learn: np.ndarray        # (tokens,) bool: the model should have said this token
    positions: np.ndarray    # (3, tokens) int32: time, height, width
    frames: list             # [(patches, 768) uint8]
    blocks: list
    visual: np.ndarray       # where visual tokens stand in ids


class Encoder:
    """Conversations to Samples with one tokenizer."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        names = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
        self.start, self.end, self.image, self.video = (tokenizer.token_to_id(n) for n in names)

    def spell(self, piece):
        """The tokens of an answer whose word is written letter by letter: a model reads letters, not pieces of words."""
        ids, read = [], re.escape(piece.read)
        for part in re.split(rf"( {read}\b|\b{read}\b)", piece):
            if part.strip() != piece.read:
                ids += self.tokenizer.encode(part).ids
                continue
            first = len(part) - len(piece.read) + 1          # the space belongs to the first letter
            for letter in (part[:first], *part[first:]):
                ids += self.tokenizer.encode(letter).ids
        return ids

    def __call__(self, conversation, prompt_only=False):
        ids, learn, positions, frames, blocks, visual = [], [], [], [], [], []
        at = 0

        def add(tokens, said=False):
            nonlocal at
            ids.extend(tokens)
            learn.extend([said] * len(tokens))
            positions.append(np.tile(np.arange(at, at + len(tokens)), (3, 1)))
            at += len(tokens)

        def look(h, w, first, second, pad):
            nonlocal at
            r, c = np.meshgrid(np.arange(h // MERGE), np.arange(w // MERGE), indexing="ij")
            n = r.size
            visual.extend(range(len(ids), len(ids) + n))
            ids.extend([pad] * n)
            learn.extend([False] * n)
            positions.append(np.stack([np.full(n, at), at + r.ravel(), at + c.ravel()]))
            at += max(h, w) // MERGE
            blocks.append((h, w, first, second))

        for piece, said in render(conversation, prompt_only):
            if not isinstance(piece, Media):
                add(self.spell(piece) if isinstance(piece, Spelled) else self.tokenizer.encode(piece).ids, said)
                continue
            item, base = conversation.media[piece], len(frames)
            pictures = [to_model_size(item[0])] if len(item) == 1 else item
            frames += [patchify(p) for p in pictures]
            w, h = (side // PATCH for side in pictures[0].size)
            if len(item) == 1:
                add([self.start])
                look(h, w, base, base, self.image)
                add([self.end])
                continue
            if conversation.wrap:
                add([self.start])
            for i in range(0, len(item), 2):
                j = min(i + 1, len(item) - 1)
                add(self.tokenizer.encode(f"<{(i + j) / 2 / conversation.fps:.1f} seconds>").ids)
                add([self.start])
                look(h, w, base + i, base + j, self.video)
                add([self.end])
            if conversation.wrap:
                add([self.end])
        return Sample(np.array(ids, np.int32), np.array(learn, bool), np.concatenate(positions, 1).astype(np.int32), frames, blocks,
                      np.array(visual, np.int32))


def layout(cap):
    """{array: (shape, dtype)} of a pack."""
    t, l, p, f, r, b = (cap[k] for k in ("tokens", "labels", "patches", "frames", "rows", "blocks"))
    i32 = np.int32
    return {
        "ids": ((t,), i32), "positions": ((3, t), i32), "row_ends": ((r + 1,), i32),
        "label_at": ((l,), i32), "label": ((l,), np.int64),
        "frames": ((f, PATCH_VALUES), np.uint8), "pair": ((p, 2), i32), "place": ((p, 2), i32),
        "table_index": ((p, 4), i32), "table_weight": ((p, 4), np.float32), "block_ends": ((b + 1,), i32), "visual_at": ((p // 4,), i32),
    }


def padded(n):
    return (n + 255) // 256 * 256


def pack_bytes(cap):
    return sum(padded(int(np.prod(s)) * np.dtype(d).itemsize) for s, d in layout(cap).values())


def views(buffer, cap):
    """numpy views of a pack's arrays inside one flat buffer."""
    out, at = {}, 0
    for name, (shape, dtype) in layout(cap).items():
        n = int(np.prod(shape))
        out[name] = np.frombuffer(buffer, dtype, n, at).reshape(shape)
        at += padded(n * np.dtype(dtype).itemsize)
    return out


def fill(out, cap, samples):
    """Write samples (an iterator) into the arrays until one capacity is reached -> (how many, the one left over)."""
    used = dict.fromkeys(cap, 0)
    row_ends, block_ends, visual, left = [0], [0], [], None
    spare_rows, spare_blocks = cap["tokens"] // LONGEST + 2, cap["patches"] // LONGEST_PICTURE + 2
    for s in samples:
        need = dict(tokens=len(s.ids), labels=int(s.learn[1:].sum()), patches=sum(b[0] * b[1] for b in s.blocks),
                    frames=sum(map(len, s.frames)), rows=1, blocks=len(s.blocks))
        if need["tokens"] > LONGEST:
            continue
        limit = dict(cap, tokens=cap["tokens"] - 1, rows=cap["rows"] - spare_rows, blocks=cap["blocks"] - spare_blocks)
        if any(used[k] + need[k] > limit[k] for k in cap):
            left = s
            break
        write(out, used, s, block_ends)
        visual.append(s.visual + used["tokens"])
        for k in cap:
            used[k] += need[k]
        row_ends.append(used["tokens"])
    close(out, cap, used, row_ends, block_ends, visual)
    return used["rows"], left


def write(out, used, s, block_ends):
    """One sample at the places where the pack has got to."""
    t, l, p, f = used["tokens"], used["labels"], used["patches"], used["frames"]
    out["ids"][t : t + len(s.ids)] = s.ids
    out["positions"][:, t : t + len(s.ids)] = s.positions
    at = np.nonzero(s.learn[1:])[0]
    out["label_at"][l : l + len(at)] = at + t
    out["label"][l : l + len(at)] = s.ids[at + 1]
    starts = []
    for frame in s.frames:
        out["frames"][f : f + len(frame)] = frame
        starts.append(f)
        f += len(frame)
    for h, w, first, second in s.blocks:
        n, (place, index, weight) = h * w, grid(h, w)
        patches = np.arange(n)
        out["pair"][p : p + n, 0], out["pair"][p : p + n, 1] = starts[first] + patches, starts[second] + patches
        out["place"][p : p + n], out["table_index"][p : p + n], out["table_weight"][p : p + n] = place, index, weight
        p += n
        block_ends.append(p)


def close(out, cap, used, row_ends, block_ends, visual):
    """Fill the rest with rows that nobody attends to and labels that the loss ignores."""
    t, l, p = used["tokens"], used["labels"], used["patches"]
    out["ids"][t:], out["positions"][:, t:] = 0, 0
    out["label_at"][l:], out["label"][l:] = cap["tokens"] - 1, -100
    for name in ("pair", "place", "table_index", "table_weight"):
        out[name][p:] = 0
    at = np.concatenate(visual) if visual else np.zeros(0, np.int32)
    out["visual_at"][: len(at)], out["visual_at"][len(at) :] = at, cap["tokens"] - 1
    for name, ends, total, step in (("row_ends", row_ends, cap["tokens"], LONGEST), ("block_ends", block_ends, cap["patches"], LONGEST_PICTURE)):
        while ends[-1] < total:
            ends.append(min(total, ends[-1] + step))
        out[name][:] = total
        out[name][: len(ends)] = ends
