"""The quantized format against its definition, and files that come back as they were written."""
import numpy as np
import pytest

from demo_model import quantize, safetensors_file


def unpacked_by_definition(words, scales, biases, group):
    """w[r, c] = scale * code + bias, code c in bits 8 * (c % 4) of word c // 4."""
    out = np.zeros((words.shape[0], words.shape[1] * 4), np.float32)
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            code = (int(words[r, c // 4]) >> (8 * (c % 4))) & 255
            out[r, c] = np.float32(code) * scales[r, c // group] + biases[r, c // group]
    return out


def test_dequantize_is_the_definition():
    words, scales, biases = quantize.quantize(np.random.default_rng(1).normal(size=(3, 128)).astype(np.float32))
    assert words.dtype == np.uint32 and words.shape == (3, 32) and scales.shape == biases.shape == (3, 2)
    np.testing.assert_array_equal(quantize.dequantize(words, scales, biases), unpacked_by_definition(words, scales, biases, 64))


@pytest.mark.parametrize("spread, shift", [(1, 0), (0.02, 0), (3, 10), (0, 0), (0, -2)])
def test_the_error_is_within_a_step(spread, shift):
    w = (np.random.default_rng(2).normal(size=(8, 256)) * spread + shift).astype(np.float32)
    words, scales, biases = quantize.quantize(w)
    error = np.abs(quantize.dequantize(words, scales, biases) - w).reshape(8, 4, 64).max(-1)
    # Half a step for the code; rounding the bias to bfloat16 (8 bits) may clip the smallest value by 2^-9 of itself.
    assert (error <= 0.5001 * scales + np.abs(w).max() * 2.0**-8).all()
    np.testing.assert_array_equal(scales, safetensors_file.round_to_bf16(scales))
    np.testing.assert_array_equal(biases, safetensors_file.round_to_bf16(biases))


def test_bfloat16_rounds_to_nearest_even():
    step = 2.0**-7                                     # between 1 and 2
    x = np.float32([1, 1 + 0.49 * step, 1 + 0.5 * step, 1 + 1.5 * step, 1 + 0.51 * step, -1 - 0.51 * step])
    np.testing.assert_array_equal(safetensors_file.round_to_bf16(x), np.float32([1, 1, 1, 1 + 2 * step, 1 + step, -1 - step]))
    np.testing.assert_array_equal(quantize.round_up_to_bf16(np.float32([1, 1 + 0.01 * step])), np.float32([1, 1 + step]))


def checkpoint():
    g = np.random.default_rng(3)
    names = {"model.language_model.embed_tokens.weight": (32, 64), "model.language_model.layers.0.mlp.up_proj.weight": (16, 64),
             "model.language_model.norm.weight": (64,), "model.visual.patch_embed.proj.weight": (8, 3, 2, 16, 16),
             "model.visual.pos_embed.weight": (16, 64), "model.visual.merger.linear_fc1.bias": (24,)}
    return {n: safetensors_file.round_to_bf16(g.normal(size=s).astype(np.float32)) for n, s in names.items()}


def test_names_and_layouts_go_there_and_back():
    tensors = checkpoint()
    mlx = quantize.to_mlx(tensors)
    assert set(mlx) == {"language_model.model.embed_tokens.weight", "language_model.model.layers.0.mlp.up_proj.weight", "language_model.model.norm.weight",
                        "vision_tower.patch_embed.proj.weight", "vision_tower.pos_embed.weight", "vision_tower.merger.linear_fc1.bias"}
    assert mlx["vision_tower.patch_embed.proj.weight"].shape == (8, 2, 16, 16, 3)
    back = quantize.to_hf(mlx)
    assert all(np.array_equal(back[n], tensors[n]) for n in tensors)


def test_only_matrices_of_layers_are_quantized():
    stored = quantize.quantize_checkpoint(quantize.to_mlx(checkpoint()))
    assert [n for n in stored if n.endswith(".scales")] == ["language_model.model.layers.0.mlp.up_proj.scales"]
    entry = quantize.config_entry(quantize.to_mlx(checkpoint()))
    assert entry["bits"] == 8 and entry["group_size"] == 64 and entry["vision_tower.pos_embed"] is False


def test_files_come_back(tmp_path):
    stored = quantize.quantize_checkpoint(quantize.to_mlx(checkpoint()))
    safetensors_file.write(tmp_path / "x.safetensors", stored, "mlx")
    again = safetensors_file.read(tmp_path / "x.safetensors")
    assert set(again) == set(stored) and all(np.array_equal(again[n], stored[n]) and again[n].dtype == stored[n].dtype for n in stored)
