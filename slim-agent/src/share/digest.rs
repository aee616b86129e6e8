//! Digests, by which registries and engines name content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, spelled `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

const PREFIX: &str = "sha256:";

impl Digest {
    /// That of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digits = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self(format!("{PREFIX}{digits}"))
    }

    /// The hexadecimal digits, of which there are 64.
    pub fn digits(&self) -> &str {
        self.0.strip_prefix(PREFIX).unwrap_or_default()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix(PREFIX) {
            Some(digits) if digits.len() == 64 && digits.bytes().all(digit) => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} is no digest: write sha256: and 64 hexadecimal digits")),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_nothing_and_of_what_is_none() {
        let empty = Digest::of(b"");
        assert_eq!(empty.digits(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(empty.to_string().parse(), Ok(empty.clone()));
        let upper = empty.to_string().to_uppercase();
        for none in ["", "sha256:", "sha256:aa", &format!("{empty}0"), &upper, empty.digits(), "sha512:aa"] {
            assert!(none.parse::<Digest>().is_err(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            let _ = text.parse::<Digest>();
        }
    }
}
