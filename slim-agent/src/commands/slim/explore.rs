//! Using a container while it is recorded: pages and what they link to, commands in it, a load test beside it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep_until};

use super::answer::Answer;
use super::http::{Page, Server};
use super::questions::{Asker, Exchange, Question, executed};
use crate::commands::record::load::Load;

/// What a command that succeeds comes to.
const SUCCESS: &str = "exit code 0";
/// How long a slim image that nothing asks must go on as the original did, at the most.
const LONG_ENOUGH: Duration = Duration::from_secs(5);
/// How much longer than the original a slim image may take to its end.
const SLOWER: u32 = 3;

/// What is wanted of a container.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Paths that are asked for over HTTP.
    pub pages: Vec<String>,
    /// Whether nobody asked for them.
    pub by_default: bool,
    /// The container's ports, the preferred one first.
    pub ports: Vec<u16>,
    /// How far links are followed; 0 is not at all.
    pub depth: u32,
    /// How many pages that were found so are asked for.
    pub limit: usize,
    /// The words of the container's health check, which the engine makes too seldom for a short recording.
    pub healthcheck: Vec<String>,
    /// Commands in the container.
    pub commands: Vec<Vec<String>>,
    /// Whether there is a load test.
    pub load: bool,
    /// How long the container is watched at the least, if it does not exit.
    pub duration: Option<Duration>,
}

impl Wishes {
    /// Whether there is anything that the container is asked.
    fn ask(&self) -> bool {
        !self.pages.is_empty() || !self.healthcheck.is_empty() || !self.commands.is_empty() || self.load
    }
}

/// Does all that is wanted, from the first question to the state in which the container is then.
///
/// # Errors
/// Nothing answers in time, a command does not exist, or the container exits meanwhile.
pub async fn explore(asker: &Asker<'_>, wishes: &Wishes, load: &mut Load) -> Result<Vec<Exchange>> {
    let began = Instant::now();
    let mut known = Vec::new();
    if !wishes.pages.is_empty() {
        known.extend(pages_or_warning(asker, wishes).await?);
    }
    let check = &wishes.healthcheck;
    if !check.is_empty() {
        let answer = command(asker, check, known.is_empty()).await?;
        if answer.outcome != SUCCESS {
            tracing::warn!("the original's own health check fails: {}", answer.outcome);
        }
        known.push(Exchange { question: Question::HealthCheck(check.clone()), answer });
    }
    for words in &wishes.commands {
        let answer = executed(words, command(asker, words, known.is_empty()).await?)?;
        known.push(Exchange { question: Question::Command(words.clone()), answer });
    }
    if wishes.load {
        asker.be_ready(known.is_empty()).await;
        let answer = asker.load(load).await?;
        known.push(Exchange { question: Question::Load, answer });
    }
    known.push(end(asker, wishes, !known.is_empty(), began).await?);
    Ok(known)
}

/// The pages. Nobody asked for them when the time says what is enough: then it is no failure that nothing answers.
async fn pages_or_warning(asker: &Asker<'_>, wishes: &Wishes) -> Result<Vec<Exchange>> {
    let time = wishes.duration.filter(|_| wishes.by_default);
    let asker = Asker { patience: time.unwrap_or(asker.patience).min(asker.patience), ..*asker };
    let crawled = asker.subject.while_it_runs(pages(&asker, wishes)).await;
    match crawled {
        Err(error) if time.is_some() => {
            tracing::warn!("not probed over HTTP: {error:#}");
            Ok(Vec::new())
        }
        crawled => crawled,
    }
}

/// Runs a command in the container, until it succeeds if it may not be ready; `first` when nothing was asked before.
async fn command(asker: &Asker<'_>, words: &[String], first: bool) -> Result<Answer> {
    asker.be_ready(first).await;
    asker.subject.while_it_runs(asker.command(words, SUCCESS)).await
}

