pub mod masks;
pub mod matcher;
pub mod pace;
pub mod parser;
pub mod rehearsal;
pub mod token_trie;
pub mod words;
