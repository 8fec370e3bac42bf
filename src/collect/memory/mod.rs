//! What is kept from one look to the next, for who looks again and again: Kubernetes lists, of which only what changed is
//! fetched, and for a while what AWS says. That changes seldom, and its calls are counted for the whole account.

mod list;
mod lists;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::list::{List, Name, Page};
use self::lists::Lists;
use super::layer::Layer;
use super::source::{AwsCall, FetchError, Request, Source};
use crate::model::Observer;

/// How old an answer of AWS may be.
pub const AWS_KEEP: Duration = Duration::from_secs(60);

/// What outlives a look.
#[derive(Debug)]
pub struct Memory {
    aws_keep: Duration,
    aws: Mutex<Aws>,
    lists: Lists,
}

/// Answers of AWS, and how old the oldest one is that the last look used.
#[derive(Debug, Default)]
struct Aws {
    answers: HashMap<String, (Instant, Vec<u8>)>,
    oldest: Option<Instant>,
}

impl Memory {
    /// Keeps answers of AWS so long.
    pub fn new(aws_keep: Duration) -> Self {
        Self { aws_keep, aws: Mutex::default(), lists: Lists::default() }
    }

    /// How old what AWS said is, where the last look asked it.
    pub fn aws_age(&self) -> Option<Duration> {
        self.aws().oldest.map(|at| at.elapsed())
    }

    /// What AWS said is asked again at the next look: something was done there.
    pub fn forget_aws(&self) {
        self.aws().answers.clear();
    }

    fn aws(&self) -> MutexGuard<'_, Aws> {
        self.aws.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, key: &str) -> Option<Vec<u8>> {
        let mut aws = self.aws();
        let (at, answer) = aws.answers.get(key).filter(|(at, _)| at.elapsed() < self.aws_keep)?.clone();
        aws.oldest = Some(aws.oldest.map_or(at, |oldest| oldest.min(at)));
        Some(answer)
    }

    fn keep(&self, key: String, answer: &[u8]) {
        let mut aws = self.aws();
        aws.answers.retain(|_, (at, _)| at.elapsed() < self.aws_keep);
        let now = Instant::now();
        aws.answers.insert(key, (now, answer.to_vec()));
        aws.oldest = aws.oldest.or(Some(now));
    }
}

/// The source of one look: it asks for what the memory does not hold, and gives it to the memory.
pub struct Remembering {
    source: Arc<dyn Source>,
    memory: Arc<Memory>,
    /// Lists of the memory that are up to date.
    fresh: HashSet<Name>,
    /// Lists of which pages are still to come.
    reading: Mutex<HashMap<Name, List>>,
}

impl Remembering {
    /// Begins a look at `source`: first the memory learns what changed since the last one.
    pub async fn begin(source: Arc<dyn Source>, memory: Arc<Memory>, observer: &dyn Observer) -> Self {
        memory.aws().oldest = None;
        let fresh = memory.lists.catch_up(source.as_ref(), observer).await;
        Self { source, memory, fresh, reading: Mutex::default() }
    }

    async fn aws(&self, request: &Request, call: &AwsCall) -> Result<Vec<u8>, FetchError> {
        let key = format!("{call:?}");
        if let Some(answer) = self.memory.recall(&key) {
            return Ok(answer);
        }
        // A refusal is not kept: it may be mended at once.
        let answer = self.source.fetch(request).await?;
        self.memory.keep(key, &answer);
        Ok(answer)
    }

    async fn page(&self, request: &Request, name: Name, token: Option<String>) -> Result<Vec<u8>, FetchError> {
        if token.is_none()
            && self.fresh.contains(&name)
            && let Some(document) = self.memory.lists.document(&name)
        {
            return Ok(document);
        }
        let answer = self.source.fetch(request).await?;
        // Off the async threads: pages can be megabytes.
        let read = tokio::task::spawn_blocking(move || {
            let page = Page::read(&answer);
            (answer, page)
        });
        let (answer, page) = read.await.expect("parsing does not panic");
        self.note(name, token, page);
        Ok(answer)
    }

    /// Keeps what was read of a list, once all of it was.
    fn note(&self, name: Name, token: Option<String>, page: Option<Page>) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = reading.remove(&name);
        let list = match (page, token, begun) {
            (Some(page), None, _) => Some(List::begin(page)),
            (Some(page), Some(token), Some(begun)) => begun.and(&token, page),
            _ => None,
        };
        let Some(list) = list else { return };
        if list.is_whole() {
            self.memory.lists.keep(name, list);
        } else {
            reading.insert(name, list);
        }
    }
}

#[async_trait]
impl Layer for Remembering {
    fn below(&self) -> &dyn Source {
        self.source.as_ref()
    }

    async fn answer(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        if let Request::Aws(call) = request {
            return self.aws(request, call).await;
        }
        match Name::of(request) {
            Some((name, token)) => self.page(request, name, token).await,
            None => self.source.fetch(request).await,
        }
    }
}

#[cfg(test)]
mod tests;
