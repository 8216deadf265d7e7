//! Compiling grammars through llguidance, with limits on time, memory and size.
//!
//! llguidance counts the expressions that it makes (fuel) and stops at a limit, but for one loop: the first transitions of a new
//! lexer. They are tried here first, with fuel. Between its parts the work asks its Fuse whether it may go on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use llguidance::api::{GrammarInit, ParserLimits, TopLevelGrammar};
use llguidance::earley::lexerspec::LexerSpec;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokenId, TokenizerEnv};
use llguidance::{panic_utils, Logger, ParserFactory, TokenParser};
use serde_json::{json, Value as Json};

use crate::base::failure::{Failure, Outcome};
use crate::base::memory::{self, Ledger};
use crate::grammar::call_grammar;
use crate::grammar::gbnf;
use crate::grammar::lark::{from_lark, lark};
use crate::masks::masks::{MaskTables, Masks};
use crate::masks::matcher::{Matcher, Quota};
use crate::masks::token_trie::TokenEnv;
use crate::masks::words::{self, Source};
use crate::schema::schema;
use crate::tokenizer::tokenizer::Tokenizer;
use crate::work::fuse::Fuse;
use crate::work::workshop::Workshop;

/// What the first transitions of a lexer may cost: a tenth of a second, or a 'multipleOf' of some 60,000.
const FIRST_FUEL: u64 = 2_000_000;
/// Classes of characters in patterns, of up to 700 ranges each.
const MAX_CLASSES: usize = 10_000;
/// Bytes of a regular expression.
const MAX_REGEX: usize = 256 << 10;
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
    pub fn from_number(number: i32) -> Outcome<Kind> {
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

/// What a compiler's grammars may take.
#[derive(Clone, Copy)]
pub struct Options {
    /// Threads that compile.
    pub threads: usize,
    /// Grammars that wait for one.
    pub waiting: usize,
    /// Bytes of all grammars together, those of running answers included.
    pub all_bytes: usize,
    /// Bytes of one compiled grammar, and of what one answer learns of it.
    pub bytes: usize,
}

impl Options {
    /// What compiling one may take on the way.
    pub fn work_bytes(&self) -> usize {
        2 * self.bytes
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { threads: 3, waiting: 256, all_bytes: 256 << 20, bytes: 64 << 20 }
    }
}

/// What compiles grammars for one tokenizer. Immutable, but for its queue and its ledger.
pub struct Compiler {
    factory: ParserFactory,
    masks: Arc<MaskTables>,
    /// Spellings of tokens that only grammars that name them allow.
    markup: Vec<(String, TokenId)>,
    capabilities: InferenceCapabilities,
    pub options: Options,
    pub workshop: Workshop,
    pub quota: Quota,
}

impl Compiler {
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        end_tokens: &[i32],
        options: Options,
    ) -> Outcome<Compiler> {
        let env = TokenEnv::new(tokenizer, end_tokens)?;
        let markup = call_grammar::markup_of(env.tok_trie());
        let capabilities = InferenceCapabilities {
            ff_tokens: env.tokenize_is_canonical(),
            ..InferenceCapabilities::default()
        };
        let env: TokEnv = Arc::new(env);
        let slices = slices();
        let mut factory = ParserFactory::new(&env, capabilities.clone(), &slices)
            .map_err(|error| Failure::invalid(error.to_string()))?;
        factory.quiet();
        *factory.limits_mut() = limits();
        let masks = Arc::new(MaskTables::new(&env, factory.slicer()));
        let workshop = Workshop::new(options.threads, options.waiting);
        let quota = Quota { ledger: Ledger::new(options.all_bytes), bytes: options.bytes };
        Ok(Compiler { factory, masks, markup, capabilities, options, workshop, quota })
    }

    /// On a thread with a large stack. What is compiled is charged for the bytes that it takes.
    pub fn compile(&self, kind: Kind, text: &str, fuse: &Fuse) -> Outcome<Matcher> {
        let source =
            if kind == Kind::Lark && !gbnf::is_gbnf(text) { Source::Client } else { Source::Own };
        let _room = memory::set_aside(self.options.work_bytes())?;
        self.quota.ledger.check_room()?;
        let mut ignored = Vec::new();
        let (parser, bytes) = memory::growth(|| {
            let grammar = self.grammar(kind, text, &mut ignored, fuse)?;
            self.parser(grammar, source, fuse)
        });
        let parser = parser?;
        self.quota.check(bytes)?;
        let masks = Masks::new(self.masks.clone());
        let matcher = Matcher::new(parser, bytes, masks, &self.quota, fuse)?;
        Ok(matcher.with_ignored(ignored))
    }

    fn parser(
        &self,
        grammar: TopLevelGrammar,
        source: Source,
        fuse: &Fuse,
    ) -> Outcome<TokenParser> {
        let limits = self.factory.limits().clone();
        let env = self.factory.tok_env().clone();
        let init = GrammarInit::Serialized(grammar);
        let (rules, lexemes) = caught(source, || init.to_internal(Some(env), limits.clone()))?;
        fuse.check()?;
        caught(source, || Ok(self.try_lexer(&lexemes, limits.clone(), fuse)))??;
        let init = GrammarInit::Internal(rules, lexemes);
        let logger = Logger::new(0, 0);
        let capabilities = self.capabilities.clone();
        let parser = caught(source, || {
            self.factory.create_parser_from_init_ext(init, logger, capabilities, limits)
        })?;
        fuse.check()?;
        Ok(parser)
    }

    /// What llguidance does first with a lexer, but with a limit on what it costs.
    fn try_lexer(&self, lexemes: &LexerSpec, mut limits: ParserLimits, fuse: &Fuse) -> Outcome<()> {
        let mut lexemes = lexemes.clone();
        lexemes.add_extra_lexemes(&self.factory.extra_lexemes());
        let dfa = lexemes.to_regex_vec(&mut limits);
        let mut dfa =
            dfa.map_err(|error| Failure::invalid(words::of(&error.to_string(), Source::Own)))?;
        dfa.set_fuel(FIRST_FUEL);
        let start = dfa.initial_state(&lexemes.all_lexemes());
        for byte in 0..=u8::MAX {
            fuse.check()?;
            dfa.transition(start, byte);
            if dfa.has_error() {
                return Err(Failure::invalid(words::TOO_COMPLEX));
            }
        }
        Ok(())
    }

    /// Refuses a schema that JSON can't be held to.
    fn check(&self, schema: &Json, fuse: &Fuse) -> Outcome<()> {
        self.parser(TopLevelGrammar::from_json_schema(schema.clone()), Source::Own, fuse).map(drop)
    }

    /// `ignored`: what of it is not kept to.
    fn grammar(
        &self,
        kind: Kind,
        text: &str,
        ignored: &mut Vec<String>,
        fuse: &Fuse,
    ) -> Outcome<TopLevelGrammar> {
        check_text(text)?;
        Ok(match kind {
            Kind::JsonObject => {
                TopLevelGrammar::from_json_schema(schema::prepare(json!({ "type": "object" }))?)
            }
            Kind::JsonSchema => {
                TopLevelGrammar::from_json_schema(schema::prepare(parse(text, "the schema")?)?)
            }
            Kind::Regex if text.len() > MAX_REGEX => {
                let most = MAX_REGEX >> 10;
                return Err(Failure::invalid(format!(
                    "the regular expression has more than {most} KB"
                )));
            }
            Kind::Regex => TopLevelGrammar::from_regex(whole(text)),
            Kind::Choice => TopLevelGrammar::from_lark(choice(&parse(text, "the choice")?)?),
            Kind::Lark => from_lark(lark(text)?)?,
            Kind::Calls => {
                let check = |schema: &Json| self.check(schema, fuse);
                let (text, not_kept) =
                    call_grammar::lark(&parse(text, "the calls")?, &self.markup, &check)?;
                *ignored = not_kept;
                from_lark(text)?
            }
        })
    }
}

