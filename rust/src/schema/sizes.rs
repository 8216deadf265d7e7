//! What llguidance would take to read a schema, told beforehand: it neither asks on the way whether it may go on, nor counts what is
//! dear. Schemas that hold together are multiplied out, patterns of names are compared with one another, and members with all before.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

use crate::base::failure::Outcome;
use crate::schema::limits::{refuse, MAX_LEVELS};
use crate::schema::parts::parts;

/// Pairs of alternatives that `allOf`, `anyOf` and the like make together: one or two milliseconds and 20 KB each.
const MAX_PAIRS: u64 = 500;
/// Comparisons of patterns for names of members: a tenth of a millisecond each, and up to one where they are long.
const MAX_COMPARISONS: u64 = 2_000;
/// Members of one object, or first items of one array. Their work grows with the square.
const MAX_MEMBERS: usize = 2_000;
const MAX_FIRST_ITEMS: usize = 1_000;
/// Members of all objects of one grammar: up to 0.15 milliseconds each.
pub const MAX_ALL_MEMBERS: usize = 2_000;
/// Bytes of all patterns of one grammar, formats included: up to a microsecond each.
const MAX_PATTERN_BYTES: usize = 384 << 10;
/// Members behind one another of which each may be left out.
const MAX_OPTIONAL: usize = 700;
/// The sum of those squares, over the whole schema.
const MAX_SQUARES: u64 = 5_000_000;
/// A first item, or an option of `anyOf`, weighs as much as so many members.
const FIRST_ITEM: u64 = 2;
/// Names that patterns are tried on.
const MAX_TRIALS: u64 = 20_000;
/// Options of `oneOf`, each of which is compared with all others.
const MAX_ONE_OF: usize = 1_000;
/// Options of `anyOf` that are no mere values. Their work grows with the square, too.
const MAX_ANY_OF: usize = 1_000;

/// What a schema is where it is merged with others.
#[derive(Clone, Copy)]
struct Size {
    alternatives: u64,
    patterns: u64,
}

const ONE: Size = Size { alternatives: 1, patterns: 0 };

struct Sizes<'a> {
    root: &'a Json,
    /// By address; nothing while it is looked at.
    known: HashMap<*const Json, Option<Size>>,
    pairs: u64,
    comparisons: u64,
    squares: u64,
    members: usize,
    pattern_bytes: usize,
}

/// Refuses what takes too long or too much. References are plain.
pub fn check(root: &Json) -> Outcome<()> {
    check_all(std::slice::from_ref(root))
}

/// The same for schemas of one grammar, which are read one after the other without a pause.
pub fn check_all(roots: &[Json]) -> Outcome<()> {
    let Some(first) = roots.first() else { return Ok(()) };
    let known = HashMap::new();
    let mut sizes = Sizes {
        root: first,
        known,
        pairs: 0,
        comparisons: 0,
        squares: 0,
        members: 0,
        pattern_bytes: 0,
    };
    for root in roots {
        sizes.root = root;
        let mut nodes = vec![(root, String::new())];
        while let Some((node, path)) = nodes.pop() {
            let Some(schema) = node.as_object() else { continue };
            sizes.check_members(schema, &path)?;
            sizes.size(node, &path, 0)?;
            nodes.extend(parts(schema).into_iter().map(|(step, part)| (part, step.pointer(&path))));
        }
    }
    Ok(())
}

/// The members of all objects of a schema.
pub fn num_members(root: &Json) -> usize {
    let (mut members, mut nodes) = (0, vec![root]);
    while let Some(node) = nodes.pop() {
        let Some(schema) = node.as_object() else { continue };
        members += own_members(schema);
        nodes.extend(parts(schema).into_iter().map(|(_, part)| part));
    }
    members
}

fn count(schema: &Map<String, Json>, key: &str) -> usize {
    match schema.get(key) {
        Some(Json::Object(map)) => map.len(),
        Some(Json::Array(list)) => list.len(),
        _ => 0,
    }
}

fn own_members(schema: &Map<String, Json>) -> usize {
    count(schema, "properties").max(count(schema, "required"))
}

/// Options that are more than a value.
fn num_options(schema: &Map<String, Json>) -> usize {
    let is_more = |option: &&Json| option.get("const").is_none() && option.get("enum").is_none();
    schema.get("anyOf").and_then(Json::as_array).map_or(0, |all| all.iter().filter(is_more).count())
}

