"""The tokenizer: byte-level BPE learnt from the generators' own text.

Digits stand alone, and so do the letters of words in capitals: reading a picture and adding numbers is then letter by
letter. Merges that occur seldom are not made: a piece that training rarely shows is one the model cannot write, and
made-up names would fall into such pieces.

    python -m demo_model.tokenizer tokenizer.json
"""
import json
import sys
from pathlib import Path

from demo_model import abilities
from demo_model.template import Media, render
from demo_model.world import SPECIAL_TOKENS, Dice

# Marks that belong to an answer: decoding keeps them, as it does in Qwen3's own tokenizer, for parsers to find.
SPOKEN = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
VOCABULARY = 4096     # rows of the embedding; the tokenizer may use fewer
PIECES = (r"'(?:s|t|re|ve|m|ll|d)| ?\p{Lu}(?!\p{Ll})|[^\r\n\p{L}\p{N}]?\p{Lu}?\p{Ll}+|[^\r\n\p{L}\p{N}]?\p{L}+?|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def corpus(conversations=24000):
    dice = Dice("tokenizer")
    for _ in range(conversations):
        yield from (t for t, _ in render(abilities.training_sample(dice)) if not isinstance(t, Media))


def train(path, texts=None):
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts or corpus(), trainers.BpeTrainer(
        vocab_size=VOCABULARY - 64, special_tokens=SPECIAL_TOKENS, min_frequency=25,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.save(str(path))
    speak_marks(path)
    return Tokenizer.from_file(str(path))


def speak_marks(path):
    """Make the marks of SPOKEN tokens that decoding does not skip."""
    data = json.loads(Path(path).read_text())
    for token in data["added_tokens"]:
        token["special"] = token["content"] not in SPOKEN
    Path(path).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    print(train(sys.argv[1]).get_vocab_size(), "tokens")
