//! The grammar of tool calls in a model's own format.
//!
//! It is described as JSON: {"before": pieces, "calls": [pieces, ...], "separator": pieces, "after": pieces,
//! "many": bool, "text": bool}. Pieces are a list of strings, whose markup ("<tool_call>") becomes tokens where the
//! vocabulary has it; {"optional": string}; {"number": true}, some digits; {"schema": JSON Schema}; and {"arguments": JSON Schema,
//! "notation": "python", "gemma" (with "quote", which stands around texts) or "tags" (with "key" and "end", which stand around
//! each; "closing", the tag in `end`; and "types", by name those that the parser takes a bare text for)}. One call comes, or
//! `many` with the separator between them; with `text` any text may stand before and behind the calls, or instead of them;
//! with "answer" ({"schema"}, {"regex"}, {"choice"} or {"lark"}) the answer may be that instead, or is where there are no calls.
//! Where answers are messages of several channels, "thought": {"before": [pieces, ...], "after": pieces} is what may
//! come first, any number of times, with any text between one of `before` and `after`; "frame": pieces is what stands
//! before an answer or text that is no call.

use llguidance::regex_to_lark;
use llguidance::toktrie::{TokTrie, TokenId};
use serde_json::{json, Value as Json};

use crate::base::failure::{Failure, Outcome, Status};
use crate::grammar::lark;
use crate::grammar::notation;
use crate::grammar::rules::{literal, Rules};
use crate::grammar::values::Values;
use crate::schema::relax;
use crate::schema::schema;
use crate::schema::sizes;

/// A JSON array of strings as alternatives.
pub fn choices(options: &Json) -> Outcome<String> {
    let strings: Vec<String> = options
        .as_array()
        .into_iter()
        .flatten()
        .filter(|option| option.as_str().is_some_and(|text| !text.is_empty()))
        .filter_map(Json::as_str)
        .map(literal)
        .collect();
    if strings.is_empty() || Some(strings.len()) != options.as_array().map(Vec::len) {
        return Err(Failure::invalid("the choice must be an array of strings that are not empty"));
    }
    Ok(strings.join(" | "))
}

/// The spellings of tokens that no text can be.
pub fn markup_of(trie: &TokTrie) -> Vec<(String, TokenId)> {
    let spelling = |id: TokenId| {
        let name = trie.token(id).strip_prefix(&[TokTrie::SPECIAL_TOKEN_MARKER])?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        (!name.is_empty()).then_some((name, id)) // the byte 0xff is a token, too
    };
    (0..trie.vocab_size() as TokenId).filter_map(spelling).collect()
}

/// `check` refuses schemas that are not kept to in JSON; in other notations they aren't either.
pub fn lark(
    calls: &Json,
    markup: &[(String, TokenId)],
    check: &dyn Fn(&Json) -> Outcome<()>,
) -> Outcome<(String, Vec<String>)> {
    let mut writer = Writer { check, rules: Rules::new(markup), ignored: Vec::new(), members: 0 };
    let has_calls = writer.calls(calls)?;
    let has_answer = calls.get("answer").is_some();
    if !has_calls && !has_answer {
        return Err(Failure::invalid("there is no tool that may be called"));
    }
    let thoughts = writer.thoughts(&calls["thought"])?;
    let frame = writer.pieces(&calls["frame"])?;
    if calls["text"] == true {
        writer.rules.define("TEXT", "/(?s:.+)/");
    }
    let start = if has_answer {
        writer.answer(&calls["answer"], &frame)?;
        if has_calls { "answer | calls" } else { "answer" }.to_string()
    } else if calls["text"] != true {
        "calls".to_string()
    } else if frame.is_empty() {
        "TEXT? (calls TEXT?)?".to_string()
    } else {
        format!("{frame} TEXT? | calls")
    };
    writer.ignored.sort();
    writer.ignored.dedup(); // a tool may be written in several ways
    Ok((format!("start: {thoughts} ({start})\n{}", writer.rules.text()), writer.ignored))
}

/// Writes the rules of the calls and the answer.
struct Writer<'a> {
    check: &'a dyn Fn(&Json) -> Outcome<()>,
    rules: Rules<'a>,
    /// The parts of schemas that are not strict which are not kept to.
    ignored: Vec<String>,
    /// The members of all tools' schemas so far.
    members: usize,
}

