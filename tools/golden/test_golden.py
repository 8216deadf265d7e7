"""The references against themselves: reproducible, consistent, sensitive to the usual mistakes."""

import filecmp
import json

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_vlm.models.qwen3_vl.processing_qwen3_vl import Qwen3VLImageProcessor
from PIL import Image

import checkpoints
import pictures
from generate import DEFAULT_OUT, case_media, write_media
from reference import VISION_CASES, reference_for, run_cases

CHECKPOINTS = {c.name: c for c in checkpoints.CHECKPOINTS}
# What the C++ tests allow, relative to the logits' scale. A mistake must show well above it.
BOUND = 1e-4

mx.set_default_device(mx.cpu)
by_checkpoint = pytest.mark.parametrize("checkpoint", CHECKPOINTS.values(), ids=CHECKPOINTS)


def golden(checkpoint):
    """The committed description and arrays."""
    description = json.loads((DEFAULT_OUT / f"{checkpoint.name}.golden.json").read_text())
    arrays = mx.load(str(DEFAULT_OUT / f"{checkpoint.name}.golden.safetensors"))
    return description, {name: np.array(array) for name, array in arrays.items()}


def committed_reference(name):
    checkpoint = CHECKPOINTS[name]
    return reference_for(checkpoint, checkpoints.load_f32(checkpoint, DEFAULT_OUT / name))


@by_checkpoint
def test_checkpoint_is_reproduced_byte_for_byte(checkpoint, tmp_path):
    checkpoints.write(checkpoint, tmp_path)
    files = sorted(file.name for file in tmp_path.iterdir())
    committed = DEFAULT_OUT / checkpoint.name
    assert files == sorted(file.name for file in committed.iterdir())
    assert filecmp.cmpfiles(tmp_path, committed, files, shallow=False)[0] == files


def test_pictures_are_reproduced_byte_for_byte(tmp_path):
    write_media(tmp_path)
    for file in ("pictures.safetensors", "processor/processor.safetensors", "processor/video.json"):
        assert (tmp_path / file).read_bytes() == (DEFAULT_OUT / file).read_bytes()


@by_checkpoint
def test_outputs_are_reproduced(checkpoint):
    description, arrays = golden(checkpoint)
    model = checkpoints.load_f32(checkpoint, DEFAULT_OUT / checkpoint.name)
    entries, fresh = run_cases(
        checkpoint, reference_for(checkpoint, model), case_media()
    )
    assert entries == description["cases"]
    assert fresh.keys() == arrays.keys()
    for name, array in fresh.items():
        bound = 1e-5 * description["logit_scale"] if array.dtype == np.float32 else 0
        np.testing.assert_allclose(array, arrays[name], rtol=0, atol=bound, err_msg=name)


@by_checkpoint
@pytest.mark.parametrize("chunk", [1, 16])
def test_prefill_in_chunks_equals_prefill_at_once(checkpoint, chunk):
    description, arrays = golden(checkpoint)
    reference = committed_reference(checkpoint.name)
    known = case_media()
    for case in description["cases"]:
        tokens = arrays[f"{case['name']}.tokens"]
        given = reference.prepare(tokens, [known[name] for name in case["pictures"]])
        cache = reference.new_cache()
        rows = [
            reference.logits(tokens[start : start + chunk], cache, start, given)
            for start in range(0, len(tokens), chunk)
        ]
        bound = 1e-5 * description["logit_scale"]
        np.testing.assert_allclose(
            np.concatenate(rows), arrays[f"{case['name']}.logits"], rtol=0, atol=bound
        )


@by_checkpoint
def test_decode_equals_prefill_of_the_longer_prompt(checkpoint):
    """Also shows that rope_delta continues the positions that a longer prompt would have."""
    description, arrays = golden(checkpoint)
    reference = committed_reference(checkpoint.name)
    known = case_media()
    for case in description["cases"]:
        name = case["name"]
        tokens = np.concatenate([arrays[f"{name}.tokens"], arrays[f"{name}.decode_tokens"]])
        given = reference.prepare(tokens, [known[picture] for picture in case["pictures"]])
        logits = reference.logits(tokens, reference.new_cache(), 0, given)
        bound = 1e-5 * description["logit_scale"]
        np.testing.assert_allclose(
            logits[case["num_tokens"] :], arrays[f"{name}.decode_logits"], rtol=0, atol=bound
        )


