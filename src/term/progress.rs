//! Progress on stderr while facts are collected.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::sanitize;
use crate::model::Observer;
use crate::text::redact::mask;

/// A line that says what is being asked; failures stay above it.
pub struct Progress {
    bar: ProgressBar,
    open: Mutex<BTreeSet<String>>,
}

impl Progress {
    /// A progress line, or a silent one.
    pub fn new(visible: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_draw_target(if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {pos} answered · {wide_msg}") {
            bar.set_style(style);
        }
        if visible {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self { bar, open: Mutex::default() }
    }

    /// Does something else on the terminal, without the line in its way.
    pub fn suspend<R>(&self, other: impl FnOnce() -> R) -> R {
        self.bar.suspend(other)
    }

    /// Clears the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn update(&self, change: impl FnOnce(&mut BTreeSet<String>)) {
        let Ok(mut open) = self.open.lock() else { return };
        change(&mut open);
        let message = match open.first() {
            Some(first) if open.len() > 1 => format!("{} and {} more", sanitize(first), open.len() - 1),
            Some(first) => sanitize(first),
            None => String::new(),
        };
        self.bar.set_message(message);
    }
}

impl Observer for Progress {
    fn started(&self, label: &str) {
        self.update(|open| {
            open.insert(mask(label));
        });
    }

    fn finished(&self, label: &str, error: Option<&str>) {
        self.bar.inc(1);
        self.update(|open| {
            open.remove(&mask(label));
        });
        if let Some(error) = error {
            self.bar.println(format!("  ! {}", sanitize(&mask(error))));
        }
    }
}
