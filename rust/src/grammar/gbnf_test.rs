//! What llama.cpp's grammars mean, after their translation.

use super::*;
use crate::grammar::compiler::{tests::compiler, Kind};

/// Whether the whole text is an answer that the grammar allows.
fn accepts(grammar: &str, text: &str) -> bool {
    let mut matcher = compiler().try_compile(Kind::Lark, grammar).expect(grammar);
    text.bytes()
        .all(|byte| matcher.allows(byte.into()).unwrap() && matcher.consume(byte.into()).is_ok())
        && matcher.is_accepting()
}

fn check(grammar: &str, right: &[&str], wrong: &[&str]) {
    assert!(is_gbnf(grammar));
    for text in right {
        assert!(accepts(grammar, text), "{text:?} in {}", to_lark(grammar).unwrap());
    }
    for text in wrong {
        assert!(!accepts(grammar, text), "{text:?} in {}", to_lark(grammar).unwrap());
    }
}

#[test]
fn other_grammars_are_told_from_it() {
    assert!(!is_gbnf("start: \"a\"\nA: /::=/"));
    assert!(!is_gbnf("start: \"::=\""));
    assert!(is_gbnf("# chess\n  root ::= \"a\""));
}

#[test]
fn what_does_not_recur_is_exact() {
    // As terminals of their own the word would take the x.
    check(
        "root ::= [a-z]* \"x\" | keyword\nkeyword ::= \"true\" | \"tru\" [0-9]{2}",
        &["x", "abcx", "xx", "true", "tru12", "trx"],
        &["", "abc", "tru", "tru1", "true1"],
    );
}

#[test]
fn escapes_classes_and_repetitions() {
    check(
        r#"root ::= "\"\\\n" [^\]"a-c-] [\x41-\u0043]{,2} .? # the end"#,
        &["\"\\\nd", "\"\\\nzABx", "\"\\\n/\n"],
        &["\"\\\na", "\"\\\n]", "\"\\\n-", "\"\\\nzABCx"],
    );
    check(
        "root ::= \"a\"{2} \"b\"{1,} (\"c\" | \"d\" \"e\")+ \"/\"?",
        &["aabc", "aabbdec/"],
        &["abc", "aac", "aabd"],
    );
    check("root ::= \"\\u00e9\" \"ö\"", &["éö"], &["eö"]);
    check("root ::= | \"a\"", &["", "a"], &["aa"]);
}

#[test]
fn recursion() {
    check(
        "root ::= \"(\" root? \")\" | item\nitem ::= [0-9]+",
        &["()", "((12))", "7"],
        &["(", "(()", "())", "(12"],
    );
}

/// As llama.cpp's grammars/json.gbnf is built.
const JSON: &str = r#"
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

ws ::= | " " | "\n" [ \t]{0,20}
"#;

#[test]
fn json() {
    check(
        JSON,
        &["{}", r#"{"a": [1, -2.5e1, "x\"y\u00e9", {"b": null}], "c": true}"#, "{\n  \"k\": []}"],
        &["[]", "{", r#"{"a"}"#, r#"{"a": 01}"#, r#"{"a": "b}"#, r#"{"a": 1,}"#],
    );
}

#[test]
fn mistakes_are_named() {
    for (grammar, named) in [
        ("a ::= \"b\"", "root"),
        ("root ::= other", "other"),
        ("root ::= \"a\"\nroot ::= \"b\"", "twice"),
        ("root ::= (\"a\"", "closed"),
        ("root ::= \"a\")", "opened"),
        ("root ::= \"a", "does not end"),
        ("root ::= [a", "does not end"),
        ("root ::= [z-a]", "range"),
        ("root ::= *", "nothing before"),
        ("root ::= \"a\"{3,2}", "times"),
        ("root ::= <think>", "vocabulary"),
        ("root ::= \"\\q\"", "escape"),
        ("root ::= $", "'$'"),
    ] {
        let message = to_lark(grammar).expect_err(grammar).message;
        assert!(message.contains(named), "{grammar}: {message}");
    }
}

#[test]
fn what_explodes_stays_rules() {
    let mut grammar = "root ::= r0\n".to_string();
    for i in 0..40 {
        grammar += &format!("r{i} ::= r{} r{}\n", i + 1, i + 1);
    }
    grammar += "r40 ::= \"a\"\n";
    assert!(to_lark(&grammar).unwrap().len() < 40 * MAX_TERMINAL);
    assert!(to_lark(&format!("root ::= {}", "(".repeat(100_000))).is_err());
}
