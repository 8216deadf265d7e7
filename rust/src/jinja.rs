//! The Jinja environment that transformers gives chat templates, on minijinja: what Python's Jinja2
//! does where minijinja does otherwise.
//!
//! Known to differ still: `%` on strings is an error
//! (the `format` filter and str.format work), so are unary plus, `urlencode` and `random`; `\/` in a
//! string is a slash alone; `d.items` without a call is the key of that name;
//! the view that d.items() gives prints as a list; floats with an exponent print as Rust does inside
//! lists and dicts; iterating over None gives nothing instead of an error.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value};

use crate::{filters, json, namespaces, numbers, pymethods};

/// Instructions a rendering may run, or 64 bytes each of data it may produce: a few tenths of a second
/// of work, and many times what a chat of a million tokens needs.
pub const FUEL: u64 = 4_000_000;

/// An environment holding one template under `name`.
pub fn environment(name: &str, source: &str) -> Result<Environment<'static>, Error> {
    let mut env = Environment::new();
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(pymethods::call);
    env.set_formatter(write_value);
    add_filters(&mut env);
    add_tests(&mut env);
    add_functions(&mut env);
    env.add_template_owned(name.to_string(), scoped_generation_blocks(source))?;
    Ok(env)
}

fn add_filters(env: &mut Environment) {
    env.add_filter("tojson", json::tojson);
    env.add_filter("string", |value: &Value| python_str(value));
    filters::add(env);
}

fn add_tests(env: &mut Environment) {
    // In Python text and dicts have a length and take indices, so they are sequences too.
    env.add_test("sequence", |value: &Value| {
        use ValueKind::{Iterable, Map, Seq, String, Undefined};
        matches!(value.kind(), Seq | Iterable | Map | String | Undefined)
    });
    env.add_test("iterable", |value: &Value| {
        use ValueKind::{Iterable, Map, Seq, String, Undefined};
        matches!(value.kind(), Seq | Iterable | Map | String | Undefined)
    });
    env.add_test("number", |value: &Value| {
        matches!(value.kind(), ValueKind::Number | ValueKind::Bool)
            || numbers::digits(value).is_some()
    });
    env.add_test("callable", |value: &Value| {
        value.kind() == ValueKind::Plain && numbers::digits(value).is_none()
    });
}

fn add_functions(env: &mut Environment) {
    env.add_function("raise_exception", |message: &Value| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, python_str(message)).with_source(Raised))
    });
    env.add_function("namespace", namespaces::namespace);
    env.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0));
    env.add_function("joiner", minijinja_contrib::globals::joiner);
}

/// Marks an error as the template's own words (raise_exception).
#[derive(Debug)]
pub struct Raised;

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("raised by the template")
    }
}

impl std::error::Error for Raised {}

/// transformers marks the assistant's words by {% generation %} blocks. They render their body in a
/// scope of its own, as {% with %} does.
fn scoped_generation_blocks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (text, tag) = rest.split_at(at + 2);
        out.push_str(text);
        rest = tag;
        let end = tag.find("%}").unwrap_or(tag.len());
        let inner = &tag[..end];
        let word = inner.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        let replacement = match word {
            "generation" => "with",
            "endgeneration" => "endwith",
            _ => continue,
        };
        out.push_str(&inner.replace(word, replacement));
        rest = &tag[end..];
    }
    out.push_str(rest);
    out
}

/// The positional arguments and the keyword ones. (A typed list of optional arguments would take the
/// keywords for one of them.)
pub fn split_kwargs(args: &[Value]) -> Result<(&[Value], Kwargs), Error> {
    match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => Ok((rest, Kwargs::try_from(last.clone())?)),
        _ => Ok((args, Kwargs::from_iter(std::iter::empty::<(String, Value)>()))),
    }
}

fn write_value(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.write_str(text)?,
        None => out.write_str(&python_str(value))?,
    }
    Ok(())
}

/// Python's str() of a value.
pub fn python_str(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(float) if value.kind() == ValueKind::Number && !value.is_integer() => float_repr(float),
        _ => value.to_string(),
    }
}

/// Python's repr() of a float: the shortest digits that read back the same, with an exponent below
/// 1e-4 and from 1e16 on.
pub fn float_repr(float: f64) -> String {
    if float.is_nan() {
        return "nan".into();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.into();
    }
    let debug = format!("{float:?}"); // the same digits and thresholds, another exponent
    match debug.split_once('e') {
        None => debug,
        Some((digits, exponent)) => {
            let digits = digits.strip_suffix(".0").unwrap_or(digits);
            let exponent: i32 = exponent.parse().unwrap_or_default();
            format!("{digits}e{exponent:+03}")
        }
    }
}

/// What Python counts as white space: Unicode's, and the four separators U+001C to U+001F.
pub fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// str.title(): every run of letters gets one capital.
pub fn python_title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}