/// The most properties behind one another that are not required.
fn longest_choice(schema: &Map<String, Json>) -> usize {
    let required: HashSet<&str> = schema
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let (mut longest, mut run) = (0, 0);
    for name in schema.get("properties").and_then(Json::as_object).into_iter().flat_map(Map::keys) {
        run = if required.contains(name.as_str()) { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    longest
}

impl<'a> Sizes<'a> {
    fn check_members(&mut self, schema: &'a Map<String, Json>, path: &str) -> Outcome<()> {
        let count = |key: &str| count(schema, key);
        let members = own_members(schema);
        let first = count("prefixItems").max(count("items"));
        let options = num_options(schema);
        for (number, most, what) in [
            (members, MAX_MEMBERS, "members of one object"),
            (
                longest_choice(schema),
                MAX_OPTIONAL,
                "members behind one another that may be left out",
            ),
            (first, MAX_FIRST_ITEMS, "first items of one array"),
            (count("oneOf"), MAX_ONE_OF, "options of 'oneOf'"),
            (options, MAX_ANY_OF, "options of 'anyOf'"),
        ] {
            if number > most {
                return refuse(path, format!("more than {most} {what} are not supported"));
            }
        }
        self.members += members;
        if self.members > MAX_ALL_MEMBERS {
            return refuse(
                path,
                format!("more than {MAX_ALL_MEMBERS} members of all objects are not supported"),
            );
        }
        self.pattern_bytes += schema.get("pattern").and_then(Json::as_str).map_or(0, str::len);
        if self.pattern_bytes > MAX_PATTERN_BYTES {
            let most = MAX_PATTERN_BYTES >> 10;
            return refuse(path, format!("more than {most} KB of patterns and formats in all"));
        }
        let square = |number: u64| number * number;
        self.squares += square(members as u64) + square(FIRST_ITEM * first as u64);
        self.squares += square(FIRST_ITEM * options as u64);
        if self.squares > MAX_SQUARES {
            return refuse(
                path,
                "too many objects with many members, arrays with many first items, or 'anyOf' with many options",
            );
        }
        if members as u64 * count("patternProperties") as u64 > MAX_TRIALS {
            return refuse(path, "too many 'patternProperties' for the number of members");
        }
        Ok(())
    }

    /// The size of a part that `path` leads to, merged with what it refers to.
    fn size(&mut self, node: &'a Json, path: &str, depth: usize) -> Outcome<Size> {
        match self.known.get(&(node as *const Json)) {
            Some(known) => return Ok(known.unwrap_or(ONE)),
            None if depth > MAX_LEVELS => return refuse(path, "too many references in place"),
            None => self.known.insert(node, None),
        };
        let size = match node.as_object() {
            Some(schema) => self.merged(schema, path, depth)?,
            None => ONE,
        };
        self.known.insert(node, Some(size));
        Ok(size)
    }

    fn merged(&mut self, schema: &'a Map<String, Json>, path: &str, depth: usize) -> Outcome<Size> {
        let mut factors = Vec::new();
        for key in ["anyOf", "oneOf"] {
            if let Some(Json::Array(options)) = schema.get(key) {
                let mut sum = Size { alternatives: 0, patterns: 0 };
                for option in options {
                    let size = self.size(option, path, depth + 1)?;
                    sum.alternatives = sum.alternatives.saturating_add(size.alternatives);
                    sum.patterns = sum.patterns.max(size.patterns);
                }
                factors.push(sum);
            }
        }
        if let Some(Json::Array(values)) = schema.get("enum") {
            factors.push(Size { alternatives: values.len() as u64, patterns: 0 });
        }
        for part in schema.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            factors.push(self.size(part, path, depth + 1)?);
        }
        let reference = schema.get("$ref").and_then(Json::as_str);
        if let Some(target) =
            reference.and_then(|text| self.root.pointer(text.trim_start_matches('#')))
        {
            factors.push(self.size(target, path, depth + 1)?);
        }
        let own = schema.get("patternProperties").and_then(Json::as_object).map_or(0, Map::len);
        factors.push(Size { alternatives: 1, patterns: own as u64 });
        self.multiply(&factors, path)
    }

    fn multiply(&mut self, factors: &[Size], path: &str) -> Outcome<Size> {
        let product = factors.iter().fold(1u64, |all, one| all.saturating_mul(one.alternatives));
        let patterns: u64 = factors.iter().map(|one| one.patterns).sum();
        if factors.iter().filter(|one| one.alternatives > 1).count() > 1 {
            self.pairs = self.pairs.saturating_add(product);
        }
        if factors.iter().any(|one| one.patterns > 0) {
            let once = patterns * patterns.saturating_sub(1) / 2;
            self.comparisons = self.comparisons.saturating_add(once.saturating_mul(product));
        }
        if self.pairs > MAX_PAIRS {
            return refuse(
                path,
                format!("schemas that hold together leave more than {MAX_PAIRS} alternatives"),
            );
        }
        if self.comparisons > MAX_COMPARISONS {
            return refuse(path, "too many 'patternProperties' to compare with one another");
        }
        Ok(Size { alternatives: product, patterns })
    }
}

#[cfg(test)]
#[path = "sizes_test.rs"]
mod tests;
