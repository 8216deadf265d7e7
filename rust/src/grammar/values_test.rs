//! Arguments in notations that are not JSON, byte by byte and with markup that is a token.

use serde_json::json;

use super::*;
use crate::grammar::compiler::tests::{compiler, CALL};
use crate::grammar::compiler::Kind;
use crate::masks::matcher::Matcher;

fn in_x(schema: Json) -> Json {
    json!({ "type": "object", "properties": { "x": schema }, "required": ["x"] })
}

fn arguments(schema: Json, layout: Json) -> Matcher {
    let mut piece = layout;
    piece["arguments"] = in_x(schema);
    compiler().try_compile(Kind::Calls, &json!({ "calls": [[piece]] }).to_string()).unwrap()
}

fn python(schema: Json) -> Matcher {
    arguments(schema, json!({ "notation": "python" }))
}

fn between_tags(schema: Json, types: Json) -> Matcher {
    arguments(
        schema,
        json!({ "notation": "tags", "key": "<KEY>", "end": "\n</p>\n", "closing": "</p>", "types": { "x": types } }),
    )
}

/// How many bytes of the text may come, and whether that is a whole.
fn taken(matcher: &Matcher, text: &str) -> (usize, bool) {
    let mut matcher = matcher.copy().unwrap();
    for (at, byte) in text.bytes().enumerate() {
        if matcher.is_finished() || !matcher.allows(byte.into()).unwrap() {
            return (at, false);
        }
        matcher.consume(byte.into()).unwrap();
    }
    (text.len(), matcher.is_accepting())
}

fn accepts(matcher: &Matcher, text: &str) -> bool {
    taken(matcher, text) == (text.len(), true)
}

#[test]
fn a_text_does_not_run_into_its_tag() {
    for schema in [
        json!({ "type": "string" }),
        json!({ "type": "string", "maxLength": 20 }),
        json!({ "type": "string", "pattern": "^a", "minLength": 2 }),
        json!({ "type": "string", "pattern": "b|^a" }),
    ] {
        let matcher = between_tags(schema.clone(), json!(["string"]));
        assert!(accepts(&matcher, "<x>ab </ </p\n</p>\n"), "{schema}");
        assert_eq!(taken(&matcher, "<x>ab</p>"), ("<x>ab</p".len(), false), "{schema}");
    }
}

#[test]
fn what_the_parser_takes_for_another_type_is_no_text() {
    let schema = json!({ "anyOf": [{ "type": "string", "maxLength": 5 }, { "type": "number", "minimum": 3 }, { "type": "null" }] });
    let matcher = between_tags(schema, json!(["string", "number", "null"]));
    for (text, good) in [
        ("ab", true),
        ("null", true),
        ("3.5", true),
        ("12", true),
        ("", true),
        ("2", false),
        ("None", false),
        (" 7", false),
    ] {
        assert_eq!(accepts(&matcher, &format!("<x>{text}\n</p>\n")), good, "{text}");
    }
    let unknown = between_tags(json!({ "pattern": "^[a-z\"0-9]+$" }), json!([]));
    assert!(accepts(&unknown, "<x>ab\n</p>\n") && accepts(&unknown, "<x>{\"a\": [1]}\n</p>\n"));
    assert!(!accepts(&unknown, "<x>\"A\"\n</p>\n"));
}

#[test]
fn texts_end_at_tokens() {
    for (schema, right, wrong) in [
        (json!({ "type": "string" }), vec!["", "a\"b\n"], vec!["<call>"]),
        (
            json!({ "type": "string", "minLength": 1, "maxLength": 2 }),
            vec!["a", "éé"],
            vec!["", "abc"],
        ),
        (json!({ "enum": ["red", "a b"] }), vec!["red", "a b"], vec!["re", ""]),
        (json!({ "type": "string", "maxLength": 0 }), vec![""], vec!["a"]),
    ] {
        let matcher = arguments(schema.clone(), json!({ "notation": "gemma", "quote": "<call>" }));
        let quoted = |text: &str| {
            let mut matcher = matcher.copy().unwrap();
            let mut tokens: Vec<i32> = "x:".bytes().map(i32::from).collect();
            tokens.push(CALL);
            tokens.extend(text.bytes().map(i32::from));
            tokens.push(CALL);
            tokens.into_iter().all(|token| {
                !matcher.is_finished()
                    && matcher.allows(token).unwrap()
                    && matcher.consume(token).is_ok()
            }) && matcher.is_accepting()
        };
        right.iter().for_each(|text| assert!(quoted(text), "{schema} {text:?}"));
        wrong.iter().for_each(|text| assert!(!quoted(text), "{schema} {text:?}"));
    }
}

