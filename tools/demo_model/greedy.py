"""Greedy answers in torch, many prompts at a time: how good a checkpoint is, before any server exists.

    python -m demo_model.greedy MODEL_DIRECTORY [samples of each ability]

MODEL_DIRECTORY may be quantized (MLX's layout) or not; the weights are widened to float32.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch

from demo_model import abilities, independent
from demo_model.packing import Encoder, Sample, fill, pack_bytes, views
from demo_model.template import answer_text

CHUNK = 16    # prompts that share a pack on a CPU; a GPU takes more


def sets():
    """{name: index -> Conversation} of everything that is measured."""
    named = {n: (lambda i, n=n: abilities.held_out(n, i)) for n in abilities.ABILITIES}
    return named | {f"second/{n}": (lambda i, n=n: independent.held_out(n, i)) for n in independent.ABILITIES}


def prompt(job):
    """(set, index, encoder) -> (conversation, encoded prompt, tokens that the right answer has)."""
    name, i, encoder = job
    conversation = sets()[name](i)
    conversation.no_think = False
    answer = conversation.messages[-1]
    room = len(encoder.tokenizer.encode(answer_text(answer)).ids) + len(answer.get("read", ""))
    sample = encoder(conversation, prompt_only=True)
    conversation.media = []      # not needed any more, and dear to send between processes
    return conversation, sample, room


def packed(samples, room, device):
    """All prompts in one pack, each followed by `room` free places -> (arrays, where each answer starts)."""
    longer = []
    for s in samples:
        at = s.positions.max() + 1 + np.arange(room)
        longer.append(Sample(np.concatenate([s.ids, np.zeros(room, np.int32)]), np.zeros(len(s.ids) + room, bool),
                             np.concatenate([s.positions, np.tile(at, (3, 1))], 1).astype(np.int32), s.frames, s.blocks, s.visual))
    patches = sum(b[0] * b[1] for s in longer for b in s.blocks) + 256
    tokens = sum(len(s.ids) for s in longer) + 1
    cap = dict(tokens=tokens, labels=8, patches=patches, frames=patches * 2, rows=len(longer) + tokens // 1024 + 16,
               blocks=sum(len(s.blocks) for s in longer) + patches // 128 + 16)
    arrays = views(bytearray(pack_bytes(cap)), cap)
    count, left = fill(arrays, cap, iter(longer))
    if count != len(longer):
        raise RuntimeError(f"{len(longer)} prompts do not fit one pack of {cap}")
    starts = np.cumsum([0] + [len(s.ids) for s in longer])[:-1] + np.array([len(s.ids) for s in samples])
    return {k: torch.from_numpy(v).to(device) for k, v in arrays.items()}, torch.tensor(starts, device=device)


@torch.no_grad()
def answers(net, samples, room, end, device):
    """Greedy token ids for each prompt, up to the end mark or `room` tokens."""
    pack, at = packed(samples, room, device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        seen, said, done = net.see(pack), [], torch.zeros(len(samples), dtype=torch.bool, device=device)
        for i in range(room):
            token = net.logits(net.hidden(pack, seen)[at + i - 1]).argmax(-1)
            said.append(token)
            done |= token == end
            if bool(done.all()):
                break
            pack["ids"][at + i] = token.int()
    return [row[: row.index(end)] if end in row else row for row in torch.stack(said, 1).tolist()]


def measure(net, tokenizer, n, device, mapper=map, chunk=CHUNK, names=None):
    """-> ({set: fraction right}, {set: [[prompt, said, wanted]] of wrong answers})."""
    encoder, end = Encoder(tokenizer), tokenizer.token_to_id("<|im_end|>")
    names = list(names or sets())
    prompts = iter(mapper(prompt, [(name, i, encoder) for name in names for i in range(n)]))
    scores, wrong = {}, {}
    for name in names:
        items, good = [next(prompts) for _ in range(n)], 0
        for start in range(0, n, chunk):
            part = items[start : start + chunk]
            room = max(r for _, _, r in part) + 6
            for (conversation, sample, _), ids in zip(part, answers(net, [s for _, s, _ in part], room, end, device)):
                text = tokenizer.decode(ids, skip_special_tokens=False)
                right = abilities.right(conversation, text)
                good += right
                if not right and len(wrong.setdefault(name, [])) < 8:
                    asked = tokenizer.decode([t for t in sample.ids.tolist() if t != encoder.image], skip_special_tokens=False)
                    wrong[name].append([asked[-300:], text, answer_text(conversation.messages[-1])])
        scores[name] = good / n
    return scores, wrong


def load(folder):
    """(net, tokenizer) of a model directory, quantized or not."""
    from tokenizers import Tokenizer

    from demo_model import model, quantize, safetensors_file
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    built = model.build(tokenizer)
    tensors = quantize.dequantize_checkpoint(safetensors_file.read(Path(folder) / "model.safetensors"))
    model.load_weights(built, quantize.to_hf(tensors))
    return model.Packed(built.eval()), tokenizer


if __name__ == "__main__":
    net, tokenizer = load(sys.argv[1])
    scores, wrong = measure(net, tokenizer, int(sys.argv[2]) if len(sys.argv) > 2 else 20, torch.device("cpu"))
    print(json.dumps({k: round(100 * v, 1) for k, v in scores.items()}, indent=1))
    for name, cases in wrong.items():
        for asked, said, wanted in cases[:2]:
            print(f"{name}: {asked[-120:]!r} -> {said!r}, wanted {wanted!r}")
