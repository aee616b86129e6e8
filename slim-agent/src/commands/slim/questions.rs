//! What a container is asked, and the asking.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use hyper::StatusCode;
use tokio::time::{Instant, sleep, timeout};

use super::answer::{Answer, Content};
use super::http::{Failure, Page, Server};
use super::subject::Subject;
use crate::commands::record::load::Load;

/// Between two tries of something that is not ready.
const AGAIN: Duration = Duration::from_millis(20);
/// How long a page may say 503, and a command may fail, before that is taken for the result: something that has just
/// been started may not be ready.
const GETTING_READY: Duration = Duration::from_secs(10);
/// Between two tries of a port that does not speak HTTP, and how long it is tried when every port is like that.
const RARELY: Duration = Duration::from_millis(250);
const HOPE: Duration = Duration::from_secs(5);
/// How long a port that answers waits for one before it in order.
const PRECEDENCE: Duration = Duration::from_secs(1);
/// How long COMMAND may go on when the container has stopped.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What the engine writes in place of a command that cannot be executed.
const NOT_EXECUTED: &[u8] = b"OCI runtime exec failed";

/// One thing that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// GET of a path.
    Page {
        /// The container's port.
        port: u16,
        /// The path with its query.
        path: String,
    },
    /// A command in the container.
    Command(Vec<String>),
    /// The command of the container's health check.
    HealthCheck(Vec<String>),
    /// The load test on this host.
    Load,
    /// How the container stands in the end.
    End {
        /// How long it is waited for.
        patience: Duration,
        /// Whether what it wrote is compared.
        with_output: bool,
    },
}

/// A question with what was answered.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What was asked.
    pub question: Question,
    /// The answer.
    pub answer: Answer,
}

impl fmt::Display for Question {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { port, path } => write!(out, "GET :{port}{path}"),
            Self::Command(words) => write!(out, "--exec {}", words.join(" ")),
            Self::HealthCheck(_) => out.write_str("the health check"),
            Self::Load => out.write_str("the load test"),
            Self::End { .. } => out.write_str("the container"),
        }
    }
}

/// Asks one container.
pub struct Asker<'a> {
    /// The container.
    pub subject: &'a Subject,
    /// How long the application may take until it answers at all.
    pub patience: Duration,
    /// The load test, with its arguments.
    pub load: &'a [OsString],
    /// Whether what the load test prints must not go to standard output.
    pub data_on_stdout: bool,
}

impl Asker<'_> {
    /// Waits until the first of `ports`, or one behind it when those before do not listen, answers `path`.
    ///
    /// # Errors
    /// None does in time; the message says how each stands.
    pub async fn first_page(&self, ports: &[u16], path: &str) -> Result<(Server, Page)> {
        let ip = self.subject.ip().await?;
        let servers: Vec<_> = ports.iter().map(|&port| Server::new(ip, port)).collect();
        let mut door = Door::new(servers, path);
        let began = Instant::now();
        let _in_time = timeout(self.patience, door.open()).await;
        if let Some((at, page, _)) = door.found {
            return Ok((door.servers.swap_remove(at), page));
        }
        Err(anyhow!(
            "no HTTP answer within {:.0} s: {}; {}, so probe with --exec or a load COMMAND if it is no web server{}",
            began.elapsed().as_secs_f32(),
            door.state(),
            self.subject.listeners(),
            self.subject.last_words().await
        ))
    }

    /// What a page answers; that it does not is an answer, too.
    pub async fn page(&self, server: &Server, path: &str) -> Page {
        server.get(path).await.unwrap_or_else(|_| Page {
            status: StatusCode::default(),
            answer: Answer::plain("no answer"),
            links: Vec::new(),
        })
    }

    /// Runs a command in the container, again while it does not return `expected` and may not be ready.
    ///
    /// # Errors
    /// The engine cannot run it.
    pub async fn command(&self, words: &[String], expected: &str) -> Result<Answer> {
        let began = Instant::now();
        loop {
            let done = self.subject.runtime().exec(self.subject.id(), words).await?;
            let outcome = format!("exit code {}", done.code);
            let absent = [126, 127].contains(&done.code) && done.output.stdout.starts_with(NOT_EXECUTED);
            if outcome == expected || absent || began.elapsed() > GETTING_READY.min(self.patience) {
                let content = Content::of(&done.output.stdout, done.output.cut);
                return Ok(Answer { content, ..Answer::plain(outcome) });
            }
            sleep(AGAIN).await;
        }
    }

    /// Runs the load test.
    ///
    /// # Errors
    /// It cannot be run, or the container stops and it does not end.
    pub async fn load(&self, load: &mut Load) -> Result<Answer> {
        load.start(&self.subject.environment(), self.data_on_stdout)?;
        let status = tokio::select! {
            status = load.wait() => status?,
            stopped = self.subject.stopped() => {
                stopped?;
                match load.finish(LAST_WORDS).await {
                    Some(status) => status?,
                    None => return Err(self.subject.exited("before the load test had ended").await),
                }
            }
        };
        Ok(Answer::plain(status.to_string()))
    }

    /// Asks again what another container was asked: the first question waits until this one is ready.
    ///
    /// # Errors
    /// It cannot be asked: it is not ready in time, or exits.
    pub async fn again(&self, exchange: &Exchange, first: bool, load: &mut Load) -> Result<Answer> {
        let asked = async {
            match &exchange.question {
                Question::Page { port, path } if first => Ok(self.first_page(&[*port], path).await?.1.answer),
                Question::Page { port, path } => {
                    Ok(self.page(&Server::new(self.subject.ip().await?, *port), path).await.answer)
                }
                Question::Command(words) | Question::HealthCheck(words) => {
                    self.be_ready(first).await;
                    self.command(words, &exchange.answer.outcome).await
                }
                Question::Load => {
                    self.be_ready(first).await;
                    self.load(load).await
                }
                Question::End { .. } => bail!("how a container ends is waited for, not asked"),
            }
        };
        match exchange.question {
            Question::End { patience, with_output } => {
                let _goes_on = timeout(patience, self.subject.stopped()).await;
                self.subject.end(with_output).await
            }
            Question::Load => asked.await,
            _ => self.subject.while_it_runs(asked).await,
        }
    }

    /// Before a container's first question that is no page: its port listens, if it exposes one.
    pub async fn be_ready(&self, first: bool) {
        if first && !self.subject.ports().is_empty() && !self.subject.listens(self.patience).await {
            tracing::warn!("no port that the image exposes listens within {:?}", self.patience);
        }
    }
}

