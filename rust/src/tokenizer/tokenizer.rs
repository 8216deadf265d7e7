//! tokenizer.json through Hugging Face `tokenizers`: encode, decode and vocabulary questions.

use std::sync::Arc;

use tokenizers::{Model, Tokenizer as HfTokenizer};

use crate::base::failure::{Failure, Outcome, Status};
use crate::base::ffi::{bytes, guard, guard_value, put_text, text, Buffer, Ids};
use crate::base::memory;

/// What loading takes at most, a byte of tokenizer.json.
const LOAD_BYTES: usize = 128;
/// What encoding takes at most, a byte of ASCII and of other characters, which normalizers replace by up to 18 others (see the tests).
const ENCODE_ASCII: usize = 512;
const ENCODE_OTHER: usize = 1024;
/// What decoding takes at most, a token, beside those that are long.
const DECODE_BYTES: usize = 512;

/// A loaded tokenizer; immutable, shared with the detokenizers made from it.
pub struct Tokenizer {
    inner: HfTokenizer,
    vocab_size: i32,
}

fn encoding_bytes(text: &str) -> usize {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    ENCODE_ASCII * ascii + ENCODE_OTHER * (text.len() - ascii)
}

impl Tokenizer {
    pub fn load(json: &[u8]) -> Outcome<Tokenizer> {
        let _room = memory::set_aside(LOAD_BYTES * json.len())?;
        let mut inner =
            HfTokenizer::from_bytes(json).map_err(|e| Failure::invalid(e.to_string()))?;
        inner.with_truncation(None).map_err(|e| Failure::invalid(e.to_string()))?;
        inner.with_padding(None);
        let largest = inner.get_vocab(true).into_values().max();
        let vocab_size = largest.map_or(Ok(0), |id| i32::try_from(id).map(|id| id + 1));
        let vocab_size =
            vocab_size.map_err(|_| Failure::invalid("a token's id exceeds 2^31 - 2"))?;
        Ok(Tokenizer { inner, vocab_size })
    }

    /// The decoder as tokenizer.json spells it; none where tokens are joined by spaces.
    pub fn decoder_config(&self) -> Option<serde_json::Value> {
        self.inner.get_decoder().and_then(|decoder| serde_json::to_value(decoder).ok())
    }

    pub fn encode(&self, text: &str, add_special: bool) -> Outcome<Vec<i32>> {
        let _room = memory::set_aside(encoding_bytes(text))?;
        let encoding = self
            .inner
            .encode_fast(text, add_special)
            .map_err(|e| Failure::invalid(e.to_string()))?;
        Ok(encoding.get_ids().iter().map(|&id| id as i32).collect())
    }

    pub fn decode(&self, ids: &[i32], skip_special: bool) -> Outcome<String> {
        let _room = memory::set_aside(DECODE_BYTES * ids.len())?;
        // What decodes to nothing is settled here: some decoders panic on an empty list.
        let kept = |id: &u32| self.token(*id, skip_special).is_some();
        let ids: Vec<u32> = ids.iter().map(|&id| id as u32).filter(kept).collect();
        if ids.is_empty() {
            return Ok(String::new());
        }
        self.inner.decode(&ids, skip_special).map_err(|e| Failure::invalid(e.to_string()))
    }

    /// The vocabulary's spelling of an id; none where decoding skips it.
    pub fn token(&self, id: u32, skip_special: bool) -> Option<String> {
        let added = self.inner.get_added_vocabulary();
        let token =
            added.simple_id_to_token(id).or_else(|| self.inner.get_model().id_to_token(id))?;
        (!skip_special || !added.is_special_token(&token)).then_some(token)
    }

    pub fn vocab_size(&self) -> i32 {
        self.vocab_size
    }

    /// Whether the token is matched as a whole, before the model's own vocabulary is.
    pub fn is_added(&self, id: i32) -> bool {
        self.inner.get_added_vocabulary().get_added_tokens_decoder().contains_key(&(id as u32))
    }

    pub fn is_special(&self, id: i32) -> bool {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        added.get(&(id as u32)).is_some_and(|token| token.special)
    }
}

/// # Safety
/// `json` points to `size` bytes; `out` is writable; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_load(
    json: *const u8,
    size: usize,
    out: *mut *const Tokenizer,
    error: *mut Buffer,
) -> Status {
    guard(error, || Tokenizer::load(bytes(json, size)), |t| *out = Arc::into_raw(Arc::new(t)))
}

/// # Safety
/// `tokenizer` is null or comes from `pippin_tokenizer_load` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_free(tokenizer: *const Tokenizer) {
    if !tokenizer.is_null() {
        drop(Arc::from_raw(tokenizer));
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_encode(
    tokenizer: *const Tokenizer,
    data: *const u8,
    size: usize,
    add_special: i32,
    out: *mut Ids,
    error: *mut Buffer,
) -> Status {
    let body = || (*tokenizer).encode(text(data, size, "the text")?, add_special != 0);
    guard(error, body, |ids| *out = Ids::from_vec(ids))
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: *const i32,
    num_ids: usize,
    skip_special: i32,
    out: *mut Buffer,
    error: *mut Buffer,
) -> Status {
    let ids = if num_ids == 0 { &[] } else { std::slice::from_raw_parts(ids, num_ids) };
    guard(error, || (*tokenizer).decode(ids, skip_special != 0), |decoded| put_text(out, decoded))
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_token_to_id(
    tokenizer: *const Tokenizer,
    token: *const u8,
    size: usize,
) -> i32 {
    guard_value(-1, || {
        let token = std::str::from_utf8(bytes(token, size)).ok();
        token.and_then(|token| (*tokenizer).inner.token_to_id(token)).map_or(-1, |id| id as i32)
    })
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_id_to_token(
    tokenizer: *const Tokenizer,
    id: i32,
    out: *mut Buffer,
    error: *mut Buffer,
) -> Status {
    let body = || {
        let token = (*tokenizer).inner.id_to_token(id as u32);
        token.ok_or_else(|| Failure::invalid(format!("no token has the id {id}")))
    };
    guard(error, body, |token| put_text(out, token))
}

/// # Safety
/// `tokenizer` comes from `pippin_tokenizer_load`.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_vocab_size(tokenizer: *const Tokenizer) -> i32 {
    (*tokenizer).vocab_size
}

/// # Safety
/// `tokenizer` comes from `pippin_tokenizer_load`.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_is_special(tokenizer: *const Tokenizer, id: i32) -> i32 {
    guard_value(0, || i32::from((*tokenizer).is_special(id)))
}

#[cfg(test)]
#[path = "tokenizer_test.rs"]
mod tests;
