#!/usr/bin/env python3
"""Measures how long llama.cpp (its CLIP path, libmtmd) encodes a picture, and prints that as one JSON object.

  run_llama_vision.py TEXT.gguf TOWER.gguf [--side 448] [--repeat 1] [--threads 2] [--no-flash]

The text model is there because libmtmd asks for one; it does not run. Resizing and normalising are not counted.
"""
import argparse
import ctypes
import json
import pathlib
import random
import time

import llama_cpp as llama
import llama_cpp.mtmd_cpp as mtmd

log: list[str] = []
keep_log = llama.llama_log_callback(lambda level, text, data: log.append(text.decode(errors="replace")))


def load_text_model(path: pathlib.Path):
    llama.llama_log_set(keep_log, ctypes.c_void_p(0))
    llama.llama_backend_init()
    return llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())


def load_tower(path: pathlib.Path, text_model, threads: int, flash: bool):
    options = mtmd.mtmd_context_params_default()
    options.use_gpu = options.print_timings = options.warmup = False
    options.n_threads = threads
    options.flash_attn_type = (llama.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else llama.LLAMA_FLASH_ATTN_TYPE_DISABLED)
    return mtmd.mtmd_init_from_file(str(path).encode(), text_model, options)


def picture_chunk(tower, side: int):
    """A picture of noise as libmtmd's preprocessing leaves it, ready to encode."""
    pixels = random.Random(1).randbytes(3 * side * side)
    bitmap = mtmd.mtmd_bitmap_init(side, side, (ctypes.c_uint8 * len(pixels)).from_buffer_copy(pixels))
    marker = mtmd.mtmd_default_marker()
    text = mtmd.mtmd_input_text(marker, len(marker), False, True)
    chunks = mtmd.mtmd_input_chunks_init()
    bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
    status = mtmd.mtmd_tokenize(tower, chunks, ctypes.byref(text), bitmaps, 1)
    if status != 0:
        raise SystemExit(f"run_llama_vision: mtmd_tokenize returned {status}\n" + "".join(log))
    found = [mtmd.mtmd_input_chunks_get(chunks, i) for i in range(mtmd.mtmd_input_chunks_size(chunks))]
    return next(c for c in found if mtmd.mtmd_input_chunk_get_type(c) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE)


def encode(tower, chunk) -> float:
    start = time.perf_counter()
    if mtmd.mtmd_encode_chunk(tower, chunk) != 0:
        raise SystemExit("run_llama_vision: mtmd_encode_chunk failed\n" + "".join(log))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("tower", type=pathlib.Path)
    parser.add_argument("--side", type=int, default=448)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-flash", action="store_true")
    args = parser.parse_args()

    tower = load_tower(args.tower, load_text_model(args.text), args.threads, not args.no_flash)
    if not tower:
        raise SystemExit("run_llama_vision: the tower cannot be loaded\n" + "".join(log))
    chunk = picture_chunk(tower, args.side)
    encode(tower, chunk)  # warms up
    print(json.dumps({"encode_seconds": [encode(tower, chunk) for _ in range(args.repeat)],
                      "rows": mtmd.mtmd_input_chunk_get_n_tokens(chunk)}))


if __name__ == "__main__":
    main()
