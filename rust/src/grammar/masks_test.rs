//! Masks against llguidance's plain ones, which ask its parser of every token, over random answers.

use std::collections::BTreeSet;

use llguidance::earley::{BiasComputer, ParserRecognizer};
use llguidance::toktrie::{SimpleVob, TokTrie};
use llguidance::TokenParser;

use super::tests::fuse;
use super::tests::{tokenizer_with, END};
use super::*;

/// Steele, Lea and Flood's splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// Words of up to 40 characters of all widths, and such with marks, escapes, controls and cut characters in them and around.
fn tokens() -> Vec<Vec<u8>> {
    let mut random = Random(1);
    let characters: Vec<char> =
        "abcxyzABZ019 .,-é߿ࠀ漢한\u{d7ff}\u{e000}\u{ffff}\u{10000}😀\u{10ffff}".chars().collect();
    let others = [
        "\"",
        "\"",
        "\",",
        "\", \"",
        "\":",
        "\"}",
        "\"]",
        "\\",
        "\\n",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\x",
        "\n",
        "\t",
        "\x7f",
        "\0",
        "{\"",
        "[\"",
        "[",
        "]",
        "{",
        "}",
        "null",
        "true",
        "12",
        "-",
        "e5",
        "<",
        "</",
        "</p",
        "</p>",
        "<p></p>",
    ];
    let cut: [&[u8]; 6] =
        [b"\xc3", b"\xa9", b"\xe6\xbc", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80"];
    let mut made = BTreeSet::new();
    let plain = |random: &mut Random, most: usize| -> String {
        let ascii = random.below(2) == 0;
        let length = 1 + random.below(most);
        (0..length)
            .map(|_| random.one_of(if ascii { &characters[..6] } else { &characters }))
            .collect()
    };
    while made.len() < 1500 {
        let mut token = Vec::new();
        match random.below(10) {
            0..=4 => token.extend(plain(&mut random, 12).bytes()),
            5 => token.extend(plain(&mut random, 40).bytes()),
            6 => token.extend(random.one_of(&others).bytes()),
            7 => token.extend_from_slice(random.one_of(&cut)),
            _ => {
                token.extend(plain(&mut random, 6).bytes());
                token.extend(random.one_of(&others).bytes());
                if random.below(2) == 0 {
                    token.extend(plain(&mut random, 6).bytes());
                }
            }
        }
        if random.below(20) == 0 {
            token.extend_from_slice(random.one_of(&cut));
        }
        if token.len() > 1 && token != b"na" && token != b"me" && token != b"name" {
            made.insert(token);
        }
    }
    made.into_iter().collect()
}

struct Plain(TokEnv);

impl BiasComputer for Plain {
    fn compute_bias(&self, rec: &mut ParserRecognizer<'_>, start: &[u8]) -> SimpleVob {
        let mut allowed = self.trie().alloc_token_set();
        self.trie().add_bias(rec, &mut allowed, start);
        allowed
    }

    fn trie(&self) -> &TokTrie {
        self.0.tok_trie()
    }
}

fn compiler() -> Compiler {
    let more = tokens();
    Compiler::new(tokenizer_with(&more), &[END + more.len() as i32], Options::default()).unwrap()
}

/// A parser of llguidance alone.
fn plain_parser(compiler: &Compiler, kind: Kind, text: &str) -> TokenParser {
    let grammar = compiler.grammar(kind, text, &mut Vec::new(), &fuse()).unwrap();
    let mut parser = compiler.factory.create_parser(grammar).unwrap();
    parser.start_without_prompt();
    parser.bias_computer = Arc::new(Plain(compiler.factory.tok_env().clone()));
    parser
}

fn plain_mask(parser: &mut TokenParser) -> Vec<i32> {
    if parser.stopped() {
        return vec![parser.token_env.tok_trie().eos_token() as i32];
    }
    parser.compute_mask().unwrap().iter().map(|token| token as i32).collect()
}

fn mask(matcher: &mut Matcher, words: &mut [u32]) -> Vec<i32> {
    matcher.fill(words).unwrap();
    let is_set = |&token: &i32| words[token as usize / 32] >> (token % 32) & 1 == 1;
    (0..words.len() as i32 * 32).filter(is_set).collect()
}

/// Follows random answers with both; they begin with what those before have left.
fn compare(compiler: &Compiler, kind: Kind, text: &str, answers: usize) {
    let mut random = Random(7);
    let mut words = vec![0; compiler.factory.tok_env().tok_trie().vocab_size().div_ceil(32)];
    let compiled = compiler.try_compile(kind, text).unwrap();
    let beginning = plain_parser(compiler, kind, text);
    for _ in 0..answers {
        let (mut matcher, mut plain) = (compiled.copy().unwrap(), beginning.deep_clone());
        let mut so_far = Vec::new();
        for _ in 0..60 {
            let allowed = mask(&mut matcher, &mut words);
            let expected = plain_mask(&mut plain);
            let answer = compiler.factory.tok_env().tok_trie().decode_raw(&so_far);
            assert_eq!(allowed, expected, "{text}: after {:?}", String::from_utf8_lossy(&answer));
            if matcher.is_finished() {
                break;
            }
            let token = random.one_of(&allowed);
            assert!(matcher.allows(token).unwrap());
            matcher.consume(token).unwrap();
            plain.consume_token(token as TokenId).unwrap();
            plain.check_stop().unwrap();
            so_far.push(token as TokenId);
        }
        matcher.retire();
    }
}

#[test]
fn masks_of_strings_are_llguidances_own() {
    let compiler = compiler();
    for string in [
        json!({ "type": "string", "maxLength": 0 }),
        json!({ "type": "string", "maxLength": 1 }),
        json!({ "type": "string", "maxLength": 13 }),
        json!({ "type": "string", "maxLength": 100 }),
        json!({ "type": "string", "minLength": 5, "maxLength": 5 }),
        json!({ "type": "string", "minLength": 8, "maxLength": 24 }),
        json!({ "type": "string", "minLength": 40 }),
        json!({ "type": "string" }),
        json!({ "type": "string", "maxLength": 20, "pattern": "^a" }),
        json!({ "type": "string", "maxLength": 12, "pattern": "b" }),
        json!({ "type": "string", "pattern": "^[A-Za-z]{3,9}-[^c]{0,7}$" }),
        json!({ "type": "string", "pattern": "^(?:.{2,6}|x{9,12})$" }),
        json!({ "type": "string", "pattern": "^[ -~]{3,14}$" }),
        json!({ "type": "string", "pattern": "^[A-Za-z0-9 ]{3,14}$" }),
        json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{0,14}$" }),
        json!({ "type": "string", "pattern": "^[A-Z]?[A-Za-z]{0,14}1?$" }),
        json!({ "type": "string", "pattern": "^[^é漢]{0,14}$" }),
        json!({ "type": "string", "pattern": "^[^\u{10000}]{0,14}$" }),
        json!({ "type": "string", "pattern": "^[\u{0}-\u{e000}]{0,14}$" }),
        json!({ "type": "string", "pattern": "^(?:[ -~]{3,14}|[^ -~]{5,7})$" }),
        json!({ "anyOf": [{ "type": "string", "maxLength": 4 }, { "enum": ["abcxyzabcxyz", "a\"é"] }] }),
        json!({ "anyOf": [{ "type": "string", "maxLength": 4 }, { "type": "string", "pattern": "^[abc]{6,9}$" }] }),
        json!({ "anyOf": [{ "type": "string", "maxLength": 9 }, { "type": "string", "minLength": 15 }, { "type": "null" }] }),
    ] {
        compare(&compiler, Kind::JsonSchema, &string.to_string(), 25);
        let document = json!({ "type": "object", "properties": { "abc": string, "x": { "type": "array", "items": string } },
            "required": ["abc", "x"], "additionalProperties": { "type": "string", "maxLength": 3 } });
        compare(&compiler, Kind::JsonSchema, &document.to_string(), 25);
    }
}

#[test]
fn masks_of_other_grammars_are_llguidances_own() {
    let compiler = compiler();
    for regex in [
        "[a-z]{1,9}",
        "([a-z]{2,5}, )+[a-z]*\\.",
        "[a-z]{1,5}[0-9]?([a-c]{2}|é)*",
        "([a-z]{1,6}|[a-c]{8})z?",
        "[a-z]{0,7}[abc]{3}",
        "[^\"\\\\\\x00-\\x1F\\x7F]{2,11}",
        "(?s:.{0,17})",
        "(?s:.{3,17})x",
        "[a-y]{1,8}z?",
        "[a-zé]{1,12}",
    ] {
        compare(&compiler, Kind::Regex, regex, 40);
    }
    for lark in [
        "start: (WORD | NUMBER)+\nWORD: /[a-z]{1,6}/\nNUMBER: /[0-9]{1,3}/",
        "start: WORD \" \" start | WORD\nWORD: /[a-z]{2,6}/",
        "start: (TEXT \"x\")+\nTEXT: /[^x]{1,8}/",
        "start: a* \".\"\na[lazy]: /[a-z]{1,8}c/",
        "start: A B\nA: /[abc]{1,4}/\nB: /[xyz]{1,4}/",
        "start: A B*\nA: /[a-z]{1,4}/\nB: /[a-z]{1,3}!/",
        "start: A B*\nA: /[a-z]{1,4}[0-9]?/\nB: /[a-z]{1,3}!/",
        "start: A B*\nA: /[a-z]{1,4}[0-9]?/\nB: /[xyz]{1,3}!/",
        "start: A \",\" A\nA: /[a-z]{1,7}[0-9]?/",
        "start: A B*\nA: /[^\"\\\\\\x00-\\x1F\\x7F]{1,4}(?:\\n)?/\nB: /[a-z]{1,3}!/",
    ] {
        compare(&compiler, Kind::Lark, lark, 40);
    }
    compare(&compiler, Kind::JsonObject, "", 60);
}

/// A text of so many characters without its closing tag.
fn between_tags(bounds: &str) -> String {
    let tag = r"(?s:.*)<\/p>(?s:.*)";
    format!("start: TEXT \"</p>\"\nTEXT: /(?s:.{bounds})/ & ~/{tag}/")
}

#[test]
fn masks_of_texts_between_tags_are_llguidances_own() {
    let compiler = compiler();
    for bounds in ["*", "{0,13}", "{5,9}", "{3,100}", "{31,}"] {
        compare(&compiler, Kind::Lark, &between_tags(bounds), 40);
    }
}

/// How many characters of each class may come after an answer's beginning.
fn reaches(compiler: &Compiler, kind: Kind, text: &str, answer: &str) -> Vec<Option<usize>> {
    let grammar = compiler.grammar(kind, text, &mut Vec::new(), &fuse()).unwrap();
    let mut parser = compiler.factory.create_parser(grammar).unwrap();
    parser.start_without_prompt();
    answer.bytes().for_each(|byte| {
        parser.consume_token(byte.into()).unwrap();
    });
    let masks = Masks::new(compiler.masks.clone());
    parser.parser.with_recognizer(|rec| masks.reaches(rec))
}

#[test]
fn lengths_tell_what_may_come_up_to_a_bound() {
    let compiler = compiler();
    let string = |schema: serde_json::Value, answer: &str| {
        reaches(&compiler, Kind::JsonSchema, &schema.to_string(), answer)[0]
    };
    let short = json!({ "type": "string", "maxLength": 13 });
    assert_eq!(string(short.clone(), ""), Some(0));
    assert_eq!(string(short.clone(), "\""), Some(13));
    assert_eq!(string(short.clone(), "\"aé漢😀\\n"), Some(8));
    assert_eq!(string(short.clone(), "\"abcdefghijkl"), Some(1));
    assert_eq!(string(short.clone(), "\"abcdefghijklm"), Some(0));
    assert_eq!(string(short.clone(), "\"ab\\"), None);
    assert_eq!(string(short, "\"ab"), Some(11));
    assert_eq!(string(json!({ "type": "string" }), "\"a"), Some(30));
    assert_eq!(
        string(json!({ "type": "string", "minLength": 12, "maxLength": 12 }), "\"a"),
        Some(11)
    );
    assert_eq!(string(json!({ "type": "string", "pattern": "^[ab]{1,5}$" }), "\"a"), None);
    let word = |regex: &str, answer: &str| reaches(&compiler, Kind::Regex, regex, answer)[6];
    assert_eq!(word("[a-z]{1,9}", "ab"), Some(7));
    assert_eq!(word("([a-z]{1,9}, )*", "ab"), Some(7));
    assert_eq!(word("[a-z]+[0-9]", "ab"), Some(30));
    assert_eq!(word("[a-y]{1,9}", "ab"), None);
    let name = json!({ "type": "string", "pattern": "^[A-Za-z0-9 ]{1,9}$" }).to_string();
    let names = reaches(&compiler, Kind::JsonSchema, &name, "\"ab");
    assert_eq!(names, [None, None, None, Some(7), Some(7), Some(7), Some(7)]);
    let text = |bounds: &str, answer: &str| {
        reaches(&compiler, Kind::Lark, &between_tags(bounds), answer)[1]
    };
    assert_eq!(text("{0,13}", "ab\"\\\n"), Some(8));
    assert_eq!(text("{0,13}", "ab</"), None);
    assert_eq!(text("{0,13}", "ab</q"), Some(8));
    assert_eq!(text("*", "ab"), Some(30));
}
