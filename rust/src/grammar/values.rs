//! Values that a schema allows, and arguments of calls, as rules of a grammar in a notation that is not JSON.

use std::collections::HashMap;

use serde_json::{json, Map, Value as Json};

use crate::base::failure::{Failure, Outcome};
use crate::grammar::alternatives::{alternatives, is_any, Alternative, Array, Number, Object};
use crate::grammar::notation::{Frame, Notation, Texts};
use crate::grammar::rules::{literal, Rules};
use crate::grammar::sequences::{concatenated, joined, sequence};
use crate::grammar::texts::{in_quotes, is_empty, Condition, Terminal, Text};
use crate::schema::schema;

/// Schemas in a schema, each of which becomes a rule.
const MAX_VALUES: usize = 2000;
/// And members of objects, in every alternative.
const MAX_MEMBERS: usize = 20_000;
/// Members behind one another of which any may come next: llguidance keeps all in sight, and fails beyond its limit only once
/// the model comes to them.
const MAX_OPTIONAL: usize = 700;

/// Numbers without bounds: as long as every reader of JSON keeps them.
const INTEGER: &str = "(?:0|-?[1-9][0-9]{0,14})";
const NUMBER: &str = r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?";
/// A key of a member that the schema does not name, without quotes.
const BARE_KEY: &str = "[A-Za-z_][A-Za-z0-9_]{0,39}";

pub struct Values<'a, 'b> {
    pub notation: Notation,
    pub frame: Frame,
    /// What references lead into.
    pub root: &'a Json,
    pub rules: &'a mut Rules<'b>,
    known: HashMap<String, Option<String>>,
    num_members: usize,
}

/// What no argument can be.
fn unmet<T>(what: &str) -> Outcome<T> {
    Err(Failure::invalid(format!("{what} can't be met in this format of calls")))
}

impl<'a, 'b> Values<'a, 'b> {
    pub fn new(
        (notation, frame): (Notation, Frame),
        root: &'a Json,
        rules: &'a mut Rules<'b>,
    ) -> Values<'a, 'b> {
        Values { notation, frame, root, rules, known: HashMap::new(), num_members: 0 }
    }

    /// All arguments of a call, whose schema is the root.
    pub fn arguments(&mut self) -> Outcome<String> {
        let mut options = Vec::new();
        for option in alternatives(self.root, self.root)? {
            if let Alternative::Object(object) = option {
                options.extend(self.members(&object, true)?);
            }
        }
        if options.is_empty() {
            return unmet("the schema of the arguments");
        }
        Ok(format!("({})", options.join(" | ")))
    }

    /// A rule's name; nothing where no value meets the schema.
    pub fn value(&mut self, schema: &Json) -> Outcome<Option<String>> {
        let key = if is_any(schema) { "true".to_string() } else { schema.to_string() };
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        if self.known.len() >= MAX_VALUES {
            return Err(Failure::invalid("the schema is too large"));
        }
        let name = self.rules.name("value");
        self.known.insert(key.clone(), Some(name.clone()));
        let mut options = Vec::new();
        let mut texts = Vec::new();
        let mut numbers = Terminal::default();
        for option in alternatives(schema, self.root)? {
            match option {
                Alternative::Text(text) => texts.push(text),
                Alternative::Number(Number { literal: Some(value), .. }) => {
                    numbers.0.push(vec![Condition::Is(plain(&value))]);
                }
                other => options.extend(self.option(&other)?),
            }
        }
        options.extend(self.numbers(&numbers));
        options.extend(self.texts(&texts)?);
        if options.is_empty() {
            self.known.insert(key, None);
            return Ok(None);
        }
        self.rules.define(&name, &options.join(" | "));
        Ok(Some(name))
    }

    /// The rule of an alternative that is no text.
    pub(super) fn option(&mut self, option: &Alternative) -> Outcome<Option<String>> {
        Ok(match option {
            Alternative::Null => Some(literal(self.notation.null)),
            Alternative::Boolean(which) => Some(match which {
                Some(which) => literal(self.notation.booleans[usize::from(*which)]),
                None => self.notation.booleans.map(literal).join(" | "),
            }),
            Alternative::Number(number) => Some(self.number(number)?),
            Alternative::Array(array) => self.array(array)?,
            Alternative::Object(object) => {
                self.members(object, false)?.map(|members| format!("\"{{\" ({members}) \"}}\""))
            }
            Alternative::Text(_) => None,
        })
    }

