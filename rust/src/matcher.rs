//! Following answers through a grammar: where each is, and what was learnt of the grammar on the way.
//!
//! A lexer makes its states when text first reaches them, which is most of what masks cost. Each answer has a lexer of its own, so
//! that answers share no lock; when one has ended, the next ones to the same grammar begin with copies of its lexer.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use llguidance::api::StopReason;
use llguidance::toktrie::TokenId;
use llguidance::{panic_utils, TokenParser};

use crate::ffi::{Failure, Outcome};
use crate::masks::{lock, Masks};
use crate::schema;

/// Of a lexer that others begin with.
const MAX_LEARNT_BYTES: usize = 4 << 20;
/// A lexer that has learnt less than this more takes no other's place: an eighth.
const WORTH_SHARING: usize = 8;

/// A place in an answer, with its lexer and what is remembered of that one's states.
struct Place {
    parser: TokenParser,
    masks: Arc<Masks>,
}

impl Place {
    fn new(mut parser: TokenParser, masks: Masks) -> Place {
        let masks = Arc::new(masks);
        parser.bias_computer = masks.clone();
        Place { parser, masks }
    }

    /// With a lexer of its own.
    fn copy(&self) -> Place {
        Place::new(self.parser.deep_clone(), self.masks.copy())
    }

    /// With the same lexer: for one thread.
    fn shallow_copy(&self) -> Place {
        Place { parser: self.parser.clone(), masks: self.masks.clone() }
    }
}

/// What the next answer begins with.
struct Learnt {
    beginning: Place,
    num_states: usize,
}

impl Learnt {
    fn of(beginning: Place) -> Learnt {
        let num_states = beginning.parser.parser.lexer_stats().num_states;
        Learnt { beginning, num_states }
    }
}

/// Of one grammar. Copies are made without the lock.
type Shared = Mutex<Arc<Learnt>>;

/// Follows one answer through a grammar. One thread at a time.
pub struct Matcher {
    shared: Arc<Shared>,
    /// Of an answer that is followed from there on, with the same lexer.
    beginning: Option<Place>,
    place: Place,
    failure: Option<String>,
}

/// Copies are made by many threads, answers followed by any.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Matcher>();
};

impl Matcher {
    /// At the beginning. The first mask is found here once: it is the slowest, and whoever compiles a grammar expects to wait.
    /// Refuses a grammar for which that can't be done.
    pub fn new(mut parser: TokenParser, masks: Masks) -> Outcome<Matcher> {
        parser.start_without_prompt();
        let beginning = Place::new(parser, masks);
        let mut first = beginning.shallow_copy().parser;
        let mask = panic_utils::catch_unwind(AssertUnwindSafe(|| match first.stopped() {
            true => Ok(()),
            false => first.compute_mask().map(drop),
        }));
        if let Err(error) = mask {
            return Err(Failure::invalid(schema::words_of(&first.augment_err(error))));
        }
        let learnt = Arc::new(Learnt::of(beginning.copy()));
        Ok(Matcher::at(beginning, Arc::new(Mutex::new(learnt))))
    }

    fn at(beginning: Place, shared: Arc<Shared>) -> Matcher {
        let place = beginning.shallow_copy();
        Matcher { shared, beginning: Some(beginning), place, failure: None }
    }

    /// An independent one in the same state.
    pub fn copy(&self) -> Matcher {
        let shared = self.shared.clone();
        if self.place.parser.num_tokens() == 0 {
            let learnt = lock(&shared).clone();
            return Matcher::at(learnt.beginning.copy(), shared);
        }
        let failure = self.failure.clone();
        Matcher { shared, beginning: None, place: self.place.copy(), failure }
    }

    /// The answer has ended: others may begin with what was learnt.
    pub fn retire(self) {
        let Some(beginning) = self.beginning else { return };
        drop(self.place);
        let parser = &beginning.parser.parser;
        if self.failure.is_some() || parser.get_error().is_some() {
            return;
        }
        let lexer = parser.lexer_stats();
        if lexer.num_bytes > MAX_LEARNT_BYTES {
            return;
        }
        let mut learnt = Arc::new(Learnt::of(beginning));
        let mut shared = lock(&self.shared);
        if lexer.num_states > shared.num_states + shared.num_states / WORTH_SHARING {
            std::mem::swap(&mut *shared, &mut learnt);
        }
        drop(shared); // before the one that is not kept
    }

    /// Sets the bits of the tokens that may come next, bit t % 32 of word t / 32; end tokens are among them where the
    /// answer may end.
    pub fn fill(&mut self, words: &mut [u32]) -> Outcome<()> {
        let mask = self.attempt(|parser| {
            if parser.stopped() {
                return Ok(parser.token_env.tok_trie().eos_token_set());
            }
            parser.compute_mask().map_err(|error| parser.augment_err(error))
        })?;
        let bits = mask.as_slice();
        let shared = bits.len().min(words.len());
        words[..shared].copy_from_slice(&bits[..shared]);
        words[shared..].fill(0);
        Ok(())
    }

    pub fn allows(&mut self, token: i32) -> Outcome<bool> {
        self.attempt(|parser| {
            let accepted = parser.validate_tokens_raw(&[token as TokenId]);
            accepted.map(|n| n == 1).map_err(|error| parser.augment_err(error))
        })
    }

    pub fn consume(&mut self, token: i32) -> Outcome<()> {
        self.attempt(|parser| {
            let consumed = parser.consume_token(token as TokenId);
            match consumed.and_then(|_| parser.check_stop()) {
                Ok(_) => Ok(()),
                Err(error) => Err(parser.augment_err(error)),
            }
        })
    }

    /// The tokens that must come next.
    pub fn forced(&mut self) -> Vec<i32> {
        if self.is_finished() {
            return Vec::new();
        }
        let forced = self.attempt(|parser| Ok(parser.compute_ff_tokens())).unwrap_or_default();
        forced.into_iter().map(|id| id as i32).collect()
    }

    /// Whether the answer may end here.
    pub fn is_accepting(&mut self) -> bool {
        self.is_finished() || self.attempt(|parser| Ok(parser.is_accepting())).unwrap_or(false)
    }

    /// Whether nothing may follow.
    pub fn is_finished(&self) -> bool {
        self.failure.is_some() || self.place.parser.stop_reason() != StopReason::NotStopped
    }

    /// What has failed once stays so.
    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut TokenParser) -> Result<T, String>,
    ) -> Outcome<T> {
        if let Some(failure) = &self.failure {
            return Err(Failure::invalid(failure.clone()));
        }
        let parser = &mut self.place.parser;
        let outcome = panic_utils::catch_unwind(AssertUnwindSafe(|| Ok(work(parser))))
            .unwrap_or_else(|panic| Err(panic.to_string()));
        outcome.map_err(|error| {
            let words = schema::words_of(&error);
            self.failure = Some(words.clone());
            Failure::invalid(words)
        })
    }
}

#[cfg(test)]
#[path = "matcher_test.rs"]
mod tests;
