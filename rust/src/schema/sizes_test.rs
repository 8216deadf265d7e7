//! Schemas that llguidance would read for seconds, and ones beside them that it does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::base::memory;
use crate::grammar::compiler::tests::compiler;
use crate::grammar::compiler::Kind;
use crate::work::fuse::{Fuse, Limits};
use crate::work::workshop::tests::run;

fn named(count: usize, of: impl Fn(usize) -> (String, Json)) -> Map<String, Json> {
    (0..count).map(of).collect()
}

fn texts(count: usize) -> Json {
    json!({ "enum": (0..count).map(|i| format!("value {i}")).collect::<Vec<_>>() })
}

fn objects(count: usize) -> Json {
    json!({ "anyOf": (0..count).map(|i| json!({ "type": "object", "properties": { format!("x{i}"): { "type": "string" } } })).collect::<Vec<_>>() })
}

fn patterns(count: usize) -> Json {
    json!({ "type": "object", "patternProperties": named(count, |i| (format!("^a{i}[b-z]{{1,20}}q{i}$"), json!({}))) })
}

fn members(count: usize) -> Json {
    json!({ "type": "object", "properties": named(count, |i| (format!("name{i}"), json!({ "type": "string" }))) })
}

/// How a schema fares, the time that it took, and the memory on the way.
fn tried(schema: &Json) -> (Option<String>, Duration, isize) {
    let (compiler, text) = (Arc::new(compiler()), schema.to_string());
    let workshop = compiler.workshop.clone();
    let begin = Instant::now();
    let limits = Limits { time: Duration::from_secs(60), bytes: 1 << 30 };
    let work = move |fuse: &Fuse| {
        let before = memory::net();
        let outcome = compiler.compile(Kind::JsonSchema, &text, fuse);
        Ok((outcome.err().map(|failure| failure.message), memory::peak() - before))
    };
    let (failure, peak) = run(&workshop, limits, work).unwrap();
    (failure, begin.elapsed(), peak)
}

#[test]
fn what_would_take_long_is_refused_before() {
    let wide: Vec<Json> = (0..600).map(|_| json!({ "type": "integer" })).collect();
    for (schema, why) in [
        (json!({ "allOf": [texts(200), texts(200)] }), "500 alternatives"),
        (json!({ "allOf": [objects(20), objects(20), objects(20)] }), "500 alternatives"),
        (
            json!({ "anyOf": [{ "$ref": "#/$defs/a" }], "allOf": [objects(50)], "$defs": { "a": objects(50) } }),
            "500 alternatives",
        ),
        (patterns(150), "patternProperties"),
        (
            json!({ "type": "array", "items": { "allOf": [patterns(40), patterns(41)] } }),
            "patternProperties",
        ),
        (
            json!({ "anyOf": (0..60).map(|i| json!({ "$ref": "#/$defs/a", "patternProperties": { format!("^z{i}$"): {} } })).collect::<Vec<_>>(),
                 "$defs": { "a": patterns(30) } }),
            "patternProperties",
        ),
        (members(10_000), "2000 members"),
        (members(1000), "700 members behind one another that may be left out"),
        (
            json!({ "type": "object", "required": (0..10_000).map(|i| format!("r{i}")).collect::<Vec<_>>() }),
            "2000 members",
        ),
        (objects(1001), "1000 options of 'anyOf'"),
        (
            json!({ "prefixItems": vec![json!({ "pattern": "a".repeat(1000) }); 400] }),
            "384 KB of patterns",
        ),
        (
            json!({ "type": "object", "properties": named(300, |i| (format!("x{i}"), members(10))) }),
            "2000 members of all objects",
        ),
        (json!({ "type": "array", "prefixItems": vec![json!({}); 10_000] }), "1000 first items"),
        (
            json!({ "type": "object", "properties": named(20, |i| (format!("x{i}"), json!({ "type": "array", "prefixItems": wide }))) }),
            "first items",
        ),
        (json!({ "oneOf": vec![json!({ "type": "string" }); 2000] }), "1000 options"),
    ] {
        let (failure, time, peak) = tried(&schema);
        let message = failure.expect(why);
        assert!(message.starts_with("the schema") && message.contains(why), "{why}: {message}");
        assert!(time < Duration::from_secs(2) && peak < 32 << 20, "{why}: {time:?}, {peak} bytes");
    }
}

