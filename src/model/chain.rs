//! The chain of one thing: what must be right for it to work, link by link.

use super::{Evidence, Gap, ResourceRef};

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkState {
    /// It was looked at, and it is right.
    Right,
    /// It is broken.
    Broken,
    /// It could not be seen.
    Unseen,
    /// It does not count now: an alert whose condition does not hold, what comes after a link that is broken.
    Idle,
}

impl LinkState {
    /// The word used in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Broken => "broken",
            Self::Unseen => "unseen",
            Self::Idle => "idle",
        }
    }
}

/// One link.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// What it is: `route`, `volume`.
    pub title: String,
    /// How it stands.
    pub state: LinkState,
    /// What was seen, in one sentence.
    pub text: String,
    /// The resources that it consists of.
    pub about: Vec<ResourceRef>,
    /// Where it was seen, with the command that shows it again.
    pub evidence: Option<Evidence>,
    /// Why it could not be seen, of a link that is [`LinkState::Unseen`].
    pub gap: Option<Gap>,
    /// What is known of the break, of a link that is [`LinkState::Broken`]: indexes into [`super::Report::findings`], the
    /// nearest first, then what explains it, up to the root or to what breaks another link.
    pub findings: Vec<usize>,
}

/// The chain of one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// What it is about, as it is asked for: `pod/monitoring/prometheus-0`.
    pub what: String,
    /// Where it is one of several, how many there are and which one this is; empty else.
    pub note: String,
    /// The links in order.
    pub links: Vec<Link>,
    /// The root causes that explain its broken links: indexes into [`super::Report::roots`], in the order of the links.
    pub roots: Vec<usize>,
    /// Findings about its things that break none of its links: indexes into [`super::Report::findings`].
    pub beside: Vec<usize>,
}

impl Chain {
    /// The first link that is broken.
    pub fn broken(&self) -> Option<&Link> {
        self.links.iter().find(|l| l.state == LinkState::Broken)
    }

    /// How many links stand so.
    pub fn count(&self, state: LinkState) -> usize {
        self.links.iter().filter(|l| l.state == state).count()
    }
}
