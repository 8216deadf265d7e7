//! An answer tried when its grammar is compiled, so that a grammar that can't be followed far is refused before anything is generated.

use llguidance::api::StopReason;
use llguidance::toktrie::{SimpleVob, TokTrie, TokenId};
use llguidance::TokenParser;

use crate::base::failure::{Failure, Outcome};
use crate::masks::parser::{attempt, refuel};
use crate::masks::words;
use crate::work::fuse::Fuse;

/// Tokens that are tried. Lexers that explode were seen to do so within 20.
const NUM_TOKENS: usize = 24;
/// What a text is made of, over and over.
const TEXT: &[u8] = b"able another thing able another thing ";
const PERIOD: usize = TEXT.len() / 2;

/// Follows the parser through an answer that goes on with words where it may.
pub fn rehearse(mut parser: TokenParser, fuse: &Fuse) -> Outcome<()> {
    let env = parser.token_env.clone();
    let trie = env.tok_trie();
    let mut written = 0;
    refuel(&mut parser); // what is forced at the beginning comes before the first mask
    let mut is_only_way = true;
    for _ in 0..NUM_TOKENS {
        fuse.check()?;
        if parser.stopped() {
            return Ok(());
        }
        let mask = match attempt(&mut parser, |parser| parser.compute_mask()) {
            // Where there were other ways other answers may never come here.
            Err(_) if is_dead_end(&parser) && !is_only_way => return Ok(()),
            Err(_) if is_dead_end(&parser) => return Err(Failure::invalid(words::NOTHING_FITS)),
            mask => mask?,
        };
        is_only_way &= mask.num_set() == 1;
        let (token, letters) = choose(trie, &mask, written);
        if trie.eos_tokens().contains(&token) {
            return Ok(());
        }
        written += letters;
        fuse.check()?;
        attempt(&mut parser, |parser| {
            refuel(parser);
            parser.consume_token(token)?;
            parser.check_stop()
        })?;
    }
    Ok(())
}

fn is_dead_end(parser: &TokenParser) -> bool {
    parser.stop_reason() == StopReason::NoExtensionBias
}

/// The longest token that goes on with TEXT, and its letters; else any that may come, the end last of all.
fn choose(trie: &TokTrie, mask: &SimpleVob, written: usize) -> (TokenId, usize) {
    let rest = &TEXT[written % PERIOD..];
    let is_allowed = |token: &TokenId| mask.is_allowed(*token);
    for length in (1..=rest.len().min(12)).rev() {
        if let Some(token) = trie.token_id(&rest[..length]).filter(is_allowed) {
            return (token, length);
        }
    }
    let is_end = |token: &TokenId| trie.eos_tokens().contains(token);
    let other = mask.iter().find(|token| !is_end(token)).or_else(|| mask.iter().next());
    (other.unwrap_or(trie.eos_tokens()[0]), 0)
}
