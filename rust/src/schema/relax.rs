//! What of a schema can't be kept to, and the schema without it.

use serde_json::{Map, Value as Json};

use crate::schema::controls::{lost_by_pattern, lost_character};
use crate::schema::formats;
use crate::schema::parts::parts_mut;

/// Keywords that restrict, and are not supported.
const UNSUPPORTED: [&str; 13] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Formats of llguidance's own, beside those of crate::formats.
const FORMATS: [&str; 11] = [
    "date",
    "time",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
    "uri",
    "unknown",
];

/// Takes out what can't be kept to and returns where it was, below `path`: "PATH.properties.x.format".
pub fn relax(schema: &mut Json, path: &str) -> Vec<String> {
    let mut dropped = Vec::new();
    let mut nodes = vec![(schema, path.to_string())];
    while let Some((node, path)) = nodes.pop() {
        let Some(map) = node.as_object_mut() else { continue };
        for key in unkept(map) {
            map.shift_remove(&key);
            dropped.push(format!("{path}.{key}"));
        }
        nodes.extend(parts_mut(map).into_iter().map(|(step, part)| (part, step.dotted(&path))));
    }
    dropped.sort();
    dropped
}

fn unkept(map: &Map<String, Json>) -> Vec<String> {
    let is_unkept = |key: &str, value: &Json| match key {
        "uniqueItems" => value == true,
        "format" => value
            .as_str()
            .is_some_and(|name| formats::pattern(name).is_none() && !FORMATS.contains(&name)),
        "pattern" => value.as_str().is_some_and(is_no_pattern),
        "patternProperties" => {
            value.as_object().is_some_and(|all| all.keys().any(|one| is_no_pattern(one)))
        }
        "const" | "enum" => lost_character(value).is_some(),
        _ => UNSUPPORTED.contains(&key),
    };
    map.iter().filter(|(key, value)| is_unkept(key, value)).map(|(key, _)| key.clone()).collect()
}

/// Also what has look-around, refers back, or asks for characters that answers can't spell.
fn is_no_pattern(pattern: &str) -> bool {
    regex_syntax::Parser::new().parse(pattern).is_err() || lost_by_pattern(pattern).is_some()
}

/// Whether only compiling it tells that it can't be kept to.
pub fn is_doubtful(schema: &Json) -> bool {
    match schema {
        Json::Object(map) => map.iter().any(|(key, value)| {
            ["oneOf", "allOf", "patternProperties", "$ref", "pattern", "multipleOf"]
                .contains(&key.as_str())
                || is_doubtful(value)
        }),
        Json::Array(items) => items.iter().any(is_doubtful),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_kept_to_is_taken_out_and_told() {
        let mut schema = json!({ "type": "object", "properties": {
            "a": { "type": "string", "format": "foo", "minLength": 2 },
            "b": { "type": "array", "uniqueItems": true, "items": { "pattern": "(?=x)y" } },
            "c": { "anyOf": [{ "not": {} }, { "format": "uuid" }] },
            "d": { "const": "a\u{1b}b" },
            "e": { "uniqueItems": false, "enum": ["a\n"] },
            "format": { "type": "string", "not": { "const": "x" } } } });
        assert_eq!(
            relax(&mut schema, "p"),
            [
                "p.properties.a.format",
                "p.properties.b.items.pattern",
                "p.properties.b.uniqueItems",
                "p.properties.c.anyOf.0.not",
                "p.properties.d.const",
                "p.properties.format.not"
            ]
        );
        assert_eq!(
            schema,
            json!({ "type": "object", "properties": {
                "a": { "type": "string", "minLength": 2 },
                "b": { "type": "array", "items": {} },
                "c": { "anyOf": [{}, { "format": "uuid" }] },
                "d": {},
                "e": { "uniqueItems": false, "enum": ["a\n"] },
                "format": { "type": "string" } } })
        );
    }
}
