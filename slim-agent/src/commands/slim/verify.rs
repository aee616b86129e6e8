//! Holding what a slim image answers against what its original answered.
//!
//! Outcomes (status, exit code) must be the same. Where the rest differs, the original is started once more and asked the
//! same: what it does not answer alike itself, such as a page with a clock or the container's name, proves nothing.

use std::collections::BTreeMap;

use anyhow::Result;

use super::answer::Answer;
use super::questions::{Asker, Exchange};
use crate::commands::interrupt::Interrupt;
use crate::commands::record::load::Load;

/// What a container answered, or the first thing that it answered with another outcome than the original.
pub enum Replay {
    /// Every outcome is the original's; the answers in the order of the questions.
    Alike(Vec<Answer>),
    /// The first difference, in a sentence.
    Different(String),
}

/// Asks a container everything that the original was asked, in the same order.
///
/// # Errors
/// A signal came.
pub async fn replay(asker: &Asker<'_>, known: &[Exchange], interrupt: &Interrupt) -> Result<Replay> {
    let mut answers = Vec::new();
    for exchange in known {
        let mut load = Load::prepare(asker.load)?;
        let asked = interrupt.during(asker.again(exchange, answers.is_empty(), &mut load)).await;
        load.stop().await;
        let question = &exchange.question;
        let answer = match asked? {
            Ok(answer) => answer,
            Err(error) => return Ok(Replay::Different(format!("{question}: {error:#}"))),
        };
        if answer.outcome != exchange.answer.outcome {
            let (found, expected) = (&answer.outcome, &exchange.answer.outcome);
            let last_words = asker.subject.last_words().await;
            return Ok(Replay::Different(format!(
                "{question}: {found}, where the original gave: {expected}{last_words}"
            )));
        }
        answers.push(answer);
    }
    Ok(Replay::Alike(answers))
}

/// Where answers differ although their outcomes are the same: index of the question, and how.
pub fn doubts(known: &[Exchange], answers: &[Answer]) -> BTreeMap<usize, String> {
    let pairs = known.iter().zip(answers).enumerate();
    pairs.filter_map(|(at, (exchange, answer))| Some((at, answer.difference(&exchange.answer)?))).collect()
}

/// Of these doubts, the first that the original does not share, when it was asked once more and gave `control`.
pub fn confirmed(known: &[Exchange], doubts: &BTreeMap<usize, String>, control: &[Answer]) -> Option<String> {
    let own = self::doubts(known, control);
    let (at, how) = doubts.iter().find(|(at, _)| !own.contains_key(at))?;
    let question = known.get(*at).map(|exchange| exchange.question.to_string()).unwrap_or_default();
    Some(format!("{question}: {how}"))
}

#[cfg(test)]
mod tests {
    use super::super::answer::Content;
    use super::super::questions::Question;
    use super::*;

    fn page(body: &str) -> Answer {
        let detail = "text/html".to_owned();
        Answer { outcome: "200".to_owned(), detail, content: Content::of(body.as_bytes(), false) }
    }

    fn known(bodies: &[&str]) -> Vec<Exchange> {
        let question = |at: usize| Question::Page { port: 80, path: format!("/{at}") };
        let pages = bodies.iter().enumerate();
        pages.map(|(at, body)| Exchange { question: question(at), answer: page(body) }).collect()
    }

    #[test]
    fn only_what_the_original_answers_alike_itself_is_a_difference() {
        let known = known(&["same", "a clock at 1", "a translation"]);
        let slim = [page("same"), page("a clock at 2"), page("untranslated")];
        let doubts = doubts(&known, &slim);
        assert_eq!(doubts.keys().copied().collect::<Vec<_>>(), [1, 2]);
        let control = [page("same"), page("a clock at 3"), page("a translation")];
        assert!(confirmed(&known, &doubts, &control).unwrap().starts_with("GET :80/2: "), "wrong page");
        let moody = [page("same"), page("a clock at 3"), page("another translation")];
        assert_eq!(confirmed(&known, &doubts, &moody), None);
    }

    #[test]
    fn another_type_is_a_difference() {
        let plain = Answer { detail: "text/plain".to_owned(), ..page("same") };
        let doubts = doubts(&known(&["same"]), &[plain]);
        assert_eq!(doubts[&0], "\"text/plain\" instead of \"text/html\"");
    }
}
