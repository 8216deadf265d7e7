"""Train the demo model: processes draw and pack, one GPU learns.

    python -m demo_model.train --tokenizer tokenizer.json --seconds 740 --out run [--seed 11] [--check-seconds 90]
    python -m demo_model.train --tokenizer tokenizer.json --seconds 95 --out run2 --resume run --rate 1e-3 --seed 12 --warm-up 80

The learning rate follows the clock (warm-up, then a cosine to zero), so that a run ends finished whatever the machine's
speed. Process k draws from Dice(10**9 * seed + k): no sample repeats. Seeds fix the samples, but not the order in which
processes deliver nor the number of steps, so a run is not reproducible to the bit. The weights are written, as bfloat16
parts of at most 16 MB, before they are measured.

Several GPUs of one machine learn together under `torchrun --nproc-per-node N -m demo_model.train ...`: each has its own
drawing processes and packs, gradients are averaged, and the first one's clock counts.
"""
import argparse
import json
import math
import mmap
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np

from demo_model import abilities, packing
from demo_model.world import Dice

PART_BYTES = 15_500_000


def draw_packs(k, options, slots, free, full):
    """A drawing process: takes a free slot, fills it, passes it on, for ever."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer
    encoder, dice, left = packing.Encoder(Tokenizer.from_file(options.tokenizer)), Dice(10**9 * options.seed + k), None

    def samples():
        if left is not None:
            yield left
        while True:
            yield encoder(abilities.training_sample(dice))

    while True:
        slot = free.get()
        count, left = packing.fill(packing.views(slots[slot], options.capacity), options.capacity, samples())
        full.put((slot, count))


class Packs:
    """Packs from drawing processes, through memory that all of them share. Must be made before CUDA starts."""

    def __init__(self, options):
        size = packing.pack_bytes(options.capacity)
        self.slots = [mmap.mmap(-1, (size + 4095) // 4096 * 4096) for _ in range(options.workers + 6)]
        context = multiprocessing.get_context("fork")
        self.free, self.full, self.in_flight, self.waited = context.Queue(), context.Queue(), [], 0.0
        for i in range(len(self.slots)):
            self.free.put(i)
        self.workers = [context.Process(target=draw_packs, args=(k, options, self.slots, self.free, self.full), daemon=True)
                        for k in range(options.rank * options.workers, (options.rank + 1) * options.workers)]
        for w in self.workers:
            w.start()
        self.capacity = options.capacity

    def use(self, torch, device):
        """Call once, after CUDA has started: pins the memory, so that copies run beside the GPU's work."""
        self.torch, self.device = torch, device
        self.arrays = [{k: torch.from_numpy(v) for k, v in packing.views(s, self.capacity).items()} for s in self.slots]
        if device.type == "cuda":
            for s in self.slots:
                torch.cuda.cudart().cudaHostRegister(np.frombuffer(s, np.uint8).ctypes.data, len(s), 0)

    def next(self):
        """-> (arrays on the device, conversations in them). A slot is free again once its copy has happened."""
        start = time.time()
        slot, count = self.full.get()
        self.waited += time.time() - start
        on_device = {k: v.to(self.device, non_blocking=True) for k, v in self.arrays[slot].items()}
        if self.device.type != "cuda":
            on_device = {k: v.clone() for k, v in on_device.items()}
            self.free.put(slot)
            return on_device, count
        event = self.torch.cuda.Event()
        event.record()
        self.in_flight.append((event, slot))
        while self.in_flight and self.in_flight[0][0].query():
            self.free.put(self.in_flight.pop(0)[1])
        return on_device, count

    def stop(self):
        for w in self.workers:
            w.terminate()


def rate(options, step, elapsed):
    done = min(1, elapsed / options.seconds)
    return options.rate * min(1, (step + 1) / options.warm_up) * max(0.004, 0.5 * (1 + math.cos(math.pi * done)))


class Together:
    """What the GPUs of one machine share: gradients, and the first one's clock. Alone, nothing is shared."""

    def __init__(self, torch, options):
        self.torch, self.world = torch, options.world
        if self.world > 1:
            torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")

    def clock(self, seconds):
        """The first process's `seconds`, so that all of them use one learning rate and stop after the same step."""
        if self.world == 1:
            return seconds
        value = self.torch.tensor([seconds], dtype=self.torch.float64)
        self.torch.distributed.broadcast(value, 0)
        return float(value)

    def average(self, parameters):
        if self.world == 1:
            return
        flat = self.torch.cat([p.grad.flatten() for p in parameters])
        self.torch.distributed.all_reduce(flat)
        for p, gradient in zip(parameters, (flat / self.world).split([p.numel() for p in parameters])):
            p.grad = gradient.view_as(p)


