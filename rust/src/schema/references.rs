//! `$ref`s made plain: what they refer to is found as RFC 6901 has it, and loops that have no end are refused.

use std::collections::{BTreeMap, HashMap};

use serde_json::{json, Map, Value as Json};

use crate::base::failure::{Failure, Outcome};

/// Members that hold values, not schemas.
const VALUES: [&str; 4] = ["const", "enum", "default", "examples"];

/// References with escapes ("~1", "%20"), which llguidance does not read, become others to the same parts, which move to `$defs`.
/// `root` is an object.
pub fn make_plain(root: &mut Json) -> Outcome<()> {
    let mut found = BTreeMap::new();
    for reference in references(root) {
        if let Some(pointer) = reference.strip_prefix('#').filter(|text| text.contains(['~', '%']))
        {
            let way = way_to(root, pointer).ok_or_else(|| {
                Failure::invalid(format!("the schema: '$ref' to {reference}, where nothing is"))
            })?;
            found.insert(reference.clone(), way);
        }
    }
    let names = move_out(root, found.values());
    let plain = |reference: &str| found.get(reference).map(|way| names[way].clone());
    rename(root, &plain);
    Ok(())
}

fn references(node: &Json) -> Vec<String> {
    let mut found = Vec::new();
    each_schema(node, &mut |map| {
        found.extend(map.get("$ref").and_then(Json::as_str).map(String::from));
    });
    found
}

/// Without recursion: schemas may be deep.
fn each_schema<'a>(root: &'a Json, visit: &mut dyn FnMut(&'a Map<String, Json>)) {
    let mut nodes = vec![root];
    while let Some(node) = nodes.pop() {
        match node {
            Json::Object(map) => {
                visit(map);
                nodes.extend(map.iter().filter(|(key, _)| is_schema(key)).map(|(_, value)| value));
            }
            Json::Array(items) => nodes.extend(items),
            _ => (),
        }
    }
}

fn is_schema(key: &str) -> bool {
    !VALUES.contains(&key)
}

/// The keys that lead there, as they are spelt in the schema.
fn way_to(root: &Json, pointer: &str) -> Option<Vec<String>> {
    let mut node = root;
    let mut way = Vec::new();
    for segment in pointer.split('/').skip(1) {
        let key = key_of(node, segment)?;
        node = child(node, &key)?;
        way.push(key);
    }
    Some(way)
}

/// A name that only looks escaped is taken as it stands.
fn key_of(node: &Json, segment: &str) -> Option<String> {
    let decoded = percent_decoded(segment)?.replace("~1", "/").replace("~0", "~");
    [decoded, segment.to_string()].into_iter().find(|key| child(node, key).is_some())
}

fn child<'a>(node: &'a Json, key: &str) -> Option<&'a Json> {
    match node {
        Json::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => node.get(key),
    }
}

fn child_mut<'a>(node: &'a mut Json, key: &str) -> Option<&'a mut Json> {
    match node {
        Json::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => node.get_mut(key),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let code = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                bytes.push(decoded);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// The parts at `ways`, the deepest first, since others may hold them. Returns what refers to each.
fn move_out<'a>(
    root: &mut Json,
    ways: impl Iterator<Item = &'a Vec<String>>,
) -> HashMap<Vec<String>, String> {
    let mut ways: Vec<&Vec<String>> = ways.collect();
    ways.sort();
    ways.dedup();
    ways.sort_by_key(|way| std::cmp::Reverse(way.len()));
    let mut names = HashMap::new();
    let mut moved = Map::new();
    for way in ways {
        let mut node = &mut *root;
        for key in way {
            node = child_mut(node, key).expect("it was found there");
        }
        let mut number = moved.len();
        while root_holds(&moved, number) {
            number += 1;
        }
        let name = format!("referred-to-{number}");
        let reference = format!("#/$defs/{name}");
        let part = std::mem::replace(node, json!({ "$ref": reference }));
        moved.insert(name, part);
        names.insert(way.clone(), reference);
    }
    if let (false, Some(map)) = (moved.is_empty(), root.as_object_mut()) {
        let defs = map.entry("$defs").or_insert_with(|| json!({}));
        if let Some(defs) = defs.as_object_mut() {
            defs.extend(moved);
        }
    }
    names
}

