//! The Jinja environment that transformers gives chat templates, on minijinja: what Python's Jinja2
//! does where minijinja does otherwise.
//!
//! Known to differ still: `%` on strings is an error
//! (the `format` filter and str.format work), so are unary plus, `urlencode` and `random`; `\/` in a
//! string is a slash alone; `d.items` without a call is the key of that name;
//! the view that d.items() gives prints as a list; floats with an exponent print as Rust does inside
//! lists and dicts; iterating over None gives nothing instead of an error.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value};

use crate::template::filters;
use crate::template::json;
use crate::template::namespaces;
use crate::template::numbers;
use crate::template::pymethods;
use crate::template::python::python_str;

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

fn write_value(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.write_str(text)?,
        None => out.write_str(&python_str(value))?,
    }
    Ok(())
}
