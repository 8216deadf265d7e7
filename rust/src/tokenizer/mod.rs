pub mod detokenizer;
pub mod sentence_piece;
pub mod token_bytes;
pub mod tokenizer;
