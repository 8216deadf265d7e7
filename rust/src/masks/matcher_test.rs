//! What answers leave to the next ones.

use super::*;
use crate::grammar::compiler::{tests::compiler, Kind};

fn compiled() -> Matcher {
    let schema = r#"{"type": "object", "properties": {"abc": {"type": "string", "maxLength": 40}},
                     "required": ["abc"], "additionalProperties": false}"#;
    compiler().try_compile(Kind::JsonSchema, schema).unwrap()
}

fn follow(matcher: &mut Matcher, text: &str) {
    let mut words = [0; 9];
    for byte in text.bytes() {
        matcher.fill(&mut words).unwrap();
        matcher.consume(byte.into()).unwrap();
    }
}

fn num_states(matcher: &Matcher) -> usize {
    matcher.place.parser.parser.lexer_stats().num_states
}

const ANSWER: &str = "{\"abc\": \"some words, é, \\n and more\"}";

#[test]
fn answers_begin_with_what_those_before_have_learnt() {
    let compiled = compiled();
    let mut first = compiled.copy().unwrap();
    let at_first = num_states(&first);
    follow(&mut first, ANSWER);
    let learnt = num_states(&first);
    assert!(learnt > at_first + 20);
    assert_eq!(num_states(&compiled.copy().unwrap()), at_first);
    first.retire();
    let mut second = compiled.copy().unwrap();
    assert_eq!(num_states(&second), learnt);
    follow(&mut second, ANSWER);
    assert_eq!(num_states(&second), learnt);
    assert!(second.is_finished());
    assert!(!compiled.is_finished());
}

#[test]
fn answers_that_fail_teach_nothing() {
    let compiled = compiled();
    let mut failed = compiled.copy().unwrap();
    let at_first = num_states(&failed);
    follow(&mut failed, "{\"abc\": \"some words");
    assert!(failed.consume(b'\n'.into()).is_err());
    assert!(failed.consume(b'"'.into()).is_err());
    assert!(!failed.is_finished()); // it is no end of the grammar's
    failed.retire();
    assert_eq!(num_states(&compiled.copy().unwrap()), at_first);
}

#[test]
fn copies_on_the_way_learn_for_themselves() {
    let compiled = compiled();
    let mut one = compiled.copy().unwrap();
    follow(&mut one, "{\"abc\": \"");
    let mut other = one.copy().unwrap();
    follow(&mut one, "漢字 of both scripts\"}");
    follow(&mut other, "words\"}");
    assert!(one.is_finished() && other.is_finished());
    let before = num_states(&compiled.copy().unwrap());
    other.retire();
    assert_eq!(num_states(&compiled.copy().unwrap()), before);
    one.retire();
    assert!(num_states(&compiled.copy().unwrap()) > before);
}
