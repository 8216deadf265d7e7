"""Runs mlx-lm (text) and mlx-vlm (vision) in float32 over the cases of a checkpoint."""

import math
import zlib
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import make_prompt_cache

from checkpoints import Checkpoint
from configs import IMAGE, SPECIAL, VIDEO, VISION_END, VISION_START, VOCAB_SIZE
from weights import SEED

NUM_DECODE = 8
# A greedy step is unambiguous when the best logit leads by this share of the logits' scale.
MARGIN = 0.005


@dataclass(frozen=True)
class Case:
    """A prompt: numbers are runs of so many random text tokens, strings are pictures and clips."""

    names: tuple[str, ...]  # one name a variant; all variants share the token ids
    variants: tuple[tuple[int | str, ...], ...]


def _case(name: str, *parts: int | str) -> Case:
    return Case((name,), (parts,))


# 1, 5, 17, 33, 70: within a page of 16 tokens, just past one, past two, past four.
TEXT_CASES = [_case(f"text_{n}", n) for n in (1, 5, 17, 33, 70)]
# Cases of the other families: within, at and beyond their small windows and first contexts.
FAMILY_CASES = [_case(f"text_{n}", n) for n in (1, 17, 33)]
# Cases of the families of families.py: the batch of unequal lengths needs three.
SHORT_CASES = [_case(f"text_{n}", n) for n in (1, 7, 21)]
VISION_CASES = [
    _case("text_5", 5),
    _case("text_33", 33),
    _case("image_one", 5, "noise_45x70", 7),
    _case("image_long", 3, "blobs_64x160", 4),
    _case("image_two", 4, "stripes_100x37", 6, "blobs_64x160", 5),
    _case("image_turns", "noise_45x70", 15, "blobs_150x130", 8),
    _case("video_one", 3, "noise_5x45x70", 6),
    _case("video_image", 2, "blobs_4x150x130", 4, "blobs_20x52", 3),
    # The same words around the same grids: only the pixels, or only their order, differ.
    Case(
        ("image_ab", "image_ba", "image_aa"),
        (
            (3, "blobs_20x52", 2, "stripes_20x52", 4),
            (3, "stripes_20x52", 2, "blobs_20x52", 4),
            (3, "blobs_20x52", 2, "blobs_20x52", 4),
        ),
    ),
]


# Cases of qwen3_vl_moe, whose tower is Qwen3-VL's.
VISION_MOE_CASES = [case for case in VISION_CASES if case.names[0] in ("text_5", "image_one", "video_one")]
# Cases of qwen3_5, whose tower is that, too.
HYBRID_VISION_CASES = [
    case for case in VISION_CASES if case.names[0] in ("text_5", "image_two", "video_image", "image_turns")
]


@dataclass
class Features:
    """What the decoder of Qwen3-VL is given: from the tokens and, with pictures, the tower."""

    embeddings: mx.array  # [1, T, D]
    positions: mx.array  # [3, 1, T]
    rope_delta: int
    visual_mask: mx.array | None = None  # [1, T]
    features: mx.array | None = None  # [N, D]
    deepstack: list[mx.array] | None = None  # S of [N, D]


class TextReference:
    """A text model of mlx-lm."""

    def __init__(self, model):
        self.model = model

    def new_cache(self):
        return make_prompt_cache(self.model)

    def prepare(self, tokens: np.ndarray, pictures: list[dict]) -> None:
        return None

    def logits(self, tokens: np.ndarray, cache, start: int, given: None) -> np.ndarray:
        """[T, V] for tokens at sequence indices start..start+T-1."""
        return np.array(self.model(mx.array(tokens)[None], cache=cache)[0])


def is_clip(picture: dict) -> bool:
    return picture["rgb"].ndim == 4


def _joined(pictures: list[dict]) -> tuple[mx.array | None, mx.array | None]:
    """The patches and grids of several pictures, or of none."""
    if not pictures:
        return None, None
    pixels = np.concatenate([p["pixel_values"] for p in pictures])
    return mx.array(pixels), mx.array(np.stack([p["grid_thw"] for p in pictures]))


