//! What is wrong with a grammar, in words for whoever sent it: none of llguidance's own.

/// Where lexer or parser have reached their limits.
pub const TOO_COMPLEX: &str = "the grammar is too complex to keep to: repeats within repeats, parts that may be left out, or a \
    'multipleOf' of many digits leave too many ways to read an answer";
/// Where nothing may come at all.
pub const NOTHING_FITS: &str =
    "no answer fits the grammar: its parts contradict each other, or refer to each other without an end";
/// Where an answer has come to a place that nothing may follow.
pub const DEAD_END: &str = "the grammar lets nothing follow what the answer has said so far";

/// Who wrote the text that is compiled.
#[derive(Clone, Copy, PartialEq)]
pub enum Source {
    /// The client, so lines of it may be shown.
    Client,
    /// This library, from what the client sent.
    Own,
}

/// Words that name limits of llguidance's.
const LIMITS: [&str; 13] = [
    "fuel",
    "too many expressions",
    "too many states",
    "Too many items",
    "max items exceeded",
    "too big (limit",
    "DNF too large",
    "schema too large",
    "stack level exceeded",
    "precomputation failed",
    "too large",
    "relevance check",
    "Unable to determine",
];

/// What llguidance said of a grammar.
pub fn of(error: &str, source: Source) -> String {
    let message = error.trim_end_matches("<non-verbose/>").trim_end();
    if LIMITS.iter().any(|limit| message.contains(limit)) {
        return TOO_COMPLEX.to_string();
    }
    if message.contains("NoExtension") {
        return NOTHING_FITS.to_string();
    }
    if message.starts_with("panic") || message.contains("Internal error") {
        return "the grammar could not be compiled".to_string();
    }
    if source == Source::Own {
        if let Some(error) = of_regex(message) {
            return error;
        }
    }
    explain(message, source)
}

/// What regex-syntax said: "regex parse error:", the expression, a line of marks and "error: ...".
fn of_regex(message: &str) -> Option<String> {
    let (before, rest) = message.split_once("regex parse error:")?;
    let why = rest.split_once("error: ")?.1.lines().next()?;
    let expression = rest.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let name = if before.contains("in regex") { "the regular expression" } else { "'pattern'" };
    Some(format!("{name} {}: {why}", excerpt(expression)))
}

fn excerpt(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

fn explain(message: &str, source: Source) -> String {
    if let Some(keys) = message.strip_prefix("Unimplemented keys: ") {
        let names: String = keys.chars().filter(|c| !"[]\"".contains(*c)).collect();
        return format!("keywords that are not supported: {names}");
    }
    if let Some(format) = message.strip_prefix("Unknown format: ") {
        return format!("'format' \"{format}\" is not supported");
    }
    if message.starts_with("oneOf constraints are not supported") {
        return "'oneOf' of options that may overlap is not supported".to_string();
    }
    if let Some(which) = message.strip_prefix("patternProperty regexes ") {
        return format!("'patternProperties' that overlap are not supported: {which}");
    }
    if let Some(why) = message.strip_prefix("Unsatisfiable schema: ") {
        return format!("nothing fits the schema: {why}");
    }
    match source {
        Source::Client => message.to_string(),
        Source::Own => first_line(message),
    }
}

/// Without lines of a text that the client has not written, and their numbers.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let digits = |text: &str| {
        text.trim_start_matches(|c: char| c.is_ascii_digit() || "()".contains(c)).to_string()
    };
    match line.strip_prefix("at ") {
        Some(rest) => digits(rest).trim_start_matches(':').trim().to_string(),
        None => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_words_of_the_library_are_shown() {
        for (error, words) in [
            ("lexer error: too many expressions constructed\n<non-verbose/>", TOO_COMPLEX),
            ("Unable to determine if regex is empty: (And (And SearchRegex /a.{3}b/", TOO_COMPLEX),
            ("parser error: Too many items (limit 50000; ff_tokens); try avoiding", TOO_COMPLEX),
            ("fuel exhausted when checking relevance of lexemes (1000000)", TOO_COMPLEX),
            ("stopped: NoExtensionBias", NOTHING_FITS),
            ("panic: index out of bounds\n   0: core::panicking", "the grammar could not be compiled"),
            ("Unknown format: foo", "'format' \"foo\" is not supported"),
            (
                "at 1(8): invalid regex \"(\" (in regex): regex parse error:\n    (\n    ^\nerror: unclosed group\n   1 | start: /(/",
                "the regular expression (: unclosed group",
            ),
            (
                "regex parse error:\n    (?=a)b\n    ^^^\nerror: look-around is not supported",
                "'pattern' (?=a)b: look-around is not supported",
            ),
            ("at 3(5): unknown name: \"foo\"\n   3 | start: foo", "unknown name: \"foo\""),
        ] {
            assert_eq!(of(error, Source::Own), words);
        }
    }

    #[test]
    fn clients_see_their_own_lines() {
        let error = "at 1(8): unknown name: \"foo\"\n   1 | start: foo";
        assert_eq!(of(error, Source::Client), error);
    }
}
