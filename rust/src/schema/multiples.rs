//! `multipleOf` of more than llguidance can follow: the multiples are spelt out.
//!
//! llguidance keeps the remainder of the digits so far, and searches for digits that make it nothing: work that grows with the step and
//! begins anew with every number that a token may leave. So large steps would fail in the middle of an answer.

use std::collections::HashSet;

use serde_json::{json, Map, Value as Json};

use crate::base::failure::Outcome;
use crate::schema::limits::{refuse, MAX_INTEGER};

/// A step of up to so many units of its last decimal is followed digit by digit, and so are the divisors of ROUND: zeros make a
/// multiple of any number then.
const MAX_FOLLOWED: u64 = 100;
const ROUND: u128 = 1000;
/// Numbers that are spelt out of one schema: the nearest to a bound, or to 0 on both sides where there is none.
const MAX_MULTIPLES: i64 = 16_000;
/// And of all schemas within one.
const MAX_ALL: usize = 48_000;
const BOUNDS: [&str; 5] =
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];

/// What a document's schemas ask for.
#[derive(Default)]
pub struct Multiples {
    num_spelt: usize,
    /// Least common multiple of the steps that are followed, in units of 10^-DECIMALS.
    common: u128,
    may_merge: bool,
}

const DECIMALS: i32 = 8;

impl Multiples {
    /// Puts an `enum` in the place of a large `multipleOf`.
    pub fn visit(&mut self, schema: &mut Map<String, Json>, path: &str) -> Outcome<()> {
        self.may_merge |= ["allOf", "$ref"].iter().any(|key| schema.contains_key(*key))
            || (schema.contains_key("multipleOf")
                && ["anyOf", "oneOf"].iter().any(|key| schema.contains_key(*key)));
        let Some(step) = schema.get("multipleOf").and_then(Json::as_f64) else { return Ok(()) };
        if step.fract() != 0.0 || is_followed(step as u128) {
            return self.follow(step, path);
        }
        if step > MAX_INTEGER as f64 {
            return refuse(path, "'multipleOf' of more than 2^53 is not supported");
        }
        let values = multiples(schema, step as i64, path)?;
        self.num_spelt += values.len();
        if self.num_spelt > MAX_ALL {
            let limit = format!("there may be {MAX_ALL} in all");
            return refuse(
                path,
                format!("too many numbers for 'multipleOf' of more than {MAX_FOLLOWED}: {limit}"),
            );
        }
        spell_out(schema, values, path)
    }

    fn follow(&mut self, step: f64, path: &str) -> Outcome<()> {
        let units = (step.abs() * 10f64.powi(DECIMALS)).round() as u128;
        let mut digits = units;
        while digits > 0 && digits % 10 == 0 {
            digits /= 10;
        }
        if step.fract() != 0.0 && !is_followed(digits) {
            let what = format!("of more than {MAX_FOLLOWED} units of its last decimal");
            return refuse(path, format!("'multipleOf' {what} is not supported"));
        }
        self.common = if self.common == 0 { units } else { common(self.common, units) };
        Ok(())
    }

    /// Schemas that hold together have their steps' least common multiple.
    pub fn check_merged(&self) -> Outcome<()> {
        let whole = self.common / 10u128.pow(DECIMALS as u32);
        if self.may_merge && !is_followed(whole) {
            let what = format!("whose least common multiple is more than {MAX_FOLLOWED}");
            return refuse(
                "",
                format!("several 'multipleOf' {what} are not supported beside 'allOf' or '$ref'"),
            );
        }
        Ok(())
    }
}

fn is_followed(units: u128) -> bool {
    units <= MAX_FOLLOWED.into() || ROUND % units == 0
}

fn common(one: u128, another: u128) -> u128 {
    let (mut a, mut b) = (one, another);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    if a == 0 {
        return one.max(another);
    }
    (one / a).saturating_mul(another)
}

