//! Control characters that strings of JSON answers can't have: llguidance leaves out what JSON needs \uXXXX for, as if it were not there.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::Value as Json;

/// The first such character of a value's texts: "U+001B".
pub fn lost_character(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => lost_in(text),
        Json::Array(items) => items.iter().find_map(lost_character),
        Json::Object(members) => {
            members.iter().find_map(|(name, value)| lost_in(name).or_else(|| lost_character(value)))
        }
        _ => None,
    }
}

/// The first that the names of an object, or in a list, have.
pub fn lost_name(value: &Json) -> Option<String> {
    match value {
        Json::Object(members) => members.keys().find_map(|name| lost_in(name)),
        Json::Array(_) => lost_character(value),
        _ => None,
    }
}

fn lost_in(text: &str) -> Option<String> {
    text.chars().find(|&c| is_lost(c)).map(told)
}

fn is_lost(c: char) -> bool {
    c.is_ascii_control() && !"\u{8}\t\n\u{c}\r".contains(c)
}

fn told(c: char) -> String {
    format!("U+{:04X}", c as u32)
}

/// The first that the regular expression asks for. A class that has others, too, is just without it then.
pub fn lost_by_pattern(pattern: &str) -> Option<String> {
    let parsed = regex_syntax::Parser::new().parse(pattern).ok()?; // others refuse what can't be read
    let mut parts = vec![&parsed];
    while let Some(part) = parts.pop() {
        if let Some(lost) = lost_by(part) {
            return Some(told(lost));
        }
        match part.kind() {
            HirKind::Repetition(repetition) => parts.push(&repetition.sub),
            HirKind::Capture(capture) => parts.push(&capture.sub),
            HirKind::Concat(all) | HirKind::Alternation(all) => parts.extend(all),
            _ => (),
        }
    }
    None
}

fn lost_by(part: &Hir) -> Option<char> {
    match part.kind() {
        HirKind::Literal(literal) => {
            std::str::from_utf8(&literal.0).ok()?.chars().find(|&c| is_lost(c))
        }
        HirKind::Class(Class::Unicode(class)) => {
            let mut all = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            let first = class.ranges().first()?.start();
            all.all(is_lost).then_some(first)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_ask_for_them_are_found() {
        for pattern in
            ["a\u{1b}b", r"a\x1bb", r"\u001b", "x|(?:a\u{7f})+", r"[\x00-\x07]", r"(\x00)?"]
        {
            assert!(lost_by_pattern(pattern).is_some(), "{pattern:?}");
        }
        for pattern in [".*", r"\s+", "[^a]", r"a\tb\n", r"[a\x1b]", "", "(", r"[\x00-\x7f]"] {
            assert_eq!(lost_by_pattern(pattern), None, "{pattern:?}");
        }
        assert_eq!(lost_by_pattern(r"\x00").as_deref(), Some("U+0000"));
    }
}
