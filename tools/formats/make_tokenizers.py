"""Writes tokenizer.gguf beside the test data of src/text: the byte-level one from tokenizer.json, and one trained by sentencepiece."""

import io
import json
import sys
from pathlib import Path

import gguf
import sentencepiece
from gguf import TokenType

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "src" / "text" / "testdata" / "tokenizers"
sys.path.insert(0, str(ROOT / "tools" / "tokenizers"))
from make_testdata import TEXTS  # noqa: E402

TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"


def write(path: Path, fill) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def fill_byte_level(writer: gguf.GGUFWriter) -> None:
    tokenizer = json.loads((FOLDER / "byte_level" / "tokenizer.json").read_text())
    vocab = dict(tokenizer["model"]["vocab"])
    kinds = {}
    for token in tokenizer["added_tokens"]:
        vocab[token["content"]] = token["id"]
        kinds[token["content"]] = TokenType.CONTROL if token["special"] else TokenType.USER_DEFINED
    names = sorted(vocab, key=vocab.get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(names)
    writer.add_token_types([kinds.get(name, TokenType.NORMAL) for name in names])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(vocab["<|im_end|>"])
    writer.add_pad_token_id(vocab["<|endoftext|>"])
    writer.add_chat_template([{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": "tools"}])


def train(prefix: bool) -> sentencepiece.SentencePieceProcessor:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((FOLDER / "corpus.txt").read_text().splitlines()), model_writer=model, model_type="bpe",
        vocab_size=420, byte_fallback=True, character_coverage=0.995, add_dummy_prefix=prefix, remove_extra_whitespaces=False,
        normalization_rule_name="identity", allow_whitespace_only_pieces=True, split_digits=True, num_threads=1,
        minloglevel=2, user_defined_symbols=[] if prefix else ADDED)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


ADDED = ["▁▁", "\n"]  # symbols of the tokenizer without a prefix


def kind_of(model: sentencepiece.SentencePieceProcessor, token: int, added: list[str]) -> TokenType:
    if model.is_unknown(token):
        return TokenType.UNKNOWN
    if model.is_control(token):
        return TokenType.CONTROL
    if model.is_byte(token):
        return TokenType.BYTE
    return TokenType.USER_DEFINED if model.id_to_piece(token) in added else TokenType.NORMAL


def sentence_piece(folder: Path, prefix: bool) -> None:
    folder.mkdir(exist_ok=True)
    model = train(prefix)
    size = range(model.get_piece_size())

    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("llama")
        writer.add_token_list([model.id_to_piece(i).encode() for i in size])
        writer.add_token_scores([model.get_score(i) for i in size])
        writer.add_token_types([kind_of(model, i, [] if prefix else ADDED) for i in size])
        writer.add_add_space_prefix(prefix)
        writer.add_bos_token_id(model.bos_id())
        writer.add_eos_token_id(model.eos_id())
        writer.add_unk_token_id(model.unk_id())
        writer.add_chat_template([{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": "tools"}])

    write(folder / "tokenizer.gguf", fill)
    # Control tokens spelt out in a text are tokens to us and text to sentencepiece.
    texts = [text for text in TEXTS if "<s>" not in text] + (FOLDER / "corpus.txt").read_text().splitlines()
    encode = [{"text": text, "ids": model.encode(text)} for text in texts]
    decode = [{"ids": entry["ids"], "text": model.decode(entry["ids"])} for entry in encode]
    text = json.dumps({"encode": encode, "decode": decode}, ensure_ascii=False)
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    write(FOLDER / "byte_level" / "tokenizer.gguf", fill_byte_level)
    sentence_piece(FOLDER / "sentencepiece", True)
    sentence_piece(FOLDER / "sentencepiece_bare", False)


if __name__ == "__main__":
    main()
