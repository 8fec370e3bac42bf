//! Answers until a time and no longer: a run ends when its user wants it to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::layer::Layer;
use super::source::{FetchError, Request, Source};
use crate::model::{Gap, GapCause};

/// A source that is asked for so long, for all calls together.
pub struct Until {
    source: Arc<dyn Source>,
    limit: Duration,
    end: Instant,
}

impl Until {
    /// `source`, asked from now on for at most `limit`.
    pub fn new(source: Arc<dyn Source>, limit: Duration) -> Self {
        Self { source, limit, end: Instant::now() + limit }
    }

    fn too_late(&self, request: &Request) -> FetchError {
        let message = format!("no answer before the deadline of the run ({} s)", self.limit.as_secs_f32());
        FetchError::Gap(Gap::new(request.label(), GapCause::Timeout, message).hint("raise --deadline"))
    }
}

#[async_trait]
impl Layer for Until {
    fn below(&self) -> &dyn Source {
        self.source.as_ref()
    }

    async fn answer(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.too_late(request));
        }
        let answer = tokio::time::timeout(left, self.source.fetch(request)).await;
        answer.unwrap_or_else(|_| Err(self.too_late(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::source::Known;

    struct Slow;

    #[async_trait]
    impl Source for Slow {
        async fn fetch(&self, _request: &Request) -> Result<Vec<u8>, FetchError> {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(b"{}".to_vec())
        }

        fn deadline(&self) -> Duration {
            Duration::from_secs(10)
        }

        fn known(&self) -> Known {
            Known::default()
        }
    }

    #[tokio::test]
    async fn what_comes_too_late_is_a_gap_that_names_the_flag() {
        let request = Request::kubernetes("/version");
        let patient = Until::new(Arc::new(Slow), Duration::from_secs(60));
        assert_eq!(patient.fetch(&request).await, Ok(b"{}".to_vec()));
        let hurried = Until::new(Arc::new(Slow), Duration::from_millis(5));
        for _ in 0..2 {
            let Err(FetchError::Gap(gap)) = hurried.fetch(&request).await else { panic!("it came in time") };
            assert_eq!((gap.cause, gap.hint.as_str()), (GapCause::Timeout, "raise --deadline"));
        }
    }
}
