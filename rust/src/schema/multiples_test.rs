//! Multiples that are spelt out, and those that are followed.

use super::*;
use crate::grammar::compiler::tests::{compiler, tokenizer_with, END};
use crate::grammar::compiler::{Compiler, Kind, Options};
use crate::masks::matcher::Matcher;

/// Whether the text, byte by byte, is a whole answer.
fn takes(matcher: &Matcher, text: &str) -> bool {
    let mut matcher = matcher.copy().unwrap();
    text.bytes().all(|byte| matcher.consume(byte.into()).is_ok()) && matcher.is_accepting()
}

fn compiled(schema: Json) -> Matcher {
    compiler().try_compile(Kind::JsonSchema, &schema.to_string()).unwrap()
}

fn refusal(schema: Json) -> String {
    let outcome = compiler().try_compile(Kind::JsonSchema, &schema.to_string());
    outcome.map(drop).unwrap_err().message
}

#[test]
fn common_large_steps_are_kept_to() {
    for step in [128i64, 360, 864, 3600, 9009, 50_001, 65_536, 86_400, 604_800, 999_983, 1_000_000]
    {
        let matcher = compiled(json!({ "type": "integer", "multipleOf": step }));
        for times in [-8000, -17, -1, 0, 1, 2, 365, 7999, 8000] {
            assert!(takes(&matcher, &(step * times).to_string()), "{step} {times}");
        }
        for other in [1, step - 1, step + 1, -step + 1, 2 * step + 3] {
            assert!(!takes(&matcher, &other.to_string()), "{step}: {other}");
        }
        assert!(!takes(&matcher, &format!("0{step}")), "{step}");
    }
}

