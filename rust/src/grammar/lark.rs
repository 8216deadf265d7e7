//! Grammars in llguidance's dialect of Lark: what a client wrote, and what is too deep or too long for the compiler.

use llguidance::api::TopLevelGrammar;
use serde_json::Value as Json;

use crate::base::failure::{Failure, Outcome};
use crate::grammar::gbnf;
use crate::grammar::rule_depth::longest_way;
use crate::schema::limits::MAX_LEVELS;
use crate::schema::sizes;

/// Texts and expressions in the rules of a client's grammar; what is repeated is written out, which takes longer.
pub const MAX_PARTS: usize = 10_000;
pub const REPEAT: usize = 5;
/// Parentheses within one another; llguidance takes no more.
const MAX_PARENTHESES: usize = 30;

/// Refuses what could be too deep for the compiler.
pub fn from_lark(text: String) -> Outcome<TopLevelGrammar> {
    let (mut open, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' => open += 1,
            b')' | b']' => open = open.saturating_sub(1),
            _ => (),
        }
        deepest = deepest.max(open.min(MAX_PARENTHESES));
    }
    if longest_way(&text).saturating_mul(deepest + 1) > MAX_LEVELS {
        return Err(Failure::invalid("the grammar has too many rules within one another"));
    }
    sizes::check_all(&schemas_in(&text)?.0)?;
    Ok(TopLevelGrammar::from_lark(text))
}

/// What stands behind `%json` in a grammar, and all else. The word may also stand in a comment or a text, though not often.
fn schemas_in(lark: &str) -> Outcome<(Vec<Json>, String)> {
    const WORD: &str = "%json";
    const MAX_OTHERS: usize = 64;
    let (mut schemas, mut around, mut others, mut rest) = (Vec::new(), String::new(), 0, lark);
    while let Some(at) = rest.find(WORD) {
        around.push_str(&rest[..at]);
        rest = &rest[at + WORD.len()..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Json>();
        match values.next() {
            Some(Ok(schema)) => {
                schemas.push(schema);
                rest = &rest[values.byte_offset()..];
            }
            _ => others += 1,
        }
        if others > MAX_OTHERS {
            return Err(Failure::invalid("'%json' must stand before a JSON Schema"));
        }
    }
    Ok((schemas, around + rest))
}

/// Refuses rules of a client that llguidance would read for long.
pub fn check_rules(text: &str) -> Outcome<()> {
    let (_, rules) = schemas_in(text)?;
    let weight = |byte: u8| match byte {
        b'"' | b'/' => 1, // twice around each text or expression
        b'{' | b'+' | b'*' | b'?' => 2 * REPEAT,
        _ => 0,
    };
    if rules.bytes().map(weight).sum::<usize>() > 2 * MAX_PARTS {
        return Err(Failure::invalid(format!(
            "the grammar has more than {MAX_PARTS} texts and expressions (a repeat counts {REPEAT})"
        )));
    }
    Ok(())
}

/// In llguidance's dialect, also of what is written in llama.cpp's.
pub fn lark(text: &str) -> Outcome<String> {
    check_rules(text)?;
    if gbnf::is_gbnf(text) {
        gbnf::to_lark(text)
    } else {
        Ok(text.to_string())
    }
}
