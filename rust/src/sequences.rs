//! What follows one another in a grammar: items and members, of which some may be left out.

use crate::alternatives::Object;
use crate::call_grammar::literal;

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
    first: &[String],
    rest: &str,
    least: u64,
    most: Option<u64>,
    comma: &str,
) -> String {
    let comma = literal(comma);
    let count = first.len() as u64;
    let left = most.map(|most| most.saturating_sub(count));
    let optional = |is: bool, items: String| {
        if is && !items.is_empty() {
            format!("({items})?")
        } else {
            items
        }
    };
    if first.is_empty() {
        if rest.is_empty() || left == Some(0) {
            return String::new();
        }
        let more = left.map(|left| left - 1);
        let behind = repeated(&format!("{comma} {rest}"), least.saturating_sub(1), more);
        return optional(least == 0, format!("{rest} {behind}"));
    }
    let mut items = match rest {
        "" => String::new(),
        rest => repeated(&format!("{comma} {rest}"), least.saturating_sub(count), left),
    };
    for (at, item) in first.iter().enumerate().rev() {
        let before = if at == 0 { String::new() } else { format!("{comma} ") };
        items = optional(at as u64 >= least, format!("{before}{item} {items}"));
    }
    items
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
pub fn joined(members: &Members, others: Option<String>, object: &Object, comma: &str) -> String {
    let comma = literal(comma);
    let left = object.most.map(|most| most - members.len() as u64);
    let others = others.filter(|_| left != Some(0));
    let behind = |from: usize| {
        let mut text = String::new();
        for (member, required) in &members[from..] {
            text += &format!(" ({comma} {member}){}", if *required { "" } else { "?" });
        }
        if let Some(other) = &others {
            text += &format!(" {}", repeated(&format!("{comma} {other}"), 0, left));
        }
        text
    };
    let mut options = Vec::new();
    for (at, (member, required)) in members.iter().enumerate() {
        options.push(format!("{member}{}", behind(at + 1)));
        if *required {
            return options.join(" | ");
        }
    }
    if let Some(other) = &others {
        let more = repeated(&format!("{comma} {other}"), 0, left.map(|left| left - 1));
        options.push(format!("{other} {more}"));
    }
    if object.least == 0 {
        options.push(String::new());
    }
    options.join(" | ")
}
