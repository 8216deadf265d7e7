//! Chat templates: compiled once, rendered many times, from any thread, within bounds.

use std::io;

use chrono::NaiveDateTime;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde_json::Value as Json;

use crate::ffi::{guard, put_text, text, Buffer, Failure, Outcome, Status};
use crate::jinja::{environment, python_str, Raised};
use crate::json::to_value;
use crate::strftime::{parse_now, strftime};

const NAME: &str = "chat_template";
/// The longest prompt text that a template may produce.
const MAX_OUTPUT_BYTES: usize = 256 << 20;
/// Variables that the renderer itself gives; kwargs may not replace them in silence.
const RESERVED: [&str; 3] = ["messages", "tools", "add_generation_prompt"];

/// A compiled template; immutable.
pub struct Template {
    env: Environment<'static>,
}

/// What one rendering sees; the JSON documents as text.
#[derive(Default)]
pub struct Input<'a> {
    pub messages: &'a str,
    pub tools: Option<&'a str>,
    pub kwargs: Option<&'a str>,
    pub special_tokens: Option<&'a str>,
    pub now: Option<&'a str>,
    pub add_generation_prompt: bool,
}

impl Template {
    pub fn new(source: &str) -> Outcome<Template> {
        Ok(Template { env: environment(NAME, source).map_err(describe)? })
    }

    pub fn render(&self, input: &Input) -> Outcome<String> {
        let variables = variables(input)?;
        let mut output = Bounded(Vec::new());
        let template = self.env.get_template(NAME).map_err(describe)?;
        template.render_captured_to(variables, &mut output).map_err(describe)?;
        String::from_utf8(output.0).map_err(|e| Failure::invalid(e.to_string()))
    }
}

/// The variables as transformers passes them: tools and documents are None when not given, special
/// tokens come by name, kwargs win over them.
fn variables(input: &Input) -> Outcome<Value> {
    let mut variables: Vec<(String, Value)> = vec![("documents".into(), Value::from(()))];
    for (document, what) in [(input.special_tokens, "special_tokens"), (input.kwargs, "kwargs")] {
        match document.map(|document| parse(document, what)).transpose()? {
            None => {}
            Some(Json::Object(entries)) => {
                variables.extend(entries.into_iter().map(|(name, value)| (name, to_value(value))))
            }
            Some(_) => return Err(Failure::invalid(format!("{what} is not a JSON object"))),
        }
    }
    if let Some((name, _)) = variables.iter().find(|(name, _)| RESERVED.contains(&name.as_str())) {
        return Err(Failure::invalid(format!("kwargs may not contain \"{name}\"")));
    }
    let messages = parse(input.messages, "messages")?;
    if !messages.is_array() {
        return Err(Failure::invalid("messages is not a JSON array"));
    }
    let tools = input.tools.map(|tools| parse(tools, "tools")).transpose()?;
    variables.extend([
        ("messages".into(), to_value(messages)),
        ("tools".into(), to_value(tools.unwrap_or_default())),
        ("add_generation_prompt".into(), Value::from(input.add_generation_prompt)),
        ("strftime_now".into(), clock(parse_now(input.now)?)),
    ]);
    Ok(Value::from_pairs(variables))
}

fn parse(document: &str, what: &str) -> Outcome<Json> {
    serde_json::from_str(document).map_err(|e| Failure::invalid(format!("{what}: {e}")))
}

fn clock(now: NaiveDateTime) -> Value {
    Value::from_function(move |format: &Value| {
        let format = python_str(format);
        strftime(now, &format).ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, format!("strftime_now: bad format {format:?}"))
        })
    })
}

/// "line 7: Roles must alternate": the template's own words as they are, the engine's with their kind.
fn describe(error: Error) -> Failure {
    let raised = std::error::Error::source(&error).is_some_and(|source| source.is::<Raised>());
    let words = match error.detail() {
        Some(detail) if raised => detail.to_string(),
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    Failure::invalid(match error.line() {
        Some(line) => format!("line {line}: {words}"),
        None => words,
    })
}

/// Collects output up to the limit.
struct Bounded(Vec<u8>);

impl io::Write for &mut Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.0.len() + piece.len() > MAX_OUTPUT_BYTES {
            return Err(io::Error::other("the output exceeds 256 MiB"));
        }
        self.0.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// UTF-8 text, or absent when `data` is null.
#[repr(C)]
pub struct Text {
    data: *const u8,
    size: usize,
}

impl Text {
    unsafe fn get<'a>(&self, what: &str) -> Outcome<Option<&'a str>> {
        if self.data.is_null() {
            return Ok(None);
        }
        text(self.data, self.size, what).map(Some)
    }
}

/// `PippinTemplateInput`.
#[repr(C)]
pub struct RawInput {
    messages: Text,
    tools: Text,
    kwargs: Text,
    special_tokens: Text,
    now: Text,
    add_generation_prompt: i32,
}

impl RawInput {
    unsafe fn get<'a>(&self) -> Outcome<Input<'a>> {
        Ok(Input {
            messages: self.messages.get("messages")?.unwrap_or("[]"),
            tools: self.tools.get("tools")?,
            kwargs: self.kwargs.get("kwargs")?,
            special_tokens: self.special_tokens.get("special_tokens")?,
            now: self.now.get("now")?,
            add_generation_prompt: self.add_generation_prompt != 0,
        })
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_template_new(
    source: *const u8,
    size: usize,
    out: *mut *mut Template,
    error: *mut Buffer,
) -> Status {
    let body = || Template::new(text(source, size, "the template")?);
    guard(error, body, |template| *out = Box::into_raw(Box::new(template)))
}

/// # Safety
/// `template` is null or comes from `pippin_template_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_template_free(template: *mut Template) {
    if !template.is_null() {
        drop(Box::from_raw(template));
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_template_render(
    template: *const Template,
    input: *const RawInput,
    out: *mut Buffer,
    error: *mut Buffer,
) -> Status {
    let body = || (*template).render(&(*input).get()?);
    guard(error, body, |rendered| put_text(out, rendered))
}
