//! How Python writes values, counts white space and passes arguments.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, Value};

/// The positional arguments and the keyword ones. (A typed list of optional arguments would take the
/// keywords for one of them.)
pub fn split_kwargs(args: &[Value]) -> Result<(&[Value], Kwargs), Error> {
    match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => Ok((rest, Kwargs::try_from(last.clone())?)),
        _ => Ok((args, Kwargs::from_iter(std::iter::empty::<(String, Value)>()))),
    }
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
