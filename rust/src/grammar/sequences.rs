//! What follows one another in a grammar: items and members, of which some may be left out.
//!
//! Where there are many, rules halve them: parentheses may not be nested deep, nor may rules that lead to each other, and what
//! follows each of them is not written out.

use crate::grammar::alternatives::Object;
use crate::grammar::rules::{literal, Rules};

fn repeated(item: &str, least: u64, most: Option<u64>) -> String {
    match (least, most) {
        (_, Some(0)) => String::new(),
        (0, None) => format!("({item})*"),
        (least, None) => format!("({item}){{{least},}}"),
        (least, Some(most)) => format!("({item}){{{least},{most}}}"),
    }
}

/// Items with commas between them: the first ones, and any number of `rest`, so that there are at least `least`.
pub fn sequence(
    rules: &mut Rules,
    first: &[String],
    rest: &str,
    (least, most): (u64, Option<u64>),
    comma: &str,
) -> String {
    let comma = literal(comma);
    let count = first.len() as u64;
    let left = most.map(|most| most.saturating_sub(count));
    if first.is_empty() {
        if rest.is_empty() || left == Some(0) {
            return String::new();
        }
        let more = left.map(|left| left - 1);
        let behind = repeated(&format!("{comma} {rest}"), least.saturating_sub(1), more);
        let items = format!("{rest} {behind}");
        return if least == 0 { format!("({items})?") } else { items };
    }
    let behind = match rest {
        "" => String::new(),
        rest => repeated(&format!("{comma} {rest}"), least.saturating_sub(count), left),
    };
    let joint = format!(" {comma} ");
    let (needed, optional) = first.split_at(least.min(count) as usize);
    if optional.is_empty() {
        return format!("{} {behind}", needed.join(&joint));
    }
    let start = Start { rules, comma: &comma }.of(optional);
    let options = format!("{} | {} {behind}", start.some, start.all);
    if needed.is_empty() {
        format!("({options})?")
    } else {
        format!("{} ({comma} ({options}))?", needed.join(&joint))
    }
}

/// Rules for items with commas between them.
struct Started {
    /// One or more of them from the first on, maybe all.
    some: String,
    all: String,
}

struct Start<'a, 'b, 'c> {
    rules: &'a mut Rules<'b>,
    comma: &'c str,
}

impl Start<'_, '_, '_> {
    fn of(&mut self, items: &[String]) -> Started {
        if let [item] = items {
            return Started { some: item.clone(), all: item.clone() };
        }
        let (left, right) = items.split_at(items.len() / 2);
        let (left, right) = (self.of(left), self.of(right));
        let (some, all) = (self.rules.name("some"), self.rules.name("all"));
        let behind = format!("{} {}", left.all, self.comma);
        self.rules.define(&some, &format!("{} | {behind} {}", left.some, right.some));
        self.rules.define(&all, &format!("{behind} {}", right.all));
        Started { some, all }
    }
}

/// Rules, and whether each must come.
pub type Members = [(String, bool)];

pub fn concatenated(members: &Members) -> String {
    let optional = |(member, required): &(String, bool)| {
        if *required {
            member.clone()
        } else {
            format!("({member})?")
        }
    };
    members.iter().map(optional).collect::<Vec<_>>().join(" ")
}

/// Members in their order, each there if it is required, with commas between them, and any number of others behind.
pub fn joined(
    rules: &mut Rules,
    members: &Members,
    others: Option<String>,
    object: &Object,
    comma: &str,
) -> String {
    let comma = literal(comma);
    let left = object.most.map(|most| most - members.len() as u64);
    let others = others.filter(|_| left != Some(0));
    let mut options = Vec::new();
    if !members.is_empty() {
        let some = some_of(rules, members, &comma);
        let behind = others
            .as_ref()
            .map_or(String::new(), |other| repeated(&format!("{comma} {other}"), 0, left));
        options.push(format!("{some} {behind}"));
    }
    if !is_needed(members) {
        if let Some(other) = &others {
            let more = repeated(&format!("{comma} {other}"), 0, left.map(|left| left - 1));
            options.push(format!("{other} {more}"));
        }
        if object.least == 0 {
            options.push(String::new());
        }
    }
    options.join(" | ")
}

fn is_needed(members: &Members) -> bool {
    members.iter().any(|(_, required)| *required)
}

/// A rule for at least one of them, and all that are required.
fn some_of(rules: &mut Rules, members: &Members, comma: &str) -> String {
    if let [(member, _)] = members {
        return member.clone();
    }
    let (left, right) = members.split_at(members.len() / 2);
    let (from_left, from_right) = (some_of(rules, left, comma), some_of(rules, right, comma));
    let behind = if is_needed(right) { "" } else { "?" };
    let mut body = format!("{from_left} ({comma} {from_right}){behind}");
    if !is_needed(left) {
        body += &format!(" | {from_right}");
    }
    let name = rules.name("members");
    rules.define(&name, &body);
    name
}
