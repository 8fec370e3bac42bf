//! `kdoctor watch`: looks again and again, and tells what appears, what is resolved, and what it cannot see any more.

mod hook;
mod journal;
mod resolved;
mod tell;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::hook::Hook;
use self::journal::Journal;
use super::UNABLE;
use super::run::{self, selected, wait_for};
use crate::checks::Check;
use crate::cli::Watch;
use crate::collect::memory::{AWS_KEEP, Memory};
use crate::companion::Wanted;
use crate::history::{Board, lasted};
use crate::model::Report;
use crate::render::live::{Frame, LogLine, log_line};
use crate::term::interrupt::{INTERRUPTED, Termination};
use crate::term::screen::{Key, Screen};
use crate::term::{Calls, Printer, sanitize};

/// Something is wrong, or was at the end of the time.
const WRONG: u8 = 1;
/// Pause between two looks at least, however long one takes.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the terminal is drawn: the times on it count seconds.
const TICK: Duration = Duration::from_millis(500);
/// Changes that are kept.
const LOG: usize = 1000;

/// Runs the command; returns the exit code.
///
/// # Errors
/// What keeps kdoctor from looking at all.
pub(super) fn run(args: &Watch, printer: &Printer) -> anyhow::Result<u8> {
    if !args.source.is_live() {
        bail!(
            "kdoctor watch looks at a cluster again and again, and a bundle does not change; kdoctor monitoring looks at it once"
        );
    }
    let checks = selected(&args.select)?;
    let screen = if args.plain || !Screen::is_possible() { None } else { Some(Screen::enter()?) };
    wait_for(async {
        let mut session = Session::new(args, printer, screen);
        let code = session.attend(&checks).await;
        session.close(matches!(code, Ok(INTERRUPTED))).await?;
        code
    })
}

/// Why a watch ends.
enum Leave {
    /// Somebody wanted it.
    Quit,
    /// By a signal, or Ctrl-C.
    Interrupted,
    /// `--for` is over.
    TimeOut,
}

/// What somebody waited for, or why not any more.
enum Waited<T> {
    Done(T),
    /// A key that asks for the next look.
    Again,
    Leave(Leave),
}

struct Session<'a> {
    args: &'a Watch,
    printer: &'a Printer,
    screen: Option<Screen>,
    hook: Option<Hook>,
    zone: TimeZone,
    began: Instant,
    board: Board,
    report: Option<Report>,
    log: Vec<LogLine>,
    /// Lines of the log that tell how it stood at first: the view shows that anyway.
    before: usize,
    /// How it stood last.
    verdict: String,
    journal: Journal,
    ended: Termination,
    /// Of the next look only what changed is fetched.
    memory: Arc<Memory>,
}

impl<'a> Session<'a> {
    fn new(args: &'a Watch, printer: &'a Printer, screen: Option<Screen>) -> Self {
        Self {
            args,
            printer,
            screen,
            hook: args.exec.as_deref().map(Hook::start),
            zone: TimeZone::system(),
            began: Instant::now(),
            board: Board::default(),
            report: None,
            log: Vec::new(),
            before: 0,
            verdict: String::new(),
            ended: Termination::listen(),
            journal: Journal::new(Wanted::of(args.transcript.as_deref(), args.no_transcript)),
            memory: Arc::new(Memory::new(AWS_KEEP)),
        }
    }

