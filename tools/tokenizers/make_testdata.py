#!/usr/bin/env python3
"""Trains the small tokenizers of the unit tests and writes what Python's `tokenizers` does with them.

    python tools/tokenizers/make_testdata.py

One of each kind that published checkpoints use: byte-level BPE (Qwen, Llama 3), BPE with byte
fallback (Llama 2, Mistral), and Unigram with Metaspace (T5-like). Each folder under
src/text/testdata/tokenizers gets tokenizer.json, tokenizer_config.json and expected.json with
encodings of texts and decodings of random ids. Needs the package tokenizers.
"""

import json
import pathlib
import random

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "src" / "text" / "testdata" / "tokenizers"
CORPUS = FOLDER / "corpus.txt"

# Words with one leading space, numbers digit by digit, punctuation, white space.
WORDS = Regex(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

TEXTS = [
    "",
    " ",
    "a",
    "The red circle is left of the blue square.",
    "  two  spaces\n\n\ttab\r\n ",
    "don't WE'LL i'm",
    "12345 + 67,890 = ?",
    "Grüße aus Köln, où est la pomme?",
    "苹果 リンゴ 사과 яблоко",
    "🙂🍎👩‍👩‍👧🇩🇪",
    "unknown: ᚠᛇᚻ ❄ \u0301 e\u0301 \u200b \ufeff \U0001f9ff",
    "<|im_start|>user\nHi<|im_end|>\n",
    "<|im_start|> <|im_start|><|im_end|>x<|im_end",
    "<think>\nhm\n</think> <s>not</s> the end",
    "<0x41> is not a byte here",
    "\x00\x01\x7f control",
    "▁ looks like a space ▁▁",
    "word" * 40,
]

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PLAIN = ["<think>", "</think>"]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORDS, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(CORPUS)], trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in PLAIN])
    # Limits that a prompt must not be cut by.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8, pad_id=0, pad_token=SPECIAL[0])
    config = {
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": {"content": "<|endoftext|>", "special": True},
        "unk_token": "<none>",
    }
    return tokenizer, config


def byte_fallback():
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False)
    trained.train([str(CORPUS)], trainer)
    model = json.loads(trained.to_str())["model"]
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    names += [token for token in sorted(model["vocab"], key=model["vocab"].get)]
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={name: index for index, name in enumerate(names)},
            merges=merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer, {"bos_token": "<s>", "eos_token": {"content": "</s>"}}


def ordered(tokenizer):
    """Pieces that train alike come in no fixed order, and their scores differ in the last digits."""
    vocab = json.loads(tokenizer.to_str())["model"]["vocab"]
    pieces = [(piece, round(score, 1)) for piece, score in vocab[2:]]
    return [tuple(entry) for entry in vocab[:2]] + sorted(pieces, key=lambda entry: (-entry[1], entry[0]))


def metaspace():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train([str(CORPUS)], trainer)
    tokenizer.model = models.Unigram(ordered(tokenizer), unk_id=0, byte_fallback=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer, {"eos_token": "</s>"}


def decodings(tokenizer, rng):
    """Random ids: mixes of real text and noise, so that characters break in the middle."""
    size = tokenizer.get_vocab_size()
    for index in range(40):
        ids = [rng.randrange(size + 2) for _ in range(rng.randrange(1, 24))]
        if index % 2:
            text = rng.choice(TEXTS)
            real = tokenizer.encode(text, add_special_tokens=False).ids
            cut = rng.randrange(len(real) + 1)
            ids = real[cut:] + ids[:3] + real[:cut]
        yield ids


def expectations(tokenizer):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encode = [
        {"text": text, "add_special": special, "ids": tokenizer.encode(text, add_special_tokens=special).ids}
        for text in TEXTS
        for special in (False, True)
    ]
    decode = [
        {"ids": ids, "skip_special": skip, "text": tokenizer.decode(ids, skip_special_tokens=skip)}
        for ids in decodings(tokenizer, random.Random(7))
        for skip in (False, True)
    ]
    return {"vocab_size": tokenizer.get_vocab_size(), "encode": encode, "decode": decode}


def main():
    for make in (byte_level, byte_fallback, metaspace):
        tokenizer, config = make()
        folder = FOLDER / make.__name__
        folder.mkdir(exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        expected = expectations(tokenizer)
        for name, value in (("tokenizer_config", config), ("expected", expected)):
            text = json.dumps(value, ensure_ascii=False) + "\n"
            (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
