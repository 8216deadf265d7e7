//! A JSON Schema made ready for llguidance: what it would pass over in silence is refused, what it reads more
//! loosely than validators do is spelt out, and white space gets a bound.

use std::collections::HashSet;

use serde_json::{json, Map, Value as Json};

use crate::base::failure::Outcome;
use crate::schema::controls::{lost_by_pattern, lost_character, lost_name};
use crate::schema::formats;
use crate::schema::limits::{refuse, MAX_INTEGER, MAX_LEVELS};
use crate::schema::multiples::Multiples;
use crate::schema::parts::parts_mut;
use crate::schema::references;
use crate::schema::sizes;

/// Between two parts of a JSON text: nothing, a space, or a line break and its indentation. It can't go on for ever.
const WHITESPACE: &str = r"\x20|\r?\n[\x20\x09]{0,24}";

/// Escapes in strings. Not \uXXXX: a key spelt so might repeat a property that has its own schema.
pub const ESCAPES: &str = "nrbtf\\\"";

/// From here on, numbers are not exact in the 64 bit floats that bounds are compared in.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The schema as llguidance is to compile it. `refuse`s by name what can't be kept to.
pub fn prepare(mut schema: Json) -> Outcome<Json> {
    if schema == Json::Bool(true) {
        schema = json!({});
    }
    if !schema.is_object() {
        return refuse("", "must be an object");
    }
    references::make_plain(&mut schema)?;
    references::check_ends(&schema)?;
    let limits_decimals = has_small_steps(&schema);
    Visitor { limits_decimals, ..Visitor::default() }.visit_all(&mut schema)?;
    sizes::check(&schema)?;
    let options = json!({ "whitespace_pattern": WHITESPACE, "json_allowed_escapes": ESCAPES });
    schema.as_object_mut().expect("checked above").insert("x-guidance".to_string(), options);
    Ok(schema)
}

/// Bytes of all parts' paths, which are kept: a long name above many parts would fill the memory.
const MAX_PATHS: usize = 16 << 20;

#[derive(Default)]
struct Visitor {
    visited: HashSet<String>,
    paths_size: usize,
    refs: Vec<String>,
    targets: HashSet<String>,
    /// The deepest nesting of parts within one another.
    deepest: usize,
    multiples: Multiples,
    /// Whether decimals may be limited.
    limits_decimals: bool,
}

impl Visitor {
    /// What is referred to may lie where no schema is expected.
    fn visit_all(mut self, root: &mut Json) -> Outcome<()> {
        self.visit(root, "")?;
        while let Some(path) = self.refs.pop() {
            // What is referred to is compiled once, within what refers to it first.
            self.targets.insert(path.clone());
            if self.deepest.saturating_mul(self.targets.len() + 1) > MAX_LEVELS {
                return refuse("", "too many '$ref's for its depth");
            }
            if self.visited.contains(&path) {
                continue;
            }
            let mut node = &mut *root;
            for segment in path.split('/').skip(1) {
                let name = segment.replace("~1", "/").replace("~0", "~");
                let next = match segment.parse::<usize>() {
                    Ok(index) if node.is_array() => node.get_mut(index),
                    _ => node.get_mut(&name),
                };
                match next {
                    Some(found) => node = found,
                    None => return refuse("", format!("'$ref' to #{path}, where nothing is")),
                }
            }
            self.visit(node, &path)?;
        }
        self.multiples.check_merged()
    }

