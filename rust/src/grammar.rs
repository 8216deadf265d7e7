//! Grammars that answers must keep to, through llguidance: which tokens may come next, which must.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokenId, TokenizerEnv};
use llguidance::{earley::SlicedBiasComputer, ParserFactory};
use serde_json::{json, Value as Json};

use crate::call_grammar;
use crate::ffi::{guard, guard_value, text, Buffer, Failure, Ids, Outcome, Status};
use crate::gbnf;
use crate::masks::{MaskTables, Masks};
use crate::matcher::Matcher;
use crate::schema;
use crate::token_trie::TokenEnv;
use crate::tokenizer::Tokenizer;

/// How many may be compiled at once, those included that nobody waits for any longer.
const MAX_COMPILING: usize = 16;
/// A grammar's nesting is walked by recursion, and what it refers to where it first does. Address space, of which what is used takes
/// memory.
const COMPILER_STACK: usize = 256 << 20;
/// So deep at most: a quarter of that stack has been seen to do (see the tests).
pub const MAX_LEVELS: usize = 20_000;
/// Parentheses within one another; llguidance takes no more.
const MAX_PARENTHESES: usize = 30;

/// What the text of a grammar is; the values are part of the ABI.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any JSON object; without text.
    JsonObject = 0,
    JsonSchema = 1,
    Regex = 2,
    /// A JSON array of strings.
    Choice = 3,
    Lark = 4,
    /// See call_grammar.
    Calls = 5,
}

impl Kind {
    fn from_number(number: i32) -> Outcome<Kind> {
        const KINDS: [Kind; 6] = [
            Kind::JsonObject,
            Kind::JsonSchema,
            Kind::Regex,
            Kind::Choice,
            Kind::Lark,
            Kind::Calls,
        ];
        let found = usize::try_from(number).ok().and_then(|index| KINDS.get(index).copied());
        found.ok_or_else(|| Failure::invalid(format!("there is no kind {number} of grammar")))
    }
}

/// What compiles grammars for one tokenizer. Immutable.
pub struct Compiler {
    factory: ParserFactory,
    masks: Arc<MaskTables>,
    /// Spellings of tokens that only grammars that name them allow.
    markup: Vec<(String, TokenId)>,
}

impl Compiler {
    pub fn new(tokenizer: Arc<Tokenizer>, end_tokens: &[i32]) -> Outcome<Compiler> {
        let env = TokenEnv::new(tokenizer, end_tokens)?;
        let markup = call_grammar::markup_of(env.tok_trie());
        let capabilities = InferenceCapabilities {
            ff_tokens: env.tokenize_is_canonical(),
            ..InferenceCapabilities::default()
        };
        let env: TokEnv = Arc::new(env);
        let slices = slices();
        let mut factory = ParserFactory::new(&env, capabilities, &slices)
            .map_err(|error| Failure::invalid(error.to_string()))?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits { verbose_errors: false, ..ParserLimits::default() };
        let masks = Arc::new(MaskTables::new(&env, factory.slicer()));
        Ok(Compiler { factory, masks, markup })
    }

    pub fn compile(&self, kind: Kind, text: &str) -> Outcome<Matcher> {
        let grammar = self.grammar(kind, text)?;
        match self.factory.create_parser(grammar) {
            Ok(parser) => Matcher::new(parser, Masks::new(self.masks.clone())),
            Err(error) => Err(Failure::invalid(schema::words_of(&error.to_string()))),
        }
    }

    /// Refuses a schema that JSON can't be held to.
    fn check(&self, schema: &Json) -> Outcome<()> {
        let grammar = TopLevelGrammar::from_json_schema(schema.clone());
        self.factory
            .create_parser(grammar)
            .map(drop)
            .map_err(|error| Failure::invalid(schema::words_of(&error.to_string())))
    }

    fn grammar(&self, kind: Kind, text: &str) -> Outcome<TopLevelGrammar> {
        Ok(match kind {
            Kind::JsonObject => {
                TopLevelGrammar::from_json_schema(schema::prepare(json!({ "type": "object" }))?)
            }
            Kind::JsonSchema => {
                TopLevelGrammar::from_json_schema(schema::prepare(parse(text, "the schema")?)?)
            }
            Kind::Regex => TopLevelGrammar::from_regex(whole(text)),
            Kind::Choice => TopLevelGrammar::from_lark(choice(&parse(text, "the choice")?)?),
            Kind::Lark => from_lark(lark(text)?)?,
            Kind::Calls => from_lark(call_grammar::lark(
                &parse(text, "the calls")?,
                &self.markup,
                &|schema| self.check(schema),
            )?)?,
        })
    }
}

/// Refuses what could be too deep for the compiler, each rule being compiled within the first that refers to it.
fn from_lark(text: String) -> Outcome<TopLevelGrammar> {
    let rules = text.lines().filter(|line| defines(line)).count();
    let (mut open, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' => open += 1,
            b')' | b']' => open = open.saturating_sub(1),
            _ => (),
        }
        deepest = deepest.max(open.min(MAX_PARENTHESES));
    }
    if rules * (deepest + 1) > MAX_LEVELS {
        return Err(Failure::invalid("the grammar has too many rules for its depth"));
    }
    Ok(TopLevelGrammar::from_lark(text))
}

/// Whether a line of Lark begins a rule or terminal: `name:`, `?name:`, `name[attributes]:`, `name.1:`.
fn defines(line: &str) -> bool {
    let name = line.trim_start().trim_start_matches(['?', '!']);
    let behind = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    behind.len() < name.len() && behind.trim_start().starts_with([':', '[', '.', '{'])
}

