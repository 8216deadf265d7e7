//! Texts that a schema allows, as terminals of llguidance's Lark.
//!
//! Its JSON strings are llguidance's own. Where a format of calls writes texts otherwise (bare between tags, between tokens,
//! as Python does), they are put together here: `patterns` search, as JSON Schema says, and terminals match a whole text.

use llguidance::derivre::{RegexAst, RegexBuilder};
use llguidance::regex_to_lark;
use regex_syntax::hir::{Hir, HirKind, Look};
use serde_json::Value as Json;

use crate::base::failure::{Failure, Outcome};
use crate::grammar::rules::literal;

/// What it may take to find out whether a regular expression matches anything.
const MAX_FUEL: u64 = 200_000;
const MAX_ALTERNATIVES: usize = 64;
const ANYTHING: &str = "(?s:.*)";

/// What a schema says of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// It is this one; the rest has been looked at.
    pub literal: Option<String>,
    pub shortest: u64,
    pub longest: Option<u64>,
    /// As the schema has them: each is found somewhere in the text.
    pub patterns: Vec<String>,
}

impl Text {
    pub fn of(literal: &str) -> Text {
        Text { literal: Some(literal.to_string()), ..Text::default() }
    }

    /// What both allow; nothing where that is none.
    pub fn and(&self, other: &Text) -> Outcome<Option<Text>> {
        let both = Text {
            literal: self.literal.clone().or_else(|| other.literal.clone()),
            shortest: self.shortest.max(other.shortest),
            longest: longest_of(self.longest, other.longest),
            patterns: self.patterns.iter().chain(&other.patterns).cloned().collect(),
        };
        if both.longest.is_some_and(|longest| longest < both.shortest) {
            return Ok(None);
        }
        let Some(literal) = &both.literal else { return Ok(Some(both)) };
        let same = other.literal.as_ref().is_none_or(|text| text == literal);
        let bounded = Text { literal: None, ..both.clone() };
        let allowed = same && Terminal(vec![bounded.conditions()?]).matches(literal)?;
        Ok(allowed.then(|| Text::of(literal)))
    }

    /// The text as it is, without quotes or escapes.
    pub fn conditions(&self) -> Outcome<Vec<Condition>> {
        if let Some(literal) = &self.literal {
            return Ok(vec![Condition::Is(literal.clone())]);
        }
        let mut conditions = vec![Condition::Matches(format!("(?s:.{})", self.repeated()))];
        for pattern in &self.patterns {
            conditions.push(Condition::Matches(searched(pattern)?));
        }
        Ok(conditions)
    }

    /// The same, without `closing` in it.
    pub fn conditions_without(&self, closing: &str) -> Outcome<Vec<Condition>> {
        if let (true, Some(regex)) = (self == &Text::default(), lacking(closing)) {
            return Ok(vec![Condition::Matches(regex)]);
        }
        let mut conditions = self.conditions()?;
        conditions.push(Condition::lacks(closing));
        Ok(conditions)
    }

    /// The number of characters, behind what matches one.
    pub fn repeated(&self) -> String {
        match (self.shortest, self.longest) {
            (0, None) => "*".to_string(),
            (shortest, None) => format!("{{{shortest},}}"),
            (shortest, Some(longest)) => format!("{{{shortest},{longest}}}"),
        }
    }
}

/// What two limits leave; none is no limit.
pub fn longest_of(one: Option<u64>, another: Option<u64>) -> Option<u64> {
    match (one, another) {
        (Some(one), Some(another)) => Some(one.min(another)),
        _ => one.or(another),
    }
}

/// A condition on a whole text. Regular expressions are in the syntax of Rust's regex crate.
#[derive(Clone, Debug)]
pub enum Condition {
    Is(String),
    Matches(String),
    Differs(String),
}

impl Condition {
    pub fn lacks(part: &str) -> Condition {
        Condition::Differs(format!("{ANYTHING}{}{ANYTHING}", regex_syntax::escape(part)))
    }

