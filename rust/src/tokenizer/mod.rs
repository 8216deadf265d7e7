pub mod detokenizer;
pub mod token_bytes;
pub mod tokenizer;
