//! What the systems themselves say is wrong: an alert that fires, a Warning event, a condition, an error in a log.
//!
//! A signal carries no judgement of a check. Findings explain signals; what remains is printed as unexplained.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Evidence, ResourceRef};

/// Where a signal was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalKind {
    /// A firing or pending alert of Prometheus.
    Alert,
    /// Pods that are not ready, restart, or failed.
    Pod,
    /// A condition of a controller, a custom resource, an APIService, a Namespace or a node.
    Condition,
    /// Health of an EKS add-on or node group.
    Health,
    /// A Helm release that failed or hangs.
    Release,
    /// A scrape pool whose targets are down, absent or all dropped.
    Scrape,
    /// What Prometheus says of itself: rules, reloads, its storage.
    Server,
    /// A Warning event.
    Event,
    /// Error lines of a log.
    Log,
}

impl SignalKind {
    /// The word used in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Pod => "pod",
            Self::Condition => "condition",
            Self::Health => "health",
            Self::Release => "release",
            Self::Scrape => "scrape",
            Self::Server => "server",
            Self::Event => "event",
            Self::Log => "log",
        }
    }
}

/// How much a signal says that something is wrong now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// It is meant to be so (Watchdog), or over.
    Nothing,
    /// Worth a line, and no reason to doubt that all is well.
    Note,
    /// While it is unexplained, nobody can say that all is well.
    Weighs,
}

impl Weight {
    /// The word used in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Note => "note",
            Self::Weighs => "weighs",
        }
    }
}

/// What a title counts, and where: several of one place are told as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// Errors in a log: `the log of prometheus-0`.
    Errors {
        /// Lines.
        count: usize,
        /// Whose log.
        place: String,
    },
    /// Events: `event Failed of Pod web-0`.
    Events {
        /// How often it was seen; 1 where that is not worth a word.
        count: usize,
        /// Which event of what.
        place: String,
    },
}

impl Counted {
    /// What is counted together.
    pub fn place(&self) -> &str {
        match self {
            Self::Errors { place, .. } | Self::Events { place, .. } => place,
        }
    }

    /// How often.
    pub fn count(&self) -> usize {
        match self {
            Self::Errors { count, .. } | Self::Events { count, .. } => *count,
        }
    }

    /// `14 errors in the log of prometheus-0`, `event Failed of Pod web-0 (9 times)`, of so many.
    pub fn title(&self, count: usize) -> String {
        match self {
            Self::Errors { place, .. } if count == 1 => format!("an error in {place}"),
            Self::Errors { place, .. } => format!("{count} errors in {place}"),
            Self::Events { place, .. } if count == 1 => place.clone(),
            Self::Events { place, .. } => format!("{place} ({count} times)"),
        }
    }
}

/// One thing that a system says is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Where it was read.
    pub kind: SignalKind,
    /// What it is about.
    pub subject: ResourceRef,
    /// A few words: `alert TargetDown`, `14 errors in the log of prometheus-0`.
    pub title: String,
    /// What of the title is a number, where it counts.
    pub counted: Option<Counted>,
    /// What it says, in the system's own words where it has some; secrets are redacted.
    pub text: String,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// How much it says.
    pub weight: Weight,
    /// Where it was seen, with the command that shows it again.
    pub evidence: Evidence,
    /// Where to look next; empty where the command says it all.
    pub next: String,
    /// Further resources whose fault would explain it.
    pub about: Vec<ResourceRef>,
    /// Checks whose findings explain it whatever they are about.
    pub explained_by_checks: Vec<&'static str>,
    /// Index into [`super::Report::roots`] of the root cause that explains it; filled in by the engine.
    pub explained_by: Option<usize>,
}

impl Signal {
    /// A signal of weight with nothing more to it.
    pub fn new(kind: SignalKind, subject: ResourceRef, title: impl Into<String>, evidence: Evidence) -> Self {
        Self {
            kind,
            subject,
            title: title.into(),
            counted: None,
            text: String::new(),
            since: None,
            weight: Weight::Weighs,
            evidence,
            next: String::new(),
            about: Vec::new(),
            explained_by_checks: Vec::new(),
            explained_by: None,
        }
    }

    /// A signal whose title counts.
    pub fn counting(kind: SignalKind, subject: ResourceRef, counted: Counted, evidence: Evidence) -> Self {
        let made = Self::new(kind, subject, counted.title(counted.count()), evidence);
        Self { counted: Some(counted), ..made }
    }

    /// Sets what it says.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Sets since when.
    #[must_use]
    pub fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    /// Sets how much it says.
    #[must_use]
    pub fn weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// Says where to look next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// Adds resources whose fault would explain it.
    #[must_use]
    pub fn about(mut self, resources: impl IntoIterator<Item = ResourceRef>) -> Self {
        let mut known: BTreeSet<ResourceRef> = self.about.iter().cloned().collect();
        known.insert(self.subject.clone());
        self.about.extend(resources.into_iter().filter(|r| known.insert(r.clone())));
        self
    }

    /// Names checks whose findings explain it.
    #[must_use]
    pub fn explained_by_checks(mut self, checks: &[&'static str]) -> Self {
        self.explained_by_checks.extend(checks);
        self
    }

    /// Says that something is wrong which no root cause explains.
    pub fn is_open(&self) -> bool {
        self.weight == Weight::Weighs && self.explained_by.is_none()
    }
}