fn root_holds(moved: &Map<String, Json>, number: usize) -> bool {
    moved.contains_key(&format!("referred-to-{number}"))
}

fn rename(root: &mut Json, plain: &dyn Fn(&str) -> Option<String>) {
    let mut nodes = vec![root];
    while let Some(node) = nodes.pop() {
        match node {
            Json::Object(map) => {
                if let Some(Json::String(reference)) = map.get_mut("$ref") {
                    if let Some(other) = plain(reference) {
                        *reference = other;
                    }
                }
                nodes.extend(
                    map.iter_mut().filter(|(key, _)| is_schema(key)).map(|(_, value)| value),
                );
            }
            Json::Array(items) => nodes.extend(items),
            _ => (),
        }
    }
}

// ---- loops

/// Refuses parts that hold themselves in every case: a text of them would have no end. References are plain by now.
pub fn check_ends(root: &Json) -> Outcome<()> {
    let mut starts = Vec::new();
    each_schema(root, &mut |map| {
        if map.contains_key("$ref") {
            starts.push(map);
        }
    });
    let mut search = Search { root, seen: HashMap::new() };
    starts.into_iter().try_for_each(|start| search.visit(start))
}

type Part<'a> = &'a Map<String, Json>;

/// A search in depth, without recursion.
struct Search<'a> {
    root: &'a Json,
    /// By address: whether all that a part holds has been looked at.
    seen: HashMap<*const Map<String, Json>, bool>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, start: Part<'a>) -> Outcome<()> {
        let mut way: Vec<(Part<'a>, Vec<Part<'a>>)> = Vec::new();
        let mut next = Some(start);
        loop {
            if let Some(part) = next.take() {
                match self.seen.get(&(part as *const _)) {
                    Some(false) => return Err(refusal(&way, part)),
                    Some(true) => (),
                    None => {
                        self.seen.insert(part, false);
                        way.push((part, self.held_by(part)));
                    }
                }
            }
            let Some((part, rest)) = way.last_mut() else { return Ok(()) };
            next = rest.pop();
            if next.is_none() {
                self.seen.insert(*part, true);
                way.pop();
            }
        }
    }

    /// What a value of this part can't be without.
    fn held_by(&self, part: Part<'a>) -> Vec<Part<'a>> {
        let mut held: Vec<&Json> = Vec::new();
        if let Some(pointer) =
            part.get("$ref").and_then(Json::as_str).and_then(|text| text.strip_prefix('#'))
        {
            held.extend(pointer.split('/').skip(1).try_fold(self.root, child));
        }
        held.extend(part.get("allOf").and_then(Json::as_array).into_iter().flatten());
        let kind = part.get("type").and_then(Json::as_str);
        if kind == Some("object") {
            let names = part.get("required").and_then(Json::as_array).into_iter().flatten();
            let properties = part.get("properties");
            held.extend(names.filter_map(|name| properties?.get(name.as_str()?)));
        }
        let least = part.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if kind == Some("array") && least > 0 && !part.contains_key("prefixItems") {
            held.extend(part.get("items"));
        }
        held.into_iter().filter_map(Json::as_object).collect()
    }
}

fn refusal(way: &[(Part, Vec<Part>)], again: Part) -> Failure {
    let from = way.iter().rposition(|(part, _)| std::ptr::eq(*part, again)).unwrap_or(0);
    let reference = way[from..].iter().find_map(|(part, _)| part.get("$ref")?.as_str());
    Failure::invalid(format!(
        "the schema: '$ref' to {} leads back to itself in every case, so no JSON could ever end it",
        reference.unwrap_or("#")
    ))
}
