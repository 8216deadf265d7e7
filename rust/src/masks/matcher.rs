//! Following answers through a grammar: where each is, and what was learnt of the grammar on the way.
//!
//! A lexer makes its states when text first reaches them, which is most of what masks cost. Each answer has a lexer of its own, so
//! that answers share no lock; when one has ended, the next ones to the same grammar begin with copies of its lexer.

use std::sync::{Arc, Mutex};

use llguidance::toktrie::TokenId;
use llguidance::TokenParser;

use crate::base::failure::{Failure, Outcome};
use crate::base::lock::lock;
use crate::base::memory::{self, Charge, Ledger};
use crate::masks::masks::Masks;
use crate::masks::pace::{thread_time, Pace};
use crate::masks::parser::{attempt, is_end, refuel};
use crate::masks::rehearsal::rehearse;
use crate::masks::words;
use crate::work::fuse::Fuse;

/// The most bytes of a lexer that others begin with.
const MAX_LEARNT_BYTES: usize = 4 << 20;
/// A lexer that has learnt less than this more takes no other's place: an eighth.
const WORTH_SHARING: usize = 8;

/// What grammars and answers may take.
pub struct Quota {
    /// Bytes of all of them together.
    pub ledger: Arc<Ledger>,
    /// Bytes of one compiled grammar, and of what one answer learns of it.
    pub bytes: usize,
}

impl Quota {
    /// Refuses what takes more than one grammar may.
    pub fn check(&self, bytes: isize) -> Outcome<()> {
        if bytes <= self.bytes as isize {
            return Ok(());
        }
        let limit = self.bytes >> 20;
        Err(Failure::invalid(format!("the grammar is too large: it takes more than {limit} MB")))
    }
}

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
    charge: Charge,
}

impl Learnt {
    fn new(beginning: Place, charge: Charge) -> Learnt {
        let num_states = beginning.parser.parser.lexer_stats().num_states;
        Learnt { beginning, num_states, charge }
    }
}

/// What the matchers of one grammar share. Copies are made without the lock.
type Shared = Mutex<Arc<Learnt>>;

/// Follows one answer through a grammar. One thread at a time.
pub struct Matcher {
    shared: Arc<Shared>,
    /// Where an answer that is followed from there on began, with the same lexer.
    beginning: Option<Place>,
    place: Place,
    failure: Option<Failure>,
    pace: Pace,
    /// The charge for the memory that the matcher has taken by itself.
    charge: Charge,
    max_bytes: usize,
    ignored: Arc<Vec<String>>,
}

/// Copies are made by many threads, answers followed by any.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Matcher>();
};

impl Matcher {
    /// At the beginning, of a parser that takes `bytes`. An answer is tried here once: the first masks are the slowest, and whoever
    /// compiles a grammar expects to wait. Refuses a grammar for which that can't be done.
    pub fn new(
        mut parser: TokenParser,
        bytes: isize,
        masks: Masks,
        quota: &Quota,
        fuse: &Fuse,
    ) -> Outcome<Matcher> {
        let mut charge = Charge::none(quota.ledger.clone());
        charge.add(bytes);
        parser.start_without_prompt();
        let (beginning, growth) = memory::growth(|| {
            let beginning = Place::new(parser, masks);
            rehearse(beginning.shallow_copy().parser, fuse).map(|()| beginning)
        });
        let beginning = beginning?;
        charge.add(growth);
        quota.check(charge.bytes() as isize)?;
        let learnt = Learnt::new(beginning, charge);
        let max_bytes = quota.bytes;
        Ok(Matcher::of(Arc::new(Mutex::new(Arc::new(learnt))), max_bytes, Arc::default()))
    }

    pub fn with_ignored(self, ignored: Vec<String>) -> Matcher {
        Matcher { ignored: Arc::new(ignored), ..self }
    }

    /// What of its grammar is not kept to.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// At the beginning, with what was learnt so far.
    fn of(shared: Arc<Shared>, max_bytes: usize, ignored: Arc<Vec<String>>) -> Matcher {
        let learnt = lock(&shared).clone();
        let mut charge = Charge::none(learnt.charge.ledger().clone());
        let ((beginning, place), growth) = memory::growth(|| {
            let beginning = learnt.beginning.copy();
            let place = beginning.shallow_copy();
            (beginning, place)
        });
        charge.add(growth);
        Matcher {
            shared,
            beginning: Some(beginning),
            place,
            failure: None,
            pace: Pace::new(),
            charge,
            max_bytes,
            ignored,
        }
    }

