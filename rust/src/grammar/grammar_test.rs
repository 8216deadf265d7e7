//! Grammars on a tokenizer of bytes, a few words and some markup.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::work::fuse::Limits;

/// Behind the model's own vocabulary, where the library puts tokens that are not in it.
pub(crate) const END: i32 = 259;
pub(crate) const CALL: i32 = 260;
const END_OF_CALL: i32 = 261;
const NAME: i32 = 258;

/// The byte-level alphabet's character for a byte.
fn alphabet(byte: u8) -> char {
    let printable = |b: u8| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return byte as char;
    }
    let before = (0..byte).filter(|&b| !printable(b)).count() as u32;
    char::from_u32(0x100 + before).unwrap()
}

fn tokenizer() -> Arc<Tokenizer> {
    tokenizer_with(&[])
}

/// With more tokens, numbered from END on, which is behind them then. No text is cut into them.
pub(crate) fn tokenizer_with(more: &[Vec<u8>]) -> Arc<Tokenizer> {
    let mut vocab: BTreeMap<String, u32> =
        (0..=255u8).map(|byte| (alphabet(byte).to_string(), u32::from(byte))).collect();
    let mut merges = Vec::new();
    for (index, (left, right)) in [("n", "a"), ("m", "e"), ("na", "me")].into_iter().enumerate() {
        vocab.insert(format!("{left}{right}"), 256 + index as u32);
        merges.push(format!("{left} {right}"));
    }
    for (index, token) in more.iter().enumerate() {
        let spelt = token.iter().map(|&byte| alphabet(byte)).collect();
        vocab.insert(spelt, END as u32 + index as u32);
    }
    let added = |id: i32, content: &str, special: bool| {
        json!({ "id": id + more.len() as i32, "content": content, "special": special, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false })
    };
    let json = json!({
        "version": "1.0",
        "added_tokens": [added(END, "<end>", true), added(CALL, "<call>", false), added(END_OF_CALL, "</call>", false)],
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false },
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false },
        "model": { "type": "BPE", "vocab": vocab, "merges": merges },
    });
    Arc::new(Tokenizer::load(json.to_string().as_bytes()).unwrap())
}

pub(crate) fn compiler() -> Compiler {
    Compiler::new(tokenizer(), &[END], Options::default()).unwrap()
}

pub(crate) fn compiler_with(options: Options) -> Compiler {
    Compiler::new(tokenizer(), &[END], options).unwrap()
}

impl Compiler {
    /// On the caller's thread.
    pub(crate) fn try_compile(&self, kind: Kind, text: &str) -> Outcome<Matcher> {
        self.compile(kind, text, &fuse())
    }
}

/// A fuse for work that may take what it likes.
pub(crate) fn fuse() -> Fuse {
    let limits = Limits { time: Duration::from_secs(60), bytes: isize::MAX as usize };
    Fuse::lit(limits, None, Arc::new(|| true))
}

fn compiled(kind: Kind, text: &str) -> Matcher {
    compiler().try_compile(kind, text).unwrap()
}

fn refusal(kind: Kind, text: &str) -> String {
    match compiler().try_compile(kind, text) {
        Ok(_) => panic!("{text} was compiled"),
        Err(failure) => failure.message,
    }
}

/// Whether the text, byte by byte, is a whole answer.
fn accepts(matcher: &Matcher, text: &str) -> bool {
    let mut matcher = matcher.copy().unwrap();
    for byte in text.bytes() {
        if !matcher.allows(byte.into()).unwrap() {
            return false;
        }
        matcher.consume(byte.into()).unwrap();
    }
    matcher.is_accepting()
}

fn allowed(matcher: &mut Matcher) -> Vec<i32> {
    let mut words = [0u32; 9];
    matcher.fill(&mut words).unwrap();
    (0..288).filter(|&t| words[t as usize / 32] >> (t % 32) & 1 == 1).collect()
}

fn schema(schema: serde_json::Value) -> Matcher {
    compiled(Kind::JsonSchema, &schema.to_string())
}

