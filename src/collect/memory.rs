//! Answers that are kept for a while, for who looks again and again: what AWS says changes seldom, and its calls are counted
//! for the whole account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::source::{FetchError, Known, Request, Source};

/// Answers of AWS that are not older than some time.
#[derive(Debug)]
pub struct Memory {
    keep: Duration,
    answers: Mutex<HashMap<String, (Instant, Vec<u8>)>>,
}

impl Memory {
    /// Keeps answers so long.
    pub fn new(keep: Duration) -> Self {
        Self { keep, answers: Mutex::default() }
    }

    fn recall(&self, key: &str) -> Option<Vec<u8>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(key).filter(|(at, _)| at.elapsed() < self.keep).map(|(_, answer)| answer.clone())
    }

    fn keep(&self, key: String, answer: &[u8]) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (at, _)| at.elapsed() < self.keep);
        answers.insert(key, (Instant::now(), answer.to_vec()));
    }
}

/// A source that asks AWS only for what its memory does not hold.
pub struct Remembering {
    source: Arc<dyn Source>,
    memory: Arc<Memory>,
}

impl Remembering {
    /// `source` with a memory that may be older than it.
    pub fn new(source: Arc<dyn Source>, memory: Arc<Memory>) -> Self {
        Self { source, memory }
    }
}

#[async_trait]
impl Source for Remembering {
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let Request::Aws(call) = request else { return self.source.fetch(request).await };
        let key = format!("{call:?}");
        if let Some(answer) = self.memory.recall(&key) {
            return Ok(answer);
        }
        // A refusal is not kept: it may be mended at once.
        let answer = self.source.fetch(request).await?;
        self.memory.keep(key, &answer);
        Ok(answer)
    }

    fn has_whole_list(&self, path: &str) -> bool {
        self.source.has_whole_list(path)
    }

    fn has_pages(&self, request: &Request) -> bool {
        self.source.has_pages(request)
    }

    fn manifests(&self) -> Vec<(String, std::io::Result<Vec<u8>>)> {
        self.source.manifests()
    }

    fn deadline(&self) -> Duration {
        self.source.deadline()
    }

    fn known(&self) -> Known {
        self.source.known()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::collect::source::AwsCall;

    struct Counting(AtomicUsize);

    #[async_trait]
    impl Source for Counting {
        async fn fetch(&self, _request: &Request) -> Result<Vec<u8>, FetchError> {
            Ok(self.0.fetch_add(1, Ordering::Relaxed).to_string().into_bytes())
        }

        fn deadline(&self) -> Duration {
            Duration::from_secs(1)
        }

        fn known(&self) -> Known {
            Known::default()
        }
    }

    #[tokio::test]
    async fn aws_is_asked_once_and_the_cluster_every_time() {
        let memory = Arc::new(Memory::new(Duration::from_secs(60)));
        let source: Arc<dyn Source> = Arc::new(Counting(AtomicUsize::new(0)));
        // A source for each look, as a watch makes them.
        let looks = [Remembering::new(Arc::clone(&source), Arc::clone(&memory)), Remembering::new(source, memory)];
        let mut said = Vec::new();
        for look in &looks {
            for request in [Request::Aws(AwsCall::GetCallerIdentity), Request::kubernetes("/version")] {
                let answer = look.fetch(&request).await.unwrap_or_default();
                said.push(String::from_utf8(answer).expect("digits"));
            }
        }
        assert_eq!(said, ["0", "1", "0", "2"]);
        let forgetful = Memory::new(Duration::ZERO);
        forgetful.keep("a".into(), b"b");
        assert_eq!(forgetful.recall("a"), None);
    }
}
