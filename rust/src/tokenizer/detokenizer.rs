//! Streaming decode: ids in, settled text out, each id handled once.
//!
//! `tokenizers` decodes a list of tokens through a chain of decoders, each list to list. Here every
//! decoder of the chain becomes a stage that maps tokens as they come, so that the text of all pushes
//! equals the text decoded at once. A stage needs to know what its decoder's output for a token
//! depends on: that token alone, whether it is the first, whether it is the last, or the run of byte
//! tokens around it. The decoder itself then does the work on the few tokens concerned. A decoder
//! whose output may depend on everything is given everything, at the end.

use std::sync::Arc;

use serde_json::{json, Value as Json};
use tokenizers::{Decoder, DecoderWrapper};

use crate::base::failure::{Failure, Outcome, Status};
use crate::base::ffi::{guard, Buffer};
use crate::tokenizer::tokenizer::Tokenizer;

/// One decoder of the chain, taking tokens one at a time.
enum Stage {
    /// Looks at one token alone (Replace, Strip).
    Alone(DecoderWrapper),
    /// Treats the first token differently (Metaspace, WordPiece).
    KnowsFirst { decoder: DecoderWrapper, started: bool },
    /// Treats the last token differently (BPEDecoder): one token is held back.
    KnowsLast { decoder: DecoderWrapper, held: Option<String> },
    /// Joins runs of <0xXX> tokens (ByteFallback). Whether a run is UTF-8 is known at its end.
    ByteRuns { decoder: DecoderWrapper, run: Vec<String> },
    /// Byte-level alphabet to UTF-8 (ByteLevel): up to three bytes of a character are held back.
    Utf8 { pending: Vec<u8> },
    /// Strip after everything was joined to one token: `left` characters may still be cut.
    LeadingStrip { content: char, start: usize, left: usize },
    /// No decoder in tokenizer.json: tokens are joined by spaces.
    Spaced { started: bool },
    /// Any other: works on all tokens, when they have all come.
    Whole { decoder: DecoderWrapper, tokens: Vec<String> },
}

fn run(decoder: &DecoderWrapper, tokens: Vec<String>) -> Outcome<Vec<String>> {
    decoder.decode_chain(tokens).map_err(|e| Failure::invalid(e.to_string()))
}

/// The byte that a <0xXX> token stands for.
pub fn byte_token(token: &str) -> Option<u8> {
    let shaped = token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
    (shaped && token.is_char_boundary(5)).then(|| u8::from_str_radix(&token[3..5], 16).ok())?
}

fn is_byte_token(token: &str) -> bool {
    byte_token(token).is_some()
}

/// The byte that a character of GPT-2's byte-level alphabet stands for: printable Latin-1 characters
/// stand for themselves, the other 68 bytes follow in order from U+0100.
fn byte_of(c: char) -> Option<u8> {
    let byte = match c as u32 {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => code,
        code @ 0x100..=0x120 => code - 0x100,
        code @ 0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => return None,
    };
    Some(byte as u8)
}

/// What a token of the byte-level alphabet stands for; another is its own UTF-8.
pub fn bytes_of(token: &str) -> Vec<u8> {
    let mapped: Option<Vec<u8>> = token.chars().map(byte_of).collect();
    mapped.unwrap_or_else(|| token.as_bytes().to_vec())
}

/// Moves the settled part of `pending` into text: whole characters, and U+FFFD for each maximal
/// invalid sequence as String::from_utf8_lossy has it. With `last` nothing is kept.
fn take_utf8(pending: &mut Vec<u8>, last: bool) -> String {
    let keep = match std::str::from_utf8(pending) {
        Ok(_) => 0,
        Err(_) if last => 0,
        Err(_) => incomplete_tail(pending),
    };
    let rest = pending.split_off(pending.len() - keep);
    let settled = std::mem::replace(pending, rest);
    String::from_utf8_lossy(&settled).into_owned()
}

/// How many bytes at the end (at most 3) begin a character that more bytes could complete.
fn incomplete_tail(bytes: &[u8]) -> usize {
    for length in 1..=bytes.len().min(3) {
        let tail = &bytes[bytes.len() - length..];
        let begins_character = tail[0] >= 0xc0;
        if begins_character {
            let incomplete = std::str::from_utf8(tail).is_err_and(|e| e.error_len().is_none());
            return if incomplete { length } else { 0 };
        }
    }
    0
}