#[test]
fn the_mask_has_what_may_come_and_no_more() {
    let mut matcher = schema(json!({ "enum": [12, 17] }));
    assert_eq!(allowed(&mut matcher), [i32::from(b'1')]);
    matcher.consume(b'1'.into()).unwrap();
    assert_eq!(allowed(&mut matcher), [i32::from(b'2'), i32::from(b'7')]);
    assert!(!matcher.is_finished());
    matcher.consume(b'7'.into()).unwrap();
    assert!(matcher.is_finished());
    assert!(matcher.consume(b'7'.into()).is_err());
}

#[test]
fn end_tokens_come_where_the_answer_may_end() {
    let mut matcher = schema(json!({ "type": "integer" }));
    assert!(!allowed(&mut matcher).contains(&END));
    matcher.consume(b'4'.into()).unwrap();
    assert!(allowed(&mut matcher).contains(&END));
    matcher.consume(END).unwrap();
    assert!(matcher.is_finished());
}

#[test]
fn forced_tokens_are_those_of_the_tokenizer() {
    let mut matcher = compiled(Kind::Choice, r#"["the name is A", "the name is B"]"#);
    let forced = matcher.forced().unwrap();
    let text: Vec<i32> = "the ".bytes().map(i32::from).collect();
    let rest: Vec<i32> = " is ".bytes().map(i32::from).collect();
    assert_eq!(tokenizer().encode("name", false).unwrap(), [NAME]);
    assert_eq!(forced, [text, vec![NAME], rest].concat());
    for token in forced {
        assert!(allowed(&mut matcher.copy().unwrap()).contains(&token));
        matcher.consume(token).unwrap();
    }
    assert!(matcher.forced().unwrap().is_empty());
    assert_eq!(allowed(&mut matcher), [i32::from(b'A'), i32::from(b'B')]);
}

#[test]
fn copies_go_their_own_ways() {
    let mut one = compiled(Kind::Regex, "[ab]{2}");
    let mut other = one.copy().unwrap();
    one.consume(b'a'.into()).unwrap();
    other.consume(b'b'.into()).unwrap();
    other.consume(b'b'.into()).unwrap();
    assert!(!one.is_finished() && other.is_finished());
}

#[test]
fn regexes_match_the_whole_answer() {
    for text in ["[0-9]{2}", "^[0-9]{2}$"] {
        let matcher = compiled(Kind::Regex, text);
        assert!(accepts(&matcher, "42") && !accepts(&matcher, "4") && !accepts(&matcher, "423"));
    }
    assert!(accepts(&compiled(Kind::Regex, r"5\$"), "5$"));
}

#[test]
fn grammars_are_lark() {
    let matcher = compiled(Kind::Lark, "start: NUMBER (\"+\" NUMBER)*\nNUMBER: /[0-9]+/");
    assert!(accepts(&matcher, "1+22+3") && !accepts(&matcher, "1+"));
    assert!(refusal(Kind::Lark, "start: missing").contains("missing"));
}

#[test]
fn white_space_has_an_end() {
    let matcher = schema(json!({ "type": "array", "items": { "type": "integer" } }));
    assert!(accepts(&matcher, "[1, 2]") && accepts(&matcher, "[\n    1,\n    2\n]"));
    assert!(!accepts(&matcher, "[  1]") && !accepts(&matcher, "[\n\n1]"));
    assert!(!accepts(&matcher, &format!("[\n{}1]", " ".repeat(25))));
    assert!(!accepts(&matcher, " [1]"));
}

#[test]
fn keywords_that_are_not_kept_to_are_named() {
    for (bad, name) in [
        (json!({ "type": "array", "uniqueItems": true }), "uniqueItems"),
        (json!({ "not": { "type": "string" } }), "not"),
        (json!({ "if": {}, "then": {} }), "if, then"),
        (json!({ "type": "array", "contains": { "type": "string" } }), "contains"),
        (json!({ "type": "object", "propertyNames": { "maxLength": 3 } }), "propertyNames"),
        (json!({ "type": "object", "dependentRequired": { "a": ["b"] } }), "dependentRequired"),
        (json!({ "type": "object", "unevaluatedProperties": false }), "unevaluatedProperties"),
        (
            json!({ "type": "object", "properties": { "a": { "type": "string", "format": "regex" } } }),
            "regex",
        ),
        (json!({ "oneOf": [{ "type": "integer" }, { "minimum": 3 }] }), "oneOf"),
        (json!({ "prefixItems": [{}], "additionalItems": false }), "prefixItems"),
        (json!({ "type": "object", "minProperties": 2 }), "minProperties"),
        (json!({ "const": 9007199254740993u64 }), "const"),
        (json!({ "multipleOf": 1000000007 }), "multipleOf"),
        (json!({ "$ref": "http://example.com/schema" }), "$ref"),
        (json!({ "$ref": "#/$defs/a" }), "$ref"),
        (json!({ "type": "string", "pattern": "(?=a)b" }), ""),
        (json!({ "type": "integer", "minimum": 3, "maximum": 2 }), ""),
        (json!({ "type": "colour" }), "colour"),
        (json!([1]), "object"),
        (json!(false), "object"),
    ] {
        let message = refusal(Kind::JsonSchema, &bad.to_string());
        assert!(message.contains(name), "{bad}: {message}");
    }
}

#[test]
fn keywords_are_found_behind_references() {
    let bad =
        json!({ "$ref": "#/parts/a", "parts": { "a": { "type": "object", "minProperties": 2 } } });
    assert!(refusal(Kind::JsonSchema, &bad.to_string()).contains("#/parts/a"));
}

#[test]
fn schemas_may_refer_to_themselves() {
    let tree = schema(json!({ "$ref": "#/$defs/tree", "$defs": { "tree": { "type": "object",
        "properties": { "value": { "type": "integer" }, "left": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/tree" }] } },
        "required": ["value", "left"], "additionalProperties": false } } }));
    assert!(accepts(
        &tree,
        r#"{"value": 1, "left": {"value": 2, "left": {"value": 3, "left": null}}}"#
    ));
    assert!(!accepts(
        &tree,
        r#"{"value": 1, "left": {"value": 2, "left": {"value": "x", "left": null}}}"#
    ));
}

#[test]
fn a_schema_can_not_loosen_its_own_rules() {
    let loose = json!({ "type": "array", "uniqueItems": true, "x-guidance": { "lenient": true } });
    assert!(refusal(Kind::JsonSchema, &loose.to_string()).contains("uniqueItems"));
}

#[test]
fn annotations_and_what_is_off_do_not_matter() {
    schema(
        json!({ "type": "array", "uniqueItems": false, "title": "T", "default": [], "examples": [[]],
                   "deprecated": true, "nullable": true }),
    );
}

#[test]
fn dates_are_there() {
    let dates = schema(json!({ "type": "string", "format": "date" }));
    for (date, good) in [
        ("2024-02-29", true),
        ("2000-02-29", true),
        ("2023-02-29", false),
        ("1900-02-29", false),
        ("2023-04-31", false),
        ("0000-01-01", false),
        ("0004-02-29", true),
    ] {
        assert_eq!(accepts(&dates, &format!("\"{date}\"")), good, "{date}");
    }
    let both = schema(json!({ "type": "string", "format": "date", "pattern": "^2" }));
    assert!(accepts(&both, "\"2024-01-01\"") && !accepts(&both, "\"1999-01-01\""));
    let times = schema(json!({ "type": "string", "format": "date-time" }));
    assert!(accepts(&times, "\"2024-02-29T23:59:59Z\""));
    assert!(
        !accepts(&times, "\"2024-02-29T23:59:60Z\"")
            && !accepts(&times, "\"2024-02-29t01:00:00Z\"")
    );
}

#[test]
fn digits_have_an_end() {
    let integers = schema(json!({ "type": ["integer", "null"] }));
    assert!(accepts(&integers, "9007199254740991") && accepts(&integers, "-9007199254740991"));
    assert!(!accepts(&integers, "9007199254740992") && !accepts(&integers, "90071992547409910"));
    let numbers = schema(json!({ "type": "number", "minimum": -1.5 }));
    assert!(
        accepts(&numbers, "-1.5")
            && accepts(&numbers, "0.12345678")
            && accepts(&numbers, "999999999999999")
    );
    assert!(accepts(&numbers, "7") && accepts(&numbers, "3.25"));
    assert!(!accepts(&numbers, "0.123456789") && !accepts(&numbers, "9999999999999999"));
    let tiny = schema(json!({ "type": "number", "minimum": 0, "maximum": 1e-10 }));
    assert!(accepts(&tiny, "0.0000000000001"));
    let even = schema(json!({ "type": "array", "items": { "type": "number", "maximum": 9 },
                              "prefixItems": [{ "type": "integer", "multipleOf": 2 }] }));
    assert!(
        accepts(&even, "[4, 0.12345678]")
            && !accepts(&even, "[3]")
            && !accepts(&even, "[4, 0.123456789]")
    );
    let steps = schema(json!({ "type": "number", "minimum": 0, "multipleOf": 0.25 }));
    assert!(accepts(&steps, "1.75"));
    assert!(!accepts(&steps, "1.3"));
    assert!(accepts(&schema(json!({ "type": "number" })), "6.02e23"));
}

#[test]
fn a_key_can_not_come_again_in_disguise() {
    let matcher = schema(json!({ "type": "object", "properties": { "a": { "type": "integer" } },
                                 "required": ["a"] }));
    assert!(accepts(&matcher, r#"{"a": 1, "b": "x"}"#));
    assert!(!accepts(&matcher, r#"{"a": 1, "a": "x"}"#));
    assert!(!accepts(&matcher, r#"{"a": 1, "\u0061": "x"}"#));
}

#[test]
fn strings_hold_no_markup() {
    let mut matcher = schema(json!({ "type": "string" }));
    matcher.consume(b'"'.into()).unwrap();
    let next = allowed(&mut matcher);
    assert!(next.contains(&i32::from(b'<')) && next.contains(&NAME));
    assert!(!next.contains(&END) && !next.contains(&CALL));
}

fn calls(spec: serde_json::Value) -> Matcher {
    compiled(Kind::Calls, &spec.to_string())
}

#[test]
fn calls_are_written_with_their_markup() {
    let arguments = json!({ "type": "object", "properties": { "x": { "type": "integer" } },
                            "required": ["x"], "additionalProperties": false });
    let mut matcher = calls(json!({
        "calls": [["<call>", { "optional": "\n" }, "f(", { "schema": arguments }, ")</call>"]],
        "separator": ["\n"], "many": true,
    }));
    assert_eq!(allowed(&mut matcher), [CALL]);
    matcher.consume(CALL).unwrap();
    for byte in "f({\"x\": 1})".bytes() {
        matcher.consume(byte.into()).unwrap();
    }
    assert_eq!(allowed(&mut matcher), [END_OF_CALL]);
    matcher.consume(END_OF_CALL).unwrap();
    assert_eq!(allowed(&mut matcher), [i32::from(b'\n'), END]);
}

#[test]
fn text_may_stand_around_calls() {
    let mut matcher =
        calls(json!({ "calls": [["<call>", { "schema": { "type": "null" } }, "</call>"]],
                                    "text": true }));
    for byte in "Well: ".bytes() {
        matcher.consume(byte.into()).unwrap();
    }
    let next = allowed(&mut matcher);
    assert!(next.contains(&CALL) && next.contains(&END) && !next.contains(&END_OF_CALL));
    matcher.consume(CALL).unwrap();
    assert_eq!(allowed(&mut matcher), [i32::from(b'n')]);
}

#[test]
fn thoughts_come_before_what_is_framed() {
    let spec = json!({ "thought": { "before": [["<call>a:"], ["<call>b:"]], "after": ["</call>"] },
                       "frame": ["f", { "optional": "!" }, ":"], "answer": { "regex": "/x+" },
                       "calls": [["#", { "number": true }]] });
    let run = |parts: &[&str]| {
        let mut matcher = calls(spec.clone());
        for part in parts {
            match *part {
                "<call>" => matcher.consume(CALL).unwrap(),
                "</call>" => matcher.consume(END_OF_CALL).unwrap(),
                text => text.bytes().for_each(|byte| matcher.consume(byte.into()).unwrap()),
            }
        }
        matcher.is_accepting()
    };
    assert!(run(&["f:/xx"]) && run(&["f!:/x"]) && run(&["#12"]));
    assert!(run(&["<call>", "a:I think. f:", "</call>", "<call>", "b:", "</call>", "f:/x"]));
    assert!(!run(&["<call>", "a:I think.", "</call>"]));
}

#[test]
fn answers_of_each_kind_are_framed() {
    for (answer, text) in [
        (json!({ "schema": { "enum": [17] } }), "17"),
        (json!({ "choice": ["yes", "no"] }), "no"),
        (json!({ "lark": "start: \"a\" b\nb: /[0-9]/" }), "a7"),
        (json!({ "lark": "root ::= \"a\" | \"(\" root \")\"" }), "((a))"),
    ] {
        let mut matcher = calls(json!({ "frame": ["say "], "answer": answer }));
        for byte in "say ".bytes().chain(text.bytes()) {
            matcher.consume(byte.into()).unwrap();
        }
        assert!(matcher.is_accepting(), "{text}");
    }
}

#[test]
fn one_call_is_the_end_where_one_is_asked_for() {
    let mut matcher = calls(json!({ "calls": [["ab"], ["cd"]] }));
    assert_eq!(allowed(&mut matcher), [i32::from(b'a'), i32::from(b'c')]);
    matcher.consume(b'c'.into()).unwrap();
    matcher.consume(b'd'.into()).unwrap();
    assert!(matcher.is_finished());
}

#[test]
fn what_explodes_is_refused() {
    let nested = (0..4000).fold("1".to_string(), |inner, _| format!("[{inner}]"));
    refusal(Kind::JsonSchema, &format!("{{\"const\": {nested}}}"));
    refusal(Kind::Regex, &"(".repeat(100_000));
    refusal(Kind::JsonSchema, &references(45_000));
    refusal(Kind::Lark, &rules(200_000));
    let name = "x".repeat(500_000);
    let parts: String = (0..5000).map(|i| format!(r#""a{i}": {{}}, "#)).collect();
    let long = format!(r#"{{"properties": {{"{name}": {{"properties": {{{parts}"b": {{}}}}}}}}}}"#);
    refusal(Kind::JsonSchema, &long);
}

#[test]
fn only_integers_have_bounds_of_ours() {
    let bounds = |kind: &str| {
        let most = 9_007_199_254_740_991i64;
        let schema = json!({ "type": kind, "minimum": -most, "maximum": most });
        schema::is_boundless(schema.as_object().unwrap())
    };
    assert!(bounds("integer") && !bounds("number"));
}

/// A chain of so many definitions.
fn references(count: usize) -> String {
    let defs: String =
        (0..count).map(|i| format!(r##""a{i}": {{"$ref": "#/$defs/a{}"}}, "##, i + 1)).collect();
    format!(r##"{{"$ref": "#/$defs/a0", "$defs": {{{defs}"a{count}": {{"type": "string"}}}}}}"##)
}

fn rules(count: usize) -> String {
    let chain: String = (0..count).map(|i| format!("a{i}: X a{}\n", i + 1)).collect();
    format!("start: a0\n{chain}a{count}: \"a\"\nX: \"x\"\n")
}

#[test]
fn what_is_as_deep_as_may_be_takes_a_quarter_of_the_stack() {
    let deep = || {
        let compiler = Compiler::new(tokenizer(), &[END], Options::default()).unwrap();
        compiler.try_compile(Kind::JsonSchema, &references(9_990)).map(drop).unwrap();
        compiler.try_compile(Kind::Lark, &rules(19_990)).map(drop).unwrap();
        let within = |i: usize| format!("a{i}: {}a{}{}\n", "(".repeat(28), i + 1, ")".repeat(28));
        let chain: String = (0..680).map(within).collect();
        let nested = format!("start: a0\n{chain}a680: \"a\"\n");
        compiler.try_compile(Kind::Lark, &nested).map(drop).unwrap();
    };
    let stack = crate::work::workshop::STACK / 4;
    std::thread::Builder::new().stack_size(stack).spawn(deep).unwrap().join().unwrap();
    refusal(Kind::Lark, &format!("start: {}\"a\"{}", "(".repeat(100_000), ")".repeat(100_000)));
}
