//! Python's string, list and dict methods where minijinja-contrib lacks them or differs from Python.

use minijinja::value::{from_args, Rest, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use crate::template::python::{is_python_space, python_str, python_title, split_kwargs};

/// Called for every method that the value itself does not have.
pub fn call(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match (value.as_str(), value.kind()) {
        (Some(text), _) => string_method(text, name, args)?,
        (None, ValueKind::Seq | ValueKind::Iterable) => list_method(value, name, args)?,
        (None, ValueKind::Map) => dict_method(value, name, args)?,
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => pycompat::unknown_method_callback(state, value, name, args),
    }
}

pub fn string_method(s: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "strip" | "lstrip" | "rstrip" => strip(s, name, args)?.into(),
        "split" | "rsplit" => split(s, name == "rsplit", args)?,
        "splitlines" => {
            let (args, kwargs) = split_kwargs(args)?;
            let (keep,): (Option<bool>,) = from_args(args)?;
            let keep = keep.or(kwargs.get("keepends")?).unwrap_or(false);
            split_lines(s, keep)
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            partition(s, separator, name == "rpartition")?
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            s.strip_prefix(prefix).unwrap_or(s).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            s.strip_suffix(suffix).unwrap_or(s).into()
        }
        "index" | "rindex" => {
            let (what,): (&str,) = from_args(args)?;
            let found = if name == "index" { s.find(what) } else { s.rfind(what) };
            let at = found.ok_or_else(|| failure("substring not found"))?;
            s[..at].chars().count().into()
        }
        "title" => python_title(s).into(),
        "casefold" => s.to_lowercase().into(),
        "swapcase" => s.chars().map(swap_case).collect::<String>().into(),
        "isspace" => (!s.is_empty() && s.chars().all(is_python_space)).into(),
        "isdecimal" => (!s.is_empty() && s.chars().all(|c| c.is_ascii_digit())).into(),
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            zero_fill(s, bounded(width)?).into()
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (usize, Option<char>) = from_args(args)?;
            justify(s, name, bounded(width)?, fill.unwrap_or(' ')).into()
        }
        _ => return Ok(None),
    }))
}

fn failure(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn bounded(width: usize) -> Result<usize, Error> {
    if width > 1_000_000 {
        Err(failure("the width is too large"))
    } else {
        Ok(width)
    }
}

fn swap_case(c: char) -> String {
    if c.is_lowercase() {
        c.to_uppercase().collect()
    } else {
        c.to_lowercase().collect()
    }
}

fn strip<'a>(s: &'a str, name: &str, args: &[Value]) -> Result<&'a str, Error> {
    let (chars,): (Option<&Value>,) = from_args(args)?;
    let chars = chars.filter(|chars| !chars.is_none()).map(python_str);
    let cut = |c: char| match &chars {
        Some(chars) => chars.contains(c),
        None => is_python_space(c),
    };
    Ok(match name {
        "strip" => s.trim_matches(cut),
        "lstrip" => s.trim_start_matches(cut),
        _ => s.trim_end_matches(cut),
    })
}

fn split(s: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (args, kwargs) = split_kwargs(args)?;
    let (separator, limit): (Option<Value>, Option<i64>) = from_args(args)?;
    let separator = separator.or(kwargs.get("sep")?).filter(|value| !value.is_none());
    let limit = limit.or(kwargs.get("maxsplit")?).filter(|&limit| limit >= 0);
    kwargs.assert_all_used()?;
    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
    let parts = match separator {
        None => split_space(s, limit, from_right),
        Some(separator) => {
            let separator = python_str(&separator);
            if separator.is_empty() {
                return Err(failure("empty separator"));
            }
            let count = limit.saturating_add(1);
            if from_right {
                let mut parts: Vec<&str> = s.rsplitn(count, &*separator).collect();
                parts.reverse();
                parts
            } else {
                s.splitn(count, &*separator).collect()
            }
        }
    };
    Ok(parts.into_iter().map(Value::from).collect())
}

/// str.split() without a separator: runs of white space. Beyond the limit the rest stays whole, with
/// the white space at its far end.
fn split_space(s: &str, limit: usize, from_right: bool) -> Vec<&str> {
    let near = |s| trim_side(s, from_right);
    let far = |s| trim_side(s, !from_right);
    let mut parts = vec![];
    let mut rest = near(s);
    while !far(rest).is_empty() {
        let at = if from_right { rest.rfind(is_python_space) } else { rest.find(is_python_space) };
        let Some(at) = at.filter(|_| parts.len() < limit) else {
            parts.push(rest);
            break;
        };
        let (left, right) = rest.split_at(at);
        let (part, remainder) = if from_right {
            (right.trim_start_matches(is_python_space), left)
        } else {
            (left, right)
        };
        parts.push(part);
        rest = near(remainder);
    }
    if from_right {
        parts.reverse();
    }
    parts
}

fn trim_side(s: &str, right: bool) -> &str {
    if right {
        s.trim_end_matches(is_python_space)
    } else {
        s.trim_start_matches(is_python_space)
    }
}

fn ends_line(c: char) -> bool {
    matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn split_lines(s: &str, keep_ends: bool) -> Value {
    let mut lines = vec![];
    let mut rest = s;
    while let Some(at) = rest.find(ends_line) {
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + rest[at..].chars().next().map_or(0, char::len_utf8)
        };
        lines.push(Value::from(&rest[..if keep_ends { end } else { at }]));
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(Value::from(rest));
    }
    Value::from(lines)
}

fn partition(s: &str, separator: &str, from_right: bool) -> Result<Value, Error> {
    if separator.is_empty() {
        return Err(failure("empty separator"));
    }
    let parts = if from_right {
        s.rsplit_once(separator).map_or(["", "", s], |(a, b)| [a, separator, b])
    } else {
        s.split_once(separator).map_or([s, "", ""], |(a, b)| [a, separator, b])
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

fn zero_fill(s: &str, width: usize) -> String {
    let zeros = "0".repeat(width.saturating_sub(s.chars().count()));
    match s.strip_prefix(['+', '-']) {
        Some(digits) => format!("{}{zeros}{digits}", &s[..1]),
        None => format!("{zeros}{s}"),
    }
}

pub fn justify(s: &str, name: &str, width: usize, fill: char) -> String {
    let missing = width.saturating_sub(s.chars().count());
    let left = match name {
        "ljust" => 0,
        "rjust" => missing,
        _ => missing / 2 + (missing & width & 1), // CPython's rounding
    };
    let pad = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    format!("{}{s}{}", pad(left), pad(missing - left))
}

fn list_method(value: &Value, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "index" => {
            let (what, _rest): (&Value, Rest<Value>) = from_args(args)?;
            let found = value.try_iter()?.position(|item| item == *what);
            found.ok_or_else(|| failure(format!("{what:?} is not in list")))?.into()
        }
        "copy" => value.try_iter()?.collect(),
        _ => return Ok(None),
    }))
}

fn dict_method(value: &Value, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "copy" => {
            let () = from_args(args)?;
            let keys = value.try_iter()?;
            let entries: Result<Vec<(Value, Value)>, Error> =
                keys.map(|key| Ok((key.clone(), value.get_item(&key)?))).collect();
            Value::from_pairs(entries?)
        }
        _ => return Ok(None),
    }))
}