#[test]
fn members_and_items_are_counted() {
    let counted = python(json!({ "type": "object", "additionalProperties": { "type": "null" },
        "minProperties": 1, "maxProperties": 2 }));
    let open = python(json!({ "type": "object", "properties": { "a": { "type": "integer" } },
        "additionalProperties": { "type": "null" } }));
    for (text, as_counted, as_open) in [
        ("{'a': 1}", false, false),
        ("{\"a\": 1}", false, true),
        ("{\"b\": None}", true, true),
        ("{\"a\": 1, \"b\": None}", false, true),
        ("{\"b\": None, \"c\": None}", true, true),
        ("{}", false, true),
        ("{\"a\": None}", true, false),
        ("{\"a\": None, \"b\": None, \"c\": None}", false, false),
    ] {
        assert_eq!(accepts(&counted, &format!("x={text}")), as_counted, "{text}");
        assert_eq!(accepts(&open, &format!("x={text}")), as_open, "{text}");
    }
    let list = python(json!({ "type": "array", "prefixItems": [{ "const": 1 }, { "const": "b" }],
        "items": { "type": "boolean" }, "minItems": 1, "maxItems": 4 }));
    for (text, good) in [
        ("[1]", true),
        ("[1, 'b']", true),
        ("[1, \"b\", True, False]", true),
        ("[]", false),
        ("[1, True]", false),
        ("[1, 'b', True, False, True]", false),
    ] {
        assert_eq!(accepts(&list, &format!("x={text}")), good, "{text}");
    }
    let all = python(json!({ "allOf": [{ "type": "integer", "minimum": 3 }, { "maximum": 5 }] }));
    assert!(accepts(&all, "x=4") && !accepts(&all, "x=6") && !accepts(&all, "x=2"));
}

#[test]
fn json_between_tags_lacks_the_tag() {
    let list =
        between_tags(json!({ "type": "array", "items": { "type": "string" } }), json!(["array"]));
    assert!(accepts(&list, "<x>[\"a\\\"b</\", \"\"]\n</p>\n"));
    assert!(!accepts(&list, "<x>[\"</p>\"]\n</p>\n"));
    let any = json!({ "type": "array", "items": { "type": "string", "pattern": "p>?" } });
    let list = between_tags(any, json!(["array"]));
    assert!(accepts(&list, "<x>[\"</p\"]\n</p>\n"));
    assert!(!accepts(&list, "<x>[\"</p>\"]\n</p>\n"));
}

#[test]
fn any_of_the_optional_members_come() {
    any_come(&["a", "b", "c", "d", "e"], 1);
    any_come(&["a", "b", "c", "d", "e", "f", "g", "h", "i"], 37); // more than are written out
}

/// Every so many sets of the required ones are looked at.
fn any_come(names: &[&str], step: usize) {
    for required in (0..1u32 << names.len()).step_by(step) {
        let is_in = |set: u32, at: usize| set >> at & 1 == 1;
        let needed: Vec<&str> =
            (0..names.len()).filter(|at| is_in(required, *at)).map(|at| names[at]).collect();
        let properties: Map<String, Json> =
            names.iter().map(|name| (name.to_string(), json!({ "type": "null" }))).collect();
        let matcher = python(json!({ "type": "object", "properties": properties,
            "required": needed, "additionalProperties": { "type": "boolean" } }));
        for come in 0..1u32 << names.len() {
            let members: Vec<String> = (0..names.len())
                .filter(|at| is_in(come, *at))
                .map(|at| format!("\"{}\": None", names[at]))
                .collect();
            let members = members.join(", ");
            let good = come & required == required;
            assert_eq!(
                accepts(&matcher, &format!("x={{{members}}}")),
                good,
                "{needed:?} {members}"
            );
            let comma = if come == 0 { "" } else { ", " };
            let more = format!("x={{{members}{comma}\"o\": True, \"p\": True}}");
            assert_eq!(accepts(&matcher, &more), good, "{needed:?} {more}");
        }
    }
}

fn members_named(count: usize) -> Map<String, Json> {
    (0..count).map(|at| (format!("p{at}"), json!({ "type": "null" }))).collect()
}

#[test]
fn many_members_are_optional() {
    let many = |count: usize| {
        let properties = members_named(count);
        python(json!({ "type": "object", "properties": properties, "additionalProperties": false }))
    };
    let matcher = many(MAX_OPTIONAL);
    for (members, good) in [
        ("", true),
        ("\"p0\": None, \"p1\": None, \"p300\": None, \"p699\": None", true),
        ("\"p699\": None", true),
        ("\"p699\": None, \"p1\": None", false),
        ("\"p700\": None", false),
    ] {
        assert_eq!(accepts(&matcher, &format!("x={{{members}}}")), good, "{members}");
    }
}

#[test]
fn too_many_optional_members_are_refused() {
    let properties = members_named(1500);
    for (step, good) in [(1, true), (500, true), (1500, false)] {
        let required: Vec<&String> = properties.keys().step_by(step).collect();
        let schema = json!({ "type": "object", "properties": properties, "required": required,
            "additionalProperties": false });
        for schema in [schema.clone(), in_x(schema)] {
            let piece = json!({ "notation": "python", "arguments": schema });
            let calls = json!({ "calls": [[piece]] }).to_string();
            match compiler().try_compile(Kind::Calls, &calls) {
                Ok(_) => assert!(good, "{step}"),
                Err(failure) => {
                    assert!(!good, "{step}: {}", failure.message);
                    assert!(failure.message.contains("may be left out"), "{}", failure.message);
                }
            }
        }
    }
}

