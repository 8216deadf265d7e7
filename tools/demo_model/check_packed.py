"""Our forward pass over packs against transformers' own, on random weights. Needs torch and transformers.

    python -m demo_model.check_packed assets/demo-model/tokenizer.json
"""
import sys

import numpy as np
import torch

from demo_model import model, packing, pairs, scenes, tool_use, video
from demo_model.world import Dice

BOUND = 1e-5   # relative difference of the logits; both are float32, and sum in another order
ROOM = dict(tokens=3000, labels=1500, patches=4096, frames=6000, rows=64, blocks=64)


def ours(net, samples):
    """Logits of the second of two samples in one pack."""
    arrays = packing.views(bytearray(packing.pack_bytes(ROOM)), ROOM)
    packing.fill(arrays, ROOM, iter(samples))
    pack = {k: torch.from_numpy(v) for k, v in arrays.items()}
    begin = int(pack["row_ends"][1])
    return net.logits(net.hidden(pack)[begin : begin + len(samples[1].ids)])


def theirs(built, sample, is_clip):
    ids, media = torch.tensor(sample.ids.astype(np.int64))[None], {}
    if sample.blocks:
        pairs_ = [np.stack([sample.frames[a].reshape(-1, 3, 256), sample.frames[b].reshape(-1, 3, 256)], 2) for _, _, a, b in sample.blocks]
        pixels = torch.tensor(np.concatenate(pairs_).reshape(-1, 1536)).float() / 127.5 - 1
        grid = torch.tensor([[len(sample.blocks), *sample.blocks[0][:2]]] if is_clip else [[1, b[0], b[1]] for b in sample.blocks])
        media = {"pixel_values_videos": pixels, "video_grid_thw": grid} if is_clip else {"pixel_values": pixels, "image_grid_thw": grid}
        config = built.config
        media["mm_token_type_ids"] = ((ids == config.image_token_id) + 2 * (ids == config.video_token_id)).int()
    return built(input_ids=ids, **media).logits[0]


@torch.no_grad()
def main():
    from tokenizers import Tokenizer
    tokenizer, dice = Tokenizer.from_file(sys.argv[1]), Dice(3)
    encoder, built, worst = packing.Encoder(tokenizer), model.build(tokenizer).eval(), 0.0
    for p in built.parameters():
        if p.ndim > 1:
            p.mul_(2)          # stronger signals than fresh weights give
    net = model.Packed(built)
    for make in (scenes.make, pairs.make, video.make, tool_use.make):
        sample = encoder(make(dice))
        reference = theirs(built, sample, make is video.make)
        difference = float((ours(net, [encoder(scenes.make(dice)), sample]) - reference).norm() / reference.norm())
        worst = max(worst, difference)
        print(f"{make.__module__}: {difference:.1e}")
    sys.exit(worst > BOUND)


if __name__ == "__main__":
    main()