    // ---- numbers

    /// Certain ones: there may be thousands, so they are one terminal.
    pub(super) fn numbers(&mut self, numbers: &Terminal) -> Option<String> {
        (!numbers.0.is_empty()).then(|| self.rules.terminal(&numbers.lark()))
    }

    fn number(&mut self, number: &Number) -> Outcome<String> {
        if let Some(condition) = simple(number) {
            return Ok(Terminal(vec![vec![condition]]).lark());
        }
        let all: Vec<Json> = number.schemas.iter().cloned().map(Json::Object).collect();
        self.json(json!({ "allOf": all }))
    }

    /// A rule of llguidance's own, for what is written as in JSON.
    fn json(&mut self, mut schema: Json) -> Outcome<String> {
        let options =
            json!({ "whitespace_flexible": false, "json_allowed_escapes": schema::ESCAPES });
        schema["x-guidance"] = options;
        let key = format!("%json {schema}");
        if let Some(Some(known)) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let name = self.rules.name("json");
        self.rules.define(&name, &key);
        self.known.insert(key, Some(name.clone()));
        Ok(name)
    }

    // ---- texts

    fn texts(&mut self, texts: &[Text]) -> Outcome<Vec<String>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (searched, plain): (Vec<&Text>, Vec<&Text>) =
            texts.iter().partition(|text| !text.patterns.is_empty());
        let mut options = Vec::new();
        let mut terminal = Terminal::default();
        match &self.notation.texts {
            Texts::Between(quote) => {
                let quote = quote.clone();
                for text in texts {
                    terminal.0.push(text.conditions_without(&quote)?);
                }
                terminal.prune()?;
                if !terminal.0.is_empty() {
                    let rest = self.ended(&terminal, &quote)?;
                    options.push(format!("{} {rest}", self.rules.spelled(&quote)));
                }
                return Ok(options);
            }
            Texts::Python => {
                for text in plain {
                    terminal.0.extend(in_quotes(text, '"'));
                    terminal.0.extend(in_quotes(text, '\''));
                }
            }
            Texts::Quoted { closing } => {
                let lacks = Condition::lacks(closing);
                for text in plain {
                    terminal.0.extend(in_quotes(text, '"'));
                }
                terminal.and(&lacks);
                terminal.prune()?;
            }
        }
        if !terminal.0.is_empty() {
            options.push(self.rules.terminal(&terminal.lark()));
        }
        for text in searched {
            options.extend(self.searched(text)?);
        }
        Ok(options)
    }

    /// In quotes, a text that has a pattern: escapes are llguidance's, unless they could spell what closes the argument.
    fn searched(&mut self, text: &Text) -> Outcome<Option<String>> {
        let mut conditions = text.conditions()?;
        if let Texts::Quoted { closing } = &self.notation.texts {
            let lacks = Condition::lacks(closing);
            conditions.push(Condition::has(closing));
            if !is_empty(&conditions)? {
                conditions.pop();
                conditions.push(lacks);
                conditions.push(Condition::Matches(r#"[^"\\\x00-\x1F\x7F]*"#.to_string()));
                if is_empty(&conditions)? {
                    return Ok(None);
                }
                let inner = Terminal(vec![conditions]).lark();
                return Ok(Some(self.rules.terminal(&format!(r#""\"" ({inner}) "\"""#))));
            }
        }
        let mut all: Vec<Json> = text.patterns.iter().map(|it| json!({ "pattern": it })).collect();
        let mut bounds = json!({ "minLength": text.shortest });
        if let Some(longest) = text.longest {
            bounds["maxLength"] = json!(longest);
        }
        all.push(bounds);
        all.iter_mut().for_each(|schema| schema["type"] = json!("string"));
        self.json(json!({ "allOf": all })).map(Some)
    }

    /// A text and what ends it, which no text has. As a token the end needs no other mark; else both are one terminal. Where the
    /// text is told by what it is not, the terminal must end with the first match: what can't go on does not show there.
    pub(super) fn ended(&mut self, terminal: &Terminal, end: &str) -> Outcome<String> {
        let is_plain = |condition: &Condition| !matches!(condition, Condition::Differs(_));
        let at = self.rules.markup_in(end).unwrap_or(end.len());
        if at == end.len() && !terminal.0.iter().flatten().all(is_plain) {
            let name = self.rules.name("until");
            let head = format!("{name}[suffix={}]", literal(end));
            self.rules.define(&head, &terminal.lark());
            return Ok(name);
        }
        let behind = self.rules.spelled(&end[at..]);
        if at > 0 {
            let before = literal(&end[..at]);
            let name = self.rules.terminal(&format!("({}) {before}", terminal.lark()));
            return Ok(format!("{name} {behind}"));
        }
        // No terminal may be empty.
        let maybe = if terminal.matches("")? { "?" } else { "" };
        let mut filled = terminal.clone();
        filled.and(&Condition::Matches("(?s:.+)".to_string()));
        filled.prune()?;
        if filled.0.is_empty() {
            return Ok(behind);
        }
        let name = self.rules.terminal(&filled.lark());
        Ok(format!("{name}{maybe} {behind}"))
    }

    // ---- arrays and objects

    fn array(&mut self, array: &Array) -> Outcome<Option<String>> {
        let mut longest = array.longest;
        let mut first = Vec::new();
        for schema in &array.first {
            if longest.is_some_and(|most| first.len() as u64 >= most) {
                break;
            }
            match self.value(schema)? {
                Some(item) => first.push(item),
                None => {
                    longest = Some(first.len() as u64);
                    break;
                }
            }
        }
        let count = first.len() as u64;
        let may_go_on = longest.is_none_or(|most| most > count);
        let rest = if may_go_on { self.value(&array.rest)? } else { None };
        let longest = if rest.is_none() { Some(count) } else { longest };
        if longest.is_some_and(|most| array.shortest > most) {
            return Ok(None);
        }
        let rest = rest.unwrap_or_default();
        let counts = (array.shortest, longest);
        let items = sequence(self.rules, &first, &rest, counts, self.notation.comma);
        Ok(Some(format!("\"[\" {items} \"]\"")))
    }

    /// The members of an object or, at the top, the arguments of a call.
    fn members(&mut self, object: &Object, at_top: bool) -> Outcome<Option<String>> {
        let mut named: Vec<(String, Json)> =
            object.properties.iter().map(|(name, schema)| (name.clone(), schema.clone())).collect();
        for name in &object.required {
            if !object.properties.contains_key(name) {
                named.push((name.clone(), object.others.clone()));
            }
        }
        if self.notation.is_sorted {
            named.sort_by_key(|(name, _)| name.to_lowercase());
        }
        let mut members = Vec::new();
        for (name, schema) in &named {
            let required = object.required.contains(name);
            match self.member(name, schema, at_top)? {
                Some(member) => members.push((member, required)),
                None if required => return Ok(None),
                None => {}
            }
        }
        let runs = members.split(|(_, required)| *required);
        if runs.map(<[_]>::len).max() > Some(MAX_OPTIONAL) {
            return Err(Failure::invalid(format!(
                "more than {MAX_OPTIONAL} properties of which any may be left out are not supported in this format of calls"
            )));
        }
        if at_top && matches!(self.frame, Frame::Tags { .. }) {
            check_count(object, members.len(), false)?;
            return Ok(Some(concatenated(&members)));
        }
        // Arguments that the tool does not name don't come.
        let others = if object.is_open && !at_top { self.other_member(object)? } else { None };
        check_count(object, members.len(), !members.is_empty() || others.is_some())?;
        Ok(Some(joined(self.rules, &members, others, object, self.notation.comma)))
    }

    fn member(&mut self, name: &str, schema: &Json, at_top: bool) -> Outcome<Option<String>> {
        self.num_members += 1;
        if self.num_members > MAX_MEMBERS {
            return Err(Failure::invalid("the schema is too large"));
        }
        let key = self.key(name, at_top)?;
        let value = match &self.frame {
            Frame::Tags { .. } if at_top => self.tagged(name, schema)?,
            _ => self.value(schema)?,
        };
        let Some(value) = value else { return Ok(None) };
        let member = self.rules.name("member");
        self.rules.define(&member, &format!("{key} {value}"));
        Ok(Some(member))
    }

    fn key(&self, name: &str, at_top: bool) -> Outcome<String> {
        let refused = || {
            Err(Failure::invalid(format!(
                "the argument's name '{name}' can't be forced in this format of calls"
            )))
        };
        match &self.frame {
            Frame::Tags { key, .. } if at_top => {
                let is_plain = |c: char| c > ' ' && !"\"<>".contains(c);
                if name.is_empty() || !name.chars().all(is_plain) {
                    return refused();
                }
                return Ok(self.rules.spelled(&key.replacen("KEY", name, 1)));
            }
            Frame::Python if at_top => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-:/".contains(c);
                if name.is_empty() || !name.chars().all(is_plain) {
                    return refused();
                }
                return Ok(literal(&format!("{name}=")));
            }
            _ => {}
        }
        match &self.notation.texts {
            Texts::Between(quote) => {
                if !name.is_empty()
                    && !name.contains(|c: char| c.is_whitespace() || ",:()[]{}'\"=<".contains(c))
                {
                    return Ok(literal(&format!("{name}:")));
                }
                if name.contains(quote.as_str()) {
                    return refused();
                }
                let quote = self.rules.spelled(quote);
                let name = if name.is_empty() { String::new() } else { literal(name) };
                Ok(format!("{quote} {name} {quote} \":\""))
            }
            Texts::Quoted { closing } if name.contains(closing.as_str()) => refused(),
            _ => Ok(literal(&format!("{}{}", literal(name), self.notation.colon))),
        }
    }

    /// One that the schema does not name; nothing where there can't be one.
    fn other_member(&mut self, object: &Object) -> Outcome<Option<String>> {
        if object.others == Json::Bool(false) {
            return Ok(None);
        }
        let Some(value) = self.value(&object.others)? else { return Ok(None) };
        let is_bare = matches!(self.notation.texts, Texts::Between(_));
        let mut key = Terminal(vec![if is_bare {
            vec![Condition::Matches(BARE_KEY.to_string())]
        } else {
            in_quotes(&Text { longest: Some(40), ..Text::default() }, '"').remove(0)
        }]);
        for name in object.properties.keys().chain(&object.required) {
            let spelled = if is_bare { name.clone() } else { literal(name) };
            key.and(&Condition::Differs(regex_syntax::escape(&spelled)));
        }
        if let Texts::Quoted { closing } = &self.notation.texts {
            key.and(&Condition::lacks(closing));
        }
        let key = self.rules.terminal(&key.lark());
        let member = self.rules.name("member");
        self.rules.define(&member, &format!("{key} {} {value}", literal(self.notation.colon)));
        Ok(Some(member))
    }
}

/// A number as a terminal's condition, where it has no bounds or is a certain one.
pub(super) fn simple(number: &Number) -> Option<Condition> {
    if let Some(value) = &number.literal {
        return Some(Condition::Is(plain(value)));
    }
    let is_integer = |schema: &Map<String, Json>| schema["type"] == "integer";
    let boundless = number.schemas.iter().all(schema::is_boundless);
    boundless.then(|| {
        let regex = if number.schemas.iter().any(is_integer) { INTEGER } else { NUMBER };
        Condition::Matches(regex.to_string())
    })
}

/// A number as anyone would write it, however the schema does.
pub(super) fn plain(number: &Json) -> String {
    match (number.as_i64(), number.as_f64()) {
        (None, Some(value)) => value.to_string(),
        _ => number.to_string(),
    }
}

/// `can_force_one`: where none is required, one can be made to come.
fn check_count(object: &Object, members: usize, can_force_one: bool) -> Outcome<()> {
    let required = object.required.len() as u64;
    let one = object.least == 1 && can_force_one;
    if object.least > required && !one {
        return unmet("'minProperties' of more than the required ones");
    }
    if object.most.is_some_and(|most| members as u64 > most) {
        return unmet("'maxProperties' of fewer than all properties");
    }
    Ok(())
}

#[cfg(test)]
#[path = "values_test.rs"]
mod tests;