class VisionReference:
    """mlx-vlm's Qwen3-VL, driven with explicit positions."""

    def __init__(self, model):
        self.model = model

    def new_cache(self):
        return make_prompt_cache(self.model.language_model)

    def prepare(self, tokens: np.ndarray, pictures: list[dict]) -> Features:
        ids = mx.array(tokens)[None]
        if not pictures:
            positions = mx.broadcast_to(mx.arange(len(tokens)), (3, 1, len(tokens)))
            return Features(self.model.language_model.model.embed_tokens(ids), positions, 0)
        pixels, grids = _joined(pictures)
        stills, still_grids = _joined([p for p in pictures if not is_clip(p)])
        clips, clip_grids = _joined([p for p in pictures if is_clip(p)])
        given = self.model.get_input_embeddings(
            ids,
            stills,
            image_grid_thw=still_grids,
            pixel_values_videos=clips,
            video_grid_thw=clip_grids,
        )
        features, deepstack = self.model.vision_tower(pixels, grids)
        return Features(
            given.inputs_embeds,
            given.position_ids,
            given.rope_deltas.item(),
            given.visual_pos_masks,
            features,
            deepstack,
        )

    def logits(self, tokens: np.ndarray, cache, start: int, given: Features) -> np.ndarray:
        """[T, V]; rows within the prompt take their embeddings and positions from `given`."""
        end, prompt = start + len(tokens), given.embeddings.shape[1]
        language = self.model.language_model
        if start >= prompt:
            index = mx.arange(start, end) + given.rope_delta
            positions = mx.broadcast_to(index, (3, 1, len(tokens)))
            out = language(mx.array(tokens)[None], cache=cache, position_ids=positions)
            return np.array(out.logits[0])
        extra = {}
        if given.visual_mask is not None:
            before = int(given.visual_mask[:, :start].sum())
            count = int(given.visual_mask[:, start:end].sum())
            extra["visual_pos_masks"] = given.visual_mask[:, start:end]
            extra["deepstack_visual_embeds"] = [d[before : before + count] for d in given.deepstack]
        out = language(
            mx.array(tokens)[None],
            inputs_embeds=given.embeddings[:, start:end],
            cache=cache,
            position_ids=given.positions[..., start:end],
            **extra,
        )
        return np.array(out.logits[0])


class HybridVisionReference(VisionReference):
    """mlx-vlm's Qwen3.5, whose own way to embeddings takes pictures or clips, not both."""

    def prepare(self, tokens: np.ndarray, pictures: list[dict]) -> Features:
        if not pictures:
            return super().prepare(tokens, pictures)
        ids, language = mx.array(tokens)[None], self.model.language_model
        features, _ = self.model.vision_tower(*_joined(pictures))
        embeddings, _ = self.model.merge_input_ids_with_image_features(
            features, language.model.embed_tokens(ids), ids, IMAGE, VIDEO
        )
        grids = [_joined([p for p in pictures if is_clip(p) == clips])[1] for clips in (False, True)]
        positions, delta = language.get_rope_index(ids, *grids)
        return Features(embeddings, positions, delta.item(), features=features)


def reference_for(checkpoint: Checkpoint, model):
    if not checkpoint.is_vision:
        return TextReference(model)
    hybrid = checkpoint.config["model_type"].startswith("qwen3_5")
    return HybridVisionReference(model) if hybrid else VisionReference(model)


