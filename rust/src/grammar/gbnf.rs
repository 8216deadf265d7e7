//! llama.cpp's grammars (GBNF, its grammars/README.md) in llguidance's dialect of Lark.
//!
//! Lark has terminals, which are regular expressions and match as much as they can, and rules. What of a grammar does not
//! recur becomes terminals, neighbours one together, so that a whole grammar without recursion is one regular expression
//! and means exactly what it did. In the others a terminal before a rule takes all that it can: `[a-z]* value`
//! leaves nothing to a value that begins with a letter.

use std::collections::HashMap;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use crate::base::failure::{Failure, Outcome};

/// Nesting, of parentheses and of rules in rules.
const MAX_DEPTH: usize = 100;
/// Bytes of a terminal; what is larger stays rules.
const MAX_TERMINAL: usize = 64 << 10;

/// Whether some line defines a rule as GBNF does, which Lark never does.
pub fn is_gbnf(text: &str) -> bool {
    text.lines().any(|line| {
        let behind = line.trim_start().trim_start_matches(is_name);
        behind.len() < line.trim_start().len() && behind.trim_start().starts_with("::=")
    })
}

pub fn to_lark(text: &str) -> Outcome<String> {
    let tokens = tokens_of(text)?;
    let rules = Parser { tokens: &tokens, at: 0 }.rules()?;
    Writer::new(&rules)?.lark()
}

fn wrong<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Failure::invalid(format!("the GBNF grammar: {}", what.into())))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

// ---- tokens

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Defines,
    Literal(String),
    /// As a regular expression.
    Class(String),
    Repeat(u32, Option<u32>),
    Sign(char),
}

fn tokens_of(text: &str) -> Outcome<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&c) = rest.peek() {
        if is_name(c) {
            tokens.push(Token::Name(taken_while(&mut rest, is_name)));
            continue;
        }
        rest.next();
        match c {
            '#' => drop(taken_while(&mut rest, |c| c != '\n')),
            ':' => {
                if rest.next() != Some(':') || rest.next() != Some('=') {
                    return wrong("a ':' that begins no '::='");
                }
                tokens.push(Token::Defines);
            }
            '"' => tokens.push(Token::Literal(literal(&mut rest)?)),
            '[' => tokens.push(Token::Class(class(&mut rest)?)),
            '.' => tokens.push(Token::Class("(?s:.)".to_string())),
            '*' => tokens.push(Token::Repeat(0, None)),
            '+' => tokens.push(Token::Repeat(1, None)),
            '?' => tokens.push(Token::Repeat(0, Some(1))),
            '{' => tokens.push(bounds(&mut rest)?),
            '|' | '(' | ')' => tokens.push(Token::Sign(c)),
            '<' | '!' => return wrong("tokens of the vocabulary (<...>) are not supported"),
            c if c.is_whitespace() => {}
            c => return wrong(format!("'{c}' is not expected")),
        }
    }
    Ok(tokens)
}

fn taken_while(rest: &mut Peekable<Chars>, wanted: impl Fn(char) -> bool) -> String {
    let mut taken = String::new();
    while let Some(c) = rest.next_if(|&c| wanted(c)) {
        taken.push(c);
    }
    taken
}

/// Behind the backslash.
fn escaped(rest: &mut Peekable<Chars>) -> Outcome<char> {
    let digits = match rest.next() {
        Some('n') => return Ok('\n'),
        Some('r') => return Ok('\r'),
        Some('t') => return Ok('\t'),
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        Some(c) if !c.is_alphanumeric() => return Ok(c),
        _ => return wrong("an unknown escape"),
    };
    let code: String = rest.take(digits).collect();
    let number = u32::from_str_radix(&code, 16).ok().filter(|_| code.len() == digits);
    number.and_then(char::from_u32).map_or_else(|| wrong(format!("'{code}' is no character")), Ok)
}

fn literal(rest: &mut Peekable<Chars>) -> Outcome<String> {
    let mut text = String::new();
    loop {
        match rest.next() {
            Some('"') => return Ok(text),
            Some('\\') => text.push(escaped(rest)?),
            Some(c) => text.push(c),
            None => return wrong("a string that does not end"),
        }
    }
}

fn class(rest: &mut Peekable<Chars>) -> Outcome<String> {
    let mut regex = String::from(if rest.next_if_eq(&'^').is_some() { "[^" } else { "[" });
    let empty = regex.len();
    loop {
        let first = match rest.next() {
            Some(']') if regex.len() > empty => return Ok(regex + "]"),
            Some(']') => return wrong("an empty class of characters"),
            Some('\\') => escaped(rest)?,
            Some(c) => c,
            None => return wrong("a class of characters that does not end"),
        };
        spell(first, &mut regex);
        let mut ahead = rest.clone();
        if ahead.next() != Some('-') || ahead.next() == Some(']') {
            continue;
        }
        rest.next();
        let last = match rest.next() {
            Some('\\') => escaped(rest)?,
            Some(c) => c,
            None => return wrong("a class of characters that does not end"),
        };
        if last < first {
            return wrong(format!("the range {first}-{last} is empty"));
        }
        regex.push('-');
        spell(last, &mut regex);
    }
}