    pub fn has(part: &str) -> Condition {
        Condition::Matches(format!("{ANYTHING}{}{ANYTHING}", regex_syntax::escape(part)))
    }

    fn lark(&self) -> String {
        match self {
            Condition::Is(text) => Json::String(text.clone()).to_string(),
            Condition::Matches(regex) => format!("/{}/", regex_to_lark(regex, "")),
            Condition::Differs(regex) => format!("~/{}/", regex_to_lark(regex, "")),
        }
    }

    fn ast(&self) -> RegexAst {
        match self {
            Condition::Is(text) => RegexAst::Literal(text.clone()),
            Condition::Matches(regex) => RegexAst::Regex(regex.clone()),
            Condition::Differs(regex) => RegexAst::Not(Box::new(RegexAst::Regex(regex.clone()))),
        }
    }
}

/// Alternatives, each of conditions that hold together.
#[derive(Clone, Debug, Default)]
pub struct Terminal(pub Vec<Vec<Condition>>);

impl Terminal {
    pub fn lark(&self) -> String {
        let all = |conditions: &Vec<Condition>| {
            conditions.iter().map(Condition::lark).collect::<Vec<_>>().join(" & ")
        };
        self.0.iter().map(all).collect::<Vec<_>>().join(" | ")
    }

    /// Adds a condition to each alternative.
    pub fn and(&mut self, condition: &Condition) {
        for alternative in &mut self.0 {
            alternative.push(condition.clone());
        }
    }

    /// Leaves out alternatives that no text meets.
    pub fn prune(&mut self) -> Outcome<()> {
        let mut kept = Vec::new();
        for alternative in self.0.drain(..) {
            if !is_empty(&alternative)? {
                kept.push(alternative);
            }
        }
        self.0 = kept;
        Ok(())
    }

    pub fn matches(&self, text: &str) -> Outcome<bool> {
        let any = self.0.iter().map(|alternative| conjunction(alternative)).collect();
        let mut builder = RegexBuilder::new();
        let expression = builder.mk(&RegexAst::Or(any)).map_err(too_complex)?;
        let mut regex = builder.to_regex_limited(expression, MAX_FUEL).map_err(too_complex)?;
        Ok(regex.is_match(text))
    }
}

/// Whether no text meets all of them.
pub fn is_empty(conditions: &[Condition]) -> Outcome<bool> {
    let mut builder = RegexBuilder::new();
    let expression = builder.mk(&conjunction(conditions)).map_err(too_complex)?;
    if builder.exprset().is_positive(expression) {
        return Ok(false);
    }
    let mut regex = builder.to_regex_limited(expression, MAX_FUEL).map_err(too_complex)?;
    Ok(regex.always_empty())
}

fn conjunction(conditions: &[Condition]) -> RegexAst {
    RegexAst::And(conditions.iter().map(Condition::ast).collect())
}

fn too_complex(error: impl std::fmt::Display) -> Failure {
    Failure::invalid(format!("a 'pattern' or 'format' can't be kept to: {error}"))
}

/// Any text without this part, which has its first character nowhere else. It says the same as `Condition::lacks`, but as a
/// repetition: of that llguidance knows without a look at each token which words it may hold.
fn lacking(part: &str) -> Option<String> {
    let mut characters = part.chars();
    let first = characters.next()?;
    let rest: Vec<char> = characters.collect();
    if rest.is_empty() || rest.contains(&first) {
        return None;
    }
    let escape = |c: char| regex_syntax::escape(&c.to_string());
    let first = escape(first);
    // What begins as the part does and then goes on otherwise, or breaks off.
    let (mut other, mut begun) = (String::new(), String::new());
    for (at, next) in rest.iter().map(|c| escape(*c)).enumerate().rev() {
        let differs = format!(r"[^{first}{next}]");
        let is_last = at + 1 == rest.len();
        other = if is_last { differs } else { format!("(?:{differs}|{next}{other})") };
        begun = if is_last { String::new() } else { format!("(?:{next}{begun})?") };
    }
    let begun = format!("(?:{first}{begun})*");
    Some(format!("(?:[^{first}]|{begun}{first}{other})*{begun}"))
}