impl Stage {
    fn push(&mut self, token: String) -> Outcome<Vec<String>> {
        match self {
            Stage::Alone(decoder) => run(decoder, vec![token]),
            Stage::KnowsFirst { decoder, started: started @ false } => {
                *started = true;
                run(decoder, vec![token])
            }
            Stage::KnowsFirst { decoder, .. } => {
                Ok(run(decoder, vec![String::new(), token])?.split_off(1))
            }
            Stage::KnowsLast { decoder, held } => match held.replace(token) {
                None => Ok(vec![]),
                Some(earlier) => {
                    let mut decoded = run(decoder, vec![earlier, String::new()])?;
                    decoded.truncate(1);
                    Ok(decoded)
                }
            },
            Stage::ByteRuns { run: tokens, .. } if is_byte_token(&token) => {
                tokens.push(token);
                Ok(vec![])
            }
            Stage::ByteRuns { decoder, run: tokens } => {
                tokens.push(token);
                run(decoder, std::mem::take(tokens))
            }
            Stage::Utf8 { pending } => {
                pending.extend(bytes_of(&token));
                Ok(vec![take_utf8(pending, false)])
            }
            Stage::LeadingStrip { content, left, .. } => {
                let mut rest = token.as_str();
                while *left > 0 && rest.starts_with(*content) {
                    *left -= 1;
                    rest = &rest[content.len_utf8()..];
                }
                if !rest.is_empty() {
                    *left = 0;
                }
                Ok(vec![rest.to_string()])
            }
            Stage::Spaced { started } => {
                let spaced = if *started { format!(" {token}") } else { token };
                *started = true;
                Ok(vec![spaced])
            }
            Stage::Whole { tokens, .. } => {
                tokens.push(token);
                Ok(vec![])
            }
        }
    }

    /// Gives what was held back and starts over.
    fn finish(&mut self) -> Outcome<Vec<String>> {
        match self {
            Stage::Alone(_) => Ok(vec![]),
            Stage::KnowsFirst { started, .. } | Stage::Spaced { started } => {
                *started = false;
                Ok(vec![])
            }
            Stage::KnowsLast { decoder, held } => match held.take() {
                None => Ok(vec![]),
                Some(last) => run(decoder, vec![last]),
            },
            Stage::Utf8 { pending } => Ok(vec![take_utf8(pending, true)]),
            Stage::LeadingStrip { start, left, .. } => {
                *left = *start;
                Ok(vec![])
            }
            Stage::ByteRuns { decoder, run: tokens } | Stage::Whole { decoder, tokens } => {
                let tokens = std::mem::take(tokens);
                if tokens.is_empty() {
                    Ok(vec![])
                } else {
                    run(decoder, tokens)
                }
            }
        }
    }
}

fn wrap(config: &Json) -> Outcome<DecoderWrapper> {
    serde_json::from_value(config.clone()).map_err(|e| Failure::invalid(format!("decoder: {e}")))
}

/// The chain's decoders in order, Sequences laid flat.
fn flatten(config: &Json, chain: &mut Vec<Json>) {
    match config["decoders"].as_array() {
        Some(inner) => inner.iter().for_each(|decoder| flatten(decoder, chain)),
        None => chain.push(config.clone()),
    }
}

/// The stage of a decoder that sees the vocabulary's tokens; none if only the whole will do.
fn token_stage(config: &Json) -> Outcome<Option<Stage>> {
    let decoder = wrap(config)?;
    Ok(match config["type"].as_str().unwrap_or_default() {
        "Replace" => Some(Stage::Alone(decoder)),
        "Strip" if config["stop"] == 0 => Some(Stage::Alone(decoder)),
        "Metaspace" | "WordPiece" => Some(Stage::KnowsFirst { decoder, started: false }),
        "BPEDecoder" => Some(Stage::KnowsLast { decoder, held: None }),
        "ByteFallback" => Some(Stage::ByteRuns { decoder, run: vec![] }),
        "ByteLevel" => Some(Stage::Utf8 { pending: vec![] }),
        _ => None,
    })
}

/// The stage of a decoder that sees one token, the joined text, in pieces.
fn text_stage(config: &Json) -> Option<Stage> {
    let start = config["start"].as_u64()? as usize;
    let content = config["content"].as_str()?.chars().next()?;
    let streams = config["type"] == "Strip" && config["stop"] == 0;
    streams.then_some(Stage::LeadingStrip { content, start, left: start })
}