/// A character of a regular expression.
fn spell(c: char, regex: &mut String) {
    if c.is_ascii_alphanumeric() {
        regex.push(c);
    } else {
        let _ = write!(regex, "\\x{{{:x}}}", u32::from(c));
    }
}

/// {m}, {m,}, {m,n} or {,n}.
fn bounds(rest: &mut Peekable<Chars>) -> Outcome<Token> {
    let text = taken_while(rest, |c| c != '}');
    rest.next();
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let read = match text.split_once(',') {
        None => number(&text).map(|n| (n, Some(n))),
        Some((least, "")) => number(least).map(|n| (n, None)),
        Some(("", most)) => number(most).map(|n| (0, Some(n))),
        Some((least, most)) => number(least).zip(number(most).map(Some)),
    };
    match read {
        Some((least, most)) if most.is_none_or(|most| least <= most) => {
            Ok(Token::Repeat(least, most))
        }
        _ => wrong(format!("{{{text}}} says no number of times")),
    }
}

// ---- rules

#[derive(Clone, Debug)]
enum Node {
    Terminal(String),
    Rule(String),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>, u32, Option<u32>),
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    fn rules(&mut self) -> Outcome<Vec<(String, Node)>> {
        let mut rules = Vec::new();
        while self.at < self.tokens.len() {
            let Some(name) = self.defined() else {
                return wrong("a rule must begin with its name and '::='");
            };
            self.at += 2;
            rules.push((name, self.either(0)?));
        }
        Ok(rules)
    }

    /// The rule whose definition begins here.
    fn defined(&self) -> Option<String> {
        match self.tokens.get(self.at..self.at + 2) {
            Some([Token::Name(name), Token::Defines]) => Some(name.clone()),
            _ => None,
        }
    }

    fn either(&mut self, depth: usize) -> Outcome<Node> {
        if depth > MAX_DEPTH {
            return wrong("it is nested too deeply");
        }
        let mut options = vec![self.sequence(depth)?];
        while self.tokens.get(self.at) == Some(&Token::Sign('|')) {
            self.at += 1;
            options.push(self.sequence(depth)?);
        }
        Ok(if options.len() == 1 { options.remove(0) } else { Node::Either(options) })
    }

    fn sequence(&mut self, depth: usize) -> Outcome<Node> {
        let mut items = Vec::new();
        while self.defined().is_none() {
            let item = match self.tokens.get(self.at) {
                Some(Token::Name(name)) => Node::Rule(name.clone()),
                Some(Token::Class(regex)) => Node::Terminal(regex.clone()),
                Some(Token::Literal(text)) => {
                    let mut regex = String::new();
                    text.chars().for_each(|c| spell(c, &mut regex));
                    Node::Terminal(regex)
                }
                Some(Token::Sign('(')) => {
                    self.at += 1;
                    let group = self.either(depth + 1)?;
                    if self.tokens.get(self.at) != Some(&Token::Sign(')')) {
                        return wrong("a '(' that is not closed");
                    }
                    group
                }
                Some(Token::Repeat(..) | Token::Defines) => {
                    return wrong("a sign with nothing before it")
                }
                _ => break,
            };
            self.at += 1;
            items.push(self.repeated(item));
        }
        if depth == 0 && self.tokens.get(self.at) == Some(&Token::Sign(')')) {
            return wrong("a ')' that nothing opened");
        }
        Ok(Node::Sequence(items))
    }

    fn repeated(&mut self, mut node: Node) -> Node {
        while let Some(Token::Repeat(least, most)) = self.tokens.get(self.at) {
            self.at += 1;
            node = Node::Repeat(Box::new(node), *least, *most);
        }
        node
    }
}

// ---- Lark

struct Writer<'a> {
    rules: &'a [(String, Node)],
    numbers: HashMap<&'a str, usize>,
    /// The terminal of each rule as far as known; None where the rule recurs or is too large.
    terminals: Vec<Option<Option<String>>>,
}

