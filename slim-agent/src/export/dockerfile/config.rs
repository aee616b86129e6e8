//! An image's config as instructions of a Dockerfile.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::words::{expanded, json, quoted};

/// Fields that say nothing of how containers start, or of how this image was built.
const SILENT: [&str; 13] = [
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
    "MacAddress",
    "NetworkDisabled",
    "PublishService",
    "ArgsEscaped",
];

/// The instructions, in the order in which they take effect.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub lines: Vec<String>,
    /// What could not be said, a sentence each.
    pub notes: Vec<String>,
}

/// The instructions that give an image made `FROM scratch` the config of another.
///
/// # Errors
/// The config is not JSON.
pub(super) fn lines(raw: &[u8]) -> Result<Lines> {
    let whole: Value = serde_json::from_slice(raw).context("the image's config is not JSON")?;
    let mut lines = Lines::default();
    let none = serde_json::Map::new();
    let config = whole["config"].as_object().unwrap_or(&none);
    let fields: BTreeMap<&str, &Value> = config.iter().map(|(name, value)| (name.as_str(), value)).collect();
    // ENTRYPOINT takes back CMD, and HEALTHCHECK speaks through SHELL.
    let order = [
        "Shell",
        "Env",
        "Labels",
        "ExposedPorts",
        "Volumes",
        "StopSignal",
        "WorkingDir",
        "User",
        "Healthcheck",
        "Entrypoint",
        "Cmd",
        "OnBuild",
    ];
    for name in order {
        if let Some(value) = fields.get(name).filter(|value| is_set(value)) {
            lines.field(name, value);
        }
    }
    let known = |name: &str| order.contains(&name) || SILENT.contains(&name);
    for (name, _) in fields.iter().filter(|(name, value)| !known(name) && is_set(value)) {
        lines
            .notes
            .push(format!("no instruction sets the config's {name}: the built image will not have it"));
    }
    Ok(lines)
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(number) => number.as_u64() != Some(0),
        Value::Bool(true) => true,
    }
}

impl Lines {
    fn field(&mut self, name: &str, value: &Value) {
        let texts = || value.as_array().into_iter().flatten().filter_map(Value::as_str);
        let keys = || value.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let text = value.as_str().unwrap_or_default();
        match name {
            "Shell" => self.add(name, Some(format!("SHELL {value}"))),
            "Env" => texts().for_each(|line| self.env(line)),
            "Labels" => {
                value.as_object().into_iter().flatten().for_each(|(key, value)| self.label(key, value))
            }
            "ExposedPorts" => {
                keys().for_each(|port| self.add(name, plain(port).map(|port| format!("EXPOSE {port}"))))
            }
            "Volumes" => {
                let paths: Vec<_> = keys().map(|path| json(&expanded(path))).collect();
                self.add(name, Some(format!("VOLUME [{}]", paths.join(", "))));
            }
            "StopSignal" => self.add(name, plain(text).map(|text| format!("STOPSIGNAL {text}"))),
            "WorkingDir" => self.add(name, plain(text).map(|text| format!("WORKDIR {text}"))),
            "User" => self.add(name, plain(text).map(|text| format!("USER {text}"))),
            "Healthcheck" => self.add(name, healthcheck(value)),
            "Entrypoint" => self.add(name, Some(format!("ENTRYPOINT {value}"))),
            "Cmd" => self.add(name, Some(format!("CMD {value}"))),
            _ => {
                texts().for_each(|line| self.add(name, one_line(line).map(|line| format!("ONBUILD {line}"))))
            }
        }
    }

    fn add(&mut self, what: &str, line: Option<String>) {
        match line {
            Some(line) => self.lines.push(line),
            None => self
                .notes
                .push(format!("a Dockerfile cannot spell {what} of this image: set it when it is run")),
        }
    }

    fn env(&mut self, line: &str) {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let spelled =
            quoted(value).filter(|_| !key.contains(|c: char| c.is_whitespace() || "\"'\\$".contains(c)));
        self.add(&format!("variable {key}"), spelled.map(|value| format!("ENV {key}={value}")));
    }

    fn label(&mut self, key: &str, value: &Value) {
        let pair = quoted(key).zip(quoted(value.as_str().unwrap_or_default()));
        self.add(&format!("label {key}"), pair.map(|(key, value)| format!("LABEL {key}={value}")));
    }
}