fn stages(config: Option<Json>) -> Outcome<Vec<Stage>> {
    let Some(config) = config else {
        return Ok(vec![Stage::Spaced { started: false }]);
    };
    let mut chain = vec![];
    flatten(&config, &mut chain);
    let mut stages = vec![];
    let mut joined = false; // tokens are pieces of one text from here on
    for (index, config) in chain.iter().enumerate() {
        let kind = config["type"].as_str().unwrap_or_default();
        if kind == "Fuse" {
            joined = true;
            continue;
        }
        let stage = if joined { text_stage(config) } else { token_stage(config)? };
        let Some(stage) = stage else {
            let mut rest = chain[index..].to_vec();
            if joined {
                rest.insert(0, json!({"type": "Fuse"}));
            }
            let decoder = wrap(&json!({"type": "Sequence", "decoders": rest}))?;
            stages.push(Stage::Whole { decoder, tokens: vec![] });
            break;
        };
        stages.push(stage);
        joined = joined || kind == "ByteLevel";
    }
    Ok(stages)
}

/// Text as ids arrive. Owns the stages' held-back tokens; one thread at a time. What was returned so
/// far is always a prefix of the decoding of the ids so far and of all that may follow.
pub struct Detokenizer {
    tokenizer: Arc<Tokenizer>,
    skip_special: bool,
    stages: Vec<Stage>,
    /// What the latest push or finish settled; lent to the C caller.
    text: String,
}

impl Detokenizer {
    pub fn new(tokenizer: Arc<Tokenizer>, skip_special: bool) -> Outcome<Detokenizer> {
        let stages = stages(tokenizer.decoder_config())?;
        Ok(Detokenizer { tokenizer, skip_special, stages, text: String::new() })
    }

    pub fn push(&mut self, id: i32) -> Outcome<&str> {
        self.text.clear();
        if let Some(token) = self.tokenizer.token(id as u32, self.skip_special) {
            self.feed(0, vec![token])?;
        }
        Ok(&self.text)
    }

    pub fn finish(&mut self) -> Outcome<&str> {
        self.text.clear();
        for index in 0..self.stages.len() {
            let tokens = self.stages[index].finish()?;
            self.feed(index + 1, tokens)?;
        }
        Ok(&self.text)
    }

    /// Sends tokens through the stages from `first` on and appends what comes out to the text.
    fn feed(&mut self, first: usize, mut tokens: Vec<String>) -> Outcome<()> {
        for stage in &mut self.stages[first..] {
            let mut next = vec![];
            for token in tokens {
                next.extend(stage.push(token)?);
            }
            tokens = next;
        }
        self.text.extend(tokens);
        Ok(())
    }
}

/// # Safety
/// `tokenizer` comes from `pippin_tokenizer_load`; `out` is writable; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn pippin_detokenizer_new(
    tokenizer: *const Tokenizer,
    skip_special: i32,
    out: *mut *mut Detokenizer,
    error: *mut Buffer,
) -> Status {
    let body = || {
        Arc::increment_strong_count(tokenizer);
        Detokenizer::new(Arc::from_raw(tokenizer), skip_special != 0)
    };
    guard(error, body, |d| *out = Box::into_raw(Box::new(d)))
}

/// # Safety
/// `detokenizer` is null or comes from `pippin_detokenizer_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_detokenizer_free(detokenizer: *mut Detokenizer) {
    if !detokenizer.is_null() {
        drop(Box::from_raw(detokenizer));
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_detokenizer_push(
    detokenizer: *mut Detokenizer,
    id: i32,
    text: *mut *const u8,
    size: *mut usize,
    error: *mut Buffer,
) -> Status {
    let lend = |settled: &str| {
        *text = settled.as_ptr();
        *size = settled.len();
    };
    guard(error, || (*detokenizer).push(id), lend)
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_detokenizer_finish(
    detokenizer: *mut Detokenizer,
    text: *mut *const u8,
    size: *mut usize,
    error: *mut Buffer,
) -> Status {
    let lend = |settled: &str| {
        *text = settled.as_ptr();
        *size = settled.len();
    };
    guard(error, || (*detokenizer).finish(), lend)
}
