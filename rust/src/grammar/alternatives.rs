//! What a JSON Schema allows, told apart by type: what llguidance finds out for JSON, for notations that are not JSON.
//!
//! The schema has been through `schema::prepare` and llguidance's own compiler, which refuse what can't be kept to; so only
//! keywords are met here that both know.

use std::collections::HashSet;

use serde_json::{json, Map, Value as Json};

use crate::base::failure::{Failure, Outcome};
use crate::grammar::texts::{longest_of, Text};

/// References in place, one behind the other.
const MAX_DEPTH: usize = 64;
/// What it may take to tell a schema's alternatives apart: they multiply where options lead to options.
const MAX_STEPS: usize = 40_000;
/// Most pairs of alternatives are of two types and told apart at once.
const PAIRS_A_STEP: usize = 8;

const TYPES: [&str; 6] = ["null", "boolean", "number", "string", "array", "object"];
const NUMBER_KEYWORDS: [&str; 5] =
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
/// Those that say something of a value.
const KEYWORDS: [&str; 27] = [
    "type",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];

/// A kind of value that a schema allows.
#[derive(Clone, Debug)]
pub enum Alternative {
    Null,
    /// This one, or either.
    Boolean(Option<bool>),
    Number(Number),
    Text(Text),
    Array(Array),
    Object(Object),
}

#[derive(Clone, Debug, Default)]
pub struct Number {
    /// As the schema spells it; the rest has been looked at.
    pub literal: Option<Json>,
    /// Each holds: `type` (number or integer) and bounds.
    pub schemas: Vec<Map<String, Json>>,
}

#[derive(Clone, Debug)]
pub struct Array {
    /// Schemas of the first items.
    pub first: Vec<Json>,
    /// And of those behind them; false for none.
    pub rest: Json,
    pub shortest: u64,
    pub longest: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Object {
    pub properties: Map<String, Json>,
    /// Each once.
    pub required: Vec<String>,
    /// The schema of other members; false for none.
    pub others: Json,
    /// The schema speaks of other members, or of no others.
    pub is_open: bool,
    pub least: u64,
    pub most: Option<u64>,
}

/// It says nothing of the value.
pub fn is_any(schema: &Json) -> bool {
    match schema {
        Json::Bool(any) => *any,
        Json::Object(map) => !map.keys().any(|key| KEYWORDS.contains(&key.as_str())),
        _ => false,
    }
}

/// What the schema allows; nothing where no value meets it. References lead into `root`.
pub fn alternatives(schema: &Json, root: &Json) -> Outcome<Vec<Alternative>> {
    Resolver { root, steps_left: MAX_STEPS }.resolve(schema, 0)
}

struct Resolver<'a> {
    root: &'a Json,
    steps_left: usize,
}

impl Resolver<'_> {
    fn spend(&mut self, steps: usize) -> Outcome<()> {
        let left = self.steps_left.checked_sub(steps);
        let too_many = || Failure::invalid("the schema is too large: it has too many alternatives");
        self.steps_left = left.ok_or_else(too_many)?;
        Ok(())
    }

    fn resolve(&mut self, schema: &Json, depth: usize) -> Outcome<Vec<Alternative>> {
        self.spend(1)?;
        if depth > MAX_DEPTH {
            return Err(Failure::invalid("the schema refers to itself without an end"));
        }
        let Some(map) = schema.as_object() else {
            return if schema == &Json::Bool(false) { Ok(Vec::new()) } else { own(&Map::new()) };
        };
        let mut found = own(map)?;
        if let Some(value) = map.get("const") {
            found = self.both(&found, &[constant(value)])?;
        }
        if let Some(values) = map.get("enum").and_then(Json::as_array) {
            found = self.both(&found, &values.iter().map(constant).collect::<Vec<_>>())?;
        }
        for part in list(map, "allOf") {
            let part = self.resolve(part, depth + 1)?;
            found = self.both(&found, &part)?;
        }
        for key in ["anyOf", "oneOf"] {
            if map.contains_key(key) {
                let mut options = Vec::new();
                for option in list(map, key) {
                    options.extend(self.resolve(option, depth + 1)?);
                }
                found = self.both(&found, &options)?;
            }
        }
        if let Some(reference) = map.get("$ref").and_then(Json::as_str) {
            let path = reference.trim_start_matches('#').trim_end_matches('/');
            let Some(target) = self.root.pointer(path) else {
                return Err(Failure::invalid(format!("'$ref' to {reference}, where nothing is")));
            };
            let target = self.resolve(target, depth + 1)?;
            found = self.both(&found, &target)?;
        }
        Ok(found)
    }

    /// What two schemas allow together.
    fn both(&mut self, some: &[Alternative], others: &[Alternative]) -> Outcome<Vec<Alternative>> {
        self.spend(some.len() * others.len() / PAIRS_A_STEP)?;
        let mut found = Vec::new();
        for one in some {
            for another in others {
                if let Some(alternative) = merged(one, another)? {
                    self.spend(1 + parts_of(&alternative))?;
                    found.push(alternative);
                }
            }
        }
        Ok(found)
    }
}

