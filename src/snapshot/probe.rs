//! What active probes found: reads from inside the stack's pods, made only after consent.

use crate::model::Program;

/// What a probe tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// `GET` of a URL from inside a container.
    Http {
        /// The URL.
        url: String,
    },
    /// A name looked up from inside a container.
    Dns {
        /// The name.
        host: String,
    },
    /// A port-forward to a pod, and a `GET /` through it.
    PortForward {
        /// Port of the container.
        port: u16,
    },
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The other side answered, with this status where it was HTTP.
    Answered(Option<u16>),
    /// The name resolved.
    Resolved,
    /// The other side refused the connection.
    Refused,
    /// Nothing came back.
    TimedOut,
    /// The name does not resolve.
    NoSuchName,
    /// TLS failed: the connection itself works.
    TlsFailed,
    /// The image has no tool for it, or the container cannot be entered: nothing was learnt.
    NotTried,
    /// Another failure.
    Failed,
}

/// One probe and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The program in whose pod it ran.
    pub program: Program,
    /// Namespace of the pod.
    pub namespace: String,
    /// Pod.
    pub pod: String,
    /// Container; empty for a port-forward.
    pub container: String,
    /// What was tried.
    pub trial: Trial,
    /// How it ended.
    pub verdict: Verdict,
    /// The last line that the tool printed.
    pub said: String,
    /// The command that did it.
    pub command: Vec<String>,
}

impl Probe {
    /// The outcome in words: `timed out`, `answered 200`.
    pub fn words(&self) -> String {
        match self.verdict {
            Verdict::Answered(Some(status)) => format!("answered {status}"),
            Verdict::Answered(None) => "answered".into(),
            Verdict::Resolved => "resolved".into(),
            Verdict::Refused => "connection refused".into(),
            Verdict::TimedOut => "timed out".into(),
            Verdict::NoSuchName => "the name does not resolve".into(),
            Verdict::TlsFailed => "connected, but TLS failed".into(),
            Verdict::NotTried => "could not be tried".into(),
            Verdict::Failed => "failed".into(),
        }
    }

    /// The host that was tried.
    pub fn host(&self) -> Option<String> {
        match &self.trial {
            Trial::Http { url } => url::Url::parse(url).ok()?.host_str().map(str::to_owned),
            Trial::Dns { host } => Some(host.clone()),
            Trial::PortForward { .. } => None,
        }
    }
}