/// Those that the schema's bounds allow, as it is written.
fn multiples(schema: &Map<String, Json>, step: i64, path: &str) -> Outcome<Vec<i64>> {
    let low = bound(schema, "minimum", "exclusiveMinimum", 1.0);
    let high = bound(schema, "maximum", "exclusiveMaximum", -1.0);
    let first = low.map(|low| -(-low).div_euclid(step));
    let last = high.map(|high| high.div_euclid(step));
    let most = MAX_INTEGER / step;
    let (first, last) = match (first, last) {
        (Some(first), Some(last)) if last - first >= MAX_MULTIPLES => {
            let most = format!("may leave {MAX_MULTIPLES} numbers between bounds");
            return refuse(
                path,
                format!(
                    "'multipleOf' of more than {MAX_FOLLOWED} {most}, not {}",
                    last - first + 1
                ),
            );
        }
        (Some(first), Some(last)) => (first, last),
        (Some(first), None) => (first, first + MAX_MULTIPLES - 1),
        (None, Some(last)) => (last - MAX_MULTIPLES + 1, last),
        (None, None) => (-MAX_MULTIPLES / 2, MAX_MULTIPLES / 2),
    };
    let values: Vec<i64> =
        (first.max(-most)..=last.min(most)).map(|quotient| quotient * step).collect();
    if values.is_empty() {
        return refuse(path, "no multiple of 'multipleOf' lies between the bounds");
    }
    Ok(values)
}

/// The outermost integer; nothing where there is no bound, or one that says no more than that integers are exact.
fn bound(schema: &Map<String, Json>, key: &str, exclusive: &str, inwards: f64) -> Option<i64> {
    let round = |x: f64| if inwards > 0.0 { x.ceil() } else { x.floor() };
    let tighter = |a: f64, b: f64| if inwards > 0.0 { a.max(b) } else { a.min(b) };
    let within = |key: &str| schema.get(key).and_then(Json::as_f64);
    // Draft 4 has it as a boolean.
    let is_open = schema.get(exclusive) == Some(&Json::Bool(true));
    let beyond = |x: f64| if round(x) == x { x + inwards } else { round(x) };
    let closed = within(key).map(|x| if is_open { beyond(x) } else { round(x) });
    let open = within(exclusive).map(beyond);
    let found = match (closed, open) {
        (Some(one), Some(another)) => Some(tighter(one, another)),
        (one, another) => one.or(another),
    };
    found.map(|x| x as i64).filter(|x| x.abs() < MAX_INTEGER)
}

fn spell_out(schema: &mut Map<String, Json>, values: Vec<i64>, path: &str) -> Outcome<()> {
    let is_number = |kind: &str| kind == "integer" || kind == "number";
    let mut all: Vec<Json> = values.iter().map(|value| json!(value)).collect();
    match schema.get("type") {
        Some(Json::String(one)) if is_number(one) => {
            schema.shift_remove("type"); // which the values say
        }
        Some(Json::String(_)) => {
            schema.shift_remove("multipleOf"); // which says nothing of others
            return Ok(());
        }
        Some(Json::Array(several)) => {
            for kind in several.iter().filter_map(Json::as_str).filter(|kind| !is_number(kind)) {
                match kind {
                    "null" => all.push(Json::Null),
                    "boolean" => all.extend([json!(true), json!(false)]),
                    _ => return refuse_types(path),
                }
            }
        }
        _ => return refuse_types(path),
    }
    for key in BOUNDS {
        schema.shift_remove(key);
    }
    // What is there already is fewer.
    for key in ["const", "enum"] {
        let given = match schema.get(key) {
            Some(Json::Array(given)) if key == "enum" => given.clone(),
            Some(given) if key == "const" => vec![given.clone()],
            _ => continue,
        };
        let number = |value: &Json| value.as_f64().map_or_else(|| value.clone(), |x| json!(x));
        let known: HashSet<String> = all.iter().map(|value| number(value).to_string()).collect();
        all =
            given.into_iter().filter(|value| known.contains(&number(value).to_string())).collect();
        schema.shift_remove(key);
    }
    if all.is_empty() {
        return refuse(path, "no value of it is a multiple of 'multipleOf'");
    }
    schema.insert("enum".to_string(), Json::Array(all));
    Ok(())
}

fn refuse_types<T>(path: &str) -> Outcome<T> {
    refuse(
        path,
        format!(
            "'multipleOf' of more than {MAX_FOLLOWED} needs the 'type' \"integer\" or \"number\", beside \"null\" and \"boolean\" at most"
        ),
    )
}

#[cfg(test)]
#[path = "multiples_test.rs"]
mod tests;
