//! Which tokens may come next, found by what most of them have in common.
//!
//! A string of JSON takes any characters but a few, and one with a bound so many of them. llguidance's slices tell that all tokens
//! of at most n such characters may come; where some are too long for what is left of the string, it walks through all of the longer ones.
//! Here it is asked what any one such character does to the lexer. Where all of them do the same, their number alone decides
//! whether a token may come, until the state is reached where none of them may; only the tokens that hold other
//! characters, too, are walked through.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use llguidance::derivre::StateID;
use llguidance::earley::{BiasComputer, ParserRecognizer, SlicedBiasComputer};
use llguidance::toktrie::{Recognizer, SimpleVob, TokEnv, TokTrie, TokenId};

use crate::base::lock::lock;

/// Characters of a token that is told by their number; longer ones are walked through. As in LONG_STRING.
const MAX_LENGTH: usize = 30;
/// The slice of all tokens that Class::of_strings tells by their length.
const LONG_STRING: &str = r#"[^"\\\x00-\x1F\x7F]{1,30}"#;
/// What finding out whether a slice may come as a whole may cost, as in llguidance's own slices.
const SLICE_FUEL: u64 = 1000;

/// The bytes of all characters beyond ASCII, by the first one's range (Unicode, table 3-7).
const BEYOND_ASCII: [&[(u8, u8)]; 8] = [
    &[(0xC2, 0xDF), (0x80, 0xBF)],
    &[(0xE0, 0xE0), (0xA0, 0xBF), (0x80, 0xBF)],
    &[(0xE1, 0xEC), (0x80, 0xBF), (0x80, 0xBF)],
    &[(0xED, 0xED), (0x80, 0x9F), (0x80, 0xBF)],
    &[(0xEE, 0xEF), (0x80, 0xBF), (0x80, 0xBF)],
    &[(0xF0, 0xF0), (0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
    &[(0xF1, 0xF3), (0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
    &[(0xF4, 0xF4), (0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)],
];

/// What the characters of a class do to the lexer in some state.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    /// Each leads to this one, within a lexeme.
    To(StateID),
    /// None may come.
    Closed,
    /// Each ends the lexeme.
    Last,
    /// None may come in the lexeme, which may end here, however.
    Ended,
    /// Not the same.
    Mixed,
}

/// Characters, and the tokens that hold no others.
struct Class {
    ascii: Vec<u8>,
    beyond_ascii: bool,
    /// A slice of all tokens below, by its index.
    slice: Option<usize>,
    /// The tokens of at most so many characters, from none to the longest's.
    up_to: Vec<SimpleVob>,
    /// All others.
    rest: TokTrie,
}

impl Class {
    fn of_strings(trie: &TokTrie, slices: &[String]) -> Class {
        let ascii = (0x20..0x7F).filter(|byte| !b"\"\\".contains(byte)).collect();
        let slice = slices.iter().position(|slice| slice == LONG_STRING);
        Class::new(ascii, true, slice, trie)
    }

    /// What no tag begins with, in texts without quotes.
    fn of_texts(trie: &TokTrie) -> Class {
        Class::new((0x20..0x7F).filter(|&byte| byte != b'<').collect(), true, None, trie)
    }

    fn of_ascii(holds: impl Fn(u8) -> bool, trie: &TokTrie) -> Class {
        let ascii = (0x20..0x7F).filter(|&byte| holds(byte)).collect();
        Class::new(ascii, false, None, trie)
    }

    fn new(ascii: Vec<u8>, beyond_ascii: bool, slice: Option<usize>, trie: &TokTrie) -> Class {
        let mut class = Class { ascii, beyond_ascii, slice, up_to: Vec::new(), rest: trie.clone() };
        let mut of_length = vec![Vec::new(); MAX_LENGTH + 1];
        for token in 0..trie.vocab_size() as TokenId {
            if let Some(length) = class.length_of(trie.token(token)) {
                of_length[length].push(token);
            }
        }
        while of_length.last().is_some_and(Vec::is_empty) {
            of_length.pop();
        }
        let mut so_far = trie.alloc_token_set();
        for tokens in of_length {
            tokens.into_iter().for_each(|token| so_far.allow_token(token));
            class.up_to.push(so_far.clone());
        }
        let mut others = trie.alloc_token_set();
        others.set_all(true);
        others.sub(&so_far);
        class.rest = trie.filter(&others);
        class
    }

    /// In characters, of a token that holds no others and is told by its length.
    fn length_of(&self, token: &[u8]) -> Option<usize> {
        let holds = |c: char| {
            if c.is_ascii() {
                self.ascii.contains(&(c as u8))
            } else {
                self.beyond_ascii
            }
        };
        let text = std::str::from_utf8(token).ok()?;
        let length = text.chars().count();
        ((1..=MAX_LENGTH).contains(&length) && text.chars().all(holds)).then_some(length)
    }

    /// In characters, of its longest token.
    fn longest(&self) -> usize {
        self.up_to.len().saturating_sub(1)
    }

    fn first_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let ranges = if self.beyond_ascii { &BEYOND_ASCII[..] } else { &[] };
        let leads = ranges.iter().flat_map(|ranges| ranges[0].0..=ranges[0].1);
        self.ascii.iter().copied().chain(leads)
    }

    fn step(&self, rec: &mut ParserRecognizer<'_>, from: StateID) -> Step {
        let to = next(rec, from, self.ascii[0]);
        if to.is_dead() {
            return match self.first_bytes().all(|byte| next(rec, from, byte).is_dead()) {
                false => Step::Mixed,
                true if may_end(rec, from) => Step::Ended,
                true => Step::Closed,
            };
        }
        let agrees = self.ascii.iter().all(|&byte| next(rec, from, byte) == to)
            && (!self.beyond_ascii
                || BEYOND_ASCII.iter().all(|ranges| all_lead(rec, from, ranges, to)));
        match agrees {
            true if !to.has_lowest_match() => Step::To(to),
            // Else what of a lexeme is hidden would be looked at.
            true if rec.lexer_mut().possible_hidden_len(from) == 0 => Step::Last,
            _ => Step::Mixed,
        }
    }

    /// How many of so many characters may come that do the same to the lexer, the last of which may end its lexeme, where none
    /// may follow.
    fn may_come(&self, rec: &mut ParserRecognizer<'_>, length: usize) -> Option<usize> {
        rec.trie_started("characters");
        let may_come = (0..length).take_while(|_| rec.try_push_byte(self.ascii[0])).count();
        let shut = may_come < length
            || self.first_bytes().all(|byte| {
                let may_follow = rec.try_push_byte(byte);
                if may_follow {
                    rec.pop_bytes(1);
                }
                !may_follow
            });
        rec.trie_finished(); // and takes back what was pushed
        shut.then_some(may_come)
    }
}

fn next(rec: &mut ParserRecognizer<'_>, from: StateID, byte: u8) -> StateID {
    rec.lexer_mut().transition_start_state(from, Some(byte), &None)
}

/// Whether a lexeme that is at its end there gives way to the next.
fn may_end(rec: &mut ParserRecognizer<'_>, state: StateID) -> bool {
    !rec.lexer_mut().try_lexeme_end(state).is_error()
}

/// Whether all characters that have these bytes lead there, none ending a lexeme before its own end.
fn all_lead(
    rec: &mut ParserRecognizer<'_>,
    from: StateID,
    ranges: &[(u8, u8)],
    to: StateID,
) -> bool {
    let mut states = vec![from];
    for &(first, last) in ranges {
        if states.iter().any(|state| state.is_dead() || state.has_lowest_match()) {
            return false;
        }
        let mut reached = Vec::new();
        for &state in &states {
            for byte in first..=last {
                let found = next(rec, state, byte);
                if !reached.contains(&found) {
                    reached.push(found);
                }
            }
        }
        states = reached;
    }
    states == [to]
}

/// A vocabulary by its tokens' characters. Immutable.
pub struct MaskTables {
    env: TokEnv,
    /// Larger ones first.
    classes: Vec<Class>,
    slices: Arc<SlicedBiasComputer>,
}

impl MaskTables {
    /// `slices` for all that lengths don't tell.
    pub fn new(env: &TokEnv, slices: Arc<SlicedBiasComputer>) -> MaskTables {
        let trie = env.tok_trie();
        let of_ascii = |holds: fn(u8) -> bool| Class::of_ascii(holds, trie);
        let classes = vec![
            Class::of_strings(trie, &slices.extra_lexemes()),
            Class::of_texts(trie),
            of_ascii(|byte| !b"\"\\".contains(&byte)),
            of_ascii(|byte| byte.is_ascii_alphanumeric() || byte == b' '),
            of_ascii(|byte| byte.is_ascii_alphanumeric()),
            of_ascii(|byte| byte.is_ascii_alphabetic()),
            of_ascii(|byte| byte.is_ascii_lowercase()),
        ];
        MaskTables { env: env.clone(), classes, slices }
    }
}

/// Finds the masks of one lexer, whose steps it remembers.
pub struct Masks {
    tables: Arc<MaskTables>,
    /// By class, then by state of the lexer.
    steps: Mutex<Vec<HashMap<StateID, Step>>>,
}

impl Masks {
    pub fn new(tables: Arc<MaskTables>) -> Masks {
        let steps = Mutex::new(vec![HashMap::new(); tables.classes.len()]);
        Masks { tables, steps }
    }

    /// For a copy of the lexer.
    pub fn copy(&self) -> Masks {
        let steps = lock(&self.steps).clone();
        Masks { tables: self.tables.clone(), steps: Mutex::new(steps) }
    }

    fn step(&self, index: usize, rec: &mut ParserRecognizer<'_>, from: StateID) -> Step {
        let mut steps = lock(&self.steps);
        if let Some(&known) = steps[index].get(&from) {
            return known;
        }
        let step = self.tables.classes[index].step(rec, from);
        steps[index].insert(from, step);
        step
    }

    /// So many characters of the class may come, in whatever order, and no more; the longest token's number where more may, too.
    /// None: it depends on which.
    fn reach(&self, index: usize, rec: &mut ParserRecognizer<'_>) -> Option<usize> {
        let class = &self.tables.classes[index];
        let longest = class.longest();
        let mut state = rec.lexer_state();
        if let Some(slice) = class.slice {
            let lexer = rec.lexer_mut();
            if lexer.subsume_possible(state)
                && lexer.check_subsume(state, slice, SLICE_FUEL, None).unwrap_or(false)
            {
                return Some(longest);
            }
        }
        for length in 0..longest {
            match self.step(index, rec, state) {
                Step::To(next) if next == state => break,
                Step::To(next) => state = next,
                Step::Closed => return Some(length),
                Step::Last => return class.may_come(rec, length + 1),
                Step::Ended => return class.may_come(rec, length),
                Step::Mixed => return None,
            }
        }
        Some(longest)
    }
}

impl BiasComputer for Masks {
    fn compute_bias(&self, rec: &mut ParserRecognizer<'_>, start: &[u8]) -> SimpleVob {
        if start.is_empty() {
            for (index, class) in self.tables.classes.iter().enumerate() {
                let Some(length @ 1..) = self.reach(index, rec) else { continue };
                let mut allowed = class.up_to[length].clone();
                class.rest.add_bias(rec, &mut allowed, &[]);
                return allowed;
            }
        }
        self.tables.slices.compute_bias(rec, start)
    }

    fn trie(&self) -> &TokTrie {
        self.tables.env.tok_trie()
    }
}

#[cfg(test)]
impl Masks {
    /// What reach() says of each class.
    pub fn reaches(&self, rec: &mut ParserRecognizer<'_>) -> Vec<Option<usize>> {
        (0..self.tables.classes.len()).map(|index| self.reach(index, rec)).collect()
    }
}
