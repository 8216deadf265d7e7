//! How values are written where they are not JSON, and arguments around them.

use serde_json::Value as Json;

use crate::base::failure::{Failure, Outcome};

/// How texts are written.
pub enum Texts {
    /// In quotes and with escapes, as in JSON; `closing` can't be in them.
    Quoted { closing: String },
    /// As in Python: the same, or in single quotes.
    Python,
    /// As they are, between two of these.
    Between(String),
}

pub struct Notation {
    pub null: &'static str,
    pub booleans: [&'static str; 2],
    /// Behind an item or member that is not the last.
    pub comma: &'static str,
    /// Behind a member's key.
    pub colon: &'static str,
    /// Members are in the order of their names.
    pub is_sorted: bool,
    pub texts: Texts,
}

/// Around each argument.
pub enum Frame {
    /// KEY= before it.
    Python,
    /// As in an object.
    Members,
    /// KEY stands for the name in what comes before. A text lacks `closing`, a part of `end`. `types` of arguments, as the
    /// parser sees them: what can be read as one that is no text is none.
    /// Where `kinds` is an object the call says each value's type itself: between `key` and the value stands what `kinds` has for it.
    Tags { key: String, end: String, closing: String, types: Json, kinds: Json },
}

/// By what a piece says (see call_grammar).
pub fn of(piece: &Json) -> Outcome<(Notation, Frame)> {
    let text = |name: &str| piece[name].as_str().unwrap_or_default().to_string();
    match piece["notation"].as_str() {
        Some("python") => Ok((python(), Frame::Python)),
        Some("gemma") => Ok((gemma(text("quote")), Frame::Members)),
        Some("tags") => {
            let (key, end, closing) = (text("key"), text("end"), text("closing"));
            let (types, kinds) = (piece["types"].clone(), piece["kinds"].clone());
            let frame = Frame::Tags { key, end, closing: closing.clone(), types, kinds };
            Ok((json(closing), frame))
        }
        _ => Err(Failure::invalid("the arguments' notation is not known")),
    }
}

fn json(closing: String) -> Notation {
    Notation {
        null: "null",
        booleans: ["false", "true"],
        comma: ", ",
        colon: ": ",
        is_sorted: false,
        texts: Texts::Quoted { closing },
    }
}

fn python() -> Notation {
    Notation {
        null: "None",
        booleans: ["False", "True"],
        comma: ", ",
        colon: ": ",
        is_sorted: false,
        texts: Texts::Python,
    }
}

/// Gemma's templates sort what they print, and so do the models that learnt from it.
fn gemma(quote: String) -> Notation {
    Notation {
        null: "null",
        booleans: ["false", "true"],
        comma: ",",
        colon: ":",
        is_sorted: true,
        texts: Texts::Between(quote),
    }
}
