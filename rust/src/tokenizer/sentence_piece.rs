//! SentencePiece's tokenizer.model, a protobuf message, as JSON. The fields and their numbers are those of sentencepiece_model.proto;
//! fields that say how a model was trained are left out.

use base64::Engine;
use prost::Message;
use serde_json::{json, Value};

use crate::base::failure::{Failure, Outcome, Status};
use crate::base::ffi::{bytes, guard, put_text, Buffer};
use crate::base::memory;

/// What reading takes at most, a byte of the file.
const READ_BYTES: usize = 64;

#[derive(Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3", default = "1")]
    kind: Option<i32>,
}

#[derive(Message)]
struct TrainerSpec {
    #[prost(int32, optional, tag = "3", default = "1")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    treat_whitespace_as_suffix: Option<bool>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
    #[prost(int32, optional, tag = "40", default = "0")]
    unk_id: Option<i32>,
    #[prost(int32, optional, tag = "41", default = "1")]
    bos_id: Option<i32>,
    #[prost(int32, optional, tag = "42", default = "2")]
    eos_id: Option<i32>,
    #[prost(int32, optional, tag = "43", default = "-1")]
    pad_id: Option<i32>,
}

#[derive(Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3", default = "true")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4", default = "true")]
    remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5", default = "true")]
    escape_whitespaces: Option<bool>,
}

#[derive(Message)]
struct Model {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<NormalizerSpec>,
    #[prost(message, optional, tag = "5")]
    denormalizer: Option<NormalizerSpec>,
}

fn charsmap(spec: &NormalizerSpec) -> String {
    base64::engine::general_purpose::STANDARD.encode(spec.precompiled_charsmap())
}

fn numbers(scores: impl Iterator<Item = f32>) -> Outcome<Vec<Value>> {
    let number = |score: f32| serde_json::Number::from_f64(score.into()).map(Value::Number);
    let failure = || Failure::invalid("a piece's score is no number");
    scores.map(|score| number(score).ok_or_else(failure)).collect()
}

/// The message as JSON, absent fields with their defaults.
pub fn read(data: &[u8]) -> Outcome<Value> {
    let _room = memory::set_aside(READ_BYTES * data.len())?;
    let model = Model::decode(data)
        .map_err(|e| Failure::invalid(format!("no SentencePiece model: {e}")))?;
    let (trainer, normalizer) =
        (model.trainer.unwrap_or_default(), model.normalizer.unwrap_or_default());
    Ok(json!({
        "pieces": model.pieces.iter().map(Piece::piece).collect::<Vec<_>>(),
        "scores": numbers(model.pieces.iter().map(Piece::score))?,
        "kinds": model.pieces.iter().map(Piece::kind).collect::<Vec<_>>(),
        "model_type": trainer.model_type(),
        "byte_fallback": trainer.byte_fallback(),
        "treat_whitespace_as_suffix": trainer.treat_whitespace_as_suffix(),
        "unk_id": trainer.unk_id(),
        "bos_id": trainer.bos_id(),
        "eos_id": trainer.eos_id(),
        "pad_id": trainer.pad_id(),
        "charsmap": charsmap(&normalizer),
        "add_dummy_prefix": normalizer.add_dummy_prefix(),
        "remove_extra_whitespaces": normalizer.remove_extra_whitespaces(),
        "escape_whitespaces": normalizer.escape_whitespaces(),
        "denormalizes": model.denormalizer.is_some_and(|spec| !spec.precompiled_charsmap().is_empty()),
    }))
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_sentence_piece_read(
    data: *const u8,
    size: usize,
    out: *mut Buffer,
    error: *mut Buffer,
) -> Status {
    guard(error, || read(bytes(data, size)), |model| put_text(out, model.to_string()))
}
