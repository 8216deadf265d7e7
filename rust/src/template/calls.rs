//! Calls of earlier turns. Their arguments come as the text that the model wrote; templates want objects.

use serde_json::{Map, Value as Json};

/// What the arguments of a conversation's calls were, as texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arguments {
    None,
    Objects,
    /// At least one that is no object.
    Others,
}

/// Makes arguments that are the text of an object that object; no text is an empty one. Others stay as they are, as a template that
/// prints arguments prints the model's own words.
pub fn read_arguments(messages: &mut Json) -> Arguments {
    let mut found = Arguments::None;
    for_each_text(messages, |arguments, text| match read_object(text) {
        Some(object) => {
            *arguments = Json::Object(object);
            if found == Arguments::None {
                found = Arguments::Objects;
            }
        }
        None => found = Arguments::Others,
    });
    found
}

/// Makes arguments that are text an empty object, for templates that ask them for their items.
pub fn drop_texts(messages: &mut Json) {
    for_each_text(messages, |arguments, _| *arguments = Json::Object(Map::new()));
}

fn read_object(text: &str) -> Option<Map<String, Json>> {
    if text.trim().is_empty() {
        return Some(Map::new());
    }
    serde_json::from_str(text).ok()
}

fn for_each_text(messages: &mut Json, mut change: impl FnMut(&mut Json, &str)) {
    for message in messages.as_array_mut().into_iter().flatten() {
        let calls = message.get_mut("tool_calls").and_then(Json::as_array_mut);
        for call in calls.into_iter().flatten() {
            let Some(arguments) = call.pointer_mut("/function/arguments") else { continue };
            if let Some(text) = arguments.as_str().map(str::to_string) {
                change(arguments, &text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn conversation(arguments: Json) -> Json {
        json!([{ "role": "user" }, { "role": "assistant", "tool_calls": [{ "function": { "name": "f", "arguments": arguments } }] }])
    }

    #[test]
    fn texts_of_objects_become_objects() {
        for (text, object) in
            [(r#"{"a": [1]}"#, json!({ "a": [1] })), ("", json!({})), (" ", json!({}))]
        {
            let mut messages = conversation(text.into());
            assert_eq!(read_arguments(&mut messages), Arguments::Objects, "{text}");
            assert_eq!(messages, conversation(object));
        }
    }

    #[test]
    fn other_texts_stay_until_they_are_dropped() {
        for text in [r#"{"a": 1"#, "[]", "5", "\"x\"", "null", r#"{"a": "\ud800"}"#, "{} {}"] {
            let mut messages = conversation(text.into());
            assert_eq!(read_arguments(&mut messages), Arguments::Others, "{text}");
            assert_eq!(messages, conversation(text.into()));
            drop_texts(&mut messages);
            assert_eq!(messages, conversation(json!({})));
        }
    }

    #[test]
    fn messages_of_any_shape_are_left_alone() {
        for mut messages in
            [json!(7), json!([7, { "tool_calls": 7 }, { "tool_calls": [7, { "function": 7 }] }])]
        {
            let before = messages.clone();
            assert_eq!(read_arguments(&mut messages), Arguments::None);
            assert_eq!(messages, before);
        }
    }
}
