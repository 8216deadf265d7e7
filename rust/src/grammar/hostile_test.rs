//! Grammars that would take all time and memory, that can't be met, or that answers can't spell.

use std::time::{Duration, Instant};

use serde_json::json;

use super::tests::compiler;
use super::*;
use crate::base::failure::Status;
use crate::work::fuse::Limits;
use crate::work::workshop::tests::run;

const LIMITS: Limits = Limits { time: Duration::from_secs(60), bytes: 128 << 20 };

/// As clients' requests are compiled, and the memory that it took on the way.
fn compile(compiler: &Arc<Compiler>, kind: Kind, text: &str) -> (Outcome<Matcher>, isize) {
    let (own, text) = (compiler.clone(), text.to_string());
    let work = move |fuse: &Fuse| {
        let before = memory::net();
        let outcome = own.compile(kind, &text, fuse);
        Ok((outcome, memory::peak() - before))
    };
    run(&compiler.workshop, LIMITS, work).unwrap()
}

fn refusal(kind: Kind, text: &str) -> String {
    let failure = compile(&Arc::new(compiler()), kind, text).0.map(drop).expect_err(text);
    assert_eq!(failure.status, Status::Invalid, "{text}: {}", failure.message);
    for word in ["fuel", "NoExtension", "lexer", "items", "panic", "CHOICE", "<non-verbose/>"] {
        assert!(!failure.message.contains(word), "{text}: {}", failure.message);
    }
    failure.message
}

#[test]
fn what_would_explode_is_refused_within_bounds() {
    let compiler = Arc::new(compiler());
    for regex in ["(a{1000}){1000}", "a{1000000}", "((a{100}){100}){100}"] {
        let (kind, text) = (Kind::Regex, regex.to_string());
        let begin = Instant::now();
        let (outcome, peak) = compile(&compiler, kind, &text);
        let failure = outcome.map(drop).expect_err(&text);
        assert_eq!(failure.message, words::TOO_COMPLEX, "{text}");
        assert!(peak < 128 << 20, "{text}: {peak} bytes");
        assert!(begin.elapsed() < Duration::from_secs(20), "{text}: {:?}", begin.elapsed());
    }
    assert_eq!(compiler.quota.ledger.used(), 0);
}

#[test]
fn grammars_and_answers_are_charged_until_they_are_dropped() {
    let compiler = Arc::new(compiler());
    let text = json!({ "type": "integer", "multipleOf": 9973 }).to_string();
    let matcher = compile(&compiler, Kind::JsonSchema, &text).0.unwrap();
    let alone = compiler.quota.ledger.used();
    assert!(alone > 1 << 20, "{alone}");
    let copies: Vec<Matcher> = (0..4).map(|_| matcher.copy().unwrap()).collect();
    assert!(compiler.quota.ledger.used() > 2 * alone);
    copies.into_iter().for_each(Matcher::retire);
    matcher.retire();
    assert_eq!(compiler.quota.ledger.used(), 0);
}

#[test]
fn a_full_ledger_is_busy_and_not_the_clients_fault() {
    let options = Options { all_bytes: 1 << 20, ..Options::default() };
    let compiler = Arc::new(tests::compiler_with(options));
    let text = json!({ "type": "integer", "multipleOf": 9973 }).to_string();
    let held = compile(&compiler, Kind::JsonSchema, &text).0.unwrap();
    assert_eq!(held.copy().map(drop).unwrap_err().status, Status::Busy);
    let other = compile(&compiler, Kind::Regex, "ab").0;
    assert_eq!(other.map(drop).unwrap_err().status, Status::Busy);
    drop(held);
    assert!(compile(&compiler, Kind::Regex, "ab").0.is_ok());
}