    fn visit(&mut self, node: &mut Json, path: &str) -> Outcome<()> {
        self.paths_size += path.len();
        if self.paths_size > MAX_PATHS {
            return refuse("", "too many parts for the length of their names");
        }
        if !self.visited.insert(path.to_string()) {
            return Ok(());
        }
        self.deepest = self.deepest.max(1 + path.bytes().filter(|&byte| byte == b'/').count() / 2);
        let Some(schema) = node.as_object_mut() else {
            return if node.is_boolean() {
                Ok(())
            } else {
                refuse(path, "must be an object or a boolean")
            };
        };
        check(schema, path)?;
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let Some(target) = reference.strip_prefix('#') else {
                return refuse(
                    path,
                    format!("'$ref' to {reference}: only those into the schema are followed"),
                );
            };
            self.refs.push(target.trim_end_matches('/').to_string());
        }
        if schema.get("uniqueItems") == Some(&Json::Bool(false)) {
            schema.remove("uniqueItems");
        }
        spell_out_format(schema);
        self.multiples.visit(schema, path)?;
        bound_numbers(schema, self.limits_decimals);
        for (step, part) in parts_mut(schema) {
            self.visit(part, &step.pointer(path))?;
        }
        Ok(())
    }
}

/// What llguidance would get wrong without a word.
fn check(schema: &Map<String, Json>, path: &str) -> Outcome<()> {
    if schema.contains_key("prefixItems") && schema.contains_key("additionalItems") {
        return refuse(path, "'prefixItems' and 'additionalItems' are of different drafts");
    }
    if !path.is_empty() && schema.get("$id").is_some_and(Json::is_string) {
        return refuse(path, "'$id' is supported at the top alone");
    }
    for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "const", "enum"] {
        if schema.get(key).is_some_and(|value| !is_exact(value)) {
            return refuse(
                path,
                format!("'{key}' has a number beyond 2^53, where floats are not exact"),
            );
        }
    }
    for key in ["const", "enum"] {
        if let Some(lost) = schema.get(key).and_then(lost_character) {
            return refuse(
                path,
                format!("'{key}' has the character {lost}, which answers can't spell"),
            );
        }
    }
    for key in ["properties", "required"] {
        if let Some(lost) = schema.get(key).and_then(lost_name) {
            return refuse(
                path,
                format!("'{key}' has a name with the character {lost}, which answers can't spell"),
            );
        }
    }
    if let Some((key, lost)) = lost_by_patterns(schema) {
        return refuse(
            path,
            format!("'{key}' asks for the character {lost}, which answers can't spell"),
        );
    }
    let step = schema.get("multipleOf").and_then(Json::as_f64);
    if step.is_some_and(|step| step.fract() != 0.0 && !is_countable(step)) {
        return refuse(path, "'multipleOf' has too many digits");
    }
    check_min_properties(schema, path)
}

fn lost_by_patterns(schema: &Map<String, Json>) -> Option<(&'static str, String)> {
    let one = schema.get("pattern").and_then(Json::as_str).and_then(lost_by_pattern);
    let names = schema.get("patternProperties").and_then(Json::as_object);
    let several = || names.into_iter().flat_map(Map::keys).find_map(|name| lost_by_pattern(name));
    one.map(|lost| ("pattern", lost)).or_else(|| several().map(|lost| ("patternProperties", lost)))
}

/// Whether llguidance's remainders of this step fit its 32 bits, over which it does not watch.
fn is_countable(step: f64) -> bool {
    let counted = |scale: i32| step.abs() * 10f64.powi(scale);
    let scale =
        (0..=DECIMALS).find(|&scale| (counted(scale) - counted(scale).round()).abs() < 1e-6);
    scale.is_some_and(|scale| counted(scale) >= 0.5 && counted(scale) <= MAX_STEPS)
}

fn is_exact(value: &Json) -> bool {
    match value {
        Json::Number(number) => number.as_f64().is_some_and(|x| x.abs() < MAX_EXACT),
        Json::Array(items) => items.iter().all(is_exact),
        Json::Object(members) => members.values().all(is_exact),
        _ => true,
    }
}

/// Members that the schema does not name may come twice, and count once.
fn check_min_properties(schema: &Map<String, Json>, path: &str) -> Outcome<()> {
    let least = schema.get("minProperties").and_then(Json::as_u64).unwrap_or(0);
    let required = schema.get("required").and_then(Json::as_array);
    let required = required.map_or(0, |names| names.iter().collect::<HashSet<_>>().len()) as u64;
    let open = schema.contains_key("patternProperties")
        || schema.get("additionalProperties") != Some(&Json::Bool(false));
    if open && least > required + 1 {
        return refuse(
            path,
            "'minProperties' of more than one beyond the required ones is not supported",
        );
    }
    Ok(())
}

