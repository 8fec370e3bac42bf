//! The only place that starts programs: a command as it was shown, by `sh`, its output line by line; the person's tools.

mod capture;
mod family;
mod tools;

use std::io::{PipeReader, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;

pub(super) use capture::{Captured, capture};
pub(super) use tools::{feed, in_foreground};

use super::output::Lines;
use super::waiting::Waiting;
use crate::term::interrupt::Held;

/// How long a line that is not ended yet is waited for: it may be a question.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long output is waited for once the command has ended: another program may hold its end for ever.
const REST: Duration = Duration::from_millis(500);

/// How a command is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// It is ended after this time.
    pub(super) limit: Option<Duration>,
    /// It takes the terminal itself: an editor. Its output is not kept.
    pub(super) takes_terminal: bool,
    /// A line may be drawn while it is silent.
    pub(super) progress: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finished {
    /// Its exit code; none where a signal ended it.
    pub(super) code: Option<i32>,
    /// What it printed, sanitised and without secrets, trimmed in the middle.
    pub(super) output: String,
    /// How long it ran.
    pub(super) took: Duration,
    /// It was ended after its time.
    pub(super) is_late: bool,
    /// Ctrl-C was pressed meanwhile.
    pub(super) is_interrupted: bool,
}

impl Finished {
    /// It did what it should.
    pub(super) fn is_well(&self) -> bool {
        self.code == Some(0) && !self.is_late && !self.is_interrupted
    }

    /// `exit code 1`.
    pub(super) fn ending(&self) -> String {
        match (self.code, self.is_interrupted, self.is_late) {
            (_, true, _) => "interrupted".to_owned(),
            (_, _, true) => "ended after its time".to_owned(),
            (Some(code), ..) => format!("exit code {code}"),
            (None, ..) => "ended by a signal".to_owned(),
        }
    }
}

/// Runs a command as it is, by `sh`, and shows what it prints. It stops at its first line that fails.
///
/// # Errors
/// It could not be started.
pub(super) fn run(command: &str, way: Way, mut show: impl FnMut(&str)) -> anyhow::Result<Finished> {
    let held = Held::new();
    let start = Instant::now();
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", command]);
    if way.takes_terminal {
        let status = shell.status().context("sh cannot be started")?;
        // Its Ctrl-C was meant for it.
        let (took, code) = (start.elapsed(), status.code());
        return Ok(Finished { code, output: String::new(), took, is_late: false, is_interrupted: false });
    }
    // One pipe for both, so that lines keep their order.
    let (reader, writer) = std::io::pipe()?;
    shell.stdout(writer.try_clone()?).stderr(writer);
    let mut child = shell.spawn().context("sh cannot be started")?;
    // Its ends of the pipe are its own now.
    drop(shell);
    let mut lines = Lines::default();
    let mut waiting = Waiting::new(way.progress);
    let (status, is_late) = follow(&mut child, &pieces(reader), way.limit, |piece| {
        let lines = lines.take(piece);
        if lines.is_empty() {
            waiting.goes_on();
        } else {
            waiting.end();
        }
        for line in lines {
            show(&line);
        }
    })?;
    waiting.end();
    for line in lines.rest() {
        show(&line);
    }
    let took = start.elapsed();
    let is_interrupted = !is_late && interrupted(status, &held);
    Ok(Finished { code: status.code(), output: lines.kept(), took, is_late, is_interrupted })
}

/// Ctrl-C was pressed, or ended the command: it may hear of it before this program does.
fn interrupted(status: ExitStatus, held: &Held) -> bool {
    if !status.success() && !held.is_pressed() {
        std::thread::sleep(Duration::from_millis(100));
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        const SIGINT: i32 = 2;
        if status.signal() == Some(SIGINT) {
            return true;
        }
    }
    held.is_pressed()
}

/// Waits for the end of a program; hands on what it prints, an empty piece where it has been silent within a line.
fn follow(
    child: &mut Child,
    pieces: &Receiver<Vec<u8>>,
    limit: Option<Duration>,
    mut each: impl FnMut(&[u8]),
) -> anyhow::Result<(ExitStatus, bool)> {
    let start = Instant::now();
    let mut is_late = false;
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        match pieces.recv_timeout(PATIENCE.min(REST)) {
            Ok(piece) => each(&piece),
            Err(RecvTimeoutError::Timeout) => each(&[]),
            // All ends of the pipe are closed.
            Err(RecvTimeoutError::Disconnected) => match (ended, child.try_wait()?) {
                (Some((status, _)), _) | (None, Some(status)) => return Ok((status, is_late)),
                (None, None) => std::thread::sleep(Duration::from_millis(20)),
            },
        }
        if let Some((status, at)) = ended
            && at.elapsed() >= REST
        {
            return Ok((status, is_late));
        }
        if ended.is_none() {
            ended = child.try_wait()?.map(|status| (status, Instant::now()));
        }
        if ended.is_none() && !is_late && limit.is_some_and(|limit| start.elapsed() > limit) {
            is_late = true;
            family::end(child)?;
        }
    }
}

/// What comes through a pipe, read on a thread of its own.
fn pieces(mut reader: PipeReader) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count) = reader.read(&mut buffer) {
            if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Way = Way { limit: None, takes_terminal: false, progress: false };

    fn ran(command: &str, way: Way) -> (Finished, Vec<String>) {
        let mut shown = Vec::new();
        let finished = run(command, way, |line| shown.push(line.to_owned())).expect("sh is there");
        (finished, shown)
    }

    #[test]
    fn lines_keep_their_order_and_the_exit_code_is_kept() {
        let (finished, shown) = ran("echo one; echo two >&2; printf three; exit 3", QUIET);
        assert_eq!((finished.code, shown), (Some(3), vec!["one".to_owned(), "two".to_owned(), "three".to_owned()]));
        assert_eq!((finished.output.as_str(), finished.is_well()), ("one\ntwo\nthree", false));
    }

    #[test]
    fn it_stops_at_the_first_line_that_fails() {
        let (finished, shown) = ran("echo one\nfalse\necho two", QUIET);
        assert_eq!((finished.code, shown), (Some(1), vec!["one".to_owned()]));
    }

    #[test]
    fn what_takes_too_long_is_ended_and_what_stays_behind_is_not_waited_for() {
        let (finished, _) = ran("sleep 30", Way { limit: Some(Duration::from_millis(200)), ..QUIET });
        assert!(finished.is_late && !finished.is_well() && finished.took < Duration::from_secs(10));
        let (finished, shown) = ran("sleep 5 & echo started", QUIET);
        assert!(finished.is_well() && finished.took < Duration::from_secs(4), "{finished:?}");
        assert_eq!(shown, ["started"]);
    }
}
