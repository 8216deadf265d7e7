"""Writes tests/golden/gguf: blocks of every format, and tiny checkpoints beside their twins in Hugging Face's names."""

import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

from families import FAMILIES, Family
from make_tokenizers import fill_byte_level

OUT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "gguf"
QUANTIZED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "MXFP4"]
# Where a block holds its scales in float16.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def random_blocks(rng: np.random.Generator, name: str, shape: tuple[int, ...], size: float) -> np.ndarray:
    """Blocks whose bits are random, but for scales of about `size`."""
    values, num_bytes = gguf.GGML_QUANT_SIZES[Type[name]]
    blocks = rng.integers(0, 256, (int(np.prod(shape)) // values, num_bytes), dtype=np.uint8)
    for at in HALVES.get(name, []):
        scales = (rng.normal(0, size, len(blocks))).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    if name == "MXFP4":
        blocks[:, 0] = rng.integers(118, 126, len(blocks))
    return blocks.reshape(*shape[:-1], -1)


def add(writer: gguf.GGUFWriter, name: str, data: np.ndarray, kind: str) -> None:
    writer.add_tensor(name, data, raw_dtype=None if kind in ("F32", "F16") else Type[kind])


def write(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_blocks() -> None:
    rng = np.random.default_rng(1)
    writer = gguf.GGUFWriter(OUT / "blocks.gguf", "llama")
    wanted = {}
    for kind in QUANTIZED:
        for name, shape in ((f"{kind}.weight", (3, 512)), (f"{kind}.bank.weight", (2, 2, 256))):
            data = random_blocks(rng, kind, shape, 0.1)
            add(writer, name, data, kind)
            wanted[name] = gguf.dequantize(data, Type[kind]).reshape(shape)
    # The edges: the largest scale whose offset float16 holds not, the smallest numbers, scales of bytes at both ends.
    edges = random_blocks(rng, "Q8_0", (1, 64), 0.1)
    edges[0, 0:2] = np.array([1000], np.float16).view(np.uint8)
    edges[0, 34:36] = np.array([6e-8], np.float16).view(np.uint8)
    powers = random_blocks(rng, "MXFP4", (1, 96), 0.1)
    powers[0, [0, 17, 34]] = [0, 1, 250]
    for kind, data in (("Q8_0", edges), ("MXFP4", powers)):
        add(writer, f"{kind}.edges.weight", data, kind)
        wanted[f"{kind}.edges.weight"] = gguf.dequantize(data, Type[kind])
    plain = rng.normal(size=(5, 7)).astype(np.float32)
    plain[0, :3] = [0, -0.0, 6e-8]
    for kind in ("F32", "F16", "BF16"):
        data = gguf.quantize(plain, Type[kind])
        add(writer, f"{kind}.weight", data, kind)
        wanted[f"{kind}.weight"] = gguf.dequantize(data, Type[kind]).reshape(plain.shape)
    write(writer)
    save_file(wanted, OUT / "blocks.safetensors")


def stored(rng: np.random.Generator, value: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """What the file holds of a tensor, and the numbers that this stands for. The package can't write blocks of K: random ones do."""
    if kind in ("Q4_K", "Q5_K", "Q6_K"):
        size = float(np.std(value)) / {"Q4_K": 300, "Q5_K": 600, "Q6_K": 1200}[kind]
        data = random_blocks(rng, kind, value.shape, size)
    else:
        data = gguf.quantize(value, Type[kind])
    return data, gguf.dequantize(data, Type[kind]).reshape(value.shape)


def write_family(family: Family) -> None:
    rng = np.random.default_rng(family.seed)
    writer = gguf.GGUFWriter(OUT / f"{family.name}.gguf", family.architecture)
    family.write_metadata(writer)
    if family.tokenizer:
        fill_byte_level(writer)
    twin = {}
    for tensor in family.tensors(rng):
        data, numbers = stored(rng, tensor.value, tensor.kind)
        add(writer, tensor.name, data, tensor.kind)
        twin |= tensor.twin(numbers)
    write(writer)
    folder = OUT / family.name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(family.config, indent=1) + "\n")
    save_file({name: np.ascontiguousarray(array) for name, array in twin.items()}, folder / "model.safetensors")


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    write_blocks()
    for family in FAMILIES:
        write_family(family)


if __name__ == "__main__":
    main()
