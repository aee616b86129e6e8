//! From what was typed to what the engine and the probes understand.

use std::path::Path;

use url::{Position, Url};

use crate::container::Published;

/// A path for HTTP: absolute, with its query, in the form that goes over the wire.
pub fn path(text: &str) -> Result<String, String> {
    let slash = if text.starts_with('/') { "" } else { "/" };
    let url = Url::parse(&format!("http://localhost{slash}{text}"));
    let url = url.map_err(|error| format!("{error}; write it like /path?query"))?;
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err("it is a whole address: write only the path; the container's own address is asked".into());
    }
    Ok(url[Position::BeforePath..Position::AfterQuery].to_owned())
}

/// A variable, `NAME=VALUE`; one that is only named has the value that this process has.
pub fn variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the name is missing: write NAME=VALUE".into()),
        Some(_) => Ok(text.to_owned()),
        None => match std::env::var(text) {
            Ok(value) => Ok(format!("{text}={value}")),
            Err(_) => Err(format!("{text} is not set here: write {text}=VALUE")),
        },
    }
}

/// A volume: anonymous at a mount point, or a host directory or named volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Volume {
    /// The mount point.
    Anonymous(String),
    /// `SOURCE:POINT[:OPTIONS]`.
    Bound(String),
}

/// `POINT`, `NAME:POINT[:OPTIONS]` or `DIRECTORY:POINT[:OPTIONS]`, where a directory may be relative to this process's.
pub fn volume(text: &str) -> Result<Volume, String> {
    let absolute = |point: &str| {
        if point.starts_with('/') {
            Ok(())
        } else {
            Err(format!("{point:?} is no absolute path in the container: write SOURCE:/PATH"))
        }
    };
    let Some((source, rest)) = text.split_once(':') else {
        return absolute(text).map(|()| Volume::Anonymous(text.to_owned()));
    };
    absolute(rest.split(':').next().unwrap_or_default())?;
    if !source.contains('/') && !source.starts_with('.') {
        return Ok(Volume::Bound(text.to_owned()));
    }
    let directory = std::path::absolute(Path::new(source)).map_err(|error| format!("{source:?}: {error}"))?;
    match directory.to_str() {
        Some(directory) => Ok(Volume::Bound(format!("{directory}:{rest}"))),
        None => Err(format!("{source:?} is not UTF-8")),
    }
}

/// `[[IP:][HOSTPORT]:]PORT[/PROTOCOL]`.
pub fn published(text: &str) -> Result<Published, String> {
    let wrong = || format!("{text:?} is no port: write it like 8080:80 or 127.0.0.1:8080:80/tcp");
    let (place, port) = text.rsplit_once(':').unwrap_or(("", text));
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    number.parse::<u16>().map_err(|_| wrong())?;
    if !["tcp", "udp", "sctp"].contains(&protocol) {
        return Err(wrong());
    }
    let (ip, host_port) = place.rsplit_once(':').unwrap_or(("", place));
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    let bad_ip = !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err();
    if bad_ip || !host_port.is_empty() && host_port.parse::<u16>().is_err() {
        return Err(wrong());
    }
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Published { port: format!("{number}/{protocol}"), host_ip: given(ip), host_port: given(host_port) })
}

/// The words of a command, parted by spaces, with the quotes and backslashes of sh(1) and none of its expansions.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (Some(open), char) if open == char => quote = None,
            (None | Some('"'), '\\') => {
                let next = chars.next().ok_or("it ends with a backslash")?;
                let word = word.get_or_insert_default();
                if quote.is_some() && !"\\\"$`".contains(next) {
                    word.push('\\');
                }
                word.push(next);
            }
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("a {quote} is not closed"));
    }
    words.extend(word);
    if words.is_empty() { Err("it is empty".into()) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_made_fit_for_the_wire() {
        assert_eq!(path("/a b?c=d#e").unwrap(), "/a%20b?c=d");
        assert_eq!(path("health").unwrap(), "/health");
        assert_eq!(path("//x").unwrap(), "//x");
        assert!(path("http://localhost/x").unwrap_err().contains("only the path"));
    }

    #[test]
    fn variables_have_a_value() {
        assert_eq!(variable("A=b=c").unwrap(), "A=b=c");
        assert_eq!(variable("A=").unwrap(), "A=");
        assert!(variable("PATH").unwrap().starts_with("PATH=/"));
        assert!(variable("=x").is_err() && variable("SLIM_NOT_SET_ANYWHERE").is_err());
    }

    #[test]
    fn volumes_of_every_kind() {
        assert_eq!(volume("/data").unwrap(), Volume::Anonymous("/data".into()));
        assert_eq!(volume("v:/data:ro").unwrap(), Volume::Bound("v:/data:ro".into()));
        assert_eq!(volume("/h:/data").unwrap(), Volume::Bound("/h:/data".into()));
        let here = std::env::current_dir().unwrap().join("site");
        assert_eq!(volume("./site:/srv").unwrap(), Volume::Bound(format!("{}:/srv", here.display())));
        assert!(volume("data").is_err() && volume("v:data").is_err() && volume("v:").is_err());
    }

    #[test]
    fn ports_as_the_docker_cli_takes_them() {
        let of = |text: &str| {
            let Published { port, host_ip, host_port } = published(text).unwrap();
            format!("{port} {} {}", host_ip.unwrap_or_default(), host_port.unwrap_or_default())
        };
        assert_eq!(of("80"), "80/tcp  ");
        assert_eq!(of("8080:80"), "80/tcp  8080");
        assert_eq!(of("127.0.0.1:8080:80/udp"), "80/udp 127.0.0.1 8080");
        assert_eq!(of("127.0.0.1::80"), "80/tcp 127.0.0.1 ");
        assert_eq!(of("[::1]:8080:80"), "80/tcp ::1 8080");
        for bad in ["", "x", "x:80", "80/foo", "1.2.3:80:80", "70000"] {
            assert!(published(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_as_a_shell_parts_them() {
        let of = |text: &str| words(text).unwrap().join("|");
        assert_eq!(of("redis-cli PING"), "redis-cli|PING");
        assert_eq!(
            of(r#"sh -c 'echo "$HOME" \n' "a \" b\c" d\ e """#),
            r#"sh|-c|echo "$HOME" \n|a " b\c|d e|"#
        );
        for bad in ["", "  ", "'a", "\"a", "a\\"] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn anything_typed_is_judged(text: String) {
            let _ = (path(&text), variable(&text), volume(&text), published(&text), words(&text));
        }

        #[test]
        fn quoted_words_come_back(parts in proptest::collection::vec("[a-z \\\\\"$]{0,9}", 1..5)) {
            let line = parts.iter().map(|part| format!("'{part}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(words(&line).unwrap(), parts);
        }
    }
}