/// The schemas that it holds.
fn parts_of(alternative: &Alternative) -> usize {
    match alternative {
        Alternative::Array(array) => array.first.len(),
        Alternative::Object(object) => object.properties.len(),
        _ => 0,
    }
}

fn list<'a>(map: &'a Map<String, Json>, key: &str) -> impl Iterator<Item = &'a Json> {
    map.get(key).and_then(Json::as_array).into_iter().flatten()
}

/// By `type` and the keywords of each, without what applies other schemas.
fn own(map: &Map<String, Json>) -> Outcome<Vec<Alternative>> {
    let types: Vec<&str> = match map.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => TYPES.to_vec(),
    };
    let mut found = Vec::new();
    for name in &types {
        let alternative = match *name {
            "null" => Alternative::Null,
            "boolean" => Alternative::Boolean(None),
            "integer" if types.contains(&"number") => continue,
            "number" | "integer" => Alternative::Number(number(map, name)),
            "string" => Alternative::Text(text(map)),
            "array" => Alternative::Array(array(map)),
            "object" => Alternative::Object(object(map)?),
            _ => return Err(Failure::invalid(format!("there is no type '{name}'"))),
        };
        if !has_crossed_bounds(&alternative) {
            found.push(alternative);
        }
    }
    Ok(found)
}

/// The least of it is more than the most, so that there is none.
fn has_crossed_bounds(alternative: &Alternative) -> bool {
    let crossed = |least: u64, most: Option<u64>| most.is_some_and(|most| least > most);
    match alternative {
        Alternative::Null | Alternative::Boolean(_) => false,
        Alternative::Number(number) => is_empty_range(&number.schemas),
        Alternative::Text(text) => crossed(text.shortest, text.longest),
        Alternative::Array(array) => crossed(array.shortest, array.longest),
        Alternative::Object(object) => {
            crossed(object.least.max(object.required.len() as u64), object.most)
        }
    }
}

fn count(map: &Map<String, Json>, key: &str) -> Option<u64> {
    let value = map.get(key)?;
    value.as_u64().or_else(|| value.as_f64().map(|count| count.max(0.0) as u64))
}

fn number(map: &Map<String, Json>, name: &str) -> Number {
    let mut schema = Map::new();
    schema.insert("type".to_string(), json!(name));
    for key in NUMBER_KEYWORDS {
        if let Some(value) = map.get(key) {
            schema.insert(key.to_string(), value.clone());
        }
    }
    Number { literal: None, schemas: vec![schema] }
}

/// Formats are patterns by now.
fn text(map: &Map<String, Json>) -> Text {
    Text {
        literal: None,
        shortest: count(map, "minLength").unwrap_or(0),
        longest: count(map, "maxLength"),
        patterns: map.get("pattern").and_then(Json::as_str).map(String::from).into_iter().collect(),
    }
}