/// A pattern that may be found anywhere, as a regular expression for the whole text.
fn searched(pattern: &str) -> Outcome<String> {
    let parsed = regex_syntax::parse(&regex_to_lark(pattern, "dw")).map_err(too_complex)?;
    let mut alternatives = Vec::new();
    for (at_start, rest) in without_anchor(&parsed, Side::Start)? {
        for (at_end, body) in without_anchor(&rest, Side::End)? {
            if !body.properties().look_set().is_empty() {
                return Err(too_complex("it looks around"));
            }
            if alternatives.len() >= MAX_ALTERNATIVES {
                return Err(too_many_alternatives());
            }
            let (before, behind) =
                (if at_start { "" } else { ANYTHING }, if at_end { "" } else { ANYTHING });
            alternatives.push(format!("{before}(?:{body}){behind}"));
        }
    }
    Ok(format!("(?:{})", alternatives.join("|")))
}

fn too_many_alternatives() -> Failure {
    too_complex("it has too many alternatives")
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Start,
    End,
}

/// The alternatives that an expression begins (or ends) with: whether an anchor was there, and the expression without it.
/// Those without anchors stay together.
fn without_anchor(hir: &Hir, side: Side) -> Outcome<Vec<(bool, Hir)>> {
    if hir.properties().look_set().is_empty() {
        return Ok(vec![(false, hir.clone())]);
    }
    let anchor = if side == Side::Start { Look::Start } else { Look::End };
    Ok(match hir.kind() {
        HirKind::Look(look) if *look == anchor => vec![(true, Hir::empty())],
        HirKind::Capture(capture) => without_anchor(&capture.sub, side)?,
        HirKind::Alternation(options) => {
            let (free, others): (Vec<&Hir>, Vec<&Hir>) =
                options.iter().partition(|option| option.properties().look_set().is_empty());
            let mut found = Vec::new();
            if !free.is_empty() {
                found.push((false, Hir::alternation(free.into_iter().cloned().collect())));
            }
            for option in others {
                found.extend(without_anchor(option, side)?);
                if found.len() > MAX_ALTERNATIVES {
                    return Err(too_many_alternatives());
                }
            }
            found
        }
        HirKind::Concat(parts) => {
            let at = if side == Side::Start { 0 } else { parts.len() - 1 };
            let joined = |part: Hir| {
                let mut all = parts.clone();
                all[at] = part;
                Hir::concat(all)
            };
            let outer = without_anchor(&parts[at], side)?;
            outer.into_iter().map(|(anchored, part)| (anchored, joined(part))).collect()
        }
        _ => vec![(false, hir.clone())],
    })
}

