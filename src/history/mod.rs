//! What changed from one report to the next: what is new, what is resolved, and what has only gone out of sight.

mod board;
mod changes;
mod past;
mod time;

pub use board::{Blind, Board, Event, Hidden, Tracked};
pub use changes::{Changes, Lost};
pub use past::{Past, PastFinding, SCHEMA_VERSION};
pub use time::lasted;