/// Until the answer is whole, or the text ends: Ok tells whether it was.
fn follow(matcher: &Matcher, text: &str) -> Outcome<bool> {
    let mut matcher = matcher.copy()?;
    let mut words = [0; 9];
    for byte in text.bytes() {
        matcher.fill(&mut words)?;
        matcher.forced()?;
        matcher.consume(byte.into())?;
        if matcher.is_finished() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn an_answer_only_ends_where_its_grammar_does() {
    let pattern = json!({ "type": "string", "pattern": "^(.{1,20}\n?){1,20}$" }).to_string();
    for (kind, text) in [
        (Kind::JsonSchema, pattern.as_str()),
        (Kind::Regex, "(.{1,80}\n?){1,50}"),
        (Kind::Regex, r"^(\p{L}{1,50}\s?){1,50}$"),
        (Kind::Regex, "^([a-z]{1,100} ?){1,100}$"),
    ] {
        let begin = if kind == Kind::JsonSchema { "\"" } else { "" };
        let answer = format!("{begin}{}", "some words and more ".repeat(8));
        match compile(&Arc::new(compiler()), kind, text)
            .0
            .and_then(|matcher| follow(&matcher, &answer))
        {
            Ok(whole) => assert!(!whole, "{text}: ended in the middle"),
            Err(failure) => assert_eq!(failure.message, words::TOO_COMPLEX, "{text}"),
        }
    }
}

#[test]
fn a_failed_matcher_is_not_finished() {
    let compiler = compiler();
    let mut matcher = compiler.try_compile(Kind::Regex, "ab").unwrap();
    assert!(matcher.consume(b'x'.into()).is_err());
    assert!(!matcher.is_finished());
    assert!(matcher.forced().is_err());
    assert!(matcher.fill(&mut [0; 9]).is_err());
}

#[test]
fn overlapping_members_are_kept_to_or_refused() {
    let boolean = |on: bool, schema: serde_json::Value| if on { schema } else { json!({}) };
    for bits in 0..8 {
        let (named, patterned, others) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        let schema = json!({
            "type": "object",
            "properties": boolean(named, json!({ "ab": { "type": "integer" } })),
            "patternProperties": boolean(patterned, json!({ "^a": { "type": "integer" } })),
            "additionalProperties": if others { json!({ "type": "integer" }) } else { json!(false) },
            "required": if named { json!(["ab"]) } else { json!([]) },
        });
        let matcher = compiler().try_compile(Kind::JsonSchema, &schema.to_string()).unwrap();
        let may_have =
            [("ab", named || patterned || others), ("ac", patterned || others), ("x", others)];
        for (name, may) in may_have {
            let first = if named && name != "ab" { "\"ab\": 1, " } else { "" };
            let answer = format!("{{{first}\"{name}\": 1}}");
            assert_eq!(follow(&matcher, &answer).unwrap_or(false), may, "{schema}: {answer}");
        }
        assert_eq!(follow(&matcher, "{}").unwrap_or(false), !named, "{schema}");
    }
}

/// What a value is, and whether a schema of those below takes it.
fn takes(schema: &serde_json::Value, value: &serde_json::Value) -> bool {
    match (schema.get("type").and_then(|kind| kind.as_str()), schema.get("enum")) {
        _ if schema.is_boolean() => schema == true,
        (Some("integer"), _) => value.is_i64(),
        (Some("number"), _) => value.is_number(),
        (Some("string"), _) => value.is_string(),
        (_, Some(options)) => options.as_array().unwrap().contains(value),
        _ => true,
    }
}

/// The oracle is JSON Schema's own rule: a member keeps to its own schema and to those of all patterns that its name matches, and to that of
/// others where there is none of these. Patterns that may match the same name are refused.
#[test]
fn overlapping_members_of_different_schemas_are_kept_to_or_refused() {
    let compiler = compiler();
    let schemas = [
        None,
        Some(json!({ "type": "integer" })),
        Some(json!({ "type": "string" })),
        Some(json!({ "type": "number" })),
        Some(json!({ "enum": [1, "s"] })),
        Some(json!(false)),
    ];
    let values = [json!(1), json!(1.5), json!("s"), json!("other"), json!(true), json!(null)];
    for index in 0..schemas.len().pow(3) {
        let pick = |place: u32| schemas[index / schemas.len().pow(place) % schemas.len()].clone();
        let (own, patterned, others) = (pick(0), pick(1), pick(2));
        let mut schema = json!({ "type": "object" });
        for (key, name, part) in
            [("properties", "ab", &own), ("patternProperties", "^a", &patterned)]
        {
            if let Some(part) = part {
                schema[key] = json!({ name: part });
            }
        }
        if let Some(others) = &others {
            schema["additionalProperties"] = others.clone();
        }
        let matcher = compiler.try_compile(Kind::JsonSchema, &schema.to_string()).unwrap();
        for name in ["ab", "ac", "x"] {
            let mut held = Vec::new();
            held.extend(own.as_ref().filter(|_| name == "ab"));
            held.extend(patterned.as_ref().filter(|_| name.starts_with('a')));
            if held.is_empty() {
                held.extend(others.as_ref());
            }
            for value in &values {
                let may = held.iter().all(|schema| takes(schema, value));
                let answer = json!({ name: value }).to_string().replace(':', ": ");
                let is_taken = follow(&matcher, &answer).unwrap_or(false);
                assert_eq!(is_taken, may, "{schema}: {answer}");
            }
        }
        if patterned.is_some() {
            schema["patternProperties"]["b$"] = json!({ "type": "boolean" });
            assert!(refusal(Kind::JsonSchema, &schema.to_string()).contains("patternProperties"));
        }
    }
}

#[test]
fn control_characters_are_refused_or_written() {
    for control in (0..0x20u8).chain([0x7f]).map(char::from) {
        let text = format!("a{control}b");
        let is_kept = "\u{8}\t\n\u{c}\r".contains(control);
        for schema in [
            json!({ "const": text }),
            json!({ "enum": ["x", text] }),
            json!({ "const": [{ "x": text }] }),
            json!({ "type": "object", "properties": { &text: {} }, "required": [text] }),
        ] {
            let outcome = compiler().try_compile(Kind::JsonSchema, &schema.to_string());
            assert_eq!(outcome.is_ok(), is_kept, "{schema}");
        }
        let choice =
            compiler().try_compile(Kind::Choice, &json!([text, "other"]).to_string()).unwrap();
        assert!(follow(&choice, &text).unwrap(), "{text:?}");
        assert!(follow(&choice, "ab").is_err(), "{text:?}");
        let value = compiler().try_compile(Kind::JsonSchema, &json!({ "const": text }).to_string());
        if let Ok(matcher) = value {
            assert!(follow(&matcher, &json!(text).to_string()).unwrap(), "{text:?}");
        }
    }
    assert!(
        refusal(Kind::JsonSchema, &json!({ "const": "a\u{1b}b" }).to_string()).contains("U+001B")
    );
}

#[test]
fn references_are_read_with_their_escapes() {
    for (reference, name) in [
        ("a~1b", "a/b"),
        ("a~0b", "a~b"),
        ("a%20b", "a b"),
        ("%C3%A9", "é"),
        ("a~01b", "a~1b"),
        ("a%25b", "a%b"),
    ] {
        for place in ["$defs", "parts"] {
            let schema = json!({ "type": "array", "minItems": 1, "maxItems": 1,
                "items": { "$ref": format!("#/{place}/{reference}") }, place: { name: { "const": "yes" } } });
            let matcher =
                compiler().try_compile(Kind::JsonSchema, &schema.to_string()).expect(reference);
            assert!(follow(&matcher, "[\"yes\"]").unwrap(), "{schema}");
            assert!(follow(&matcher, "[\"no\"]").is_err(), "{schema}");
        }
    }
    let tree = json!({ "$ref": "#/$defs/a~1b", "$defs": { "a/b": { "type": "array", "maxItems": 1, "items": { "$ref": "#/$defs/a~1b" } } } });
    let matcher = compiler().try_compile(Kind::JsonSchema, &tree.to_string()).unwrap();
    assert!(follow(&matcher, "[[[]]]").unwrap());
    assert!(refusal(Kind::JsonSchema, r##"{"$ref": "#/$defs/a~1b"}"##)
        .contains("#/$defs/a~1b, where nothing is"));
}

#[test]
fn loops_say_what_is_wrong() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }),
        json!({ "type": "object", "properties": { "x": { "$ref": "#" } }, "required": ["x"] }),
        json!({ "type": "array", "items": { "$ref": "#" }, "minItems": 1 }),
    ] {
        assert!(
            refusal(Kind::JsonSchema, &schema.to_string()).contains("leads back to itself"),
            "{schema}"
        );
    }
    let list = json!({ "type": "object", "properties": { "x": { "$ref": "#" } }, "additionalProperties": false });
    assert!(compiler().try_compile(Kind::JsonSchema, &list.to_string()).is_ok());
    for grammar in ["start: start", "start: \"a\" start", "start: /[^\\s\\S]/"] {
        refusal(Kind::Lark, grammar);
    }
}

