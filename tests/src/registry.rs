//! Real registries on this host: of the Debian package `docker-registry`, and one that knows OCI 1.1.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::command::output;
use crate::docker::docker;
use crate::wait::wait_until;

/// The user that a registry with a login knows.
pub const USER: &str = "tester";
/// The user's password.
pub const PASSWORD: &str = "secret";
/// `tester:secret` as in the header of a request, and in a configuration of the docker CLI.
pub const PAIR: &str = "dGVzdGVyOnNlY3JldA==";
/// The password as bcrypt hashes it, at the lowest cost.
const HASHED: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// Where only this host reaches it, so that nobody asks for TLS.
pub const LOCAL: &str = "127.0.0.1";
/// Makes an authority, and a certificate of it for the address `$0`.
const CERTIFY: &str = r#"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 1
openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=registry
echo "subjectAltName=IP:$0" > names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -days 1 -out cert.pem
"#;

/// A registry that runs; it is killed, and all that it holds removed, when this goes out of scope.
#[derive(Debug)]
pub struct Registry {
    place: TempDir,
    child: Child,
    /// `ADDRESS:PORT`.
    host: String,
}

impl Registry {
    /// One that anybody may use.
    pub fn open() -> Result<Self> {
        Self::start(LOCAL, |_| Ok(String::new()))
    }

    /// One that wants [`USER`] and [`PASSWORD`].
    pub fn with_login() -> Result<Self> {
        Self::start(LOCAL, |place| {
            let path = place.path().join("htpasswd");
            fs::write(&path, format!("{USER}:{HASHED}\n"))?;
            Ok(format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", path.display()))
        })
    }

    /// One that speaks TLS, at this host's address on the engine's own network, and the file with the certificate that
    /// its own is signed with.
    pub fn with_certificate() -> Result<(Self, PathBuf)> {
        let gateway = "{{(index .IPAM.Config 0).Gateway}}";
        let address = docker(&["network", "inspect", "--format", gateway, "bridge"])?;
        let registry = Self::start(&address, |place| {
            output(Command::new("sh").args(["-euc", CERTIFY, &address]).current_dir(place.path()))?;
            let path = place.path().display();
            Ok(format!("  tls:\n    certificate: {path}/cert.pem\n    key: {path}/key.pem\n"))
        })?;
        let signer = registry.place.path().join("ca.pem");
        Ok((registry, signer))
    }

    /// One at an address of this host whose configuration ends, after `http.addr`, with what `more` says.
    pub fn start(address: &str, more: impl FnOnce(&TempDir) -> Result<String>) -> Result<Self> {
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let port = free_port()?;
        let host = format!("{address}:{port}");
        let (config, data) = (place.path().join("config.yml"), place.path().join("data"));
        let text = format!(
            "version: 0.1\nstorage:\n  delete:\n    enabled: true\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n{}",
            data.display(),
            more(&place)?
        );
        fs::write(&config, text)?;
        let mut program = Command::new("docker-registry");
        program.arg("serve").arg(&config);
        Self::run(place, host, program)
    }

    /// One of another make, which answers who refers to an image. Anybody reads; [`USER`] with [`PASSWORD`] writes, where
    /// names begin with `team/`.
    pub fn with_referrers() -> Result<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peryx/bin/peryx");
        ensure!(program.exists(), "peryx is not installed: cargo xtask setup");
        let place = tempfile::tempdir().context("cannot make a temporary directory")?;
        let (port, config) = (free_port()?, place.path().join("peryx.toml"));
        let text = format!(
            "host = \"{LOCAL}\"\nport = {port}\ndata_dir = \"{}\"\n\n[[index]]\nname = \"team\"\nroute = \"team\"\n\
             ecosystem = \"oci\"\nhosted = true\n\n[[index.access_token]]\nname = \"test\"\nsecret = \"{PASSWORD}\"\n\
             actions = [\"write\", \"delete\"]\n",
            place.path().join("data").display()
        );
        fs::write(&config, text)?;
        let mut command = Command::new(program);
        command.args(["serve", "--config"]).arg(&config);
        Self::run(place, format!("{LOCAL}:{port}"), command)
    }

    /// Runs a registry until it listens.
    fn run(place: TempDir, host: String, mut command: Command) -> Result<Self> {
        let log = File::create(place.path().join("log"))?;
        let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot run a registry: cargo xtask setup")?;
        let registry = Self { place, child, host };
        wait_until("the registry listens", || Ok(TcpStream::connect(&registry.host).is_ok()))
            .with_context(|| registry.log().unwrap_or_default())?;
        Ok(registry)
    }

    /// Where docker-registry keeps what it holds.
    pub fn data(&self) -> PathBuf {
        self.place.path().join("data/docker/registry/v2")
    }

    /// The name of an image in it.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// A directory for `DOCKER_CONFIG` in which somebody is logged in with `pair`.
    pub fn login(&self, pair: &str) -> Result<PathBuf> {
        let auths = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{pair}\"}}}}}}", self.host);
        self.config("login", &auths)
    }

    /// A directory for `DOCKER_CONFIG` with this configuration.
    pub fn config(&self, name: &str, text: &str) -> Result<PathBuf> {
        let dir = self.place.path().join(name);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("config.json"), text)?;
        Ok(dir)
    }

    /// How many uploads of blobs were begun so far.
    pub fn uploads(&self) -> Result<usize> {
        let begun = |line: &&str| line.contains("\"POST /v2/") && line.contains("/blobs/uploads/ ");
        Ok(self.log()?.lines().filter(begun).count())
    }

    fn log(&self) -> Result<String> {
        fs::read_to_string(self.place.path().join("log")).context("cannot read the registry's log")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A port that nobody listens at now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}
