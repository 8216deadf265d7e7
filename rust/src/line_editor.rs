//! Lines from a terminal, with history, completion and several lines in one: `rustyline`. Where standard input is no terminal, its lines
//! as they are.

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Cmd, CompletionType, Config, Context, Editor, EventHandler, Helper};
use rustyline::{KeyCode, KeyEvent, Modifiers};

use crate::base::failure::{Failure, Outcome, Status};
use crate::base::ffi::{guard, put_text, text, Buffer};

const FENCE: &str = "\"\"\"";

/// What the editor knows of the language that is typed: commands, and when an entry goes on in the next line.
struct Manners {
    commands: Vec<String>,
    files: FilenameCompleter,
}

/// Whether an entry goes on: behind a backslash, or within two lines of three quotation marks.
fn goes_on(entry: &str) -> bool {
    if entry.trim_start().starts_with(FENCE) {
        return entry.matches(FENCE).count() < 2;
    }
    entry.ends_with('\\')
}

/// The entry as it is meant: without the marks of `goes_on`.
fn unmarked(entry: &str) -> String {
    let trimmed = entry.trim();
    if let Some(rest) = trimmed.strip_prefix(FENCE) {
        let inner = rest.strip_suffix(FENCE).unwrap_or(rest);
        return inner.trim_matches('\n').to_string();
    }
    entry.replace("\\\n", "\n")
}

impl Validator for Manners {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(match goes_on(context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Manners {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        context: &Context,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..at];
        if !before.starts_with('/') {
            return Ok((at, Vec::new()));
        }
        if before.contains(' ') {
            return self.files.complete(line, at, context);
        }
        let fits = self.commands.iter().filter(|command| command.starts_with(before));
        let pair =
            |command: &String| Pair { display: command.clone(), replacement: command.clone() };
        Ok((0, fits.map(pair).collect()))
    }
}

impl Hinter for Manners {
    type Hint = String;
}
impl Highlighter for Manners {}
impl Helper for Manners {}

pub struct LineEditor {
    editor: Editor<Manners, FileHistory>,
    history: String,
}

impl LineEditor {
    fn new(commands: &str, history: &str) -> rustyline::Result<LineEditor> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .auto_add_history(false)
            .max_history_size(1000)?
            .build();
        let mut editor = Editor::with_config(config)?;
        let commands = commands.lines().map(str::to_string).collect();
        editor.set_helper(Some(Manners { commands, files: FilenameCompleter::new() }));
        // A terminal sends Ctrl-J for an Enter that is typed while an answer still comes: Alt-Ctrl-J is Alt-Enter, and Ctrl-J is no newline.
        for key in [
            KeyEvent(KeyCode::Enter, Modifiers::ALT),
            KeyEvent(KeyCode::Char('J'), Modifiers::CTRL_ALT),
        ] {
            editor.bind_sequence(key, EventHandler::Simple(Cmd::Newline));
        }
        if !history.is_empty() {
            let _ = editor.load_history(history); // there is none the first time
        }
        Ok(LineEditor { editor, history: history.to_string() })
    }

    /// None at the end of the input.
    fn read(&mut self, prompt: &str) -> Outcome<Option<String>> {
        match self.editor.readline(prompt) {
            Ok(entry) => {
                self.remember(&entry);
                Ok(Some(unmarked(&entry)))
            }
            Err(ReadlineError::Eof) => Ok(None),
            Err(ReadlineError::Interrupted) => Err(Failure::cancelled()),
            Err(error) => Err(Failure::invalid(error.to_string())),
        }
    }

    /// A history that can't be kept is no reason to end a chat.
    fn remember(&mut self, entry: &str) {
        if self.editor.add_history_entry(entry).unwrap_or(false) && !self.history.is_empty() {
            let _ = self.editor.append_history(&self.history);
        }
    }
}

/// # Safety
/// `commands` and `history` point to as many readable bytes as their sizes say; `out` is writable; `error` as for `guard`.
#[no_mangle]
pub unsafe extern "C" fn pippin_line_editor_new(
    commands: *const u8,
    commands_size: usize,
    history: *const u8,
    history_size: usize,
    out: *mut *mut LineEditor,
    error: *mut Buffer,
) -> Status {
    guard(
        error,
        || {
            let commands = text(commands, commands_size, "the list of commands")?;
            let history = text(history, history_size, "the history's path")?;
            LineEditor::new(commands, history).map_err(|error| Failure::invalid(error.to_string()))
        },
        |editor| *out = Box::into_raw(Box::new(editor)),
    )
}

/// # Safety
/// `editor` comes from `pippin_line_editor_new`; `prompt` points to as many readable bytes as its size says; `line` and `ended` are
/// writable; `error` as for `guard`.
#[no_mangle]
pub unsafe extern "C" fn pippin_line_editor_read(
    editor: *mut LineEditor,
    prompt: *const u8,
    prompt_size: usize,
    line: *mut Buffer,
    ended: *mut i32,
    error: *mut Buffer,
) -> Status {
    guard(
        error,
        || (*editor).read(text(prompt, prompt_size, "the prompt")?),
        |read| {
            *ended = i32::from(read.is_none());
            put_text(line, read.unwrap_or_default());
        },
    )
}

/// # Safety
/// `editor` is null or comes from `pippin_line_editor_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_line_editor_free(editor: *mut LineEditor) {
    if !editor.is_null() {
        drop(Box::from_raw(editor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_goes_on_where_it_says_so() {
        assert!(goes_on("first \\"));
        assert!(goes_on("\"\"\"first\nsecond"));
        assert!(!goes_on("\"\"\"first\nsecond\"\"\""));
        assert!(!goes_on("say \"\"\" aloud"));
        assert!(!goes_on(""));
    }

    #[test]
    fn the_marks_are_no_part_of_it() {
        assert_eq!(unmarked("first\\\nsecond"), "first\nsecond");
        assert_eq!(unmarked("\"\"\"\n  first\nsecond\n\"\"\""), "  first\nsecond");
        assert_eq!(unmarked(" plain "), " plain ");
        assert_eq!(unmarked("a \\ b"), "a \\ b");
    }
}
