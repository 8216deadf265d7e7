//! The parts of a JSON Schema that are schemas themselves, and where they stand.

use serde_json::{Map, Value as Json};

/// Keywords whose members are schemas, whose items are, and which are one.
const MAPS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const LISTS: [&str; 5] = ["anyOf", "oneOf", "allOf", "prefixItems", "items"];
const SINGLES: [&str; 11] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// From a schema to one of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    keyword: &'a str,
    within: Within<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within<'a> {
    Itself,
    Member(&'a str),
    Item(usize),
}

impl Step<'_> {
    /// The part's JSON Pointer, of a schema at `path`.
    pub fn pointer(&self, path: &str) -> String {
        let Step { keyword, within } = self;
        match within {
            Within::Itself => format!("{path}/{keyword}"),
            Within::Member(name) => {
                format!("{path}/{keyword}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Within::Item(index) => format!("{path}/{keyword}/{index}"),
        }
    }

    /// As requests' fields are named: "PATH.properties.x".
    pub fn dotted(&self, path: &str) -> String {
        let Step { keyword, within } = self;
        match within {
            Within::Itself => format!("{path}.{keyword}"),
            Within::Member(name) => format!("{path}.{keyword}.{name}"),
            Within::Item(index) => format!("{path}.{keyword}.{index}"),
        }
    }
}

/// The parts, in order, shared or to be changed.
macro_rules! find_parts {
    ($members:expr) => {{
        let mut found = Vec::new();
        for (keyword, value) in $members {
            let keyword = keyword.as_str();
            let step = |within| Step { keyword, within };
            let has = |keywords: &[&str]| keywords.contains(&keyword);
            let is_single = has(&SINGLES) && !value.is_array();
            match value {
                part if is_single => found.push((step(Within::Itself), part)),
                Json::Object(map) if has(&MAPS) => {
                    let parts = map.into_iter();
                    found.extend(parts.map(|(name, part)| (step(Within::Member(name)), part)));
                }
                Json::Array(list) if has(&LISTS) => {
                    let parts = list.into_iter().enumerate();
                    found.extend(parts.map(|(index, part)| (step(Within::Item(index)), part)));
                }
                _ => (),
            }
        }
        found
    }};
}

pub fn parts(schema: &Map<String, Json>) -> Vec<(Step<'_>, &Json)> {
    find_parts!(schema)
}

pub fn parts_mut(schema: &mut Map<String, Json>) -> Vec<(Step<'_>, &mut Json)> {
    find_parts!(schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_found_wherever_a_schema_may_stand() {
        let mut schema = json!({
            "properties": { "a/b": {}, "~": true, "items": {} }, "items": [{}, {}], "anyOf": [{}],
            "not": {}, "additionalProperties": false, "enum": [{ "not": {} }], "const": { "items": {} },
            "allOf": { "items": {} }, "if": [{}], "$defs": { "x": {} } });
        let map = schema.as_object_mut().unwrap();
        let pointers: Vec<_> = parts(map).iter().map(|(step, _)| step.pointer("#")).collect();
        let dotted: Vec<_> = parts_mut(map).iter().map(|(step, _)| step.dotted("p")).collect();
        assert_eq!(
            pointers,
            [
                "#/properties/a~1b",
                "#/properties/~0",
                "#/properties/items",
                "#/items/0",
                "#/items/1",
                "#/anyOf/0",
                "#/not",
                "#/additionalProperties",
                "#/$defs/x"
            ]
        );
        assert_eq!(
            dotted,
            [
                "p.properties.a/b",
                "p.properties.~",
                "p.properties.items",
                "p.items.0",
                "p.items.1",
                "p.anyOf.0",
                "p.not",
                "p.additionalProperties",
                "p.$defs.x"
            ]
        );
    }
}
