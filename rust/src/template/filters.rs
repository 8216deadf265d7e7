//! Jinja2's filters where minijinja lacks them or differs.

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Value};

use crate::template::pymethods::justify;
use crate::template::python::{is_python_space, python_str, split_kwargs};

const MAX_WIDTH: usize = 100_000;

pub fn add(env: &mut Environment) {
    env.add_filter("trim", trim);
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("indent", indent);
    env.add_filter("center", center);
    env.add_filter("truncate", truncate);
    env.add_filter("wordcount", |value: &Value| word_count(&python_str(value)));
    env.add_filter("escape", |value: &Value| escape(&python_str(value)));
    env.add_filter("e", |value: &Value| escape(&python_str(value)));
}

/// A filter's arguments by position or name, as Python passes them.
fn arguments<const N: usize>(
    args: Rest<ValueOrKwargs>,
    names: [&str; N],
) -> Result<[Option<Value>; N], Error> {
    let args = args.into_values();
    let (positional, kwargs) = split_kwargs(&args)?;
    if positional.len() > N {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let mut values = [const { None }; N];
    for (index, name) in names.iter().enumerate() {
        values[index] = match positional.get(index) {
            Some(value) => Some(value.clone()),
            None => kwargs.get(name)?,
        };
    }
    kwargs.assert_all_used()?;
    Ok(values)
}

fn truth(value: &Option<Value>) -> bool {
    value.as_ref().is_some_and(Value::is_true)
}

fn width(value: &Option<Value>, default: usize) -> Result<usize, Error> {
    let width = value.clone().map_or(Ok(default), usize::try_from)?;
    if width > MAX_WIDTH {
        return Err(Error::new(ErrorKind::InvalidOperation, "the width is too large"));
    }
    Ok(width)
}

fn trim(value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [chars] = arguments(args, ["chars"])?;
    let text = python_str(value);
    let trimmed = match chars.filter(|chars| !chars.is_none()).map(|chars| python_str(&chars)) {
        Some(chars) => text.trim_matches(|c| chars.contains(c)),
        None => text.trim_matches(is_python_space),
    };
    Ok(trimmed.to_string())
}

/// The number that a text or value is, else the default.
fn int(value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [default, base] = arguments(args, ["default", "base"])?;
    let base = width(&base, 10)?;
    let default = default.unwrap_or_else(|| Value::from(0));
    let Some(text) = value.as_str() else {
        let whole = |float: f64| Value::from(float.trunc() as i128);
        return Ok(match i128::try_from(value.clone()) {
            Ok(integer) => Value::from(integer as i64),
            Err(_) => f64::try_from(value.clone()).map_or(default, whole),
        });
    };
    let digits = text.trim().replace('_', "");
    let digits = match base {
        16 => digits.trim_start_matches("0x").trim_start_matches("0X"),
        8 => digits.trim_start_matches("0o").trim_start_matches("0O"),
        2 => digits.trim_start_matches("0b").trim_start_matches("0B"),
        _ => &digits,
    };
    let parsed =
        if (2..=36).contains(&base) { i64::from_str_radix(digits, base as u32).ok() } else { None };
    let truncated = || text.trim().parse().ok().filter(|f: &f64| f.is_finite()).map(|f| f as i64);
    Ok(parsed.or_else(truncated).map_or(default, Value::from))
}

fn float(value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let [default] = arguments(args, ["default"])?;
    let number = match value.as_str() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    Ok(number.map(Value::from).or(default).unwrap_or_else(|| Value::from(0.0)))
}

/// Indents every line but the first; blank ones only where asked.
fn indent(value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [by, first, blank] = arguments(args, ["width", "first", "blank"])?;
    let by = match by.as_ref().and_then(Value::as_str) {
        Some(text) => text.to_string(),
        None => " ".repeat(width(&by, 4)?),
    };
    let text = python_str(value);
    let mut out = if truth(&first) { by.clone() } else { String::new() };
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
            if truth(&blank) || !line.is_empty() {
                out.push_str(&by);
            }
        }
        out.push_str(line);
    }
    Ok(out)
}

fn center(value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [to] = arguments(args, ["width"])?;
    Ok(justify(&python_str(value), "center", width(&to, 80)?, ' '))
}

/// Cuts a text that is longer than `length` and a leeway, at a word unless `killwords`.
fn truncate(value: &Value, args: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let [length, killwords, end, leeway] =
        arguments(args, ["length", "killwords", "end", "leeway"])?;
    let (length, leeway) = (width(&length, 255)?, width(&leeway, 5)?);
    let end = end.map_or("...".to_string(), |end| python_str(&end));
    let text = python_str(value);
    if text.chars().count() <= length + leeway {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let cut = if truth(&killwords) { None } else { kept.rfind(' ') };
    Ok(format!("{}{end}", &kept[..cut.unwrap_or(kept.len())]))
}

/// Jinja's count of words: runs of letters, digits and underscores.
fn word_count(text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).count()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            _ => out.push(c),
        }
    }
    out
}