#[test]
fn what_is_within_the_limits_is_compiled_in_time() {
    for schema in [
        texts(5000),
        json!({ "allOf": [texts(20), texts(20)] }),
        patterns(50),
        members(300),
        json!({ "type": "array", "minItems": 1_000_000, "maxItems": 2_000_000, "items": objects(3) }),
        json!({ "allOf": [objects(6), objects(6)] }),
    ] {
        let (failure, time, peak) = tried(&schema);
        let text: String = schema.to_string().chars().take(80).collect();
        assert_eq!(failure, None, "{text}");
        assert!(
            time < Duration::from_secs(10) && peak < 64 << 20,
            "{text}: {time:?}, {peak} bytes"
        );
    }
}

/// They are read in one go, whoever wrote the grammar.
#[test]
fn schemas_within_a_grammar_are_bounded_together() {
    let compiler = compiler();
    let refusal = |text: &str| compiler.try_compile(Kind::Lark, text).err().map(|one| one.message);
    let (one, large) = (members(200), members(10_000));
    assert!(refusal(&format!("start: %json {large}")).unwrap().contains("2000 members"));
    let many: String = (0..11).map(|i| format!("r{i}: %json {one}\n")).collect();
    assert!(refusal(&format!("start: r0\n{many}")).unwrap().contains("2000 members"));
    assert_eq!(refusal("start: \"%json {\" %json {\"type\": \"integer\"} // %json"), None);
    let others = "// %json here\n".repeat(65);
    assert!(refusal(&format!("{others}start: \"a\"")).unwrap().contains("%json"));
}

/// Those that are not strict lose what is too much; a strict one is refused.
#[test]
fn schemas_of_tools_are_bounded_together() {
    for notation in ["", "python"] {
        let calls = |strict: bool| {
            let key = if notation.is_empty() { "schema" } else { "arguments" };
            let mut whole = members(200);
            whole["required"] = (0..200).map(|i| json!(format!("name{i}"))).collect();
            let tool = |i: usize| {
                json!([format!("call {i} "), { key: whole, "notation": notation,
                       "path": format!("tools.{i}"), "strict": strict }])
            };
            json!({ "calls": (0..12).map(tool).collect::<Vec<_>>() }).to_string()
        };
        let matcher = compiler().try_compile(Kind::Calls, &calls(false)).unwrap();
        assert_eq!(matcher.ignored(), ["tools.10", "tools.11"], "{notation}");
        let failure = compiler().try_compile(Kind::Calls, &calls(true)).map(drop).unwrap_err();
        assert!(failure.message.starts_with("'tools.10'"), "{}", failure.message);
    }
}

#[test]
fn a_reference_to_itself_has_a_size() {
    let tree =
        json!({ "anyOf": [{ "type": "null" }, { "type": "array", "items": { "$ref": "#" } }] });
    assert!(check(&tree).is_ok());
    let looped = json!({ "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }, {}] }, "b": { "anyOf": [{ "$ref": "#/$defs/a" }, {}] } } });
    assert!(check(&looped).is_ok());
    let doubled = json!({ "$ref": "#/$defs/d0", "$defs": named(40, |i| (format!("d{i}"),
        json!({ "anyOf": [{ "$ref": format!("#/$defs/d{}", i + 1) }, { "$ref": format!("#/$defs/d{}", i + 1) }] }))) });
    assert!(check(&doubled).is_ok());
}

#[test]
fn paths_are_json_pointers() {
    let schema = json!({ "properties": { "a/b~": members(2_001) } });
    let failure = check(&schema).unwrap_err();
    assert!(failure.message.contains("#/properties/a~1b~0:"), "{}", failure.message);
}