/// A command that was found to be executable; its answer otherwise says what the engine could not do.
///
/// # Errors
/// The container has no such command.
pub fn executed(words: &[String], answer: Answer) -> Result<Answer> {
    let text = String::from_utf8_lossy(&answer.content.head).trim().to_owned();
    ensure!(
        !answer.content.head.starts_with(NOT_EXECUTED),
        "cannot run --exec {} in the container: {text}",
        words.join(" ")
    );
    Ok(answer)
}

/// The ports of a container that may answer.
struct Door<'a> {
    servers: Vec<Server>,
    path: &'a str,
    /// How each port failed last.
    failures: Vec<Option<Failure>>,
    /// The first port in order that has answered, and when the first of all did.
    found: Option<(usize, Page, Instant)>,
    /// Since when every port takes connections and none speaks HTTP.
    hopeless: Option<Instant>,
}

impl<'a> Door<'a> {
    fn new(servers: Vec<Server>, path: &'a str) -> Self {
        let failures = vec![Some(Failure::Refused); servers.len()];
        Self { servers, path, failures, found: None, hopeless: None }
    }

    /// Tries until a port has answered; false when none ever will.
    async fn open(&mut self) -> bool {
        let began = Instant::now();
        loop {
            self.try_each(began.elapsed() < GETTING_READY).await;
            if self.found.as_ref().is_some_and(|found| found.0 == 0 || found.2.elapsed() > PRECEDENCE) {
                return true;
            }
            let hopeless = self.failures.iter().all(|failure| matches!(failure, Some(Failure::NotHttp(_))));
            self.hopeless = self.hopeless.or_else(|| Some(Instant::now())).filter(|_| hopeless);
            if self.hopeless.is_some_and(|since| since.elapsed() > HOPE) {
                return false;
            }
            sleep(if hopeless { RARELY } else { AGAIN }).await;
        }
    }

    /// Asks each port that comes before the one found, in order; a 503 may `pass`.
    async fn try_each(&mut self, pass: bool) {
        let untried = self.found.as_ref().map_or(self.servers.len(), |found| found.0);
        let candidates = self.servers.iter().zip(&mut self.failures).enumerate().take(untried);
        for (at, (server, failure)) in candidates {
            match server.get(self.path).await {
                Ok(page) if pass && page.status == StatusCode::SERVICE_UNAVAILABLE => *failure = None,
                Ok(page) => {
                    let since = self.found.take().map_or_else(Instant::now, |found| found.2);
                    self.found = Some((at, page, since));
                    return;
                }
                Err(why) => *failure = Some(why),
            }
        }
    }

    /// How each port stands: `port 80 does not listen`.
    fn state(&self) -> String {
        let one = |(server, failure): (&Server, &Option<Failure>)| match failure {
            Some(Failure::NotHttp(why)) => {
                format!("port {} takes connections, but does not answer in HTTP: {why}", server.port())
            }
            Some(Failure::Refused) => format!("port {} does not take connections", server.port()),
            None => format!("port {} answers 503", server.port()),
        };
        self.servers.iter().zip(&self.failures).map(one).collect::<Vec<_>>().join(", ")
    }
}
