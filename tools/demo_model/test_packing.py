"""Packs hold exactly their conversations, and positions follow interleaved M-RoPE."""
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tokenizers import Tokenizer

from demo_model import abilities, packing
from demo_model.world import Conversation, Dice, assistant, user

TOKENIZER = Path(__file__).parents[2] / "assets/demo-model/tokenizer.json"
SMALL = dict(tokens=3000, labels=1500, patches=2048, frames=4096, rows=64, blocks=64)


@pytest.fixture(scope="module")
def encoder():
    return packing.Encoder(Tokenizer.from_file(str(TOKENIZER)))


def arrays(cap):
    return packing.views(bytearray(packing.pack_bytes(cap)), cap)


def test_patches_come_in_blocks_of_two_by_two():
    pixels = np.zeros((64, 96, 3), np.uint8)
    for row in range(4):
        for column in range(6):
            pixels[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = (row, column, 7)
    patches = packing.patchify(Image.fromarray(pixels)).reshape(-1, 3, 256)
    order = [(int(p[0, 0]), int(p[1, 0])) for p in patches]
    assert order[:8] == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert [tuple(x) for x in packing.grid(4, 6)[0].tolist()] == order
    assert (patches[:, 2] == 7).all()


def test_table_weights_interpolate():
    _, index, weight = packing.grid(16, 16)
    np.testing.assert_allclose(weight.sum(1), 1, atol=1e-6)
    assert weight.max(1).min() > 0.999                    # 16 x 16 patches hit the table's points
    place, index, weight = packing.grid(4, 4)
    at = (np.stack([index // 16, index % 16], -1) * weight[..., None]).sum(1)
    np.testing.assert_allclose(at, place * 5, atol=1e-4)  # 0, 5, 10, 15


def test_positions_of_a_picture_between_words(encoder):
    conversation = Conversation([user("Hi", media=1), assistant("Yes")], "test", [[Image.new("RGB", (128, 192))]])
    sample = encoder(conversation)
    first, n = int(sample.visual[0]), len(sample.visual)
    assert n == 24 and (np.diff(sample.visual) == 1).all()
    before = sample.positions[:, first - 1]
    assert (before == first - 1).all()
    t, h, w = sample.positions[:, first : first + n]
    assert (t == first).all() and h.max() == first + 5 and w.max() == first + 3
    assert (sample.positions[:, first + n] == first + 6).all()       # after the longer side


def test_a_word_that_was_read_is_spelled(encoder):
    def learnt(*answers):
        turns = [m for text, read in answers for m in (user("Read it."), assistant(text, read=read))]
        sample = encoder(Conversation(turns, "test"))
        return [encoder.tokenizer.id_to_token(i).replace("Ġ", " ") for i in sample.ids[sample.learn]]

    assert learnt(("It says stone", "stone")) == ["It", " says", " s", "t", "o", "n", "e", "<|im_end|>"]
    assert learnt(("It says Stone stones", "Stone"))[2:7] == [" S", "t", "o", "n", "e"]
    plain = learnt(("It says stone", None))
    assert len(plain) < 8 and "".join(plain) == "It says stone<|im_end|>"
    # Earlier answers come back as plain text, which the model did not say.
    assert learnt(("It says stone", "stone"), ("It has 5 letters.", None)) == [*learnt(("It has 5 letters.", None))]


def test_a_pack_holds_its_samples(encoder):
    dice = Dice(21)
    samples = [encoder(abilities.training_sample(dice)) for _ in range(30)]
    out = arrays(SMALL)
    count, left = packing.fill(out, SMALL, iter(samples))
    assert 2 <= count < 30 and left is samples[count]
    at = labels = 0
    for i, s in enumerate(samples[:count]):
        n = len(s.ids)
        assert out["row_ends"][i] == at and out["row_ends"][i + 1] == at + n
        np.testing.assert_array_equal(out["ids"][at : at + n], s.ids)
        where = np.nonzero(s.learn[1:])[0]
        np.testing.assert_array_equal(out["label_at"][labels : labels + len(where)], where + at)
        np.testing.assert_array_equal(out["label"][labels : labels + len(where)], s.ids[where + 1])
        at, labels = at + n, labels + len(where)
    assert (out["label"][labels:] == -100).all()
    patches = np.concatenate([np.concatenate([s.frames[a] for _, _, a, _ in s.blocks]) for s in samples[:count] if s.blocks])
    np.testing.assert_array_equal(out["frames"][out["pair"][: len(patches), 0]], patches)


def test_rows_cover_the_whole_pack(encoder):
    out = arrays(SMALL)
    packing.fill(out, SMALL, iter([encoder(abilities.held_out("shape", 0))]))
    for name, total, longest in (("row_ends", SMALL["tokens"], packing.LONGEST), ("block_ends", SMALL["patches"], packing.LONGEST_PICTURE)):
        assert out[name][0] == 0 and out[name][-1] == total and 0 <= np.diff(out[name]).min() and np.diff(out[name]).max() <= longest
