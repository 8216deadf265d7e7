#!/usr/bin/env python3
"""Measures llama.cpp once, in this process, and prints what was measured as one JSON object.

  run_llama.py MODEL.gguf --prompt 128 --new 64 [--batch 1] [--repeat 1] [--threads 2] [--no-flash] [--unified]

As llama-bench does it: llama_decode() is called directly with random tokens. Neither tokenizing nor sampling is counted,
and Python only loops around calls of tens of milliseconds. With --new 0 only the prompts are read.
"""
import argparse
import ctypes
import json
import pathlib
import random
import time

import llama_cpp as llama

VOCABULARY = 151936
UBATCH = 512  # llama.cpp's default, and the tokens in one step of Pippin


class Batch:
    """A llama_batch of fixed capacity that is filled anew for each step."""

    def __init__(self, capacity: int):
        self.raw = llama.llama_batch_init(capacity, 0, 1)

    def clear(self) -> None:
        self.raw.n_tokens = 0

    def add(self, token: int, position: int, sequence: int, logits: bool) -> None:
        i = self.raw.n_tokens
        self.raw.token[i], self.raw.pos[i] = token, position
        self.raw.n_seq_id[i], self.raw.seq_id[i][0] = 1, sequence
        self.raw.logits[i] = logits
        self.raw.n_tokens += 1


class Session:
    """A model and a context of it, which holds `batch` sequences of at most `length` tokens."""

    def __init__(self, args: argparse.Namespace, length: int):
        self.log: list[str] = []
        self.keep_log = llama.llama_log_callback(lambda level, text, data: self.log.append(text.decode(errors="replace")))
        llama.llama_log_set(self.keep_log, ctypes.c_void_p(0))
        llama.llama_backend_init()
        options = llama.llama_model_default_params()
        options.use_mmap, options.use_extra_bufts = True, True
        self.model = llama.llama_model_load_from_file(str(args.model).encode(), options)
        self.context = llama.llama_init_from_model(self.model, self.context_options(args, length))
        if not self.context:
            raise SystemExit("run_llama: the model cannot be loaded\n" + "".join(self.log))
        self.batch = Batch(UBATCH)
        self.random = random.Random(1)

    @staticmethod
    def context_options(args: argparse.Namespace, length: int):
        options = llama.llama_context_default_params()
        options.n_ctx = args.batch * (-(-length // 256) * 256)
        options.n_batch = options.n_ubatch = UBATCH
        options.n_seq_max = args.batch
        options.n_threads = options.n_threads_batch = args.threads
        options.flash_attn_type = (llama.LLAMA_FLASH_ATTN_TYPE_DISABLED if args.no_flash
                                   else llama.LLAMA_FLASH_ATTN_TYPE_ENABLED)
        options.kv_unified = args.unified
        return options

    def repacked_bytes(self) -> float:
        """MiB of weights that were laid out anew for this CPU's kernels, by llama.cpp's own log."""
        lines = [line for line in self.log if "CPU_REPACK model buffer size" in line]
        return sum(float(line.split("=")[1].split()[0]) for line in lines)

    def clear(self) -> None:
        llama.llama_memory_clear(llama.llama_get_memory(self.context), False)

    def token(self) -> int:
        return self.random.randrange(VOCABULARY)

    def decode(self) -> float:
        """Runs the batch; returns the seconds it took."""
        start = time.perf_counter()
        status = llama.llama_decode(self.context, self.batch.raw)
        llama.llama_synchronize(self.context)
        seconds = time.perf_counter() - start
        if status != 0:
            raise SystemExit(f"run_llama: llama_decode returned {status}")
        return seconds

    def read_prompt(self, sequence: int, length: int) -> float:
        seconds = 0.0
        for begin in range(0, length, UBATCH):
            end = min(begin + UBATCH, length)
            self.batch.clear()
            for position in range(begin, end):
                self.batch.add(self.token(), position, sequence, position == length - 1)
            seconds += self.decode()
        return seconds

    def read_prompts(self, count: int, length: int) -> float:
        """Prompts that fit into one batch together are read together."""
        seconds, together = 0.0, max(1, UBATCH // length)
        if together == 1:
            return sum(self.read_prompt(i, length) for i in range(count))
        for first in range(0, count, together):
            self.batch.clear()
            for sequence in range(first, min(first + together, count)):
                for position in range(length):
                    self.batch.add(self.token(), position, sequence, position == length - 1)
            seconds += self.decode()
        return seconds

    def step(self, sequences: int, position: int) -> float:
        """One more token of each sequence."""
        self.batch.clear()
        for sequence in range(sequences):
            self.batch.add(self.token(), position, sequence, True)
        return self.decode()

    def state(self, path: pathlib.Path, length: int) -> None:
        """Sequence 0 as it is after a prompt of `length`: read back from `path`, or computed and left there.

        Long prompts take llama.cpp minutes, and what was computed of them does not change how long a step takes.
        """
        tokens, count = (llama.llama_token * 1)(), ctypes.c_size_t(0)
        if path.is_file() and llama.llama_state_seq_load_file(self.context, str(path).encode(), 0, tokens, 1,
                                                              ctypes.byref(count)):
            return
        self.clear()
        self.read_prompt(0, length)
        llama.llama_state_seq_save_file(self.context, str(path).encode(), 0, tokens, 1)


def warm_up(session: Session, args: argparse.Namespace) -> None:
    session.read_prompt(0, min(args.prompt, UBATCH))
    if args.new:
        session.step(1, min(args.prompt, UBATCH))
    session.clear()


def measure(session: Session, args: argparse.Namespace) -> dict:
    prefill, decode = [], []
    for _ in range(args.repeat):
        session.clear()
        if args.state:
            session.state(args.state, args.prompt)
        else:
            prefill.append(session.read_prompts(args.batch, args.prompt))
        # The first new token of each sequence comes with its prompt, as Pippin counts it.
        decode.append(sum(session.step(args.batch, args.prompt + i) for i in range(args.new)))
    return {"prefill_seconds": prefill, "decode_seconds": decode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--prompt", type=int, required=True)
    parser.add_argument("--new", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-flash", action="store_true")
    parser.add_argument("--unified", action="store_true", help="one KV buffer for all sequences")
    parser.add_argument("--state", type=pathlib.Path, help="file that keeps the state after the prompt")
    args = parser.parse_args()
    session = Session(args, args.prompt + args.new)
    warm_up(session, args)
    result = measure(session, args)
    print(json.dumps(result | {"repacked_mib": session.repacked_bytes(),
                               "system": llama.llama_print_system_info().decode()}))


if __name__ == "__main__":
    main()