/// A text that is the rest of a line, with nothing in it expanded.
fn plain(text: &str) -> Option<String> {
    one_line(text).map(expanded)
}

/// A text that a line can end with.
fn one_line(text: &str) -> Option<&str> {
    let good = !text.chars().any(char::is_control) && !text.ends_with('\\') && text.trim() == text;
    good.then_some(text)
}

fn healthcheck(check: &Value) -> Option<String> {
    let mut line = String::from("HEALTHCHECK");
    let options = [
        ("Interval", "interval"),
        ("Timeout", "timeout"),
        ("StartPeriod", "start-period"),
        ("StartInterval", "start-interval"),
    ];
    let test: Vec<&str> = check["Test"].as_array()?.iter().filter_map(Value::as_str).collect();
    let (kind, command) = test.split_first()?;
    if *kind == "NONE" {
        return Some(format!("{line} NONE"));
    }
    for (field, option) in options {
        if let Some(nanoseconds) = check[field].as_u64().filter(|&value| value != 0) {
            line.push_str(&format!(" --{option}={}", duration(nanoseconds)));
        }
    }
    if let Some(retries) = check["Retries"].as_u64().filter(|&value| value != 0) {
        line.push_str(&format!(" --retries={retries}"));
    }
    match (*kind, command) {
        ("CMD", command) => Some(format!("{line} CMD {}", Value::from(command))),
        // What looks like a list would be taken for one.
        ("CMD-SHELL", [text]) => {
            one_line(text).filter(|text| !text.starts_with('[')).map(|text| format!("{line} CMD {text}"))
        }
        _ => None,
    }
}

fn duration(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    if nanoseconds.is_multiple_of(SECOND) {
        format!("{}s", nanoseconds / SECOND)
    } else {
        format!("{nanoseconds}ns")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(config: Value) -> Lines {
        lines(json!({ "config": config }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn every_field_is_an_instruction() {
        let all = of(json!({
            "Env": ["PATH=/bin", "Q=a\"b$c"], "Entrypoint": ["/e", "x y"], "Cmd": ["c"], "User": "app", "WorkingDir": "/w d",
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Volumes": {"/v": {}}, "Labels": {"a b": "c"},
            "StopSignal": "SIGQUIT", "Shell": ["/bin/bash", "-c"], "OnBuild": ["RUN x"], "Tty": true, "Hostname": "h",
            "Healthcheck": {"Test": ["CMD-SHELL", "curl -f x || exit 1"], "Interval": 30_000_000_000_u64, "Timeout": 1_500_000, "Retries": 3},
        }));
        assert_eq!(all.notes, [""; 0]);
        assert_eq!(
            all.lines,
            [
                r#"SHELL ["/bin/bash","-c"]"#,
                r#"ENV PATH="/bin""#,
                r#"ENV Q="a\"b\$c""#,
                r#"LABEL "a b"="c""#,
                "EXPOSE 53/udp",
                "EXPOSE 80/tcp",
                r#"VOLUME ["/v"]"#,
                "STOPSIGNAL SIGQUIT",
                "WORKDIR /w d",
                "USER app",
                "HEALTHCHECK --interval=30s --timeout=1500000ns --retries=3 CMD curl -f x || exit 1",
                r#"ENTRYPOINT ["/e","x y"]"#,
                r#"CMD ["c"]"#,
                "ONBUILD RUN x",
            ]
        );
    }

    #[test]
    fn what_cannot_be_said_is_noted() {
        let odd = of(json!({
            "Env": ["A=b\nc"], "Memory": 5, "Healthcheck": {"Test": ["CMD-SHELL", "a\nb"]}, "Labels": null,
        }));
        assert_eq!(odd.lines, [""; 0]);
        assert_eq!(odd.notes.len(), 3, "{odd:?}");
    }

    #[test]
    fn health_checks_of_every_form() {
        let check = |test: Value| healthcheck(&json!({ "Test": test }));
        assert_eq!(check(json!(["NONE"])).as_deref(), Some("HEALTHCHECK NONE"));
        assert_eq!(check(json!(["CMD", "a", "b c"])).as_deref(), Some(r#"HEALTHCHECK CMD ["a","b c"]"#));
        assert_eq!(check(json!(["CMD-SHELL", "[ -f x ]"])), None);
        assert_eq!(check(json!([])), None);
    }
}
