"""Held-out conversations without pictures, as token ids: what the perplexity test reads.

    python -m demo_model.perplexity_text ../assets/demo-model/tokenizer.json ../tests/golden/demo-conversations.json
"""
import json
import sys

from tokenizers import Tokenizer

from demo_model import chat, sums, tool_use
from demo_model.packing import Encoder
from demo_model.world import Dice

COUNT = 15  # of each kind


def conversations():
    for make in (sums.make, tool_use.make, chat.make):
        for i in range(COUNT):
            yield make(Dice(f"perplexity/{make.__module__}/{i}"))


def main(tokenizer, out):
    encode = Encoder(Tokenizer.from_file(tokenizer))
    samples = [encode(c) for c in conversations()]
    rows = [{"tokens": s.ids.tolist(), "answer": s.learn.astype(int).tolist()} for s in samples if not s.blocks]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    with open(out, "w", encoding="utf-8") as file:
        file.write(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