def _tokens(parts: tuple, pictures: dict, attempt: int) -> np.ndarray:
    """Token ids of a prompt; text ids are random and never special."""
    key = zlib.crc32(repr([p if isinstance(p, int) else "picture" for p in parts]).encode())
    rng = np.random.default_rng([SEED, key, attempt])
    words = np.array([t for t in range(VOCAB_SIZE) if t not in SPECIAL])
    ids: list[int] = []
    for part in parts:
        if isinstance(part, int):
            ids += rng.choice(words, part).tolist()
            continue
        grid_t, *grid = pictures[part]["grid_thw"].tolist()
        pad = VIDEO if is_clip(pictures[part]) else IMAGE
        for _ in range(grid_t):
            if pad == VIDEO:  # a timestamp
                ids += rng.choice(words, 2).tolist()
            ids += [VISION_START] + [pad] * (math.prod(grid) // 4) + [VISION_END]
    return np.array(ids, np.int32)


def run_case(reference, tokens: np.ndarray, pictures: list[dict]) -> tuple[dict, int]:
    """The arrays of one case and its rope delta."""
    given = reference.prepare(tokens, pictures)
    cache = reference.new_cache()
    out = {"tokens": tokens, "logits": reference.logits(tokens, cache, 0, given)}
    chosen, rows = [], [out["logits"][-1]]
    for k in range(NUM_DECODE):
        chosen.append(int(rows[-1].argmax()))
        step = np.array(chosen[-1:], np.int32)
        rows.append(reference.logits(step, cache, len(tokens) + k, given)[0])
    out["decode_tokens"] = np.array(chosen, np.int32)
    out["decode_logits"] = np.stack(rows[1:])
    if isinstance(given, Features):
        out["positions"] = np.array(given.positions[:, 0]).astype(np.int32)
        if given.features is not None:
            out["features"] = np.array(given.features)
            if given.deepstack:
                out["deepstack"] = np.stack([np.array(d) for d in given.deepstack])
    return out, given.rope_delta if isinstance(given, Features) else 0


def _clear_winner(arrays: dict, scale: float) -> bool:
    """Every greedy step is unambiguous and chooses a plain token (so no stop rule fires)."""
    rows = np.concatenate([arrays["logits"][-1:], arrays["decode_logits"][:-1]])
    best = np.sort(rows, axis=-1)
    clear = (best[:, -1] - best[:, -2] > MARGIN * scale).all()
    return bool(clear) and not SPECIAL & set(arrays["decode_tokens"].tolist())


def _run_variants(reference, case: Case, pictures: dict, attempt: int) -> list | None:
    """(picture names, arrays, rope delta) a variant; None when a greedy step is a close call."""
    results = []
    for parts in case.variants:
        names = [part for part in parts if isinstance(part, str)]
        tokens = _tokens(parts, pictures, attempt)
        arrays, delta = run_case(reference, tokens, [pictures[name] for name in names])
        # The checkpoint's scale isn't known yet; no case's own is half of it or less.
        if not _clear_winner(arrays, 2 * np.abs(arrays["logits"]).max()):
            return None
        results.append((names, arrays, delta))
    return results


def cases_of(checkpoint: Checkpoint) -> list[Case]:
    if checkpoint.config["model_type"] in ("qwen3_vl_moe", "qwen3_5_moe"):
        return VISION_MOE_CASES
    if checkpoint.is_vision and checkpoint.config["model_type"] == "qwen3_5":
        return HYBRID_VISION_CASES
    if checkpoint.is_vision:
        return VISION_CASES
    if checkpoint.layout is not None:
        return SHORT_CASES
    return TEXT_CASES if checkpoint.config["model_type"] == "qwen3" else FAMILY_CASES


def run_cases(checkpoint: Checkpoint, reference, pictures: dict) -> tuple[list[dict], dict]:
    """The entries of golden.json's "cases" and the arrays by "CASE.KIND"."""
    entries, arrays = [], {}
    for case in cases_of(checkpoint):
        attempts = (_run_variants(reference, case, pictures, attempt) for attempt in range(1000))
        results = next(filter(None, attempts))
        for name, (names, case_arrays, delta) in zip(case.names, results):
            num_tokens = len(case_arrays["tokens"])
            entries.append(
                {"name": name, "num_tokens": num_tokens, "pictures": names, "rope_delta": delta}
            )
            arrays |= {f"{name}.{kind}": array for kind, array in case_arrays.items()}
    return entries, arrays
