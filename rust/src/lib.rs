//! Pippin's text libraries behind one C ABI: Hugging Face `tokenizers`, `minijinja` for chat templates, `llguidance` for
//! grammars, `rustyline` for lines from a terminal, and BLAKE3. The contract (ownership, errors, threads) is in
//! include/pippin_rust.h.
//!
//! Each module is plain Rust with its `extern "C"` functions at the end. Its folder is a room: `tools/check_includes` knows
//! which rooms may use which, and refuses circles.

mod base;
pub mod digest;
mod grammar;
pub mod line_editor;
mod masks;
mod schema;
mod template;
mod tokenizer;
mod work;
