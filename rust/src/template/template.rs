//! Chat templates: compiled once, rendered many times, from any thread, within bounds.

use std::any::Any;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde_json::Value as Json;

use crate::base::failure::{Failure, Outcome, Status};
use crate::base::ffi::{guard, panic_message, put_text, text, Buffer};
use crate::base::memory;
use crate::template::calls::{self, Arguments};
use crate::template::jinja::{environment, Raised};
use crate::template::json::to_value;
use crate::template::namespaces::free_circles;
use crate::template::python::python_str;
use crate::template::strftime::{parse_now, strftime};

const NAME: &str = "chat_template";
/// The longest prompt text that a template may produce.
const MAX_OUTPUT_BYTES: usize = 256 << 20;
/// Values that a template nests into each other are freed, printed and compared recursively, some
/// 600 bytes of stack a level. The first of these stacks holds as many levels as the fuel can buy; it
/// costs address space, not memory, until it is used. The others serve where that much is refused.
const STACK_BYTES: [usize; 3] = [2 << 30, 256 << 20, 16 << 20];
/// What a rendering takes at most, a byte of its input (see the tests): templates that copy the conversation again and again aside.
const RENDER_BYTES: usize = 256;
/// Slices of slices of slices are lazy and cost time that the fuel does not see.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Variables that the renderer itself gives; kwargs may not replace them in silence.
const RESERVED: [&str; 3] = ["messages", "tools", "add_generation_prompt"];

/// A compiled template; immutable.
pub struct Template {
    env: Arc<Environment<'static>>,
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

impl Input<'_> {
    fn len(&self) -> usize {
        let others = [self.tools, self.kwargs, self.special_tokens];
        self.messages.len() + others.iter().flatten().map(|text| text.len()).sum::<usize>()
    }
}

impl Template {
    pub fn new(source: &str) -> Outcome<Template> {
        Ok(Template { env: Arc::new(environment(NAME, source).map_err(describe)?) })
    }

    /// The prompt. Where the template fails on arguments of earlier calls, it gets them otherwise: those that are no objects as empty
    /// ones, then all as the texts that they were, as templates that put texts together want them.
    pub fn render(&self, input: &Input) -> Outcome<String> {
        let _room = memory::set_aside(RENDER_BYTES * input.len())?;
        let mut messages = parse(input.messages, "messages")?;
        let arguments = calls::read_arguments(&mut messages);
        if arguments == Arguments::None {
            return self.render_variables(variables(input, messages)?);
        }
        let begun = Instant::now();
        let mut outcome = self.render_variables(variables(input, messages.clone())?);
        if is_at_fault(&outcome, begun) && arguments == Arguments::Others {
            calls::drop_texts(&mut messages);
            outcome = self.render_variables(variables(input, messages)?);
        }
        if is_at_fault(&outcome, begun) {
            let as_texts = variables(input, parse(input.messages, "messages")?)?;
            return self.render_variables(as_texts).or(outcome);
        }
        outcome
    }

    /// On a thread of its own, for its stack and so that it can be left alone when it takes forever.
    fn render_variables(&self, variables: Value) -> Outcome<String> {
        let (done, caller) = (Arc::new(AtomicBool::new(false)), std::thread::current());
        let spawn = |&bytes| {
            let (env, variables) = (self.env.clone(), variables.clone());
            let (done, caller) = (done.clone(), caller.clone());
            let work = move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| render_with(&env, variables)));
                done.store(true, Ordering::Release);
                caller.unpark();
                outcome
            };
            std::thread::Builder::new().name(NAME.into()).stack_size(bytes).spawn(work).ok()
        };
        let Some(thread) = stacks().iter().find_map(spawn) else {
            return Err(Failure::no_memory("there is no memory left for this; try again later"));
        };
        let deadline = Instant::now() + MAX_TIME;
        while !done.load(Ordering::Acquire) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::invalid(format!("the template took over {MAX_TIME:?}")));
            }
            std::thread::park_timeout(left);
        }
        thread.join().and_then(|outcome| outcome).map_err(internal)?
    }
}

/// Where address space is limited others need it more than templates that nest endlessly.
fn stacks() -> &'static [usize] {
    if memory::is_address_space_limited() {
        &STACK_BYTES[2..]
    } else {
        &STACK_BYTES
    }
}

/// Whether the template itself failed, and another try is in time.
fn is_at_fault(outcome: &Outcome<String>, begun: Instant) -> bool {
    let failed = outcome.as_ref().is_err_and(|failure| failure.status == Status::Invalid);
    failed && begun.elapsed() < MAX_TIME
}

fn internal(panic: Box<dyn Any + Send>) -> Failure {
    Failure { status: Status::Internal, message: panic_message(panic) }
}

fn render_with(env: &Environment<'static>, variables: Value) -> Outcome<String> {
    let mut output = Bounded(Vec::new());
    let template = env.get_template(NAME).map_err(describe)?;
    let outcome = template.render_captured_to(variables, &mut output).map(drop);
    free_circles(env);
    outcome.map_err(describe)?;
    String::from_utf8(output.0).map_err(|e| Failure::invalid(e.to_string()))
}

/// The variables as transformers passes them: tools and documents are None when not given, special
/// tokens come by name, kwargs win over them.
fn variables(input: &Input, messages: Json) -> Outcome<Value> {
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