impl<'a> Writer<'a> {
    fn new(rules: &'a [(String, Node)]) -> Outcome<Writer<'a>> {
        let mut numbers = HashMap::new();
        for (number, (name, _)) in rules.iter().enumerate() {
            if numbers.insert(name.as_str(), number).is_some() {
                return wrong(format!("the rule '{name}' is defined twice"));
            }
        }
        if !numbers.contains_key("root") {
            return wrong("there is no rule 'root'");
        }
        let mut writer = Writer { rules, numbers, terminals: vec![None; rules.len()] };
        for (number, (_, node)) in rules.iter().enumerate() {
            writer.check_names(node)?;
            writer.terminal_of_rule(number, 0);
        }
        Ok(writer)
    }

    fn check_names(&self, node: &Node) -> Outcome<()> {
        match node {
            Node::Terminal(_) => Ok(()),
            Node::Rule(name) if self.numbers.contains_key(name.as_str()) => Ok(()),
            Node::Rule(name) => wrong(format!("the rule '{name}' is not defined")),
            Node::Sequence(nodes) | Node::Either(nodes) => {
                nodes.iter().try_for_each(|node| self.check_names(node))
            }
            Node::Repeat(node, ..) => self.check_names(node),
        }
    }

    /// While a rule is being looked at it counts as recurring, which it does if it is met again.
    fn terminal_of_rule(&mut self, number: usize, depth: usize) -> Option<String> {
        if let Some(known) = &self.terminals[number] {
            return known.clone();
        }
        self.terminals[number] = Some(None);
        let rules = self.rules;
        let terminal = self.terminal(&rules[number].1, depth + 1);
        self.terminals[number] = Some(terminal.clone());
        terminal
    }

    fn terminal(&mut self, node: &Node, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        let regex = match node {
            Node::Terminal(regex) => regex.clone(),
            Node::Rule(name) => self.terminal_of_rule(self.numbers[name.as_str()], depth)?,
            Node::Sequence(nodes) => self.all_terminals(nodes, depth)?.concat(),
            Node::Either(nodes) => either(&self.all_terminals(nodes, depth)?),
            Node::Repeat(node, least, most) => {
                let times = times(*least, *most);
                format!("(?:{}){times}", self.terminal(node, depth + 1)?)
            }
        };
        (regex.len() <= MAX_TERMINAL).then_some(regex)
    }

    fn all_terminals(&mut self, nodes: &[Node], depth: usize) -> Option<Vec<String>> {
        nodes.iter().map(|node| self.terminal(node, depth + 1)).collect()
    }

    fn lark(&mut self) -> Outcome<String> {
        let mut text = String::new();
        let _ = writeln!(text, "start: rule_{}", self.numbers["root"]);
        let rules = self.rules;
        for (number, (_, node)) in rules.iter().enumerate() {
            let _ = writeln!(text, "rule_{number}: {}", self.expression(node));
        }
        Ok(text)
    }

    fn expression(&mut self, node: &Node) -> String {
        if let Some(regex) = self.terminal(node, 0) {
            return terminal_text(&regex);
        }
        match node {
            Node::Terminal(regex) => terminal_text(regex),
            Node::Rule(name) => format!("rule_{}", self.numbers[name.as_str()]),
            Node::Sequence(nodes) => self.sequence(nodes),
            Node::Either(nodes) => self.either(nodes),
            Node::Repeat(node, least, most) => match (*least, *most) {
                (_, Some(0)) => terminal_text(""),
                (least, most) => format!("({}){}", self.expression(node), times(least, most)),
            },
        }
    }

    /// Neighbours that do not recur are one terminal.
    fn sequence(&mut self, nodes: &[Node]) -> String {
        let mut parts = Vec::new();
        let mut regex = String::new();
        for node in nodes {
            if let Some(terminal) = self.terminal(node, 0) {
                regex.push_str(&terminal);
                continue;
            }
            push_terminal(&mut parts, &mut regex);
            parts.push(self.expression(node));
        }
        push_terminal(&mut parts, &mut regex);
        format!("({})", parts.join(" "))
    }

    fn either(&mut self, nodes: &[Node]) -> String {
        let (mut terminals, mut options) = (Vec::new(), Vec::new());
        for node in nodes {
            match self.terminal(node, 0) {
                Some(regex) => terminals.push(regex),
                None => options.push(self.expression(node)),
            }
        }
        if !terminals.is_empty() {
            options.push(terminal_text(&either(&terminals)));
        }
        format!("({})", options.join(" | "))
    }
}

fn push_terminal(parts: &mut Vec<String>, regex: &mut String) {
    if !regex.is_empty() {
        parts.push(terminal_text(&std::mem::take(regex)));
    }
}

fn either(terminals: &[String]) -> String {
    format!("(?:{})", terminals.join("|"))
}

fn times(least: u32, most: Option<u32>) -> String {
    match (least, most) {
        (0, None) => "*".to_string(),
        (1, None) => "+".to_string(),
        (0, Some(1)) => "?".to_string(),
        (least, None) => format!("{{{least},}}"),
        (least, Some(most)) => format!("{{{least},{most}}}"),
    }
}

/// Lark has no empty regular expression.
fn terminal_text(regex: &str) -> String {
    if regex.is_empty() {
        "\"\"".to_string()
    } else {
        format!("/{regex}/")
    }
}

#[cfg(test)]
#[path = "gbnf_test.rs"]
mod tests;
