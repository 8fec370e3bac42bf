//! A source before another one: it answers in its own manner, and knows what that one knows.

use std::io;
use std::time::Duration;

use async_trait::async_trait;

use super::source::{FetchError, Known, Request, Source};

/// What stands between the client and a source.
#[async_trait]
pub trait Layer: Send + Sync {
    /// The source that it stands before.
    fn below(&self) -> &dyn Source;

    /// Answers one request, by asking the source below or without it.
    ///
    /// # Errors
    /// See [`FetchError`].
    async fn answer(&self, request: &Request) -> Result<Vec<u8>, FetchError>;

    /// How much longer than below one call may take.
    fn slack(&self) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl<L: Layer> Source for L {
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        self.answer(request).await
    }

    fn has_whole_list(&self, path: &str) -> bool {
        self.below().has_whole_list(path)
    }

    fn has_pages(&self, request: &Request) -> bool {
        self.below().has_pages(request)
    }

    fn manifests(&self) -> Vec<(String, io::Result<Vec<u8>>)> {
        self.below().manifests()
    }

    fn deadline(&self) -> Duration {
        self.below().deadline() + self.slack()
    }

    fn known(&self) -> Known {
        self.below().known()
    }
}
