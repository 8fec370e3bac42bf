//! Runs the checks over a snapshot, links their findings into root causes, and decides the exit code.

mod beside;
mod call;
mod correlate;
mod engine;
mod exec;
mod gate;
mod grades;
mod kept;
mod logs;
mod merge;
mod mute;
mod redact;
mod rollout;

pub use engine::{facts, facts_of, run, run_checks, run_files};
pub use gate::{FailOn, exit_code, judged_nothing};
pub use grades::Grades;
pub use mute::{Mute, mute};