/// The array of a schema of any draft: `items` may be the list of the first items.
fn array(map: &Map<String, Json>) -> Array {
    let old = map.get("items").and_then(Json::as_array);
    let first = old.or_else(|| map.get("prefixItems").and_then(Json::as_array));
    let rest = if old.is_some() { map.get("additionalItems") } else { map.get("items") };
    Array {
        first: first.cloned().unwrap_or_default(),
        rest: rest.cloned().unwrap_or(Json::Bool(true)),
        shortest: count(map, "minItems").unwrap_or(0),
        longest: count(map, "maxItems"),
    }
}

fn object(map: &Map<String, Json>) -> Outcome<Object> {
    if map.get("patternProperties").and_then(Json::as_object).is_some_and(|some| !some.is_empty()) {
        return Err(Failure::invalid(
            "'patternProperties' is not supported in this format of calls",
        ));
    }
    let properties = map.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
    let others = map.get("additionalProperties");
    let mut known = HashSet::new();
    let required = list(map, "required").filter_map(Json::as_str);
    Ok(Object {
        is_open: others.is_some() || properties.is_empty(),
        properties,
        required: required.filter(|name| known.insert(*name)).map(String::from).collect(),
        others: others.cloned().unwrap_or(Json::Bool(true)),
        least: count(map, "minProperties").unwrap_or(0),
        most: count(map, "maxProperties"),
    })
}

fn constant(value: &Json) -> Alternative {
    let same = |value: &Json| json!({ "const": value });
    match value {
        Json::Null => Alternative::Null,
        Json::Bool(which) => Alternative::Boolean(Some(*which)),
        Json::Number(_) => {
            Alternative::Number(Number { literal: Some(value.clone()), schemas: Vec::new() })
        }
        Json::String(text) => Alternative::Text(Text::of(text)),
        Json::Array(items) => Alternative::Array(Array {
            first: items.iter().map(same).collect(),
            rest: Json::Bool(false),
            shortest: items.len() as u64,
            longest: Some(items.len() as u64),
        }),
        Json::Object(members) => Alternative::Object(Object {
            properties: members.iter().map(|(name, value)| (name.clone(), same(value))).collect(),
            required: members.keys().cloned().collect(),
            others: Json::Bool(false),
            is_open: true,
            least: 0,
            most: None,
        }),
    }
}

// ---- what several schemas allow together

fn merged(one: &Alternative, another: &Alternative) -> Outcome<Option<Alternative>> {
    use Alternative::*;
    Ok(match (one, another) {
        (Null, Null) => Some(Null),
        (Boolean(a), Boolean(b)) => {
            (a.is_none() || b.is_none() || a == b).then(|| Boolean(a.or(*b)))
        }
        (Number(a), Number(b)) => merged_numbers(a, b).map(Number),
        (Text(a), Text(b)) => a.and(b)?.map(Text),
        (Array(a), Array(b)) => Some(Array(merged_arrays(a, b))),
        (Object(a), Object(b)) => Some(Object(merged_objects(a, b))),
        _ => None,
    })
}

/// One schema for both.
fn all_of(one: &Json, another: &Json) -> Json {
    match (is_any(one), is_any(another)) {
        (true, _) => another.clone(),
        (_, true) => one.clone(),
        _ if one == &Json::Bool(false) || another == &Json::Bool(false) => Json::Bool(false),
        _ => json!({ "allOf": [one, another] }),
    }
}

fn merged_numbers(one: &Number, another: &Number) -> Option<Number> {
    let value = |number: &Number| number.literal.as_ref().and_then(Json::as_f64);
    if value(one).is_some() && value(another).is_some() && value(one) != value(another) {
        return None;
    }
    let number = Number {
        literal: one.literal.clone().or_else(|| another.literal.clone()),
        schemas: one.schemas.iter().chain(&another.schemas).cloned().collect(),
    };
    match value(&number) {
        Some(value) => number.schemas.iter().all(|schema| allows(schema, value)).then_some(number),
        None => (!is_empty_range(&number.schemas)).then_some(number),
    }
}

fn bound(schema: &Map<String, Json>, key: &str) -> Option<f64> {
    schema.get(key).and_then(Json::as_f64)
}

