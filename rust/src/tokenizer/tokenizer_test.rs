//! What tokenizers take, which is set aside before.

use std::path::PathBuf;

use super::*;

const MB: usize = 1 << 20;
const LENGTH: usize = 16 << 10;

fn files() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("assets/demo-model/tokenizer.json")];
    for kind in ["byte_level", "byte_fallback", "metaspace"] {
        files.push(root.join("src/text/testdata/tokenizers").join(kind).join("tokenizer.json"));
    }
    files
}

/// The most that `work` takes at a time, its result included.
fn most<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = memory::net();
    memory::restart_peak();
    let result = work();
    (result, (memory::peak() - before) as usize)
}

fn texts() -> Vec<String> {
    let long = |piece: &str| piece.repeat(LENGTH / piece.len());
    let mut texts: Vec<String> = [
        "a",
        " ",
        "\n",
        "7",
        "a b ",
        "\u{4e2d}",
        "\u{1f468}\u{200d}\u{1f469}",
        "e\u{301}",
        "\u{fdfa}",
        "<|im_start|>",
        "Z\u{0}",
    ]
    .map(long)
    .to_vec();
    texts.push((0..LENGTH / 4).map(|i| format!("{i:x} ")).collect());
    texts
}

#[test]
fn encoding_and_decoding_take_no_more_than_is_set_aside() {
    for file in files() {
        let json = std::fs::read(&file).unwrap();
        let (tokenizer, loaded) = most(|| Tokenizer::load(&json).unwrap());
        assert!(loaded < LOAD_BYTES * json.len() + MB, "{} {loaded}", file.display());
        for text in texts() {
            let (ids, bytes) = most(|| tokenizer.encode(&text, true).unwrap());
            let name = text.chars().take(3).collect::<String>();
            assert!(bytes < encoding_bytes(&text), "{} {name:?} {bytes}", file.display());
            let (_, bytes) = most(|| tokenizer.decode(&ids, false).unwrap());
            assert!(bytes < DECODE_BYTES * ids.len(), "{} {name:?} {bytes}", file.display());
        }
    }
}
