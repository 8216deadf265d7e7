//! Limits that schemas and grammars share, and how a schema is refused.

use crate::base::failure::{Failure, Outcome};

/// Rules or parts within one another, at most: a quarter of a compiling thread's stack has been seen to do (see the tests).
pub const MAX_LEVELS: usize = 20_000;
/// Integers that every reader of JSON keeps (RFC 7493).
pub const MAX_INTEGER: i64 = 9_007_199_254_740_991;

pub fn refuse<T>(path: &str, what: impl std::fmt::Display) -> Outcome<T> {
    let place =
        if path.is_empty() { "the schema".to_string() } else { format!("the schema at #{path}") };
    Err(Failure::invalid(format!("{place}: {what}")))
}
