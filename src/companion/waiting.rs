//! What is drawn while one waits: for a command that is silent, and for the next look.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Silence from which on it is shown that the command is still running.
const SILENCE: Duration = Duration::from_secs(1);

/// Shows that a silent command is still running.
pub(super) struct Waiting {
    visible: bool,
    start: Instant,
    /// When it last printed something.
    last: Instant,
    bar: Option<ProgressBar>,
}

impl Waiting {
    /// It runs from now on.
    pub(super) fn new(visible: bool) -> Self {
        let start = Instant::now();
        Self { visible, start, last: start, bar: None }
    }

    /// It has printed nothing for a while.
    pub(super) fn goes_on(&mut self) {
        if !self.visible || self.bar.is_some() || self.last.elapsed() < SILENCE {
            return;
        }
        let Ok(style) = ProgressStyle::with_template("  {spinner:.cyan} running for {elapsed} · Ctrl-C stops it")
        else {
            return;
        };
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let bar = bar.with_style(style).with_elapsed(self.start.elapsed());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.bar = Some(bar);
    }

    /// It prints something, or has ended.
    pub(super) fn end(&mut self) {
        self.last = Instant::now();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Waits, and says so.
pub(super) fn pause(time: Duration, visible: bool) {
    let style = ProgressStyle::with_template("  {spinner:.cyan} next look in {msg} s · Ctrl-C ends it");
    let bar = visible.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
    if let (Some(bar), Ok(style)) = (&bar, style) {
        bar.set_style(style);
    }
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if let Some(bar) = &bar {
            bar.set_message(left.as_secs().to_string());
            bar.tick();
        }
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(Duration::from_millis(250)));
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