def largest_change(name, case_name, change, kind="logits"):
    """How far `change(model, arrays of the reference's inputs)` moves an output, by its scale."""
    checkpoint = CHECKPOINTS[name]
    description, arrays = golden(checkpoint)
    reference = committed_reference(name)
    known = case_media()
    names = next(c["pictures"] for c in description["cases"] if c["name"] == case_name)
    shown = [dict(known[picture]) for picture in names]
    before = change(reference.model, shown)
    tokens = arrays[f"{case_name}.tokens"]
    given = reference.prepare(tokens, shown)
    if before is not None:
        before(given)
    if kind == "features":
        moved, scale = np.array(given.features), np.abs(arrays[f"{case_name}.features"]).max()
    else:
        moved = reference.logits(tokens, reference.new_cache(), 0, given)
        scale = description["logit_scale"]
    return np.abs(moved - arrays[f"{case_name}.{kind}"]).max() / scale


def test_nothing_changed_is_no_change():
    assert largest_change("qwen3_vl-f32", "image_two", lambda model, shown: None) < 1e-6


def text_mistakes():
    def other_theta(model, shown):
        for layer in model.layers:
            layer.self_attn.rope.base *= 1.1

    def no_query_norm(model, shown):
        for layer in model.layers:
            layer.self_attn.q_norm.weight = mx.ones_like(layer.self_attn.q_norm.weight)

    def scale_by_hidden(model, shown):
        for layer in model.layers:
            layer.self_attn.scale = (48 // 4) ** -0.5

    def usual_epsilon(model, shown):
        for norm in [model.model.norm, *(layer.input_layernorm for layer in model.layers)]:
            norm.eps = 1e-6

    return [other_theta, no_query_norm, scale_by_hidden, usual_epsilon]


@pytest.mark.parametrize("mistake", text_mistakes(), ids=lambda f: f.__name__)
def test_a_mistake_in_the_decoder_shows(mistake):
    assert largest_change("qwen3-f32", "text_17", mistake) > 3 * BOUND


def vision_mistakes():
    def positions_of_plain_text(model, shown):
        def before(given):
            given.positions = mx.broadcast_to(
                mx.arange(given.positions.shape[-1]), given.positions.shape
            )

        return before

    def height_and_width_swapped(model, shown):
        def before(given):
            given.positions = given.positions[mx.array([0, 2, 1])]

        return before

    def sections_in_chunks(model, shown):
        for layer in model.language_model.layers:
            layer.self_attn.rotary_emb._position_selector = mx.array([0, 0, 0, 0, 1, 1, 2, 2])

    def no_deepstack(model, shown):
        def before(given):
            given.deepstack = [mx.zeros_like(d) for d in given.deepstack]

        return before

    def deepstack_in_reverse(model, shown):
        def before(given):
            given.deepstack = given.deepstack[::-1]

        return before

    def pictures_in_reverse(model, shown):
        shown.reverse()

    return [
        positions_of_plain_text,
        height_and_width_swapped,
        sections_in_chunks,
        no_deepstack,
        deepstack_in_reverse,
        pictures_in_reverse,
    ]


@pytest.mark.parametrize("mistake", vision_mistakes(), ids=lambda f: f.__name__)
def test_a_mistake_in_joining_shows(mistake):
    case = "image_ab" if mistake.__name__ == "pictures_in_reverse" else "image_two"
    assert largest_change("qwen3_vl-f32", case, mistake) > 3 * BOUND


def tower_mistakes():
    def gelu_tanh_in_the_merger(model, shown):
        model.vision_tower.merger.act_fn = nn.GELU(approx="tanh")

    def gelu_erf_in_the_blocks(model, shown):
        for block in model.vision_tower.blocks:
            block.mlp.act_fn = nn.GELU()

    def patches_in_raster_order(model, shown):
        for picture in shown:
            _, height, width = picture["grid_thw"]
            rows = picture["pixel_values"].reshape(height // 2, width // 2, 2, 2, -1)
            picture["pixel_values"] = rows.transpose(0, 2, 1, 3, 4).reshape(height * width, -1)

    def position_table_without_corners(model, shown):
        tower, side = model.vision_tower, model.vision_tower.num_grid_per_side
        table = np.array(tower.pos_embed.weight).reshape(side, side, -1)

        def hat(size):
            """[size, side]: bilinear weights at half-pixel centres, clamped at the border."""
            centers = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
            return np.maximum(0, 1 - np.abs(centers[:, None] - np.arange(side)))

        def interpolate(grids):
            rows = []
            for _, height, width in grids.tolist():
                plane = np.einsum("ya,xb,abd->yxd", hat(height), hat(width), table)
                blocks = plane.reshape(height // 2, 2, width // 2, 2, -1).swapaxes(1, 2)
                rows.append(blocks.reshape(height * width, -1))
            return mx.array(np.concatenate(rows).astype(np.float32))

        tower.fast_pos_embed_interpolate = interpolate

    def rotary_theta(model, shown):
        model.vision_tower.rotary_pos_emb.theta = 5000.0

    return [
        gelu_tanh_in_the_merger,
        gelu_erf_in_the_blocks,
        patches_in_raster_order,
        position_table_without_corners,
        rotary_theta,
    ]


@pytest.mark.parametrize("mistake", tower_mistakes(), ids=lambda f: f.__name__)
def test_a_mistake_in_the_tower_shows(mistake):
    assert largest_change("qwen3_vl-f32", "image_two", mistake, "features") > 1.5 * BOUND


def test_the_same_words_with_other_pictures_have_other_answers():
    for name, checkpoint in CHECKPOINTS.items():
        if checkpoint.is_vision:
            description, arrays = golden(checkpoint)
            if "image_ab.logits" not in arrays:
                continue
            ab, ba, aa = (arrays[f"image_{v}.logits"][-1] for v in ("ab", "ba", "aa"))
            for one, other in ((ab, ba), (ab, aa), (ba, aa)):
                assert np.abs(one - other).max() > 0.05 * description["logit_scale"]
    assert any(len(case.variants) == 3 for case in VISION_CASES)


def bicubic_weights(size_in, size_out):
    """Pillow's taps an output: (first input, fixed-point weights); see its Resample.c."""

    def kernel(x, a=-0.5):
        x = abs(x)
        if x < 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0

    scale = size_in / size_out
    stretch = max(scale, 1.0)
    support = 2 * stretch
    for i in range(size_out):
        center = (i + 0.5) * scale
        first = max(0, int(center - support + 0.5))
        last = min(size_in, int(center + support + 0.5))
        taps = [kernel((x - center + 0.5) * (1 / stretch)) for x in range(first, last)]
        fixed = [w * (1 / sum(taps)) * (1 << 22) for w in taps]
        yield first, [int(w - 0.5) if w < 0 else int(w + 0.5) for w in fixed]


def bicubic_pass(pixels, size_out):
    """Resizes axis 0 of u8 [n, ...]; the identity when the size stays."""
    if pixels.shape[0] == size_out:
        return pixels
    out = np.empty((size_out, *pixels.shape[1:]), np.uint8)
    for i, (first, taps) in enumerate(bicubic_weights(pixels.shape[0], size_out)):
        rows = pixels[first : first + len(taps)].astype(np.int64)
        total = (1 << 21) + np.tensordot(np.array(taps), rows, axes=1)
        out[i] = np.clip(total >> 22, 0, 255)
    return out


def bicubic(rgb, height, width):
    """Two passes with an 8-bit picture between, so their order matters where overshoot is clipped.

    Since Pillow 13 the height goes first when it shrinks by more than twice what the width does.
    """
    across = lambda pixels: bicubic_pass(pixels.swapaxes(0, 1), width).swapaxes(0, 1)
    shrink = rgb.shape[0] - height
    if shrink > 0 and shrink > 2 * (rgb.shape[1] - width):
        return across(bicubic_pass(rgb, height))
    return bicubic_pass(across(rgb), height)


def test_pillows_resize_is_two_fixed_point_passes():
    """The arithmetic that src/media repeats."""
    for name, shape, min_pixels, max_pixels, _ in pictures.PROCESSOR_CASES:
        rgb = pictures.draw(name, shape)
        resized = pictures.process(rgb, min_pixels, max_pixels)["resized"]
        np.testing.assert_array_equal(bicubic(rgb, *resized.shape[:2]), resized, name)


def test_mlx_vlm_makes_the_same_patches():
    for name, shape, min_pixels, max_pixels, _ in pictures.PROCESSOR_CASES:
        rgb = pictures.draw(name, shape)
        ours = pictures.process(rgb, min_pixels, max_pixels)
        processor = Qwen3VLImageProcessor(min_pixels=min_pixels, max_pixels=max_pixels)
        theirs = processor([Image.fromarray(rgb)])
        assert np.array(theirs["image_grid_thw"])[0].tolist() == ours["grid_thw"].tolist()
        np.testing.assert_allclose(
            np.array(theirs["pixel_values"]), ours["pixel_values"], rtol=0, atol=2e-7
        )
