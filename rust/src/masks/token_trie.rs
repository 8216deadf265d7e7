//! A tokenizer's vocabulary as bytes in a prefix tree, the form in which llguidance walks it.

use std::sync::Arc;

use llguidance::toktrie::{TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use serde_json::Value as Json;

use crate::base::failure::{Failure, Outcome};
use crate::tokenizer::detokenizer::{byte_token, bytes_of};
use crate::tokenizer::tokenizer::Tokenizer;

/// How a vocabulary spells bytes.
enum Spelling {
    /// GPT-2's byte-level alphabet.
    ByteLevel,
    /// UTF-8 with a stand-in for the space, and <0xXX> for bytes that no token has.
    ByteFallback { space: String },
}

impl Spelling {
    fn of(tokenizer: &Tokenizer) -> Outcome<Spelling> {
        let decoder = tokenizer.decoder_config().unwrap_or_default();
        let parts = match decoder["decoders"].as_array() {
            Some(parts) => parts.clone(),
            None => vec![decoder],
        };
        let has = |kind: &str| parts.iter().any(|part| part["type"] == kind);
        if has("ByteLevel") {
            return Ok(Spelling::ByteLevel);
        }
        if has("ByteFallback") || has("Metaspace") {
            return Ok(Spelling::ByteFallback { space: space_of(&parts) });
        }
        Err(Failure::invalid(
            "this model's tokenizer does not say which bytes its tokens stand for",
        ))
    }

    fn bytes(&self, token: &str) -> Vec<u8> {
        match self {
            Spelling::ByteLevel => bytes_of(token),
            Spelling::ByteFallback { space } => match byte_token(token) {
                Some(byte) => vec![byte],
                None => token.replace(space, " ").into_bytes(),
            },
        }
    }
}

fn space_of(decoders: &[Json]) -> String {
    let replaced = decoders.iter().find(|part| part["type"] == "Replace" && part["content"] == " ");
    let metaspace = decoders.iter().find(|part| part["type"] == "Metaspace");
    let found = replaced
        .and_then(|part| part["pattern"]["String"].as_str())
        .or_else(|| metaspace.and_then(|part| part["replacement"].as_str()));
    found.unwrap_or("\u{2581}").to_string()
}

/// Whether a grammar's text can't be this token, which only a grammar that names it allows: markup that ends
/// sections and turns, special or merely added.
fn is_markup(tokenizer: &Tokenizer, id: i32, token: &str) -> bool {
    tokenizer.is_special(id)
        || (tokenizer.is_added(id) && token.starts_with('<') && token.ends_with('>'))
}

/// The vocabulary and the tokenizer behind it; immutable.
pub struct TokenEnv {
    trie: TokTrie,
    tokenizer: Arc<Tokenizer>,
    canonical: bool,
}

impl TokenEnv {
    /// `end_tokens` end an answer.
    pub fn new(tokenizer: Arc<Tokenizer>, end_tokens: &[i32]) -> Outcome<TokenEnv> {
        let spelling = Spelling::of(&tokenizer)?;
        let size = tokenizer.vocab_size();
        let ends: Vec<TokenId> = end_tokens
            .iter()
            .filter(|&&id| id >= 0 && id < size)
            .map(|&id| id as TokenId)
            .collect();
        let Some(&first_end) = ends.first() else {
            return Err(Failure::invalid("this model names no token that ends an answer"));
        };
        let words: Vec<Vec<u8>> = (0..size).map(|id| word_of(&tokenizer, &spelling, id)).collect();
        let trie = TokTrie::from(&TokRxInfo::new(size as u32, first_end), &words);
        Ok(TokenEnv {
            trie: trie.with_eos_tokens(&ends),
            tokenizer,
            canonical: matches!(spelling, Spelling::ByteLevel),
        })
    }

    fn tokenize(&self, text: &str) -> Vec<TokenId> {
        let ids: Vec<TokenId> = match self.tokenizer.encode(text, false) {
            Ok(ids) => ids.into_iter().map(|id| id as TokenId).collect(),
            Err(_) => return self.trie.greedy_tokenize(text.as_bytes()),
        };
        // A normalizer changes texts, and markup that is spelt out becomes a token that text can't be.
        if self.trie.decode_raw(&ids) == text.as_bytes() {
            ids
        } else {
            self.trie.greedy_tokenize(text.as_bytes())
        }
    }
}

fn word_of(tokenizer: &Tokenizer, spelling: &Spelling, id: i32) -> Vec<u8> {
    let Some(token) = tokenizer.token(id as u32, false) else {
        return Vec::new();
    };
    if is_markup(tokenizer, id, &token) {
        return [&[TokTrie::SPECIAL_TOKEN_MARKER], token.as_bytes()].concat();
    }
    if tokenizer.is_added(id) {
        return token.into_bytes();
    }
    spelling.bytes(&token)
}

impl TokenizerEnv for TokenEnv {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.tokenize(text))
    }

    /// Forced text is only tokenized ahead of the model where a piece of text has the tokens it has in the whole: other
    /// tokenizers put a space before it.
    fn tokenize_is_canonical(&self) -> bool {
        self.canonical
    }
}
