"""Writes tokenizers without tokenizer.json beside the test data of src/text, and what their own libraries do with texts.

    python tools/formats/make_other_tokenizers.py [FUZZ_FOLDER]

SentencePiece models are trained on corpus.txt; the tekken.json and tiktoken files hold the byte-level test tokenizer's tokens as ranks.
Each folder under src/text/testdata/tokenizers gets the tokenizer's files and expected.json. With FUZZ_FOLDER, the same folders are written
there with thousands of random texts. Needs sentencepiece, tiktoken and mistral-common.
"""

import base64
import io
import json
import random
import sys
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import sentencepiece
import tiktoken
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src" / "text" / "testdata" / "tokenizers"
CORPUS = (FOLDER / "corpus.txt").read_text()

KIMI = "|".join([
    r"[\p{Han}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

PIECES = [
    " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u3000", "\u200b", "\x00", "\x1f", "\x7f", "\ufeff", "\u2581", "<0x41>", "<0x0a>", "<0xZZ>",
    "The", " the", "don't", "WE'LL", "word", "12345", "3.14", "1,000", "Grüße", "où", "苹果", "リンゴ", "사과", "яблоко", "التفاح", "तरबूज",
    "🙂", "👩‍👩‍👧", "🇩🇪", "e\u0301", "\u0301", "ﬁ", "Ⅳ", "½", "Ａ", "ｶﾞ", "?", "!!", "...", "()", "{}", "</", "a", "B", "x", "é", "red circle", "left of",
]


def texts(number: int, seed: int) -> list[str]:
    """Random texts of words, white space, control characters and characters of many scripts; the first ones are of one piece."""
    rng = random.Random(seed)
    words = CORPUS.split() + PIECES

    def text() -> str:
        parts = []
        for _ in range(rng.randrange(1, 14)):
            parts.append(rng.choice(PIECES) if rng.random() < 0.4 else rng.choice(words))
            if rng.random() < 0.5:
                parts.append(" " * rng.choice([1, 1, 1, 2, 3]))
            if rng.random() < 0.05:
                parts.append(chr(rng.choice([rng.randrange(0x20, 0x500), rng.randrange(0x3000, 0x9000), rng.randrange(0x1f300, 0x1f700)])))
        return "".join(parts)

    return ["", *PIECES, *(text() for _ in range(number))]


def write(folder: Path, files: dict[str, bytes], encode: Callable, decode: Callable, number: int, special: list[tuple] = (), but: list[str] = ()) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    entries = [{"text": text, "ids": encode(text)} for text in texts(number, 11) if text not in but]
    decodings = [{"ids": entry["ids"], "text": decode(entry["ids"])} for entry in entries]
    decodings = [entry for entry, source in zip(decodings, entries) if entry["text"] != source["text"]]  # the others say nothing new
    expected = {"encode": entries, "decode": decodings, "special": [{"text": text, "ids": ids} for text, ids in special]}
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n", encoding="utf-8")


# ---- SentencePiece

MODELS = {
    "unigram": dict(model_type="unigram", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False),
    "unigram_rules": dict(model_type="unigram", user_defined_symbols=["<sep>", "<mask>"]),
    "bpe_rules": dict(model_type="bpe", byte_fallback=True, remove_extra_whitespaces=True),
    "bpe_symbols": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                        user_defined_symbols=["<sep>", "▁▁", "\n"], allow_whitespace_only_pieces=True),
    "bpe_suffix": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", treat_whitespace_as_suffix=True,
                       remove_extra_whitespaces=False),
    "unigram_bare": dict(model_type="unigram", byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False,
                         remove_extra_whitespaces=False, bos_id=-1, pad_id=3),
}


# Some of NFKC's and of what is done to white space: all of it takes 240 KB.
RULES = {"\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\u200b": "", "\ufeff": "", "\x7f": "", "Ａ": "A", "ﬁ": "fi",
         "Ⅳ": "IV", "½": "1⁄2", "e\u0301": "é", "\x1f": ""}


def rules(number: int, folder: Path) -> dict:
    if number > 100:
        return {"normalization_rule_name": "nmt_nfkc"}
    file = folder / "rules.tsv"
    code = lambda text: " ".join(f"{ord(c):X}" for c in text)  # noqa: E731
    file.write_text("".join(f"{code(a)}\t{code(b)}\n" for a, b in RULES.items()))
    return {"normalization_rule_tsv": str(file)}


