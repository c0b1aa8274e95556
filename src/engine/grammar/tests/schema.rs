//! Schemas: what they take, what they refuse by name, and that whatever is written fits.

use serde_json::{Value, json};

use super::*;

fn schema(text: &Value) -> Grammar {
    Grammar::from_schema(&text.to_string()).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Whether a value fits a schema: the part of JSON Schema that is read here, the plain way.
fn fits(schema: &Value, value: &Value, root: &Value) -> bool {
    let Value::Object(keywords) = schema else { return *schema == Value::Bool(true) };
    let size = |value: &Value| value.as_u64().unwrap() as usize;
    keywords.iter().all(|(keyword, want)| match keyword.as_str() {
        "type" => {
            let is = |kind: &Value| match kind.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "number" => value.is_number(),
                "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
                "boolean" => value.is_boolean(),
                _ => value.is_null(),
            };
            want.as_array().map_or_else(|| is(want), |all| all.iter().any(is))
        }
        "const" => value == want,
        "enum" => want.as_array().unwrap().contains(value),
        "anyOf" => want.as_array().unwrap().iter().any(|one| fits(one, value, root)),
        "oneOf" => want.as_array().unwrap().iter().filter(|one| fits(one, value, root)).count() == 1,
        "$ref" => fits(root.pointer(&want.as_str().unwrap()[1..]).unwrap(), value, root),
        "properties" => value.as_object().is_none_or(|members| {
            members.iter().all(|(name, value)| want.get(name).is_none_or(|schema| fits(schema, value, root)))
        }),
        "required" => value.as_object().is_none_or(|members| {
            want.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let named = |name: &str| schema.get("properties").is_some_and(|properties| properties.get(name).is_some());
            members.iter().filter(|(name, _)| !named(name)).all(|(_, value)| fits(want, value, root))
        }),
        "items" => value.as_array().is_none_or(|items| {
            let skip = schema.get("prefixItems").map_or(0, |all| all.as_array().unwrap().len());
            items.iter().skip(skip).all(|item| fits(want, item, root))
        }),
        "prefixItems" => value
            .as_array()
            .is_none_or(|items| items.iter().zip(want.as_array().unwrap()).all(|(item, want)| fits(want, item, root))),
        "minItems" => value.as_array().is_none_or(|items| items.len() >= size(want)),
        "maxItems" => value.as_array().is_none_or(|items| items.len() <= size(want)),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= size(want)),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= size(want)),
        "minimum" => value.as_f64().is_none_or(|n| n >= want.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|n| n <= want.as_f64().unwrap()),
        "exclusiveMinimum" => value.as_f64().is_none_or(|n| n > want.as_f64().unwrap()),
        "exclusiveMaximum" => value.as_f64().is_none_or(|n| n < want.as_f64().unwrap()),
        "$defs" | "title" | "description" | "default" => true,
        other => panic!("the test's own validator does not know `{other}`"),
    })
}

#[test]
fn whatever_is_written_is_json_that_fits() {
    let (tokens, vocabulary) =
        vocabulary(&[b"\"name\"", b"\": ", b"},", b" {", b"true", b"\\u00", b"\\ud83d\\ude00", b"12", b"\",\""]);
    let schemas = [
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 130}}, "required": ["name", "age"]}),
        json!({"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "null"}, "c": {"const": "x\"y\n"}}}),
        json!({"type": "object", "properties": {"b": {"enum": [1, "two", null, [3.5, {"k": []}]]}, "a": {"type": "number", "exclusiveMinimum": -2, "maximum": 3}}, "required": ["a"], "additionalProperties": {"type": "boolean"}}),
        json!({"type": "array", "items": {"type": ["integer", "null"]}, "minItems": 2, "maxItems": 4}),
        json!({"type": "array", "items": false}),
        json!({"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "string", "minLength": 1, "maxLength": 2}], "minItems": 2, "items": false}),
        json!({"anyOf": [{"type": "string", "minLength": 2, "maxLength": 3}, {"type": "integer", "exclusiveMaximum": 7, "minimum": -3}]}),
        json!({"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}], "$defs": {
            "cat": {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["kind", "lives"]},
            "dog": {"type": "object", "properties": {"kind": {"const": "dog"}}, "required": ["kind"], "additionalProperties": false}}}),
        json!({"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["value", "next"]}),
        json!({"type": "object", "additionalProperties": {"type": "integer", "minimum": -1, "maximum": 1}}),
        json!({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["z", "a"]}),
        json!({"title": "a thing", "type": "number"}),
        json!({"minimum": 3, "maximum": 5}),
    ];
    let mut ended = 0;
    for schema_text in &schemas {
        let grammar = schema(schema_text);
        for seed in 0..40 {
            let (text, is_end) = wander(&grammar, &tokens, &vocabulary, seed, 400);
            let text = String::from_utf8(text).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
            if is_end {
                ended += 1;
                let value: Value =
                    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?} for {schema_text}"));
                assert!(fits(schema_text, &value, schema_text), "{text:?} does not fit {schema_text}");
            }
        }
    }
    assert!(ended > schemas.len() * 25, "{ended} of {} came to an end", schemas.len() * 40);
}

