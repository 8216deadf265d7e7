//! What a single token stands for, in bytes: part of a character where the vocabulary cuts one.

use crate::base::failure::{Failure, Outcome, Status};
use crate::base::ffi::{guard, put_bytes, Buffer};
use crate::tokenizer::detokenizer::{byte_token, bytes_of};
use crate::tokenizer::tokenizer::Tokenizer;

/// How tokens' spellings are read, told by the types in tokenizer.json's decoder.
struct Spelling {
    byte_level: bool,
    byte_fallback: bool,
    /// U+2581 is a space (SentencePiece).
    metaspace: bool,
}

impl Spelling {
    fn of(tokenizer: &Tokenizer) -> Spelling {
        let config =
            tokenizer.decoder_config().map(|config| config.to_string()).unwrap_or_default();
        Spelling {
            byte_level: config.contains(r#""ByteLevel""#),
            byte_fallback: config.contains(r#""ByteFallback""#),
            metaspace: config.contains('\u{2581}'),
        }
    }
}

/// An added token stands for its spelling.
fn token_bytes(tokenizer: &Tokenizer, id: i32) -> Outcome<Vec<u8>> {
    let unknown = || Failure::invalid(format!("no token has the id {id}"));
    let token = tokenizer.token(id as u32, false).ok_or_else(unknown)?;
    if tokenizer.is_added(id) {
        return Ok(token.into_bytes());
    }
    let spelling = Spelling::of(tokenizer);
    if spelling.byte_level {
        return Ok(bytes_of(&token));
    }
    match byte_token(&token) {
        Some(byte) if spelling.byte_fallback => Ok(vec![byte]),
        _ if spelling.metaspace => Ok(token.replace('\u{2581}', " ").into_bytes()),
        _ => Ok(token.into_bytes()),
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_token_bytes(
    tokenizer: *const Tokenizer,
    id: i32,
    out: *mut Buffer,
    error: *mut Buffer,
) -> Status {
    guard(error, || token_bytes(&*tokenizer, id), |bytes| put_bytes(out, bytes))
}