    /// An independent one in the same state.
    pub fn copy(&self) -> Outcome<Matcher> {
        self.charge.ledger().check_room()?;
        let _room = memory::set_aside(self.charge.bytes())?;
        if self.place.parser.num_tokens() == 0 {
            return Ok(Matcher::of(self.shared.clone(), self.max_bytes, self.ignored.clone()));
        }
        let mut charge = Charge::none(self.charge.ledger().clone());
        let (place, growth) = memory::growth(|| self.place.copy());
        charge.add(growth);
        let (shared, failure) = (self.shared.clone(), self.failure.clone());
        let (max_bytes, ignored) = (self.max_bytes, self.ignored.clone());
        let pace = self.pace.clone();
        Ok(Matcher { shared, beginning: None, place, failure, pace, charge, max_bytes, ignored })
    }

    /// Bytes that it takes, and what its grammar leaves to the next ones.
    pub fn bytes(&self) -> usize {
        self.charge.bytes() + lock(&self.shared).charge.bytes()
    }

    /// The answer has ended: others may begin with what was learnt.
    pub fn retire(self) {
        let Matcher { shared, beginning, place, failure, mut charge, .. } = self;
        let Some(beginning) = beginning else { return };
        let ((), freed) = memory::growth(|| drop(place));
        charge.add(freed);
        let parser = &beginning.parser.parser;
        if failure.is_some() || parser.get_error().is_some() {
            return;
        }
        let lexer = parser.lexer_stats();
        if lexer.num_bytes > MAX_LEARNT_BYTES {
            return;
        }
        let mut learnt = Arc::new(Learnt::new(beginning, charge));
        let mut shared = lock(&shared);
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
            Ok(parser.compute_mask()?)
        })?;
        let bits = mask.as_slice();
        let shared = bits.len().min(words.len());
        words[..shared].copy_from_slice(&bits[..shared]);
        words[shared..].fill(0);
        Ok(())
    }

    pub fn allows(&mut self, token: i32) -> Outcome<bool> {
        self.attempt(|parser| Ok(parser.validate_tokens_raw(&[token as TokenId])? == 1))
    }

    pub fn consume(&mut self, token: i32) -> Outcome<()> {
        self.pace.earn();
        self.attempt(|parser| {
            refuel(parser);
            parser.consume_token(token as TokenId)?;
            parser.check_stop().map(drop)
        })
    }

    /// The tokens that must come next.
    pub fn forced(&mut self) -> Outcome<Vec<i32>> {
        if self.is_finished() {
            return Ok(Vec::new());
        }
        let forced = self.attempt(|parser| {
            refuel(parser);
            Ok(parser.compute_ff_tokens())
        })?;
        Ok(forced.into_iter().map(|id| id as i32).collect())
    }

    /// Whether the answer may end here.
    #[cfg(test)]
    pub fn is_accepting(&mut self) -> bool {
        self.is_finished() || self.attempt(|parser| Ok(parser.is_accepting())).unwrap_or(false)
    }

    /// Whether the answer is whole and nothing may follow. Never where something has failed.
    pub fn is_finished(&self) -> bool {
        self.failure.is_none() && is_end(self.place.parser.stop_reason())
    }

    /// What has failed once stays so. So does a lexer or parser that has reached its limits, which would look like an end otherwise.
    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut TokenParser) -> anyhow::Result<T>,
    ) -> Outcome<T> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let parser = &mut self.place.parser;
        let begin = thread_time();
        let (outcome, growth) = memory::growth(|| attempt(parser, work));
        self.charge.add(growth);
        let outcome = outcome.and_then(|result| self.check_growth().map(|()| result));
        let paid = self.pace.spend(thread_time().saturating_sub(begin));
        let outcome = outcome.and_then(|result| paid.map(|()| result));
        outcome.inspect_err(|failure| self.failure = Some(failure.clone()))
    }

    fn check_growth(&self) -> Outcome<()> {
        if self.charge.bytes() > self.max_bytes {
            return Err(Failure::invalid(words::TOO_COMPLEX));
        }
        let ledger = self.charge.ledger();
        if ledger.used() > ledger.limit() + ledger.limit() / 8 {
            return ledger.check_room();
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "matcher_test.rs"]
mod tests;