def learn(net, packs, options, report):
    """The training loop, until the clock or --steps ends it."""
    import torch

    from demo_model.optimizer import Optimizer
    optimizer, device, together = Optimizer(net.model), packs.device, Together(torch, options)
    begin, start, total, since, step = time.time(), None, torch.zeros((), device=device), 0, 0
    while True:
        elapsed = together.clock(time.time() - start if start else 0.0)
        if elapsed > options.seconds or step >= options.steps:
            break
        if options.save_at and elapsed > options.save_at and options.rank == 0:
            save(net.model, options.out + "/middle")
            options.save_at = 0
        pack, count = packs.next()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = net.loss(pack)
        loss.backward()
        together.average(optimizer.parameters)
        optimizer.step(rate(options, step, elapsed))
        total += loss.detach()
        since, step = since + 1, step + 1
        report["conversations"] += count * options.world      # the others' packs hold as many
        if step == 3:          # compiled by now: the clock starts
            if device.type == "cuda":
                torch.cuda.synchronize()
            start, packs.waited, report["conversations"] = time.time(), 0.0, 0
            print(f"first steps {start - begin:.0f} s", flush=True)
        if start and step % options.log_every == 0 and options.rank == 0:
            value, elapsed = float(total) / since, time.time() - start
            if not math.isfinite(value):
                raise RuntimeError(f"the loss is {value} at step {step}")
            report["log"].append([step, round(elapsed, 1), round(value, 4)])
            print(f"step {step} {elapsed:.0f} s loss {value:.4f} {report['conversations'] / elapsed:.0f}/s "
                  f"{step / elapsed:.1f} steps/s waited {packs.waited:.0f} s", flush=True)
            total.zero_()
            since = 0
    report.update(steps=step, seconds=round(time.time() - (start or begin), 1), waited=round(packs.waited, 1))


def save(model, out):
    """bfloat16 parts, small enough to be carried one by one."""
    Path(out).mkdir(parents=True, exist_ok=True)
    from demo_model.safetensors_file import write
    tensors = {k: v.detach().float().cpu().numpy() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    parts, size = [{}], 0
    for name, x in tensors.items():
        if size + 2 * x.size > PART_BYTES:
            parts.append({})
            size = 0
        parts[-1][name] = x
        size += 2 * x.size
    for i, part in enumerate(parts):
        write(Path(out) / f"part{i}.safetensors", part, "pt")
    return tensors


def check(model, tensors, tokenizer, options, device, report, out):
    """Measure what is shipped (quantized and widened again), then the bfloat16 weights, as far as the time goes."""
    from demo_model import greedy, quantize
    from demo_model.model import Packed, load_weights
    from demo_model.safetensors_file import round_to_bf16
    if not options.check:
        return
    shipped = quantize.dequantize_checkpoint(quantize.quantize_checkpoint({k: round_to_bf16(v) for k, v in tensors.items()}))
    end = time.time() + options.check_seconds
    cuda = device.type == "cuda"
    with multiprocessing.get_context("fork").Pool(options.workers) as pool:
        for kind, weights in (("shipped", shipped), ("bfloat16", {k: round_to_bf16(v) for k, v in tensors.items()})):
            load_weights(model, weights)
            report[kind], report[kind + "_wrong"] = {}, {}
            for name in greedy.sets():
                if time.time() > end:
                    return
                scores, wrong = greedy.measure(Packed(model), tokenizer, options.check, device, lambda f, jobs: pool.map(f, jobs, 4),
                                               200 if cuda else 8, [name])
                report[kind].update(scores)
                report[kind + "_wrong"].update(wrong)
                (Path(out) / "report.json").write_text(json.dumps(report))


def weights_of(folder):
    """{Hugging Face name: float32 array} of a run's parts or of a model directory."""
    from demo_model import quantize, safetensors_file
    if (folder / "part0.safetensors").exists():
        return safetensors_file.read_parts(folder)
    return quantize.to_hf(quantize.dequantize_checkpoint(safetensors_file.read(folder / "model.safetensors")))


def options_from(arguments=None):
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--seconds", type=float, default=740)
    p.add_argument("--save-at", type=float, default=0, help="also save after so many seconds, into OUT/middle")
    p.add_argument("--steps", type=int, default=10**9, help="stop after so many steps")
    p.add_argument("--seed", type=int, default=11)
    p.add_argument("--resume", help="a model directory (it may be quantized) or a run to start from, with a fresh optimizer")
    p.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    p.add_argument("--warm-up", type=int, default=300, help="steps until the highest learning rate")
    p.add_argument("--workers", type=int, default=15, help="drawing processes")
    p.add_argument("--scale", type=float, default=1, help="size of a pack; small for a trial on a CPU")
    p.add_argument("--log-every", type=int, default=200, help="steps between log lines")
    p.add_argument("--check", type=int, default=100, help="samples of each ability at the end")
    p.add_argument("--check-seconds", type=float, default=90)
    options = p.parse_args(arguments)
    options.rank, options.world = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    options.capacity = {k: max(int(v * options.scale) // 8 * 8, 128 if k in ("rows", "blocks") else 0) for k, v in packing.CAPACITY.items()}
    return options


def main():
    options = options_from()
    packs = Packs(options)      # forks before CUDA starts
    import torch
    from tokenizers import Tokenizer

    from demo_model.model import Packed, build, load_weights
    device = torch.device("cuda", options.rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.backends.cuda.matmul.allow_tf32 = True
    tokenizer, out = Tokenizer.from_file(options.tokenizer), Path(options.out)
    model = build(tokenizer, options.seed)
    if options.resume:
        load_weights(model, weights_of(Path(options.resume)))
    model.to(device)
    net = Packed(model)
    if device.type == "cuda":
        net.compile_layers()
    packs.use(torch, device)
    report = {"arguments": vars(options), "parameters": sum(p.numel() for p in model.parameters()), "conversations": 0, "log": []}
    print(f"{report['parameters'] / 1e6:.1f} M parameters", flush=True)
    learn(net, packs, options, report)
    packs.stop()
    if options.rank:
        return
    tensors = save(model.eval(), out)
    (out / "report.json").write_text(json.dumps(report))
    print("saved", flush=True)
    check(model, tensors, tokenizer, options, device, report, out)
    (out / "report.json").write_text(json.dumps(report))
    print("measured", json.dumps(report.get("shipped")), flush=True)


if __name__ == "__main__":
    main()