/// A text without patterns, between quotes.
pub fn in_quotes(text: &Text, quote: char) -> Vec<Vec<Condition>> {
    if let Some(value) = &text.literal {
        let json = literal(value);
        let inner = &json[1..json.len() - 1];
        return match quote {
            '"' => vec![vec![Condition::Is(json)]],
            _ if inner.contains(['\\', '\'']) => Vec::new(),
            _ => vec![vec![Condition::Is(format!("'{inner}'"))]],
        };
    }
    let character = format!(r"(?:[^{quote}\\\x00-\x1F\x7F]|\\[{quote}\\nrbtf])");
    vec![vec![Condition::Matches(format!("{quote}{character}{}{quote}", text.repeated()))]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        let searches = Text { patterns: vec![pattern.to_string()], ..Text::default() };
        Terminal(vec![searches.conditions().unwrap()]).matches(text).unwrap()
    }

    #[test]
    fn patterns_search() {
        for (pattern, found, missed) in [
            ("b", "abc", "ac"),
            ("^b", "bc", "abc"),
            ("b$", "ab", "abc"),
            ("^b$", "b", "ab"),
            ("^a|b$", "ax", "bx"),
            ("^a|b$", "xb", "xa"),
            ("(^a|b)c", "xbc", "xac"),
            ("^(red|green)$", "red", "red green"),
            (r"^\d+(\.\d{1,2})?$", "12.5", "12.555"),
            (r"\d", "x1", "x\u{661}"),
            ("^[^/]+$", "a b", "a/b"),
            ("", "anything", "\u{0}"),
        ] {
            assert!(finds(pattern, found), "{pattern} {found}");
            assert!(pattern.is_empty() || !finds(pattern, missed), "{pattern} {missed}");
        }
        assert!(searched(r"\bword\b").is_err() && searched("(?=a)").is_err());
    }

    #[test]
    fn only_anchors_split_a_pattern() {
        let words = |many: usize| (0..many).map(|at| format!("w{at}x")).collect::<Vec<_>>();
        assert!(finds(&words(100).join("|"), "so w99x is found"));
        assert!(!finds(&words(100).join("|"), "w100x is not"));
        let some = format!("^a|{}|b$", words(100).join("|"));
        for (text, found) in [("a ", true), (" w7x ", true), (" b", true), (" a b ", false)] {
            assert_eq!(finds(&some, text), found, "{text}");
        }
        let list = words(3000).join("|");
        let long = format!("(?:{list}){}(?:{list})", "-".repeat(5000));
        assert!(searched(&long).unwrap().len() < 100_000);
        let anchored: Vec<String> = words(3000).iter().map(|word| format!("^{word}$")).collect();
        let failure = searched(&format!("(?:{list}|{}){list}", anchored.join("|"))).unwrap_err();
        assert!(failure.message.contains("too many alternatives"), "{}", failure.message);
        let ends =
            |side: fn(&String) -> String| words(60).iter().map(side).collect::<Vec<_>>().join("|");
        let (before, behind) =
            (ends(|word| format!("(^{word})")), ends(|word| format!("({word}$)")));
        let failure = searched(&format!("(?:{before})-(?:{behind})")).unwrap_err();
        assert!(failure.message.contains("too many alternatives"), "{}", failure.message);
    }

    #[test]
    fn a_part_can_be_lacking() {
        let mut seed = 7u32;
        for part in ["</p>", "<|\"|>", "<]"] {
            let characters: Vec<char> = part.chars().chain(['x', '\n', 'é']).collect();
            let regex = Terminal(vec![vec![Condition::Matches(lacking(part).unwrap())]]);
            for _ in 0..500 {
                let text: String = (0..12)
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        characters[(seed >> 16) as usize % characters.len()]
                    })
                    .collect();
                assert_eq!(regex.matches(&text).unwrap(), !text.contains(part), "{text:?} {part}");
            }
        }
        assert_eq!(lacking("aba"), None);
    }

    #[test]
    fn bounds_are_met_together() {
        let short = Text { longest: Some(3), ..Text::default() };
        let long = Text { shortest: 4, ..Text::default() };
        let digits = Text { patterns: vec!["^[0-9]+$".to_string()], ..Text::default() };
        assert_eq!(short.and(&long).unwrap(), None);
        assert_eq!(short.and(&Text::of("12")).unwrap(), Some(Text::of("12")));
        assert_eq!(short.and(&Text::of("1234")).unwrap(), None);
        assert_eq!(Text::of("ab").and(&digits).unwrap(), None);
        assert_eq!(Text::of("ab").and(&Text::of("cd")).unwrap(), None);
        let both = short.and(&digits).unwrap().unwrap();
        let mut terminal = Terminal(vec![both.conditions().unwrap()]);
        assert!(terminal.matches("123").unwrap() && !terminal.matches("1234").unwrap());
        terminal.and(&Condition::lacks("2"));
        assert!(terminal.matches("13").unwrap() && !terminal.matches("123").unwrap());
        terminal.and(&Condition::Differs("[0-9]+".to_string()));
        terminal.prune().unwrap();
        assert!(terminal.0.is_empty());
    }
}