#[test]
fn what_a_schema_asks_for_can_be_written() {
    for (text, yes, no) in [
        (
            json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["b"]}),
            vec![r#"{"b":"x"}"#, r#"{"a": 1, "b": "x"}"#, "{\n  \"a\": 1,\n  \"b\": \"\\u00e9\\ud83d\\ude00\"\n}"],
            vec![
                "{}",
                r#"{"a":1}"#,
                r#"{"b":"x","c":1}"#,
                r#"{"b":"\ud83d"}"#,
                r#"{"b":"x",}"#,
                r#"{"b":"x" "a":1}"#,
                r#"{"b":"x","a":1}"#,
            ],
        ),
        (json!(true), vec!["null", "[1, {\"a\":[]}]", "\"é\"", "-0.5e-7"], vec!["", "[1", "01", "nul"]),
        (
            json!({"type": "string", "pattern": "^[A-Z]\\d{2}(-x)?$"}),
            vec!["\"A12\"", "\"Z99-x\""],
            vec!["\"a12\"", "\"A1\"", "A12"],
        ),
        (json!({"type": "string", "pattern": "b+"}), vec!["\"b\"", "\"abbc\""], vec!["\"ac\"", "\"\""]),
        (json!({"pattern": "^(\"|\\\\|\\n)$"}), vec![r#""\"""#, r#""\\""#, r#""\n""#], vec!["\"\"\"", "\"\n\""]),
        (
            json!({"format": "date"}),
            vec!["\"2026-11-24\"", "\"2026-02-28\""],
            vec!["\"2026-02-30\"", "\"26-1-1\"", "\"2026-04-31\""],
        ),
        (
            json!({"format": "date-time"}),
            vec!["\"2026-11-24T09:00:00Z\""],
            vec!["\"2026-11-24\"", "\"2026-11-24T25:00:00Z\""],
        ),
        (json!({"format": "uuid"}), vec!["\"0190163d-8694-739b-aea5-966c26f8ad91\""], vec!["\"0190163d\""]),
        (json!({"enum": [1, "a"], "type": "string"}), vec!["\"a\""], vec!["1"]),
        (json!({"allOf": [{"type": "null"}]}), vec!["null"], vec!["1"]),
        (
            json!({"type": "object", "properties": {"ab": {"type": "null"}}, "additionalProperties": true}),
            vec![r#"{"ab":null}"#, r#"{"a":1}"#, r#"{"abc":1}"#, r#"{"":1}"#, r#"{"ab":null,"x":2,"y":3}"#],
            vec![r#"{"ab":1}"#, r#"{"\u0061b":1}"#, r#"{"x":1,"ab":2}"#],
        ),
    ] {
        let grammar = schema(&text);
        yes.iter().for_each(|t| assert!(accepts(&grammar, t), "{t} should fit {text}"));
        no.iter().for_each(|t| assert!(!accepts(&grammar, t), "{t} should not fit {text}"));
        let again = gbnf(&grammar.to_string());
        yes.iter().for_each(|t| assert!(accepts(&again, t), "{t} should fit, written out:\n{grammar}"));
    }
}

#[test]
fn what_is_not_supported_is_refused_with_its_path() {
    for (text, told) in [
        ("{", "line 1, column 1: the schema is no JSON"),
        ("{\"type\": \"object\",\n \"type\": \"array\"}", "the member `type` is there twice"),
        ("[]", "#: a schema is an object or `true`, not array"),
        ("false", "`false` fits no value"),
        (r#"{"type": "text"}"#, "#/type: \"text\" is no type; there are object, array"),
        (
            r#"{"properties": {"age": {"type": "integer", "multipleOf": 5}}}"#,
            "#/properties/age/multipleOf: the keyword `multipleOf` is not supported",
        ),
        (r#"{"properties": {"a/b": {"not": {}}}}"#, "#/properties/a~1b/not"),
        (r#"{"type": "array", "uniqueItems": true}"#, "#/uniqueItems"),
        (r#"{"type": "array", "minItems": 3, "maxItems": 2}"#, "`minItems` is larger"),
        (r#"{"type": "array", "minItems": -1}"#, "#/minItems: a whole number from 0 to 10000"),
        (r##"{"$ref": "#/$defs/none"}"##, "#/$ref: `$ref` points to `#/$defs/none`, where there is nothing"),
        (r#"{"$ref": "http://x/y"}"#, "only point into the same schema"),
        (r##"{"$ref": "#"}"##, "a rule begins with itself (root → root)"),
        (r#"{"anyOf": []}"#, "#/anyOf: a list of at least one schema"),
        (r#"{"anyOf": [{}], "type": "object"}"#, "`anyOf` beside `type`"),
        (r#"{"oneOf": [{"type": "integer"}, {"type": "number"}]}"#, "#/oneOf: a value may fit both 0 and 1"),
        (r#"{"oneOf": [{"type": "string"}, {"minimum": 3}]}"#, "a value may fit both 0 and 1"),
        (r#"{"allOf": [{}, {}]}"#, "exactly one schema"),
        (
            r#"{"type": "string", "format": "email"}"#,
            "#/format: the format `email` is not supported; supported: date, time",
        ),
        (r#"{"type": "string", "pattern": "("}"#, "#/pattern: the pattern cannot be read"),
        (r#"{"type": "string", "pattern": "a(?=b)"}"#, "#/pattern: the pattern cannot be read"),
        (r#"{"type": "string", "pattern": "a\\bc"}"#, "only at the ends"),
        (r#"{"type": "string", "pattern": "a", "maxLength": 3}"#, "say the length in the pattern"),
        (r#"{"type": "integer", "minimum": 3, "maximum": 2}"#, "no number is within these bounds"),
        (r#"{"type": "number", "minimum": 0.5}"#, "bounds with a fraction"),
        (r#"{"type": "integer", "minimum": "3"}"#, "#/minimum: a number must stand here, not string"),
        (r#"{"enum": []}"#, "`enum` must be a list"),
        (
            r#"{"type": "object", "required": ["a"], "properties": {}, "additionalProperties": false}"#,
            "`a` is required and yet",
        ),
        (r#"{"type": "object", "required": "a"}"#, "#/required: a list of names"),
    ] {
        let error = Grammar::from_schema(text).err().unwrap_or_else(|| panic!("taken: {text}")).to_string();
        assert!(error.contains(told), "wanted {told:?} for {text}, got {error:?}");
    }
}

#[test]
fn hostile_schemas_are_refused_in_time() {
    let began = std::time::Instant::now();
    let deep = format!("{}true{}", "{\"items\":".repeat(5_000), "}".repeat(5_000));
    assert!(Grammar::from_schema(&deep).is_err());
    let nested = format!("{}{{}}{}", "{\"items\":".repeat(80), "}".repeat(80));
    assert!(Grammar::from_schema(&nested).unwrap_err().to_string().contains("nest deeper than 64"));
    let chain: Vec<String> =
        (0..4_000).map(|i| format!("\"d{i}\":{{\"items\":{{\"$ref\":\"#/$defs/d{}\"}}}}", i + 1)).collect();
    let chain =
        format!("{{\"$defs\":{{{},\"d4000\":{{\"type\":\"null\"}}}},\"$ref\":\"#/$defs/d0\"}}", chain.join(","));
    assert!(Grammar::from_schema(&chain).is_ok(), "long, and harmless");
    let large = r#"{"type":"array","items":{"type":"array","items":{"type":"string","minLength":9999},"minItems":9999},"minItems":9999}"#;
    let _ = Grammar::from_schema(large);
    let pattern = format!("{{\"pattern\":\"{}\"}}", "(a{1000}){1000}".repeat(20));
    assert_eq!(Grammar::from_schema(&pattern).unwrap().accepts(b"\"a\""), Ok(false));
    let groups = format!("{{\"pattern\":\"{}x{}\"}}", "(".repeat(1_000), ")".repeat(1_000));
    assert!(Grammar::from_schema(&groups).unwrap_err().to_string().contains("nest deeper"));
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}
