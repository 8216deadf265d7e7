//! How deep the rules of a Lark grammar may lead into one another.

use std::collections::HashMap;

/// Rules on the longest way through a grammar, at most: each once, and all of those that lead to each other. llguidance compiles a rule
/// within the first that refers to it, whichever that is. Names within strings count as well, which can only lengthen a way.
pub fn longest_way(text: &str) -> usize {
    let rules = rules_of(text);
    let mut ways =
        Ways { rules: &rules, of: vec![Place::default(); rules.len()], ..Ways::default() };
    (0..rules.len()).for_each(|rule| ways.visit(rule));
    ways.of.iter().map(|place| place.longest).max().unwrap_or(0)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The name that a line defines: `name:`, `?name:`, `name[attributes]:`, `name.1:`.
fn defined(line: &str) -> Option<&str> {
    let line = line.trim_start().trim_start_matches(['?', '!']);
    let behind = line.trim_start_matches(is_of_name);
    let name = &line[..line.len() - behind.len()];
    let defines = behind.trim_start().starts_with([':', '[', '.', '{']);
    (defines && !name.is_empty()).then_some(name)
}

/// To which others each rule refers.
fn rules_of(text: &str) -> Vec<Vec<usize>> {
    let mut numbers = HashMap::new();
    for name in text.lines().filter_map(defined) {
        let next = numbers.len();
        numbers.entry(name).or_insert(next);
    }
    let mut rules = vec![Vec::new(); numbers.len()];
    let mut current = None;
    for line in text.lines() {
        current = defined(line).map(|name| numbers[name]).or(current);
        let Some(rule) = current else { continue };
        let names = line.split(|c| !is_of_name(c)).filter_map(|name| numbers.get(name));
        rules[rule].extend(names);
    }
    rules
}

#[derive(Clone, Default)]
struct Place {
    /// When it was reached, from 1 on, and what of those on the way was reached first of all it leads to.
    reached: usize,
    first: usize,
    waits: bool,
    /// The longest rule that all is known of.
    longest: usize,
}

/// Tarjan's algorithm for strongly connected components, without recursion.
#[derive(Default)]
struct Ways<'a> {
    rules: &'a [Vec<usize>],
    of: Vec<Place>,
    time: usize,
    waiting: Vec<usize>,
}

impl Ways<'_> {
    fn visit(&mut self, start: usize) {
        let mut way = Vec::new();
        self.reach(start, &mut way);
        while let Some((rule, next)) = way.last_mut() {
            let rule = *rule;
            if let Some(&target) = self.rules[rule].get(*next) {
                *next += 1;
                if self.of[target].waits {
                    self.of[rule].first = self.of[rule].first.min(self.of[target].reached);
                }
                self.reach(target, &mut way);
                continue;
            }
            way.pop();
            if let Some(&(before, _)) = way.last() {
                self.of[before].first = self.of[before].first.min(self.of[rule].first);
            }
            if self.of[rule].first == self.of[rule].reached {
                self.finish(rule);
            }
        }
    }

    fn reach(&mut self, rule: usize, way: &mut Vec<(usize, usize)>) {
        if self.of[rule].reached > 0 {
            return;
        }
        self.time += 1;
        self.of[rule] = Place { reached: self.time, first: self.time, waits: true, longest: 0 };
        self.waiting.push(rule);
        way.push((rule, 0));
    }

    /// All that wait from this rule on lead to each other.
    fn finish(&mut self, rule: usize) {
        let at = self.waiting.iter().rposition(|&other| other == rule).expect("it waits");
        let circle = self.waiting.split_off(at);
        let targets = circle.iter().flat_map(|&member| &self.rules[member]);
        let behind = targets.map(|&target| self.of[target].longest).max().unwrap_or(0);
        for &member in &circle {
            self.of[member].waits = false;
            self.of[member].longest = behind + circle.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::longest_way;

    #[test]
    fn ways_are_as_long_as_they_can_be() {
        for (text, longest) in [
            ("", 0),
            ("start: \"a\"", 1),
            ("start: a b\na: \"x\"\nb: a", 3),
            ("start: b a\n?a: \"x\"\n  | b\nb[lazy]: \"y\" | c\nc.1: /z/", 4),
            ("start: a\na: b | \"x\"\nb: a c\nc: \"y\"", 4),
            ("start: start a | a\na: \"x\"", 2),
            ("start: \"a\"\na: \"x\"", 2),
        ] {
            assert_eq!(longest_way(text), longest, "{text}");
        }
        let chain: String = (0..100_000).map(|i| format!("a{i}: a{}\n", i + 1)).collect();
        assert_eq!(longest_way(&format!("start: a0\n{chain}a100000: \"x\"")), 100_002);
    }
}