def sentence_pieces(out: Path, number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, options in MODELS.items():
            more = {} if "normalization_rule_name" in options else rules(number, Path(folder))
            sentence_piece(out / f"spm_{name}", options | more, number)


def sentence_piece(out: Path, options: dict, number: int) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.splitlines()), model_writer=model, **({"vocab_size": 420, "character_coverage": 0.995,
        "num_threads": 1, "minloglevel": 2, "hard_vocab_limit": False} | options))
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    # Two texts differ by design: see SentencePiece::dummy_prefix in src/vocabulary/description.h.
    symbols = [text.replace("▁", " ") for text in options.get("user_defined_symbols", [])]
    write(out, {"tokenizer.model": model.getvalue()}, processor.encode, processor.decode, number, but=symbols)


# ---- ranks of bytes


def ranks() -> list[bytes]:
    """All bytes, then the merged tokens of the byte-level test tokenizer in their order."""
    tokenizer = json.loads((FOLDER / "byte_level" / "tokenizer.json").read_text())
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in visible} | {chr(256 + i): byte for i, byte in enumerate(b for b in range(256) if b not in visible)}
    merged = [bytes(letters[c] for c in "".join(pair)) for pair in tokenizer["model"]["merges"]]
    return [bytes([byte]) for byte in range(256)] + list(dict.fromkeys(merged))


def tekken(out: Path, number: int) -> None:
    tokens = ranks()
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    count = 9  # four of them are fillers
    document = {
        "config": {"pattern": TEKKEN, "num_vocab_tokens": len(tokens), "default_vocab_size": len(tokens) + count - 20,  # the last 20 are cut off
                   "default_num_special_tokens": count, "version": "v11"},
        "vocab": [{"rank": i, "token_bytes": base64.b64encode(token).decode(), "token_str": None} for i, token in enumerate(tokens)],
        "special_tokens": [{"rank": i, "token_str": text, "is_control": True} for i, text in enumerate(special)],
    }
    content = json.dumps(document).encode()
    out.mkdir(exist_ok=True, parents=True)
    (out / "tekken").mkdir(exist_ok=True)
    (out / "tekken" / "tekken.json").write_bytes(content)
    model = Tekkenizer.from_file(out / "tekken" / "tekken.json")
    hi = model.encode(" hi", bos=False, eos=False)
    write(out / "tekken", {}, lambda text: model.encode(text, bos=False, eos=False), model.decode, number,
          [("<s>[INST] hi[/INST]<SPECIAL_7></s>", [1, 3, *hi, 4, 7, 2])])


def tiktokens(out: Path, number: int) -> None:
    tokens = ranks()
    lines = b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))
    table = {token: rank for rank, token in enumerate(tokens)}
    first = len(tokens)
    for name, file, pattern, config, text, ids in (
        ("tiktoken_kimi", "tiktoken.model", KIMI,
         {"tokenizer_class": "TikTokenTokenizer", "bos_token": "[BOS]", "eos_token": "[EOS]",
          "added_tokens_decoder": {str(first): {"content": "[BOS]", "special": True}, str(first + 1): {"content": "[EOS]", "special": True},
                                   str(first + 3): {"content": "<think>", "special": False}}},
         f"[BOS]<think>[EOS]<|reserved_token_{first + 2}|>", [first, first + 3, first + 1, first + 2]),
        ("tiktoken_qwen", "qwen.tiktoken", None, {"auto_map": {"AutoTokenizer": ["tokenization_qwen.QWenTokenizer", None]}},
         "<|im_start|><|endoftext|><|extra_204|>", [first + 1, first, first + 207]),
    ):
        pattern = pattern or (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
        model = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=table, special_tokens={})

        def encode(text: str, model: tiktoken.Encoding = model, nfc: bool = name.endswith("qwen")) -> list[int]:
            return model.encode(unicodedata.normalize("NFC", text) if nfc else text, disallowed_special=())

        write(out / name, {file: lines, "tokenizer_config.json": (json.dumps(config) + "\n").encode()}, encode, model.decode, number, [(text, ids)])


def main() -> None:
    out, number = (Path(sys.argv[1]), 4000) if len(sys.argv) > 1 else (FOLDER, 40)
    sentence_pieces(out, number)
    tekken(out, number)
    tiktokens(out, number)


if __name__ == "__main__":
    main()
