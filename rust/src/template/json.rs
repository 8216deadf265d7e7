//! JSON in (to template values) and out (the `tojson` filter, byte for byte Python's `json.dumps`).

use minijinja::value::{from_args, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use crate::template::numbers;
use crate::template::python::{float_repr, python_str, split_kwargs};

/// Deeper nesting than any real message has; keeps the recursion below bounded.
const MAX_DEPTH: usize = 200;

/// A template value of a JSON document, with Python's types and the document's key order.
pub fn to_value(json: Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(b),
        Json::Number(n) => numbers::to_value(&n),
        Json::String(s) => Value::from(s),
        Json::Array(items) => items.into_iter().map(to_value).collect(),
        Json::Object(entries) => {
            Value::from_pairs(entries.into_iter().map(|(k, v)| (k, to_value(v))))
        }
    }
}

/// The arguments of json.dumps that transformers' filter passes on.
struct Layout {
    ensure_ascii: bool,
    /// One level's indentation; none: everything on one line.
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

impl Layout {
    fn new(
        ensure_ascii: Option<Value>,
        indent: Option<Value>,
        separators: Option<Value>,
        sort_keys: Option<Value>,
    ) -> Result<Layout, Error> {
        let indent = match indent.filter(|value| !value.is_none()) {
            None => None,
            Some(text) if text.as_str().is_some() => Some(python_str(&text)),
            Some(width) => Some(" ".repeat(i64::try_from(width)?.clamp(0, 64) as usize)),
        };
        let mut item_separator = if indent.is_some() { "," } else { ", " }.to_string();
        let mut key_separator = ": ".to_string();
        if let Some(pair) = separators.filter(|value| !value.is_none()) {
            item_separator = python_str(&pair.get_item_by_index(0)?);
            key_separator = python_str(&pair.get_item_by_index(1)?);
        }
        let truth = |flag: Option<Value>| flag.is_some_and(|value| value.is_true());
        Ok(Layout {
            ensure_ascii: truth(ensure_ascii),
            indent,
            item_separator,
            key_separator,
            sort_keys: truth(sort_keys),
        })
    }
}

/// The `tojson` filter of transformers: no HTML escaping, non-ASCII as it is, keys in order.
pub fn tojson(state: &State, value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    let (args, kwargs) = split_kwargs(&args)?;
    type Args = (Option<Value>, Option<Value>, Option<Value>, Option<Value>);
    let (ensure_ascii, indent, separators, sort_keys): Args = from_args(args)?;
    let layout = Layout::new(
        ensure_ascii.or(kwargs.get("ensure_ascii")?),
        indent.or(kwargs.get("indent")?),
        separators.or(kwargs.get("separators")?),
        sort_keys.or(kwargs.get("sort_keys")?),
    )?;
    kwargs.assert_all_used()?;
    let mut writer = Writer { state, layout, out: String::new(), charged: 0 };
    writer.value(value, 0)?;
    Ok(Value::from(writer.out))
}

struct Writer<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    layout: Layout,
    out: String,
    /// Bytes of `out` already paid for with fuel.
    charged: usize,
}

impl Writer<'_, '_, '_> {
    /// Pays for what was written, so that dumping one value over and over stays bounded.
    fn charge(&mut self) -> Result<(), Error> {
        let unpaid = self.out.len() - self.charged;
        if unpaid >= 64 {
            self.state.consume_fuel((unpaid / 16) as u64)?;
            self.charged = self.out.len();
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.charge()?;
        if depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::InvalidOperation, "tojson: nested too deeply"));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.dict(value, depth)?,
            kind => {
                if let Some(digits) = numbers::digits(value) {
                    self.out.push_str(digits);
                    return Ok(());
                }
                let message = format!("tojson: a value of type {kind} is not JSON serializable");
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let items: Vec<Value> = value.try_iter()?.collect();
        self.out.push('[');
        for (index, item) in items.iter().enumerate() {
            self.separate(index, depth + 1);
            self.value(item, depth + 1)?;
        }
        self.close(items.is_empty(), depth, ']');
        Ok(())
    }

    fn dict(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.layout.sort_keys {
            keys.sort();
        }
        self.out.push('{');
        for (index, key) in keys.iter().enumerate() {
            self.separate(index, depth + 1);
            self.string(&key_text(key));
            self.out.push_str(&self.layout.key_separator.clone());
            self.value(&value.get_item(key)?, depth + 1)?;
        }
        self.close(keys.is_empty(), depth, '}');
        Ok(())
    }

    fn separate(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push_str(&self.layout.item_separator);
        }
        self.new_line(depth);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.new_line(depth);
        }
        self.out.push(bracket);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.layout.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str(indent);
            }
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\0'..='\u{1f}' => self.escape(c),
                '\u{7f}'.. if self.layout.ensure_ascii => self.escape(c),
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            self.out.push_str(&format!("\\u{unit:04x}"));
        }
    }
}

fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => match float {
            f if f.is_nan() => "NaN".into(),
            f if f.is_infinite() => if f > 0.0 { "Infinity" } else { "-Infinity" }.into(),
            f => float_repr(f),
        },
        _ => value.to_string(),
    }
}

/// A dict key as json.dumps spells it: strings as they are, other scalars as their JSON.
fn key_text(key: &Value) -> String {
    match key.kind() {
        ValueKind::None => "null".into(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.into(),
        ValueKind::Number => number(key),
        _ => python_str(key),
    }
}
