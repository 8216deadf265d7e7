//! llguidance's parser: work that leaves it sound, with fuel of its own.

use std::panic::AssertUnwindSafe;

use llguidance::api::StopReason;
use llguidance::earley::{BiasComputer, ParserRecognizer};
use llguidance::toktrie::{SimpleVob, TokTrie};
use llguidance::{panic_utils, TokenParser};

use crate::base::failure::{Failure, Outcome};
use crate::masks::words::{self, Source};

/// The grammar's own end: no other reason to stop is one.
pub fn is_end(reason: StopReason) -> bool {
    matches!(reason, StopReason::NoExtension | StopReason::EndOfSentence)
}

/// `work`, and whether the parser is still sound behind it.
pub fn attempt<T>(
    parser: &mut TokenParser,
    work: impl FnOnce(&mut TokenParser) -> anyhow::Result<T>,
) -> Outcome<T> {
    let outcome = panic_utils::catch_unwind(AssertUnwindSafe(|| work(parser)));
    if parser.parser.get_error().is_some() {
        return Err(Failure::invalid(words::TOO_COMPLEX));
    }
    match parser.stop_reason() {
        StopReason::NoExtensionBias => Err(Failure::invalid(words::DEAD_END)),
        reason if reason == StopReason::NotStopped || is_end(reason) => {
            outcome.map_err(|error| Failure::invalid(words::of(&error.to_string(), Source::Own)))
        }
        _ => Err(Failure::invalid(words::TOO_COMPLEX)),
    }
}

/// Gives the lexer as much fuel and as many states as a mask gets. Without it a run of tokens between two masks lived on what the last mask left.
pub fn refuel(parser: &mut TokenParser) {
    struct Nothing<'a>(&'a TokTrie);
    impl BiasComputer for Nothing<'_> {
        fn compute_bias(&self, _: &mut ParserRecognizer<'_>, _: &[u8]) -> SimpleVob {
            self.0.alloc_token_set()
        }
        fn trie(&self) -> &TokTrie {
            self.0
        }
    }
    let env = parser.token_env.clone();
    // With a beginning, for which llguidance keeps no mask.
    parser.parser.compute_bias(&Nothing(env.tok_trie()), b" ");
}
