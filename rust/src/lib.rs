//! Pippin's text libraries behind one C ABI: Hugging Face `tokenizers`, `minijinja` for chat
//! templates, and BLAKE3. The contract (ownership, errors, threads) is in include/pippin_rust.h.
//!
//! Each module is plain Rust with its `extern "C"` functions at the end; `ffi` holds what they share.

pub mod detokenizer;
pub mod digest;
pub mod ffi;
mod filters;
mod jinja;
mod json;
mod pymethods;
mod strftime;
pub mod template;
pub mod token_bytes;
pub mod tokenizer;
