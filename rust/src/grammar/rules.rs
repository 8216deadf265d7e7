//! The rules of a grammar as they are written: names, terminals, and texts whose markup becomes tokens.

use std::fmt::Write;

use llguidance::toktrie::TokenId;
use serde_json::Value as Json;

/// A literal of the grammar, whose markup stays text.
pub fn literal(text: &str) -> String {
    Json::String(text.to_string()).to_string().replace('\u{7f}', "\\u007f") // which JSON leaves as it is, and Lark refuses
}

/// Owns the rules written so far.
pub struct Rules<'a> {
    markup: &'a [(String, TokenId)],
    text: String,
    count: usize,
}

/// Where rules ended that may be dropped again.
pub struct Mark {
    length: usize,
    count: usize,
}

impl<'a> Rules<'a> {
    /// `markup`: spellings of tokens that no text can be.
    pub fn new(markup: &'a [(String, TokenId)]) -> Rules<'a> {
        Rules { markup, text: String::new(), count: 0 }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn mark(&self) -> Mark {
        Mark { length: self.text.len(), count: self.count }
    }

    /// Drops all rules since the mark.
    pub fn rewind(&mut self, mark: Mark) {
        self.text.truncate(mark.length);
        self.count = mark.count;
    }

    /// A rule's, not given before.
    pub fn name(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}_{}", self.count)
    }

    /// `name` may have attributes behind it.
    pub fn define(&mut self, name: &str, body: &str) {
        let _ = writeln!(self.text, "{name}: {body}");
    }

    /// The name of a terminal.
    pub fn terminal(&mut self, body: &str) -> String {
        let name = self.name("TEXT");
        self.define(&name, body);
        name
    }

    /// Where the first token begins that no text can be.
    pub fn markup_in(&self, text: &str) -> Option<usize> {
        self.markup.iter().filter_map(|(name, _)| text.find(name.as_str())).min()
    }

    /// Strings and tokens.
    pub fn spelled(&self, text: &str) -> String {
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
        parts.push(literal(&std::mem::take(plain)));
    }
}
