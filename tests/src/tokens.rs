//! A server of registry tokens, as the distribution specification's token authentication has it: the registry itself
//! judges them.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::command::output;
use crate::registry::PAIR;

/// Signs what the registry is to believe: header, claims, and a signature over both.
const SIGN: &str = r#"
encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
now=$(date +%s)
certificate=$(openssl x509 -in cert.pem -outform DER | openssl base64 -A)
header=$(printf '{"typ":"JWT","alg":"RS256","x5c":["%s"]}' "$certificate" | encode)
claims=$(printf '{"iss":"test","sub":"tester","aud":"test","exp":%s,"nbf":%s,"iat":%s,"jti":"1","access":%s}' \
    $((now + 300)) $((now - 60)) "$now" '[{"type":"repository","name":"team/app","actions":["pull","push"]}]' | encode)
signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -sign key.pem -binary | encode)
printf '%s.%s.%s' "$header" "$claims" "$signature"
"#;

/// A server that gives tokens for `team/app` to whoever knows the test's password.
#[derive(Debug)]
pub struct Tokens {
    place: TempDir,
    port: u16,
    asked: Arc<Mutex<String>>,
}

impl Tokens {
    /// Starts it; it ends with the test's process.
    pub fn serve() -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let make =
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=test -days 1";
        shell(place.path(), make)?;
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let port = listener.local_addr()?.port();
        let token = shell(place.path(), SIGN)?;
        let asked = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that goes away is its own affair.
                let _gone = answer(client, &token, &log);
            }
        });
        Ok(Self { place, port, asked })
    }

    /// What a registry's configuration says to have it trusted.
    pub fn config(&self) -> String {
        let (port, bundle) = (self.port, self.place.path().join("cert.pem"));
        format!(
            "auth:\n  token:\n    realm: http://127.0.0.1:{port}/token\n    service: test\n    issuer: test\n    \
             rootcertbundle: {}\n",
            bundle.display()
        )
    }

    /// The requests so far, a line each.
    pub fn asked(&self) -> Result<String> {
        Ok(self.asked.lock().map_err(|_| anyhow::anyhow!("the server of tokens failed"))?.clone())
    }
}

fn shell(place: &Path, script: &str) -> Result<String> {
    output(Command::new("sh").args(["-euc", script]).current_dir(place))
}

fn answer(client: TcpStream, token: &str, asked: &Mutex<String>) -> Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let request = lines.next().context("no request")??;
    let mut knows = false;
    for line in lines {
        let line = line?;
        knows |= line.ends_with(&format!("Basic {PAIR}"));
        if line.is_empty() {
            break;
        }
    }
    if let Ok(mut asked) = asked.lock() {
        asked.push_str(&request);
        asked.push('\n');
    }
    let (status, body) =
        if knows { ("200 OK", format!("{{\"token\":\"{token}\"}}")) } else { ("401 No", "{}".into()) };
    let mut client = client;
    write!(client, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    Ok(())
}