impl Writer<'_> {
    /// The rule `calls`; false without any.
    fn calls(&mut self, spec: &Json) -> Outcome<bool> {
        let mut names = Vec::new();
        for (index, pieces) in spec["calls"].as_array().into_iter().flatten().enumerate() {
            let body = self.pieces(pieces)?;
            self.rules.define(&format!("call_{index}"), &format!("{body}"));
            names.push(format!("call_{index}"));
        }
        if names.is_empty() {
            return Ok(false);
        }
        let (before, after) = (self.pieces(&spec["before"])?, self.pieces(&spec["after"])?);
        let separator = self.pieces(&spec["separator"])?;
        let many =
            if spec["many"] == true { format!("({separator} call)*") } else { String::new() };
        self.rules.define("call", &format!("{}", names.join(" | ")));
        self.rules.define("calls", &format!("{before} call {many} {after}"));
        Ok(true)
    }

    /// The rule `answer`.
    fn answer(&mut self, answer: &Json, frame: &str) -> Outcome<()> {
        let text = |name: &str| answer[name].as_str().unwrap_or_default();
        let body = if let Some(schema) = answer.get("schema") {
            format!("%json {}", schema::prepare(schema.clone())?)
        } else if answer.get("choice").is_some() {
            self.rules.define("ANSWER", &format!("{}", choices(&answer["choice"])?));
            "ANSWER".to_string()
        } else if answer.get("regex").is_some() {
            self.rules.define("ANSWER", &format!("/{}/", regex_to_lark(text("regex"), "")));
            "ANSWER".to_string()
        } else {
            format!("%lark {{\n{}\n}}", lark::lark(text("lark"))?)
        };
        self.rules.define("answer", &format!("{frame} {body}"));
        Ok(())
    }

    /// What may come before all else; empty where nothing may.
    fn thoughts(&mut self, thought: &Json) -> Outcome<&'static str> {
        let mut before = Vec::new();
        for pieces in thought["before"].as_array().into_iter().flatten() {
            before.push(self.pieces(pieces)?);
        }
        if before.is_empty() {
            return Ok("");
        }
        let after = self.pieces(&thought["after"])?;
        self.rules.define("thought", &format!("({}) THOUGHT? {after}", before.join(" | ")));
        self.rules.define("THOUGHT", "/(?s:.+)/");
        Ok("thought*")
    }

    fn pieces(&mut self, pieces: &Json) -> Outcome<String> {
        let mut parts = Vec::new();
        for piece in pieces.as_array().into_iter().flatten() {
            if let Some(text) = piece.as_str() {
                parts.push(self.rules.spelled(text));
            } else if let Some(text) = piece["optional"].as_str() {
                parts.push(format!("({})?", self.rules.spelled(text)));
            } else if piece["number"] == true {
                parts.push("/[0-9]{1,9}/".to_string());
            } else if piece.get("arguments").is_some() {
                parts.push(self.arguments(piece)?);
            } else {
                let schema = piece.get("schema").cloned().unwrap_or(json!({}));
                let doubtful = piece.get("path").is_some() && relax::is_doubtful(&schema);
                let schema = self.kept(piece, schema, doubtful)?;
                let name = self.rules.name("schema");
                self.rules.define(&name, &format!("%json {schema}"));
                parts.push(name);
            }
        }
        Ok(parts.join(" "))
    }

    /// A tool's schema, prepared. One that is not strict loses what can't be kept to, which is told.
    fn kept(&mut self, piece: &Json, mut schema: Json, is_checked: bool) -> Outcome<Json> {
        let Some(path) = piece["path"].as_str() else { return self.checked(schema, is_checked) };
        let strict = piece["strict"] == true;
        let whole = schema.clone();
        let dropped = relax::relax(&mut schema, path);
        if let (true, Some(first)) = (strict, dropped.first()) {
            return Err(Failure::invalid(format!(
                "'{first}' can't be kept to, and the tool is strict"
            )));
        }
        self.ignored.extend(dropped);
        match self.checked(if strict { whole } else { schema }, is_checked) {
            Err(failure) if failure.status == Status::Invalid && strict => {
                Err(Failure::invalid(format!("'{path}': {}", failure.message)))
            }
            Err(failure) if failure.status == Status::Invalid => {
                self.ignored.push(path.to_string());
                schema::prepare(json!({ "type": "object" }))
            }
            outcome => outcome,
        }
    }

    fn checked(&mut self, schema: Json, is_checked: bool) -> Outcome<Json> {
        let schema = schema::prepare(schema)?;
        let members = self.members + sizes::num_members(&schema);
        if members > sizes::MAX_ALL_MEMBERS {
            let most = sizes::MAX_ALL_MEMBERS;
            return Err(Failure::invalid(format!(
                "the tools have more than {most} members in all"
            )));
        }
        self.members = members;
        if is_checked {
            (self.check)(&schema)?;
        }
        Ok(schema)
    }

    /// A schema that the notation has no rules for is taken for any object's, where the tool is not strict.
    fn arguments(&mut self, piece: &Json) -> Outcome<String> {
        let schema = self.kept(piece, piece["arguments"].clone(), true)?;
        let mark = self.rules.mark();
        let failure = match Values::new(notation::of(piece)?, &schema, &mut self.rules).arguments()
        {
            Err(failure) if failure.status == Status::Invalid => failure,
            outcome => return outcome,
        };
        let Some(path) = piece["path"].as_str() else { return Err(failure) };
        if piece["strict"] == true {
            return Err(Failure::invalid(format!("'{path}': {}", failure.message)));
        }
        self.rules.rewind(mark);
        self.ignored.push(path.to_string());
        let any = schema::prepare(json!({ "type": "object" }))?;
        Values::new(notation::of(piece)?, &any, &mut self.rules).arguments()
    }
}
