//! Progress on stderr while facts are collected.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Calls;
use crate::model::Observer;

/// A line that says what is waited for, and how much failed: what that was is in the report.
pub struct Progress {
    bar: ProgressBar,
    calls: Calls,
}

impl Progress {
    /// A progress line, or a silent one.
    pub fn new(visible: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_draw_target(if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}") {
            bar.set_style(style);
        }
        if visible {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self { bar, calls: Calls::default() }
    }

    /// Does something else on the terminal, without the line in its way.
    pub fn suspend<R>(&self, other: impl FnOnce() -> R) -> R {
        self.bar.suspend(other)
    }

    /// Clears the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn started(&self, label: &str) {
        self.calls.started(label);
        self.bar.set_message(self.calls.words());
    }

    fn finished(&self, label: &str, error: Option<&str>) {
        self.calls.finished(label, error);
        self.bar.set_message(self.calls.words());
    }
}