fn allows(schema: &Map<String, Json>, value: f64) -> bool {
    let step = bound(schema, "multipleOf").filter(|step| *step > 0.0);
    let steps = step.map_or(0.0, |step| value / step);
    (schema["type"] != "integer" || value.fract() == 0.0)
        && bound(schema, "minimum").is_none_or(|least| value >= least)
        && bound(schema, "maximum").is_none_or(|most| value <= most)
        && bound(schema, "exclusiveMinimum").is_none_or(|least| value > least)
        && bound(schema, "exclusiveMaximum").is_none_or(|most| value < most)
        && (steps - steps.round()).abs() < 1e-9
}

fn is_empty_range(schemas: &[Map<String, Json>]) -> bool {
    let of = |key: &'static str| schemas.iter().filter_map(move |schema| bound(schema, key));
    let least = of("minimum").chain(of("exclusiveMinimum")).fold(f64::NEG_INFINITY, f64::max);
    let most = of("maximum").chain(of("exclusiveMaximum")).fold(f64::INFINITY, f64::min);
    let excluded = of("exclusiveMinimum").chain(of("exclusiveMaximum")).any(|end| end == least);
    let integer = schemas.iter().any(|schema| schema["type"] == "integer");
    least > most || (least == most && excluded) || (integer && least.ceil() > most.floor())
}

fn merged_arrays(one: &Array, another: &Array) -> Array {
    let item = |array: &Array, at: usize| array.first.get(at).unwrap_or(&array.rest).clone();
    let first = 0..one.first.len().max(another.first.len());
    Array {
        first: first.map(|at| all_of(&item(one, at), &item(another, at))).collect(),
        rest: all_of(&one.rest, &another.rest),
        shortest: one.shortest.max(another.shortest),
        longest: longest_of(one.longest, another.longest),
    }
}

fn merged_objects(one: &Object, another: &Object) -> Object {
    let member =
        |object: &Object, name: &str| object.properties.get(name).unwrap_or(&object.others).clone();
    let mut properties = Map::new();
    for name in one.properties.keys().chain(another.properties.keys()) {
        if !properties.contains_key(name) {
            properties.insert(name.clone(), all_of(&member(one, name), &member(another, name)));
        }
    }
    let mut required = one.required.clone();
    required.extend(another.required.iter().filter(|name| !one.required.contains(name)).cloned());
    Object {
        is_open: properties.is_empty() || (one.is_open && another.is_open),
        properties,
        required,
        others: all_of(&one.others, &another.others),
        least: one.least.max(another.least),
        most: longest_of(one.most, another.most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Schemas of which each has the next one twice under a keyword.
    fn doubled(keyword: &str) -> Json {
        let mut schemas = Map::new();
        for at in 0..28 {
            let next = json!({ "$ref": format!("#/$defs/a{}", at + 1) });
            schemas.insert(format!("a{at}"), json!({ keyword: [next, next] }));
        }
        schemas.insert("a28".to_string(), json!({ "type": "string" }));
        json!({ "$ref": "#/$defs/a0", "$defs": schemas })
    }

    #[test]
    fn alternatives_do_not_multiply_without_an_end() {
        for keyword in ["anyOf", "oneOf", "allOf"] {
            let schema = doubled(keyword);
            let failure = alternatives(&schema, &schema).unwrap_err();
            assert!(failure.message.contains("too large"), "{keyword}: {}", failure.message);
        }
        let options: Vec<Json> = (0..10).map(|at| json!({ "maxLength": at + 1 })).collect();
        let factor = json!({ "type": "string", "anyOf": options });
        let product = json!({ "allOf": vec![factor; 8] });
        assert!(alternatives(&product, &product).is_err());
    }

    #[test]
    fn long_lists_of_constants_are_taken() {
        let values: Vec<String> = (0..5000).map(|at| format!("value {at}")).collect();
        let schema = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "enum": values } } });
        assert_eq!(alternatives(&schema, &schema).unwrap().len(), 5000);
    }
}