/// What llguidance may spend: its own figures, but for the states of a lexer, which take a KB or two each.
fn limits() -> ParserLimits {
    let own = ParserLimits::default();
    ParserLimits { verbose_errors: false, max_lexer_states: 50_000, ..own }
}

/// llguidance's errors and panics as failures, in words for whoever sent the grammar.
fn caught<T>(source: Source, work: impl FnOnce() -> anyhow::Result<T>) -> Outcome<T> {
    panic_utils::catch_unwind(AssertUnwindSafe(work))
        .map_err(|error| Failure::invalid(words::of(&error.to_string(), source)))
}

/// Refuses what llguidance would read for long, in which it can't be stopped (see gaps_test).
fn check_text(text: &str) -> Outcome<()> {
    let is_class = |pair: &&[u8]| pair[0] == b'\\' && b"pPwWsSdD".contains(&pair[1]);
    if text.as_bytes().windows(2).filter(is_class).count() > MAX_CLASSES {
        return Err(Failure::invalid(format!("more than {MAX_CLASSES} classes of characters")));
    }
    Ok(())
}

/// Parts of the vocabulary that grammars often allow as a whole, which is one question then and not one a token: what strings of
/// JSON hold, and words. llguidance's own, and more.
fn slices() -> Vec<String> {
    let mut slices = SlicedBiasComputer::general_slices();
    slices.extend(["[a-z]+", "[A-Za-z]+"].map(String::from));
    // Slices for texts that a tag or a single quote ends.
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

#[cfg(test)]
#[path = "grammar_test.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "gaps_test.rs"]
mod gaps_tests;

#[cfg(test)]
#[path = "hostile_test.rs"]
mod hostile_tests;

#[cfg(test)]
#[path = "masks_test.rs"]
mod masks_tests;
