//! What could not be seen, why, and what to do about it.

use std::fmt;

/// Why a fact is missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GapCause {
    /// The API refused: which permission is missing (`list pods in namespace monitoring`, `iam:GetRole`).
    Forbidden {
        /// The missing permission in the API's own words.
        permission: String,
    },
    /// The credentials were refused as a whole (401, expired token).
    Unauthorized,
    /// The server could not be reached.
    Unreachable,
    /// No answer within the deadline.
    Timeout,
    /// The server answered with an error, or with something that is not the documented format.
    BadAnswer,
    /// The server kept asking to slow down.
    Throttled,
    /// The source was not set up (no AWS credentials, no Prometheus in the cluster, built without AWS).
    NotConfigured,
    /// The bundle does not hold it, or no selected check asked for it.
    NotCollected,
    /// Only a part was read.
    Truncated,
    /// A file is not what it should be: broken, or a template that must be rendered first.
    Unreadable,
}

impl GapCause {
    /// The word used in outputs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::BadAnswer => "bad-answer",
            Self::Throttled => "throttled",
            Self::NotConfigured => "not-configured",
            Self::NotCollected => "not-collected",
            Self::Truncated => "truncated",
            Self::Unreadable => "unreadable",
        }
    }

    /// The cause of a word, but `forbidden`, which names a permission.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let all = [
            Self::Unauthorized,
            Self::Unreachable,
            Self::Timeout,
            Self::BadAnswer,
            Self::Throttled,
            Self::NotConfigured,
            Self::NotCollected,
            Self::Truncated,
            Self::Unreadable,
        ];
        all.into_iter().find(|cause| cause.as_str() == word)
    }
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gap {
    /// What is missing: the call, e.g. `GET /api/v1/nodes` or `ec2:DescribeRouteTables`.
    pub what: String,
    /// Why.
    pub cause: GapCause,
    /// What the other side said, in one line.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// The namespace that could not be seen, where it was one.
    pub namespace: Option<String>,
}

impl Gap {
    /// A gap with an empty hint.
    pub fn new(what: impl Into<String>, cause: GapCause, message: impl Into<String>) -> Self {
        Self { what: what.into(), cause, message: message.into(), hint: String::new(), namespace: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Says which namespace could not be seen.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// True where the other side said that it does not have the thing: an answer, not a lack of one.
    pub fn is_not_collected(&self) -> bool {
        self.cause == GapCause::NotCollected
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.what)?;
        match &self.cause {
            GapCause::Forbidden { permission } => write!(f, "forbidden ({permission})")?,
            other => f.write_str(other.as_str())?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}
