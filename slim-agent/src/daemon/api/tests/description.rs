//! The description and the server say the same: each operation that is described is answered as described, with no field
//! more or less, and nothing else is answered.

use serde_json::Value;

use super::{OPENAPI, Running};

/// What a JSON value has that the schema does not, or lacks, or has of another type: as much of JSON Schema as the
/// description uses. A property that is not described is wrong, too, although clients must pass over it.
fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = document.pointer(name.trim_start_matches('#'));
        let target = target.unwrap_or_else(|| panic!("{name} is not there"));
        return faults(document, target, value, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{at} has no type"),
    };
    if !(types.contains(&kind) || kind == "integer" && types.contains(&"number")) {
        return vec![format!("{at} is {value}, not {types:?}")];
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return vec![format!("{at} is {value}")];
    }
    match value {
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.flat_map(|(nth, item)| faults(document, &schema["items"], item, &format!("{at}/{nth}")))
                .collect()
        }
        Value::Object(fields) => faults_of_fields(document, schema, fields, at),
        _ => Vec::new(),
    }
}

fn faults_of_fields(
    document: &Value,
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
    at: &str,
) -> Vec<String> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut found: Vec<String> = required
        .filter(|name| !fields.contains_key(*name))
        .map(|name| format!("{at} lacks {name}"))
        .collect();
    // An object that describes nothing of itself may hold anything.
    let (described, rest) = (&schema["properties"], &schema["additionalProperties"]);
    for (name, value) in fields {
        let at = format!("{at}/{name}");
        match (described.get(name), rest) {
            (Some(schema), _) => found.extend(faults(document, schema, value, &at)),
            (None, Value::Object(_)) => found.extend(faults(document, rest, value, &at)),
            (None, _) if described.is_object() => found.push(format!("{at} is not described")),
            (None, _) => {}
        }
    }
    found
}

/// A body that an operation takes, and the answer to it.
async fn exchange(daemon: &Running, method: &str, path: &str, name: &str) -> (u16, String) {
    let body = if method == "post" { r#"{"container": "web", "profile": "a/b"}"# } else { "" };
    daemon.ask(&method.to_uppercase(), &path.replace("{name}", name), body).await
}

#[tokio::test]
async fn every_operation_answers_as_described() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let daemon = Running::start().await;
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            operations += 1;
            for name in ["a%2Fb", "none", "busy", "%ff"] {
                let at = format!("{method} {path} of {name}");
                let (status, body) = exchange(&daemon, method, path, name).await;
                let mut response = &operation["responses"][status.to_string()];
                assert!(response.is_object(), "{at}: {status} is not described");
                if let Some(shared) = response["$ref"].as_str() {
                    response = document.pointer(shared.trim_start_matches('#')).unwrap();
                }
                let Some(json) = response["content"].get("application/json") else { continue };
                // The engine's manifest is none.
                if body == "the manifest\n" {
                    continue;
                }
                let value: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(faults(&document, &json["schema"], &value, ""), [""; 0], "{at}");
            }
        }
    }
    assert_eq!(operations, 10);
}

#[tokio::test]
async fn what_is_not_described_is_not_there() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let daemon = Running::start().await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch", "options"] {
            let (status, _) = exchange(&daemon, method, path, "a%2Fb").await;
            assert_eq!(status == 405, item.get(method).is_none(), "{method} {path}: {status}");
        }
    }
}

#[test]
fn a_fault_is_found() {
    let schema = serde_json::json!({
        "type": "object", "properties": { "a": { "type": ["integer", "null"] } }, "required": ["a"]
    });
    let found = |value: Value| faults(&schema, &schema, &value, "").len();
    assert_eq!([found(serde_json::json!({ "a": 1 })), found(serde_json::json!({ "a": null }))], [0, 0]);
    assert_eq!(found(serde_json::json!({ "a": "1", "b": 2 })), 2);
    assert_eq!([found(serde_json::json!({})), found(serde_json::json!([]))], [1, 1]);
}