/// Waits for the end of the container or of the time, whichever comes first; whether it was `asked` anything before
/// decides how much its end is to tell.
async fn end(asker: &Asker<'_>, wishes: &Wishes, asked: bool, began: Instant) -> Result<Exchange> {
    let patience = match (wishes.duration, wishes.ask()) {
        (Some(duration), _) => duration,
        (None, true) => Duration::ZERO,
        (None, false) => asker.patience,
    };
    let exited = tokio::select! {
        biased;
        stopped = asker.subject.stopped() => stopped.map(|()| true)?,
        () = sleep_until(began + patience) => false,
    };
    if !exited && !wishes.ask() && wishes.duration.is_none() {
        bail!(
            "the container still runs after {} s and there is nothing to do with it: say for how long with --for, or \
             what to do with --http-probe, --exec or a load COMMAND",
            patience.as_secs()
        );
    }
    let patience = match (exited, asked) {
        (true, _) => began.elapsed() * SLOWER + asker.patience,
        (false, true) => Duration::ZERO,
        (false, false) => patience.min(LONG_ENOUGH),
    };
    let with_output = exited && !asked;
    let answer = asker.subject.end(with_output).await?;
    Ok(Exchange { question: Question::End { patience, with_output }, answer })
}

/// The pages that were asked for and, breadth first, those that they link to.
async fn pages(asker: &Asker<'_>, wishes: &Wishes) -> Result<Vec<Exchange>> {
    let mut crawl = Crawl::new(wishes);
    let Some((first, _)) = crawl.next() else { return Ok(Vec::new()) };
    let (server, page) = asker.first_page(&wishes.ports, &first).await?;
    let mut known = vec![exchange(&server, &first, &page)];
    crawl.found(0, page.links);
    while let Some((path, depth)) = crawl.next() {
        let page = asker.page(&server, &path).await;
        known.push(exchange(&server, &path, &page));
        crawl.found(depth, page.links);
    }
    Ok(known)
}

fn exchange(server: &Server, path: &str, page: &Page) -> Exchange {
    let question = Question::Page { port: server.port(), path: path.to_owned() };
    Exchange { question, answer: page.answer.clone() }
}

/// Which page comes next.
struct Crawl {
    todo: VecDeque<(String, u32)>,
    known: BTreeSet<String>,
    depth: u32,
    /// Pages that may still be found.
    room: usize,
}

impl Crawl {
    fn new(wishes: &Wishes) -> Self {
        let mut crawl =
            Self { todo: VecDeque::new(), known: BTreeSet::new(), depth: wishes.depth, room: wishes.limit };
        for path in &wishes.pages {
            if crawl.known.insert(path.clone()) {
                crawl.todo.push_back((path.clone(), 0));
            }
        }
        crawl
    }

    fn next(&mut self) -> Option<(String, u32)> {
        self.todo.pop_front()
    }

    /// Takes the links of a page that is `depth` links away from one that was asked for.
    fn found(&mut self, depth: u32, links: Vec<String>) {
        for link in links {
            if depth < self.depth && self.room > 0 && self.known.insert(link.clone()) {
                self.room -= 1;
                self.todo.push_back((link, depth + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crawl(depth: u32, limit: usize) -> Vec<String> {
        let wishes = Wishes {
            pages: vec!["/".into(), "/b".into(), "/".into()],
            by_default: false,
            ports: vec![80],
            depth,
            limit,
            healthcheck: Vec::new(),
            commands: Vec::new(),
            load: false,
            duration: None,
        };
        let (mut crawl, mut order) = (Crawl::new(&wishes), Vec::new());
        while let Some((path, depth)) = crawl.next() {
            // Each page links to the first, to itself with another letter, and to one that all know.
            crawl.found(depth, vec!["/".into(), format!("{path}x"), "/all".into()]);
            order.push(path);
        }
        order
    }

    #[test]
    fn pages_are_taken_breadth_first_and_once() {
        assert_eq!(crawl(2, 100), ["/", "/b", "/x", "/all", "/bx", "/xx", "/allx", "/bxx"]);
    }

    #[test]
    fn depth_and_limit_bound_what_is_found_and_not_what_was_asked_for() {
        assert_eq!(crawl(0, 100), ["/", "/b"]);
        assert_eq!(crawl(9, 1), ["/", "/b", "/x"]);
        assert_eq!(crawl(9, 0), ["/", "/b"]);
    }
}