// ---- numbers

/// A number that has a bound on one side gets this on the other.
const FAR: f64 = 1e15;
/// Numbers with bounds have so many decimals at most.
const DECIMALS: i32 = 8;
/// See is_countable.
const MAX_STEPS: f64 = 4e8;

/// Limiting decimals is a step, too: merged with the schema's own ones it must stay countable.
fn has_small_steps(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().all(has_small_steps),
        Json::Object(members) => members.iter().all(|(key, value)| {
            let step = if key == "multipleOf" { value.as_f64() } else { None };
            step.is_none_or(|step| step.abs() <= MAX_STEPS / 10f64.powi(DECIMALS))
                && has_small_steps(value)
        }),
        _ => true,
    }
}

/// Like white space, digits must not run on for ever, as they do once a model has lost its thread. The grammar of numbers
/// without any bound has exponents and is left alone.
fn bound_numbers(schema: &mut Map<String, Json>, limits_decimals: bool) {
    let has_type = |name: &str| match schema.get("type") {
        Some(Json::String(one)) => one == name,
        Some(Json::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    };
    let (integer, number) = (has_type("integer"), has_type("number"));
    let bound = |keys: [&str; 2]| keys.iter().find_map(|key| schema.get(*key)?.as_f64());
    let low = bound(["minimum", "exclusiveMinimum"]);
    let high = bound(["maximum", "exclusiveMaximum"]);
    if integer && !number {
        if low.is_none() {
            schema.insert("minimum".to_string(), json!(-MAX_INTEGER));
        }
        if high.is_none() {
            schema.insert("maximum".to_string(), json!(MAX_INTEGER));
        }
    }
    if !number || (low.is_none() && high.is_none()) {
        return;
    }
    if low.is_none() && high.is_some_and(|high| high > -FAR) {
        schema.insert("minimum".to_string(), json!(-FAR));
    }
    if high.is_none() && low.is_some_and(|low| low < FAR) {
        schema.insert("maximum".to_string(), json!(FAR));
    }
    let coarse = |bound: Option<f64>| {
        bound.is_none_or(|x| {
            let scaled = x * 10f64.powi(DECIMALS);
            (scaled - scaled.round()).abs() <= 1e-6 * scaled.abs()
        })
    };
    let is_free = !schema.contains_key("multipleOf");
    if is_free && limits_decimals && coarse(low) && coarse(high) {
        schema.insert("multipleOf".to_string(), json!(10f64.powi(-DECIMALS)));
    }
}

/// Without bounds but those that integers get here.
pub fn is_boundless(schema: &Map<String, Json>) -> bool {
    let integer = schema.get("type").is_some_and(|kind| kind == "integer");
    schema.iter().all(|(key, value)| match key.as_str() {
        "type" => true,
        "minimum" => integer && value == &json!(-MAX_INTEGER),
        "maximum" => integer && value == &json!(MAX_INTEGER),
        _ => false,
    })
}

// ---- formats

/// As patterns: some are stricter than llguidance's own, and other notations than JSON need them, too.
fn spell_out_format(schema: &mut Map<String, Json>) {
    let Some(pattern) = schema.get("format").and_then(Json::as_str).and_then(formats::pattern)
    else {
        return;
    };
    schema.remove("format");
    let anchored = Json::String(format!("^(?:{pattern})$"));
    if !schema.contains_key("pattern") {
        schema.insert("pattern".to_string(), anchored);
        return;
    }
    let all_of = schema.entry("allOf").or_insert_with(|| json!([]));
    if let Some(list) = all_of.as_array_mut() {
        list.push(json!({ "pattern": anchored }));
    }
}
