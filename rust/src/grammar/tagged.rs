//! Arguments between tags, each a bare text or JSON.

use serde_json::Value as Json;

use crate::base::failure::Outcome;
use crate::grammar::alternatives::{alternatives, is_any, Alternative, Number};
use crate::grammar::notation::Frame;
use crate::grammar::texts::{Condition, Terminal, Text};
use crate::grammar::values::{plain, simple, Values};

impl Values<'_, '_> {
    /// A bare text, or JSON, and the tag that ends it. What the parser would take for JSON is no text.
    pub(super) fn tagged(&mut self, name: &str, schema: &Json) -> Outcome<Option<String>> {
        let Frame::Tags { end, closing, types, kinds, .. } = &self.frame else { return Ok(None) };
        let (end, closing, types) = (end.clone(), closing.clone(), types[name].clone());
        if kinds.is_object() {
            let kinds = kinds.clone();
            return self.typed(schema, &kinds, &end, &closing);
        }
        if is_any(schema) {
            let any = Text::default().conditions_without(&closing)?;
            return self.ended(&Terminal(vec![any]), &end).map(Some);
        }
        let mut terminal = Terminal::default();
        let mut words = Vec::new();
        let mut others = Vec::new();
        let mut differs = readings(&types);
        for option in alternatives(schema, self.root)? {
            match &option {
                Alternative::Text(text) => terminal.0.push(text.conditions_without(&closing)?),
                Alternative::Null => words.push(vec![Condition::Is("null".to_string())]),
                Alternative::Boolean(which) => words.extend(
                    [false, true]
                        .iter()
                        .filter(|value| which.is_none_or(|which| which == **value))
                        .map(|value| vec![Condition::Is(value.to_string())]),
                ),
                Alternative::Number(number) if simple(number).is_some() => {
                    words.extend(simple(number).map(|condition| vec![condition]));
                }
                other => {
                    // The text's terminal may not begin as they do: the longest terminal wins.
                    differs.push(match other {
                        Alternative::Number(_) => "[-0-9](?s:.*)".to_string(),
                        Alternative::Array(_) => r"\[(?s:.*)".to_string(),
                        _ => r"\{(?s:.*)".to_string(),
                    });
                    others.extend(self.option(other)?);
                }
            }
        }
        differs.into_iter().for_each(|regex| terminal.and(&Condition::Differs(regex)));
        terminal.prune()?;
        terminal.0.extend(words);
        let mut options = Vec::new();
        if !terminal.0.is_empty() {
            options.push(self.ended(&terminal, &end)?);
        }
        if !others.is_empty() {
            options.push(format!("({}) {}", others.join(" | "), self.rules.spelled(&end)));
        }
        Ok((!options.is_empty()).then(|| format!("({})", options.join(" | "))))
    }

    /// The value's type, then the value, and the tag that ends it. Since its type is told a text may be any.
    fn typed(
        &mut self,
        schema: &Json,
        kinds: &Json,
        end: &str,
        closing: &str,
    ) -> Outcome<Option<String>> {
        let mark = |kind: &str| kinds[kind].as_str().unwrap_or_default().to_string();
        let mut texts = Terminal::default();
        let mut numbers = Terminal::default();
        let mut options = Vec::new();
        if is_any(schema) {
            texts.0.push(Text::default().conditions_without(closing)?);
        } else {
            for option in alternatives(schema, self.root)? {
                if let Alternative::Text(text) = &option {
                    texts.0.push(text.conditions_without(closing)?);
                } else if let Alternative::Number(Number { literal: Some(value), .. }) = &option {
                    numbers.0.push(vec![Condition::Is(plain(value))]);
                } else if let Some(value) = self.option(&option)? {
                    let mark = self.rules.spelled(&mark(kind_of(&option)));
                    options.push(format!("{mark} ({value}) {}", self.rules.spelled(end)));
                }
            }
        }
        if let Some(value) = self.numbers(&numbers) {
            let mark = self.rules.spelled(&mark("number"));
            options.push(format!("{mark} {value} {}", self.rules.spelled(end)));
        }
        texts.prune()?;
        if !texts.0.is_empty() {
            let mark = self.rules.spelled(&mark("string"));
            options.push(format!("{mark} {}", self.ended(&texts, end)?));
        }
        Ok((!options.is_empty()).then(|| format!("({})", options.join(" | "))))
    }
}

/// The name of an option's type.
fn kind_of(option: &Alternative) -> &'static str {
    match option {
        Alternative::Null => "null",
        Alternative::Boolean(_) => "boolean",
        Alternative::Number(_) => "number",
        Alternative::Text(_) => "string",
        Alternative::Array(_) => "array",
        Alternative::Object(_) => "object",
    }
}

/// Texts that the parser reads as values of these types (of any, where none is named).
fn readings(types: &Json) -> Vec<String> {
    let names: Vec<&str> =
        types.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let space = r"[ \n\r\t]*";
    let word = |words: &str| format!("{space}(?:{words}){space}");
    let head = |heads: &str| format!("{space}{heads}(?s:.*)");
    let mut found = Vec::new();
    for (name, reading) in [
        ("null", word("null|None")),
        ("boolean", word("true|false|True|False")),
        ("number", word(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")),
        ("array", head(r"[\[(]")),
        ("object", head(r"\{")),
    ] {
        if names.is_empty() || names.contains(&name) {
            found.push(reading);
        }
    }
    if names.is_empty() {
        found.push(head(r#"["']"#));
    }
    found
}
