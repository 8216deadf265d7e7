"""How much memory loading a GGUF file takes: makes a seeded one of a model's shape and loads it.

    python bench/gguf_load.py MAKE.gguf --format Q4_K [--layers 28 --hidden 1024 --vocab 151936]
    python bench/gguf_load.py MAKE.gguf --pippin build/release/pippin     loads it and prints the peak beside the file's size

Needs gguf and numpy.
"""

import argparse
import resource
import subprocess
import time
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

HALF_AT = {"Q8_0": [0], "Q4_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "MXFP4": []}  # where a block has its scales in float16


def blocks(rng: np.random.Generator, kind: str, rows: int, columns: int) -> np.ndarray:
    values, size = gguf.GGML_QUANT_SIZES[Type[kind]]
    data = rng.integers(0, 256, (rows, columns // values, size), dtype=np.uint8)
    for at in HALF_AT[kind]:
        data[:, :, at : at + 2] = np.frombuffer(np.float16(0.002).tobytes(), np.uint8)
    if kind == "MXFP4":
        data[:, :, 0] = 120
    return data.reshape(rows, -1)


def make(path: Path, kind: str, layers: int, hidden: int, vocab: int) -> None:
    rng = np.random.default_rng(5)
    heads, kv_heads, dim, width = hidden // 64, hidden // 128, 128, 3 * hidden
    writer = gguf.GGUFWriter(path, "qwen3")
    for set_value, value in ((writer.add_block_count, layers), (writer.add_context_length, 4096), (writer.add_embedding_length, hidden),
                             (writer.add_feed_forward_length, width), (writer.add_head_count, heads), (writer.add_head_count_kv, kv_heads),
                             (writer.add_key_length, dim), (writer.add_value_length, dim), (writer.add_layer_norm_rms_eps, 1e-6),
                             (writer.add_rope_freq_base, 1e6)):
        set_value(value)
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in visible] + [chr(256 + i) for i in range(256 - len(visible))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(letters + [f"<{i}>" for i in range(vocab - 256)])
    writer.add_token_merges([])
    writer.add_eos_token_id(0)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")

    def matrix(name: str, rows: int, columns: int) -> None:
        writer.add_tensor(name + ".weight", blocks(rng, kind, rows, columns), raw_dtype=Type[kind])

    def norm(name: str, size: int) -> None:
        writer.add_tensor(name + ".weight", np.ones(size, np.float32))

    matrix("token_embd", vocab, hidden)
    norm("output_norm", hidden)
    for i in range(layers):
        for name, rows, columns in (("attn_q", heads * dim, hidden), ("attn_k", kv_heads * dim, hidden), ("attn_v", kv_heads * dim, hidden),
                                    ("attn_output", hidden, heads * dim), ("ffn_gate", width, hidden), ("ffn_up", width, hidden),
                                    ("ffn_down", hidden, width)):
            matrix(f"blk.{i}.{name}", rows, columns)
        for name, size in (("attn_norm", hidden), ("ffn_norm", hidden), ("attn_q_norm", dim), ("attn_k_norm", dim)):
            norm(f"blk.{i}.{name}", size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(path: Path, pippin: str) -> None:
    begun = time.monotonic()
    command = [pippin, "run", str(path), "a", "--max-tokens", "1", "--temperature", "0", "--max-context", "64", "--memory-gb", "8"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    size = path.stat().st_size
    print(f"{path.name}: {size / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB, {peak / size:.2f} times, {seconds:.1f} s, exit {result.returncode}")
    if result.returncode:
        print(result.stderr[-2000:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--format", choices=sorted(HALF_AT))
    parser.add_argument("--pippin")
    for name, default in (("layers", 28), ("hidden", 1024), ("vocab", 151936)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    if options.format:
        make(options.file, options.format, options.layers, options.hidden, options.vocab)
    if options.pippin:
        load(options.file, options.pippin)


if __name__ == "__main__":
    main()
