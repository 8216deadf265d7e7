//! The grammar of tool calls in a model's own format.
//!
//! It is described as JSON: {"before": pieces, "calls": [pieces, ...], "separator": pieces, "after": pieces,
//! "many": bool, "text": bool}. Pieces are a list of strings, whose markup ("<tool_call>") becomes tokens where the
//! vocabulary has it; {"optional": string}; and {"schema": JSON Schema}. One call comes, or `many` with the separator
//! between them; with `text` any text may stand before and behind the calls, or instead of them; with "answer", a
//! schema, the answer may be such JSON instead.

use std::fmt::Write;

use llguidance::toktrie::{TokTrie, TokenId};
use serde_json::{json, Value as Json};

use crate::ffi::{Failure, Outcome};
use crate::schema;

/// The spellings of tokens that no text can be.
pub fn markup_of(trie: &TokTrie) -> Vec<(String, TokenId)> {
    let spelling = |id: TokenId| {
        let name = trie.token(id).strip_prefix(&[TokTrie::SPECIAL_TOKEN_MARKER])?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        (!name.is_empty()).then_some((name, id)) // the byte 0xff is a token, too
    };
    (0..trie.vocab_size() as TokenId).filter_map(spelling).collect()
}

pub fn lark(calls: &Json, markup: &[(String, TokenId)]) -> Outcome<String> {
    let mut writer = Writer { markup, rules: String::new(), num_schemas: 0 };
    let list = calls["calls"].as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| Failure::invalid("there is no tool that may be called"))?;
    let mut names = Vec::new();
    for (index, pieces) in list.iter().enumerate() {
        let body = writer.pieces(pieces)?;
        let _ = writeln!(writer.rules, "call_{index}: {body}");
        names.push(format!("call_{index}"));
    }
    let (before, after) = (writer.pieces(&calls["before"])?, writer.pieces(&calls["after"])?);
    let separator = writer.pieces(&calls["separator"])?;
    let _ = writeln!(writer.rules, "call: {}", names.join(" | "));
    let many = if calls["many"] == true { format!("({separator} call)*") } else { String::new() };
    let _ = writeln!(writer.rules, "calls: {before} call {many} {after}");
    let start = if let Some(answer) = calls.get("answer") {
        let answer = schema::prepare(answer.clone())?;
        let _ = writeln!(writer.rules, "answer: %json {answer}");
        "answer | calls"
    } else if calls["text"] == true {
        writer.rules.push_str("TEXT: /(?s:.+)/\n");
        "TEXT? (calls TEXT?)?"
    } else {
        "calls"
    };
    Ok(format!("start: {start}\n{}", writer.rules))
}

struct Writer<'a> {
    markup: &'a [(String, TokenId)],
    rules: String,
    num_schemas: usize,
}

impl Writer<'_> {
    fn pieces(&mut self, pieces: &Json) -> Outcome<String> {
        let mut parts = Vec::new();
        for piece in pieces.as_array().into_iter().flatten() {
            if let Some(text) = piece.as_str() {
                parts.push(self.spelled(text));
            } else if let Some(text) = piece["optional"].as_str() {
                parts.push(format!("({})?", self.spelled(text)));
            } else {
                let schema = schema::prepare(piece.get("schema").cloned().unwrap_or(json!({})))?;
                let name = format!("schema_{}", self.num_schemas);
                self.num_schemas += 1;
                let _ = writeln!(self.rules, "{name}: %json {schema}");
                parts.push(name);
            }
        }
        Ok(parts.join(" "))
    }

    /// Strings and tokens.
    fn spelled(&self, text: &str) -> String {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match self.markup.iter().find(|(name, _)| rest.starts_with(name.as_str())) {
                Some((name, id)) => {
                    push_plain(&mut parts, &mut plain);
                    parts.push(format!("<[{id}]>"));
                    rest = &rest[name.len()..];
                }
                None => {
                    plain.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        push_plain(&mut parts, &mut plain);
        parts.join(" ")
    }
}

fn push_plain(parts: &mut Vec<String>, plain: &mut String) {
    if !plain.is_empty() {
        parts.push(Json::String(std::mem::take(plain)).to_string());
    }
}