    /// Looks until somebody ends it; gives the exit code.
    async fn attend(&mut self, checks: &[&'static dyn Check]) -> anyhow::Result<u8> {
        let (args, memory) = (self.args, Arc::clone(&self.memory));
        loop {
            let start = Instant::now();
            let calls = Arc::new(Calls::default());
            let (facts, aim) = run::aim(&args.select, checks);
            let plan = run::plan(facts, args.scope.namespace.as_deref(), args.scope.all_namespaces);
            let look = run::observed(&args.source, plan, checks, aim, calls.clone(), Some(&memory));
            // A key that asks for a look while there is one has what it wants.
            let result = match self.wait(look, false, &|| calls.words()).await? {
                Waited::Done(result) => result,
                Waited::Again => continue,
                Waited::Leave(why) => return Ok(self.code(&why)),
            };
            self.take(result)?;
            if args.until_resolved && self.is_resolved() {
                return Ok(0);
            }
            let pause = self.args.interval.saturating_sub(start.elapsed()).max(PAUSE);
            let next = Instant::now() + pause;
            let doing = || {
                let left = next.saturating_duration_since(Instant::now()).as_secs();
                format!("next look in {}", lasted(i64::try_from(left).unwrap_or(i64::MAX)))
            };
            if let Waited::Leave(why) = self.wait(tokio::time::sleep(pause), true, &doing).await? {
                return Ok(self.code(&why));
            }
        }
    }

    /// Waits for work while the terminal is kept up to date.
    async fn wait<T>(
        &mut self,
        work: impl Future<Output = T>,
        may_be_cut: bool,
        doing: &dyn Fn() -> String,
    ) -> anyhow::Result<Waited<T>> {
        tokio::pin!(work);
        loop {
            self.draw(&doing())?;
            let left = self.args.span.map(|span| span.saturating_sub(self.began.elapsed()));
            let over = sleep_or_never(left);
            let screen = self.screen.as_mut();
            let tick = screen.is_some().then_some(TICK);
            let key = async {
                match screen {
                    Some(screen) => screen.key().await.unwrap_or(Key::Interrupt),
                    None => std::future::pending().await,
                }
            };
            let key = tokio::select! {
                done = &mut work => return Ok(Waited::Done(done)),
                () = over => return Ok(Waited::Leave(Leave::TimeOut)),
                () = self.ended.heard() => return Ok(Waited::Leave(Leave::Interrupted)),
                key = key => Some(key),
                () = sleep_or_never(tick) => None,
            };
            match key {
                Some(Key::Quit) => return Ok(Waited::Leave(Leave::Quit)),
                Some(Key::Interrupt) => return Ok(Waited::Leave(Leave::Interrupted)),
                Some(Key::Again) if may_be_cut => return Ok(Waited::Again),
                Some(Key::Again | Key::Resized) | None => {}
            }
        }
    }

    fn draw(&mut self, doing: &str) -> anyhow::Result<()> {
        let aws = self.aws_at();
        let Some(screen) = &mut self.screen else { return Ok(()) };
        let frame = Frame {
            board: &self.board,
            report: self.report.as_ref(),
            doing,
            aws,
            log: &self.log[self.before.min(self.log.len())..],
            every: self.args.interval,
            now: Timestamp::now(),
            zone: &self.zone,
            color: self.printer.color,
            size: Screen::size(),
        };
        Ok(screen.draw(&frame.lines())?)
    }

    fn is_resolved(&self) -> bool {
        self.report.as_ref().is_some_and(|report| resolved::is_resolved(&self.board, report, self.args.fail_on))
    }

    fn code(&self, why: &Leave) -> u8 {
        match why {
            Leave::Interrupted => INTERRUPTED,
            Leave::Quit | Leave::TimeOut if self.is_resolved() => 0,
            Leave::TimeOut if self.board.seen_at().is_none() => UNABLE,
            Leave::Quit | Leave::TimeOut => WRONG,
        }
    }

    /// When AWS was asked, where it is some time ago.
    fn aws_at(&self) -> Option<Timestamp> {
        let age = self.memory.aws_age().filter(|age| *age > self.args.interval)?;
        Timestamp::now().checked_sub(age).ok()
    }

    /// Gives the terminal back and leaves on it what happened; what was called on a change may end.
    async fn close(mut self, is_interrupted: bool) -> anyhow::Result<()> {
        if self.screen.take().is_some() {
            let lines = self.log.iter().map(|line| log_line(line, &self.zone, self.printer.color));
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            self.printer.stdout(&text)?;
        }
        if let Some(hook) = self.hook.take() {
            for failure in hook.finish().await {
                self.printer.stderr(&format!("kdoctor: {}", sanitize(&failure)));
            }
        }
        if let Some(how) = self.journal.end(is_interrupted) {
            self.printer.stderr(&how);
        }
        Ok(())
    }
}

async fn sleep_or_never(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