#[test]
fn any_number_of_the_first_items_come() {
    let schemas: Vec<Json> = (0..40).map(|at| json!({ "const": at })).collect();
    for (least, most) in [(0, None), (0, Some(40)), (3, None), (37, Some(42)), (42, None)] {
        let mut schema = json!({ "type": "array", "prefixItems": schemas, "minItems": least,
            "items": { "type": "null" } });
        if let Some(most) = most {
            schema["maxItems"] = json!(most);
        }
        let matcher = python(schema);
        for count in 0..45 {
            let items: Vec<String> = (0..count)
                .map(|at| if at < 40 { at.to_string() } else { "None".to_string() })
                .collect();
            let good = count >= least && most.is_none_or(|most| count <= most);
            let text = format!("x=[{}]", items.join(", "));
            assert_eq!(accepts(&matcher, &text), good, "{least} {most:?} {count}");
        }
        assert!(!accepts(&matcher, "x=[1]") && !accepts(&matcher, "x=[0, 2]"));
    }
    let long =
        python(json!({ "type": "array", "prefixItems": vec![json!({ "type": "null" }); 1000] }));
    assert!(accepts(&long, "x=[None, None]"));
}

#[test]
fn what_nothing_meets_is_left_out() {
    for schema in [
        json!({ "type": "string", "minLength": 5, "maxLength": 3 }),
        json!({ "type": "string", "minLength": 5, "maxLength": 3, "pattern": "a" }),
        json!({ "type": "number", "minimum": 5, "maximum": 3 }),
        json!({ "type": "array", "minItems": 5, "maxItems": 3 }),
    ] {
        let option = json!({ "anyOf": [schema, { "type": "boolean" }] });
        let matcher = python(option.clone());
        assert!(accepts(&matcher, "x=True") && !accepts(&matcher, "x=\"abcd\""), "{schema}");
        let matcher = between_tags(option, json!(["string"]));
        assert!(accepts(&matcher, "<x>true\n</p>\n") && !accepts(&matcher, "<x>abcd\n</p>\n"));

        let mut or_null = schema.clone();
        or_null["type"] = json!([schema["type"], "null"]);
        let matcher = python(or_null.clone());
        assert!(accepts(&matcher, "x=None") && !accepts(&matcher, "x=\"abcd\""), "{or_null}");
        let matcher = between_tags(or_null, json!(["string"]));
        assert!(accepts(&matcher, "<x>null\n</p>\n") && !accepts(&matcher, "<x>abcd\n</p>\n"));

        let member = json!({ "type": "object", "properties": { "a": schema } });
        let matcher = python(member);
        assert!(accepts(&matcher, "x={}") && !accepts(&matcher, "x={\"a\": 4}"), "{schema}");
        let list = json!({ "type": "array", "items": schema });
        let matcher = python(list);
        assert!(accepts(&matcher, "x=[]") && !accepts(&matcher, "x=[4]"), "{schema}");
    }
}

#[test]
fn a_name_required_twice_counts_once() {
    let open = |required: Json| {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "null" }, "b": { "type": "null" } },
            "required": required, "additionalProperties": false, "minProperties": 2 });
        let piece = json!({ "notation": "python", "arguments": in_x(schema) });
        compiler().try_compile(Kind::Calls, &json!({ "calls": [[piece]] }).to_string())
    };
    assert!(open(json!(["a", "a"])).is_err());
    let matcher = open(json!(["b", "a", "b"])).unwrap();
    assert!(accepts(&matcher, "x={\"a\": None, \"b\": None}"));
    assert!(!accepts(&matcher, "x={\"b\": None}"));
}

#[test]
fn options_of_options_are_refused() {
    let many = json!({ "type": "object", "properties": members_named(100) });
    for (keyword, last) in
        [("anyOf", json!({ "type": "string" })), ("allOf", json!({})), ("anyOf", many)]
    {
        let mut schemas = Map::new();
        for at in 0..28 {
            let next = json!({ "$ref": format!("#/$defs/a{}", at + 1) });
            schemas.insert(format!("a{at}"), json!({ keyword: [next, next] }));
        }
        schemas.insert("a28".to_string(), last);
        // The first ones lead to too many, the last to few, but there are many that lead there.
        for first in [0, 24] {
            let properties: Map<String, Json> = (0..100)
                .map(|at| {
                    let reference = format!("#/$defs/a{first}");
                    (format!("x{at}"), json!({ "$ref": reference, "description": at.to_string() }))
                })
                .collect();
            let parameters =
                json!({ "type": "object", "properties": properties, "$defs": schemas });
            let piece = json!({ "notation": "python", "arguments": parameters });
            let calls = json!({ "calls": [[piece]] }).to_string();
            let is_many = schemas["a28"].get("properties").is_some();
            match compiler().try_compile(Kind::Calls, &calls) {
                Ok(_) => assert!(first == 24 && !is_many, "{keyword}"),
                Err(failure) => {
                    assert!(first == 0 || is_many, "{keyword}: {}", failure.message);
                    assert!(failure.message.contains("too large"), "{}", failure.message);
                }
            }
        }
    }
}