/// In llguidance's dialect, also of what is written in llama.cpp's.
pub fn lark(text: &str) -> Outcome<String> {
    if gbnf::is_gbnf(text) {
        gbnf::to_lark(text)
    } else {
        Ok(text.to_string())
    }
}

/// Parts of the vocabulary that grammars often allow as a whole, which is one question then and not one a token: what strings of
/// JSON hold, and words. llguidance's own, and more.
fn slices() -> Vec<String> {
    let mut slices = SlicedBiasComputer::general_slices();
    slices.extend(["[a-z]+", "[A-Za-z]+"].map(String::from));
    // Of texts that a tag or a single quote ends.
    slices.extend([10, 30].map(|most: u32| format!(r#"[^<'"\\\x00-\x1F\x7F]{{1,{most}}}"#)));
    slices
}

fn parse(text: &str, what: &str) -> Outcome<Json> {
    serde_json::from_str(text).map_err(|error| Failure::invalid(format!("{what}: {error}")))
}

/// The whole answer is matched; anchors that say so are welcome.
fn whole(regex: &str) -> &str {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    match regex.strip_suffix('$') {
        Some(rest) if !rest.ends_with('\\') => rest,
        _ => regex,
    }
}

fn choice(options: &Json) -> Outcome<String> {
    Ok(format!("start: CHOICE\nCHOICE: {}", call_grammar::choices(options)?))
}

/// Runs `work` on a thread of its own for at most `limit`. What takes longer is left behind; limits of llguidance's and ours end it.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    static COMPILING: AtomicUsize = AtomicUsize::new(0);
    struct Running;
    impl Drop for Running {
        fn drop(&mut self) {
            COMPILING.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let running = Running;
    if COMPILING.fetch_add(1, Ordering::Relaxed) >= MAX_COMPILING {
        return Err(Failure::invalid("too many grammars are being compiled; try again later"));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let job = move || {
        let outcome = work();
        drop(running); // first: whoever gets the outcome may compile the next
        let _ = sender.send(outcome);
    };
    std::thread::Builder::new()
        .name("grammar".to_string())
        .stack_size(COMPILER_STACK)
        .spawn(job)
        .map_err(|error| Failure::invalid(format!("no thread to compile the grammar: {error}")))?;
    match receiver.recv_timeout(limit) {
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(Failure::invalid(format!(
            "the grammar takes longer than {} seconds to compile",
            limit.as_secs_f64()
        ))),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Failure {
            status: Status::Internal,
            message: "the grammar's compiler panicked".into(),
        }),
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_grammars_new(
    tokenizer: *const Tokenizer,
    end_tokens: *const i32,
    num_end_tokens: usize,
    out: *mut *const Compiler,
    error: *mut Buffer,
) -> Status {
    let body = || {
        Arc::increment_strong_count(tokenizer);
        let tokenizer = Arc::from_raw(tokenizer);
        let ends = if num_end_tokens == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(end_tokens, num_end_tokens)
        };
        Compiler::new(tokenizer, ends)
    };
    guard(error, body, |compiler| *out = Arc::into_raw(Arc::new(compiler)))
}

/// # Safety
/// `compiler` is null or comes from `pippin_grammars_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_grammars_free(compiler: *const Compiler) {
    if !compiler.is_null() {
        drop(Arc::from_raw(compiler));
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_grammar_compile(
    compiler: *const Compiler,
    kind: i32,
    data: *const u8,
    size: usize,
    limit_ms: u32,
    out: *mut *mut Matcher,
    error: *mut Buffer,
) -> Status {
    let body = || {
        let kind = Kind::from_number(kind)?;
        let text = text(data, size, "the grammar")?.to_string();
        Arc::increment_strong_count(compiler);
        let compiler = Arc::from_raw(compiler);
        within(Duration::from_millis(limit_ms.into()), move || compiler.compile(kind, &text))
    };
    guard(error, body, |matcher| *out = Box::into_raw(Box::new(matcher)))
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_copy(
    matcher: *const Matcher,
    out: *mut *mut Matcher,
    error: *mut Buffer,
) -> Status {
    guard(error, || Ok((*matcher).copy()), |copy| *out = Box::into_raw(Box::new(copy)))
}

/// # Safety
/// `matcher` is null or comes from this library and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_free(matcher: *mut Matcher) {
    if !matcher.is_null() {
        guard_value((), || Box::from_raw(matcher).retire());
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_fill(
    matcher: *mut Matcher,
    words: *mut u32,
    num_words: usize,
    error: *mut Buffer,
) -> Status {
    let words =
        if num_words == 0 { &mut [] } else { std::slice::from_raw_parts_mut(words, num_words) };
    guard(error, || (*matcher).fill(words), |()| ())
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_allows(
    matcher: *mut Matcher,
    token: i32,
    out: *mut i32,
    error: *mut Buffer,
) -> Status {
    guard(error, || (*matcher).allows(token), |allowed| *out = i32::from(allowed))
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_consume(
    matcher: *mut Matcher,
    token: i32,
    error: *mut Buffer,
) -> Status {
    guard(error, || (*matcher).consume(token), |()| ())
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_forced(
    matcher: *mut Matcher,
    out: *mut Ids,
    error: *mut Buffer,
) -> Status {
    guard(error, || Ok((*matcher).forced()), |ids| *out = Ids::from_vec(ids))
}

/// # Safety
/// `matcher` comes from this library.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_is_finished(matcher: *const Matcher) -> i32 {
    guard_value(1, || i32::from((*matcher).is_finished()))
}

#[cfg(test)]
#[path = "grammar_test.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "masks_test.rs"]
mod masks_tests;
