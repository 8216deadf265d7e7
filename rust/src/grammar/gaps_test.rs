//! How long compiling goes on without asking whether it may: a limit of time, a client that has left and the end of the server may have to
//! wait for so long.

use std::time::Duration;

use serde_json::{json, Map, Value as Json};

use super::tests::compiler;
use super::*;
use crate::grammar::lark::{check_rules, MAX_PARTS, REPEAT};
use crate::work::fuse::Limits;
use crate::work::workshop::tests::run;

/// As a server has them.
const LIMITS: Limits = Limits { time: Duration::from_secs(5), bytes: 128 << 20 };
/// CPU time.
const LONGEST: Duration = Duration::from_millis(500);

fn named(count: usize, of: impl Fn(usize) -> (String, Json)) -> Map<String, Json> {
    (0..count).map(of).collect()
}

fn words(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{} {i}", i * 7919)).collect()
}

fn members(count: usize) -> Map<String, Json> {
    named(count, |i| (format!("m{i}"), json!({ "type": ["string", "integer"], "maxLength": 20 })))
}

fn object(properties: Map<String, Json>) -> Json {
    json!({ "type": "object", "properties": properties })
}

fn objects(count: usize) -> Json {
    let one = |i| object(named(1, |_| (format!("x{i}"), json!({ "type": "string" }))));
    json!({ "anyOf": (0..count).map(one).collect::<Vec<_>>() })
}

/// Those that take longest of what requests may bring, as large as they may be.
fn worst() -> Vec<(Kind, String)> {
    let required: Vec<String> = members(2000).keys().cloned().collect();
    let patterns =
        named(62, |i| (format!("^a{i}([b-z]{{1,40}}[0-9]{{1,40}}){{1,10}}q{i}$"), json!({})));
    let dates = vec![json!({ "type": "string", "format": "date-time" }); 600];
    let schemas = [
        json!({ "type": "integer", "multipleOf": 9_999_991 }),
        json!({ "type": "string", "pattern": "^(.{1,20}\n?){1,20}$" }),
        json!({ "enum": words(25_000) }),
        json!({ "allOf": [objects(22), objects(22)] }),
        json!({ "type": "object", "patternProperties": patterns }),
        json!({ "type": "object", "properties": members(2000), "required": required }),
        json!({ "type": "array", "prefixItems": dates }),
        objects(1000),
    ];
    let mut all: Vec<(Kind, String)> =
        schemas.iter().map(|schema| (Kind::JsonSchema, schema.to_string())).collect();
    for regex in [
        "a{1000000}".to_string(),
        "((a{100}){100}){100}".to_string(),
        format!("(?i)({})", words(15_000).join("|")),
        "a".repeat(MAX_REGEX),
        "[ab]".repeat(MAX_REGEX / 4),
        r"(\p{L}|\p{N}){1,5}".repeat(MAX_CLASSES / 2),
    ] {
        all.push((Kind::Regex, regex));
    }
    all.push((Kind::Choice, json!(words(27_000)).to_string()));
    let literals: Vec<String> = (0..MAX_PARTS).map(|i| format!("\"{i}\"")).collect();
    all.push((Kind::Lark, format!("start: {}", literals.join(" "))));
    all.push((Kind::Lark, format!("start: {}", literals.join(" | "))));
    let repeat = |i: usize| format!("(\"a\" | \"b\"){{1,{}}}", i % 300 + 1);
    let repeats: Vec<String> = (0..MAX_PARTS / (2 + REPEAT)).map(repeat).collect();
    all.push((Kind::Lark, format!("start: {}", repeats.join(" "))));
    let tool = |i: usize| {
        let schema = json!({ "type": "object", "properties": members(20), "required": ["m0"] });
        json!(["call ", { "schema": schema, "path": format!("tools.{i}"), "strict": true }])
    };
    let tools: Vec<Json> = (0..100).map(tool).collect();
    all.push((Kind::Calls, json!({ "calls": tools }).to_string()));
    all
}

#[test]
fn compiling_asks_often_whether_it_may_go_on() {
    let compiler = Arc::new(compiler());
    for (kind, text) in worst() {
        let name: String = text.chars().take(60).collect();
        let own = compiler.clone();
        let work = move |fuse: &Fuse| {
            let outcome = own.compile(kind, &text, fuse);
            Ok((outcome.err().map(|failure| failure.message), fuse.longest_gap()))
        };
        let (failure, gap) = run(&compiler.workshop, LIMITS, work).unwrap();
        println!("{gap:?}: {name} ({})", failure.unwrap_or_default());
        assert!(gap < LONGEST, "{gap:?}: {name}");
    }
}

#[test]
fn what_would_be_read_for_long_is_refused() {
    let literals: String = (0..=MAX_PARTS).map(|i| format!("\"{i}\" ")).collect();
    let repeats = "\"a\"{1,9} ".repeat(MAX_PARTS / REPEAT);
    for (kind, text, why) in [
        (Kind::Lark, format!("start: {literals}"), "10000 texts"),
        (Kind::Lark, format!("start: {repeats}"), "10000 texts"),
        (Kind::Lark, format!("root ::= x | {literals}\nx ::= \"(\" x \")\""), "10000 texts"),
        (Kind::Regex, "a".repeat(MAX_REGEX + 1), "256 KB"),
        (Kind::Regex, r"\pL".repeat(MAX_CLASSES + 1), "10000 classes"),
        (
            Kind::JsonSchema,
            json!({ "pattern": r"\w".repeat(MAX_CLASSES + 1) }).to_string(),
            "10000 classes",
        ),
    ] {
        let failure = compiler().try_compile(kind, &text).map(drop).unwrap_err();
        assert!(failure.message.contains(why), "{why}: {}", failure.message);
    }
    let schema = json!({ "type": "object", "properties": members(1000), "required": ["m0"] });
    assert!(
        check_rules(&format!("start: %json {schema}")).is_ok(),
        "its texts count by themselves"
    );
}