fn calls(schema: serde_json::Value, strict: bool) -> Outcome<Matcher> {
    let piece =
        json!({ "schema": schema, "path": "tools.0.function.parameters", "strict": strict });
    compiler().try_compile(Kind::Calls, &json!({ "calls": [[piece]] }).to_string())
}

#[test]
fn tools_that_are_not_strict_lose_what_can_not_be_kept_to() {
    let schema = |part: serde_json::Value| json!({ "type": "object", "properties": { "x": part }, "required": ["x"], "additionalProperties": false });
    for (part, dropped) in [
        (
            json!({ "type": "string", "format": "foo" }),
            "tools.0.function.parameters.properties.x.format",
        ),
        (
            json!({ "type": "string", "pattern": "(?=a)b" }),
            "tools.0.function.parameters.properties.x.pattern",
        ),
        (
            json!({ "type": "array", "uniqueItems": true }),
            "tools.0.function.parameters.properties.x.uniqueItems",
        ),
        (
            json!({ "type": "string", "const": "\u{1}" }),
            "tools.0.function.parameters.properties.x.const",
        ),
        (json!({ "type": "integer", "maximum": 1e300 }), "tools.0.function.parameters"),
    ] {
        let matcher = calls(schema(part.clone()), false).unwrap();
        assert_eq!(matcher.ignored(), [dropped]);
        let failure = calls(schema(part), true).map(drop).unwrap_err();
        assert!(failure.message.contains("tools.0.function.parameters"), "{}", failure.message);
        assert!(!failure.message.contains("start:"), "{}", failure.message);
    }
    assert!(calls(schema(json!({ "type": "string" })), true).unwrap().ignored().is_empty());
}

