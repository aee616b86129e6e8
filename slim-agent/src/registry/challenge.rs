//! The header `WWW-Authenticate`: which proof a server wants (RFC 9110, section 11.6.1).

use std::collections::BTreeMap;

/// One way to authenticate, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    scheme: String,
    parameters: BTreeMap<String, String>,
}

/// A piece of a header.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Equals,
    Comma,
}

impl Challenge {
    /// All challenges of a header, in order. What follows no rule is skipped.
    pub fn parse(header: &str) -> Vec<Self> {
        let tokens = tokens(header);
        let mut found: Vec<Self> = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match (token, tokens.get(at + 1), tokens.get(at + 2)) {
                (Token::Word(key), Some(Token::Equals), Some(Token::Word(value))) => {
                    if let Some(challenge) = found.last_mut() {
                        challenge.parameters.insert(key.to_ascii_lowercase(), value.clone());
                    }
                    at += 3;
                }
                (Token::Word(scheme), _, _) => {
                    found.push(Self { scheme: scheme.to_ascii_lowercase(), ..Self::default() });
                    at += 1;
                }
                _ => at += 1,
            }
        }
        found
    }

    /// Whether this is of `scheme`, in lower case.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme == scheme
    }

    /// The parameter `name`, in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

fn tokens(header: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = header.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '=' => tokens.push(Token::Equals),
            ',' => tokens.push(Token::Comma),
            '"' => {
                let mut word = String::new();
                while let Some(char) = chars.next().filter(|&char| char != '"') {
                    word.extend(if char == '\\' { chars.next() } else { Some(char) });
                }
                tokens.push(Token::Word(word));
            }
            char if char.is_whitespace() => {}
            char => {
                let mut word = String::from(char);
                while let Some(char) =
                    chars.next_if(|&char| !matches!(char, '=' | ',' | '"') && !char.is_whitespace())
                {
                    word.push(char);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_registries_ask_for() {
        let found = Challenge::parse(
            r#"Bearer realm="https://auth.example/token?a=b",service="registry, \"x\"",scope="repository:a:pull,push", Basic Realm=r"#,
        );
        assert_eq!(found.len(), 2);
        assert!(found[0].is("bearer") && found[1].is("basic"));
        assert_eq!(found[0].get("realm"), Some("https://auth.example/token?a=b"));
        assert_eq!(found[0].get("service"), Some("registry, \"x\""));
        assert_eq!(found[0].get("scope"), Some("repository:a:pull,push"));
        assert_eq!(found[1].get("realm"), Some("r"));
        assert!(Challenge::parse("").is_empty());
    }

    proptest! {
        #[test]
        fn any_header_is_read(header: String) {
            let _ = Challenge::parse(&header);
        }
    }
}
