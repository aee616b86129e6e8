//! Private keys and secrets, told by their form. Pure; no bytes make it fail, and nothing that is found out holds any of
//! the secret.

/// How the first line of a PEM block begins and ends (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----";

/// Longest label of a PEM block that is told.
const MAX_LABEL: usize = 40;

/// File names of ssh's keys, and how names of other private keys and key stores end.
const NAMES: [&[u8]; 5] = [b"id_rsa", b"id_dsa", b"id_ecdsa", b"id_ed25519", b"identity"];
const ENDS: [&[u8]; 9] =
    [b".key", b".pem", b"_key", b".p12", b".pfx", b".jks", b".keystore", b".ppk", b"-key"];

/// Parts of variables' names that tell a secret.
const WORDS: [&str; 5] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL"];

/// Whether a file's name is one that private keys have.
pub fn is_key_name(name: &[u8]) -> bool {
    NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

/// Which private key a file holds, in a few words; none when it holds none. A PEM block says what it is. Binary forms (DER,
/// PKCS #12, key stores) are taken for keys where the name says so, too.
pub fn private_key(name: &[u8], content: &[u8]) -> Option<String> {
    let lines = content.split(|byte| b"\r\n".contains(byte));
    let mut labels = lines.filter_map(label).peekable();
    if labels.peek().is_some() || !is_key_name(name) {
        return labels.find(|label| is_private(label)).map(|label| format!("PEM: {label}"));
    }
    match content {
        // A sequence of ASN.1, or a key store of Java in either form.
        [0x30, 0x80..=0x84, ..] | [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => {
            Some("binary, by its name".to_owned())
        }
        content if content.starts_with(b"PuTTY-User-Key-File-") => Some("PuTTY".to_owned()),
        _ => None,
    }
}

/// The label of a line that begins a PEM block.
fn label(line: &[u8]) -> Option<&str> {
    let label = line.strip_prefix(BEGIN)?.trim_ascii_end().strip_suffix(END)?;
    let is_plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" -".contains(byte);
    let label = Some(label).filter(|label| label.len() <= MAX_LABEL && label.iter().all(is_plain))?;
    std::str::from_utf8(label).ok()
}

fn is_private(label: &str) -> bool {
    label.ends_with("PRIVATE KEY") || label == "PGP PRIVATE KEY BLOCK"
}

/// Whether a variable looks as if its value were a secret: by the name, if there is a value. That of a file with the
/// secret in it (`*_FILE`) is none.
pub fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_uppercase();
    let is_key = || name.split('_').any(|word| word.ends_with("KEY") || word.ends_with("KEYS"));
    let tells = WORDS.iter().any(|word| name.contains(word)) || is_key();
    tells && !value.is_empty() && !name.ends_with("_FILE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_told_by_their_form() {
        let key = |name: &str, content: &str| private_key(name.as_bytes(), content.as_bytes());
        let pem = |label: &str| format!("-----BEGIN {label}-----\r\nMIIE\r\n-----END {label}-----\r\n");
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
            assert_eq!(key("x", &pem(label)).unwrap(), format!("PEM: {label}"));
        }
        let both = pem("CERTIFICATE") + &pem("ENCRYPTED PRIVATE KEY");
        assert_eq!(key("both.pem", &both).unwrap(), "PEM: ENCRYPTED PRIVATE KEY");
        assert_eq!(key("server.key", &pem("PUBLIC KEY")), None);
        assert_eq!(key("root.key", ". IN DNSKEY 257 3 8 AwEAAa"), None);
        assert_eq!(key("test.py", "pem = '-----BEGIN PRIVATE KEY-----'"), None);
        assert_eq!(private_key(b"a.key", b"\x30\x82\x01\x02").unwrap(), "binary, by its name");
        assert_eq!(private_key(b"a.bin", b"\x30\x82\x01\x02"), None);
    }

    #[test]
    fn secrets_are_told_by_the_name() {
        for name in ["PGPASSWORD", "API_KEY", "AWS_SECRET_ACCESS_KEY", "GitHub_Token", "APIKEY", "X_KEYS"] {
            assert!(is_secret(name, "x"), "{name}");
        }
        for name in ["PATH", "KEYBOARD", "PASSWORD_FILE", "KEYMAP_DIR"] {
            assert!(!is_secret(name, "x"), "{name}");
        }
        assert!(!is_secret("PASSWORD", ""));
    }

    proptest! {
        #[test]
        fn no_content_is_fatal_and_none_of_it_is_told(name: Vec<u8>, body in "[a-z]{20,40}") {
            private_key(&name, &name);
            let content = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n");
            let told = private_key(b"k", content.as_bytes()).unwrap();
            prop_assert!(!told.contains(&body));
        }
    }
}