#[test]
fn bounds_choose_the_multiples() {
    let with = |more: Json| {
        let mut schema = json!({ "type": "integer", "multipleOf": 86_400 });
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    for (bounds, in_them, out_of_them) in [
        (json!({ "minimum": 1, "maximum": 864_000 }), [86_400, 864_000], [0, 950_400]),
        (
            json!({ "exclusiveMinimum": 0, "exclusiveMaximum": 172_800 }),
            [86_400, 86_400],
            [0, 172_800],
        ),
        (
            json!({ "minimum": 1_700_000_000 }),
            [1_700_006_400, 1_700_092_800],
            [1_699_920_000, 86_400],
        ),
        (json!({ "maximum": -1.5 }), [-86_400, -172_800], [0, 86_400]),
        (json!({ "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER }), [0, -86_400], [1, 2]),
    ] {
        let matcher = compiled(with(bounds.clone()));
        in_them.iter().for_each(|x| assert!(takes(&matcher, &x.to_string()), "{bounds}: {x}"));
        out_of_them.iter().for_each(|x| assert!(!takes(&matcher, &x.to_string()), "{bounds}: {x}"));
    }
    let chosen = compiled(with(json!({ "enum": [86_400, 86_401, 172_800, "x"] })));
    assert!(takes(&chosen, "86400") && takes(&chosen, "172800") && !takes(&chosen, "86401"));
    let or_null =
        compiled(json!({ "type": ["number", "null"], "multipleOf": 86_400, "minimum": 0 }));
    assert!(takes(&or_null, "null") && takes(&or_null, "172800") && !takes(&or_null, "1"));
}

#[test]
fn what_can_not_be_kept_to_is_refused_by_its_path() {
    for (part, why) in [
        (
            json!({ "type": "integer", "multipleOf": 501, "minimum": 0, "maximum": 9_000_000 }),
            "16000 numbers between bounds",
        ),
        (
            json!({ "type": "integer", "multipleOf": 501, "minimum": 1, "maximum": 500 }),
            "no multiple",
        ),
        (json!({ "multipleOf": 86_400 }), "needs the 'type'"),
        (json!({ "type": ["integer", "string"], "multipleOf": 86_400 }), "needs the 'type'"),
        (json!({ "type": "number", "multipleOf": 0.0937 }), "last decimal"),
        (json!({ "type": "integer", "multipleOf": 1e17 }), "2^53"),
        (json!({ "type": "integer", "multipleOf": 600, "const": 601 }), "no value"),
    ] {
        let message = refusal(json!({ "type": "object", "properties": { "x": part } }));
        assert!(message.starts_with("the schema at #/properties/x: "), "{message}");
        assert!(message.contains(why), "{message}");
    }
    let several: Map<String, Json> = (0..4)
        .map(|i| (format!("x{i}"), json!({ "type": "integer", "multipleOf": 1001 + i })))
        .collect();
    assert!(refusal(json!({ "type": "object", "properties": several })).contains("48000 in all"));
    let merged = json!({ "allOf": [{ "type": "integer", "multipleOf": 97 }, { "multipleOf": 2 }] });
    assert!(refusal(merged).contains("least common multiple"));
}

/// In calls whose arguments are not JSON, too.
#[test]
fn arguments_of_calls_keep_to_large_steps() {
    let tags = json!({ "notation": "tags", "key": "<p=KEY>", "end": "</p>", "closing": "</p>", "types": {} });
    let mut typed = tags.clone();
    typed["key"] = json!("<p=KEY ");
    typed["kinds"] = json!({ "number": "number>", "null": "null>", "string": "string>" });
    for (notation, around) in [
        (json!({ "notation": "python" }), ["x=", ""]),
        (json!({ "notation": "gemma", "quote": "~" }), ["x:", ""]),
        (tags, ["<p=x>", "</p>"]),
        (typed, ["<p=x number>", "</p>"]),
    ] {
        let mut piece = notation.clone();
        piece["arguments"] = json!({ "type": "object", "required": ["x"],
            "properties": { "x": { "type": "integer", "multipleOf": 3600 } } });
        let calls = json!({ "calls": [[piece]] }).to_string();
        let matcher = compiler().try_compile(Kind::Calls, &calls).expect("compiles");
        for (number, good) in [(0, true), (7200, true), (-3600, true), (7201, false), (720, false)]
        {
            let text = format!("{}{number}{}", around[0], around[1]);
            assert_eq!(takes(&matcher, &text), good, "{notation}: {text}");
        }
    }
}

/// Numbers of one token of three digits make a thousand numbers to look into at once, the most that any vocabulary has.
fn compiler_of_digits() -> Compiler {
    let tokens: Vec<Vec<u8>> = (0..1000).map(|n| format!("{n:03}").into_bytes()).collect();
    Compiler::new(tokenizer_with(&tokens), &[END + 1000], Options::default()).unwrap()
}

/// Draws an answer of tokens that the mask allows, until it ends.
fn draw(matcher: &Matcher, seed: u64) -> Outcome<String> {
    let mut matcher = matcher.copy()?;
    let (mut text, mut state) = (String::new(), seed);
    while !matcher.is_finished() {
        let mut words = [0u32; 40];
        matcher.fill(&mut words)?;
        let is_set = |id: &i32| words[*id as usize / 32] >> (id % 32) & 1 == 1;
        let allowed: Vec<i32> = (0..END + 1001).filter(is_set).collect();
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let token = allowed[(state >> 33) as usize % allowed.len()];
        if token == END + 1000 {
            break;
        }
        text += &match token {
            byte @ 0..=255 => char::from(byte as u8).to_string(),
            digits => format!("{:03}", digits - END),
        };
        matcher.consume(token)?;
    }
    Ok(text)
}

#[test]
fn no_step_fails_in_the_middle_of_an_answer() {
    let compiler = compiler_of_digits();
    for (kind, step) in [
        ("integer", 7.0),
        ("integer", 97.0),
        ("integer", 99.0),
        ("integer", 360.0),
        ("integer", 500.0),
        ("integer", 1000.0),
        ("integer", 1024.0),
        ("integer", 9009.0),
        ("integer", 86_400.0),
        ("integer", 999_983.0),
        ("number", 0.01),
        ("number", 0.25),
        ("number", 0.97),
        ("number", 0.125),
        ("number", 360.0),
    ] {
        for bounds in [json!({ "minimum": -1000 }), json!({ "minimum": 0 })] {
            let mut schema = json!({ "type": kind, "multipleOf": step });
            schema.as_object_mut().unwrap().extend(bounds.as_object().unwrap().clone());
            let matcher =
                compiler.try_compile(Kind::JsonSchema, &schema.to_string()).expect("compiles");
            for seed in 0..3 {
                let text = draw(&matcher, seed)
                    .unwrap_or_else(|failure| panic!("{schema}: {}", failure.message));
                let times = text.parse::<f64>().unwrap() / step;
                assert!(
                    (times - times.round()).abs() <= 1e-6 * times.abs().max(1.0),
                    "{schema}: {text}"
                );
            }
        }
    }
}
