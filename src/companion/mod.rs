//! The companion: goes through the fixes of a report with the person at the terminal, step by step, to the verified end.
//!
//! It decides nothing and knows no more than the report. Nothing is run without a yes, nothing from a bundle, and never
//! more than the command that was shown. What happens is written down as it happens.

mod acts;
mod change;
mod clipboard;
mod deeds;
mod dry_run;
mod editor;
mod effect;
mod kubectl;
mod manner;
mod meant;
mod output;
mod process;
mod record;
mod root;
mod run;
mod sequence;
mod session;
mod show;
mod talk;
mod tools;
pub mod transcript;
mod values;
mod verify;
mod waiting;
mod walk;
mod work;

use std::time::Duration;

use crate::model::{CheckId, Report};

pub use meant::meant;
pub use record::{Record, Wanted};
pub use session::{Companion, Ended};
pub use talk::Manner;

/// What ends the talk.
#[derive(Debug)]
pub enum Stop {
    /// The person has had enough.
    Quit,
    /// Ctrl-C.
    Interrupted,
    /// The terminal or a file failed.
    Failed(anyhow::Error),
}

/// Whether commands may be run from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayRun {
    /// After a yes.
    Yes,
    /// Never, for this reason.
    No(String),
}

/// How the companion works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether commands may be run.
    pub may_run: MayRun,
    /// How it is asked.
    pub manner: Manner,
    /// Longest time for a command that only looks, and for waiting until something is resolved.
    pub patience: Duration,
    /// The cluster itself can be asked: it is no bundle.
    pub is_live: bool,
}

/// How far what was done reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Into the cluster alone: what AWS said a moment ago still holds.
    Cluster,
    /// Beyond it, or nobody here knows.
    Beyond,
}

/// What the companion asks of the command that started it.
pub trait Host {
    /// Collects and diagnoses again; what was done since reaches so far.
    ///
    /// # Errors
    /// What kept it from that.
    fn look(&mut self, reach: Reach) -> anyhow::Result<Report>;

    /// The page of a check, laid out.
    ///
    /// # Errors
    /// There is no such page.
    fn page(&self, check: CheckId) -> anyhow::Result<String>;
}
