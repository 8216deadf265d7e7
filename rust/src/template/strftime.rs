//! `strftime_now`: the clock that some templates print, and a fixed time for tests.

use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{Local, NaiveDateTime};

use crate::base::failure::{Failure, Outcome};

/// The time a rendering sees: given ("2026-11-22T19:32:12"), or the machine's local time.
pub fn parse_now(now: Option<&str>) -> Outcome<NaiveDateTime> {
    match now {
        None => Ok(Local::now().naive_local()),
        Some(text) => NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S")
            .map_err(|e| Failure::invalid(format!("now is not YYYY-MM-DDTHH:MM:SS: {e}"))),
    }
}

/// Python's `now.strftime(format)`. None when the format has a directive that neither knows.
pub fn strftime(now: NaiveDateTime, format: &str) -> Option<String> {
    let format = rewrite(format);
    let items: Vec<Item> = StrftimeItems::new(&format).collect();
    if items.contains(&Item::Error) {
        return None;
    }
    let mut out = String::new();
    write!(out, "{}", now.format_with_items(items.iter())).ok()?;
    Some(out)
}

/// Python's directives in chrono's spelling: %f is microseconds, zones are empty in a naive time.
fn rewrite(format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('f') => out.push_str("%6f"),
            Some('z' | 'Z') => {}
            Some(other) => out.extend(['%', other]),
            None => out.push_str("%%"),
        }
    }
    out
}