#[test]
fn patterns_that_ask_for_control_characters_are_refused() {
    for control in (0..0x20u8).chain([0x7f]) {
        let is_kept = b"\x08\t\n\x0c\r".contains(&control);
        for pattern in [
            format!("^a\\x{control:02x}b$"),
            format!("^a{}b$", regex_syntax::escape(&char::from(control).to_string())),
            format!("^(a|[\\x{control:02x}])b$"),
        ] {
            let of_names = json!({ "type": "object", "patternProperties": { &pattern: {} } });
            for schema in [json!({ "type": "string", "pattern": pattern }), of_names] {
                let outcome = compiler().try_compile(Kind::JsonSchema, &schema.to_string());
                // In a class with others it is only left out.
                let is_class = pattern.contains('|');
                assert_eq!(outcome.is_ok(), is_kept || is_class, "{schema}");
                if let Err(failure) = outcome {
                    let name = format!("U+{control:04X}");
                    assert!(failure.message.contains(&name), "{}", failure.message);
                }
            }
        }
    }
    let class = json!({ "type": "string", "pattern": "^[a\\x1b]b$" }).to_string();
    let matcher = compiler().try_compile(Kind::JsonSchema, &class).unwrap();
    assert!(follow(&matcher, "\"ab\"").unwrap());
    assert!(follow(&matcher, "\"b\"").is_err());
}

#[test]
fn plain_answers_keep_control_characters() {
    for control in (0..0x20u8).chain([0x7f]) {
        let (text, escape) = (format!("a{}b", char::from(control)), format!("\\x{control:02x}"));
        for (kind, grammar) in [
            (Kind::Regex, format!("a{escape}b")),
            (Kind::Regex, regex_syntax::escape(&text)),
            (Kind::Lark, format!("root ::= \"a{escape}b\"")),
            (Kind::Lark, format!("root ::= \"a\" [{escape}] \"b\"")),
            (Kind::Lark, format!("start: /a{escape}b/")),
        ] {
            let matcher = compiler().try_compile(kind, &grammar).expect(&grammar);
            assert!(follow(&matcher, &text).unwrap(), "{grammar:?}");
            assert!(follow(&matcher, "ab").is_err(), "{grammar:?}");
        }
    }
}

/// Texts of arguments in notations that are not JSON: they are refused there as in JSON, or told where the tool is not strict.
#[test]
fn arguments_of_calls_never_lose_control_characters() {
    for notation in [
        json!({ "notation": "python" }),
        json!({ "notation": "gemma", "quote": "<|\"|>" }),
        json!({ "notation": "tags", "key": "<p=KEY>", "end": "</p>", "closing": "</p>", "types": {} }),
    ] {
        for part in [
            json!({ "const": "a\u{1b}b" }),
            json!({ "enum": ["a\u{7f}"] }),
            json!({ "type": "string", "pattern": "^a\\x00$" }),
        ] {
            let schema =
                json!({ "type": "object", "properties": { "x": part }, "required": ["x"] });
            let compile = |strict: bool| {
                let mut piece = notation.clone();
                piece["arguments"] = schema.clone();
                piece["path"] = json!("tools.0.function.parameters");
                piece["strict"] = json!(strict);
                let calls = json!({ "calls": [["call ", piece]] }).to_string();
                compiler().try_compile(Kind::Calls, &calls)
            };
            let told = compile(false).unwrap().ignored().join(" ");
            assert!(told.starts_with("tools.0.function.parameters.properties.x."), "{told}");
            let failure = compile(true).map(drop).unwrap_err();
            assert!(failure.message.contains(&told), "{}", failure.message);
        }
        let schema = json!({ "type": "object", "properties": { "a\u{1b}": {} } });
        let mut piece = notation.clone();
        piece["arguments"] = schema;
        let calls = json!({ "calls": [["call ", piece]] }).to_string();
        let failure = compiler().try_compile(Kind::Calls, &calls).map(drop).unwrap_err();
        assert!(failure.message.contains("U+001B"), "{}", failure.message);
    }
}
