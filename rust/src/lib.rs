//! Pippin's text libraries behind one C ABI: Hugging Face `tokenizers`, `minijinja` for chat
//! templates, `llguidance` for grammars, `rustyline` for lines from a terminal, and BLAKE3. The contract (ownership, errors, threads) is in
//! include/pippin_rust.h.
//!
//! Each module is plain Rust with its `extern "C"` functions at the end; `ffi` holds what they share.

mod alternatives;
mod call_grammar;
mod calls;
mod compiler;
pub mod controls;
mod detokenizer;
pub mod digest;
pub mod ffi;
mod filters;
mod formats;
mod fuse;
mod gbnf;
pub mod grammar;
mod jinja;
mod json;
pub mod line_editor;
mod masks;
mod matcher;
mod memory;
mod multiples;
mod namespaces;
mod notation;
mod numbers;
mod parts;
mod pymethods;
mod references;
mod rehearsal;
mod relax;
mod room;
mod rule_depth;
mod schema;
pub mod sentence_piece;
mod sequences;
mod sizes;
mod strftime;
pub mod template;
mod texts;
pub mod token_bytes;
mod token_trie;
pub mod tokenizer;
mod turns;
mod values;
mod words;
mod workshop;
