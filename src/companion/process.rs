//! The only place that starts programs: a command as it was shown, by `sh`; its output line by line; the person's editor.

use std::io::{PipeReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;

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
            end(child)?;
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

/// What a command prints, apart from its complaints.
#[derive(Debug, Clone, Default)]
pub(super) struct Captured {
    pub(super) is_well: bool,
    pub(super) out: String,
    pub(super) complaints: String,
    /// Ctrl-C was pressed meanwhile.
    pub(super) is_interrupted: bool,
}

/// Runs a command by `sh` without a terminal, and keeps all that it prints.
///
/// # Errors
/// It could not be started, or took longer than `limit`.
pub(super) fn capture(command: &str, limit: Duration) -> anyhow::Result<Captured> {
    let held = Held::new();
    let (out, out_end) = std::io::pipe()?;
    let (complaints, complaints_end) = std::io::pipe()?;
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", command]).stdin(Stdio::null()).stdout(out_end).stderr(complaints_end);
    let mut child = shell.spawn().context("sh cannot be started")?;
    drop(shell);
    let (out, complaints) = (pieces(out), pieces(complaints));
    let mut bytes = Vec::new();
    let (status, is_late) = follow(&mut child, &out, Some(limit), |piece| bytes.extend_from_slice(piece))?;
    let mut said = Vec::new();
    // Whatever it left behind may hold its end for ever.
    while let Ok(piece) = complaints.recv_timeout(REST) {
        said.extend(piece);
    }
    anyhow::ensure!(!is_late, "it was ended after {} s", limit.as_secs());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, complaints) = (text(&bytes), text(&said));
    let is_interrupted = interrupted(status, &held);
    Ok(Captured { is_well: status.success(), out, complaints, is_interrupted })
}

/// Ends a program and what it started. It shares this program's terminal, so it has no group of its own to be ended by.
fn end(child: &mut Child) -> std::io::Result<()> {
    let below = below(child.id());
    child.kill()?;
    if !below.is_empty() {
        let kill = Command::new("kill").arg("-KILL").args(below).stdout(Stdio::null()).stderr(Stdio::null()).status();
        // Some of them may have ended meanwhile; without the tool there is no more that could be done.
        drop(kill);
    }
    Ok(())
}

/// The programs that a program started, and those that these started; none where `ps` cannot tell.
fn below(program: u32) -> Vec<String> {
    let listed =
        Command::new("ps").args(["-A", "-o", "pid=,ppid="]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let all: Vec<(&str, &str)> = text.lines().filter_map(|l| l.trim().split_once(char::is_whitespace)).collect();
    let mut found: Vec<String> = Vec::new();
    let mut from = vec![program.to_string()];
    while let Some(parent) = from.pop() {
        for (own, _) in all.iter().filter(|(_, above)| above.trim() == parent) {
            if !found.iter().any(|known| known == own) {
                found.push((*own).to_owned());
                from.push((*own).to_owned());
            }
        }
    }
    found
}

/// Runs a program in the foreground, with a file as its last argument.
///
/// # Errors
/// It could not be started.
pub(super) fn in_foreground(program: &str, arguments: &[String], file: &Path) -> anyhow::Result<ExitStatus> {
    // Ctrl-C in an editor is the editor's.
    let _held = Held::new();
    Ok(Command::new(program).args(arguments).arg(file).status()?)
}

/// Gives a program a text to read.
///
/// # Errors
/// It could not be started, or failed.
pub(super) fn feed(program: &str, arguments: &[&str], text: &str) -> anyhow::Result<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    anyhow::ensure!(child.wait()?.success(), "{program} failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companion::tools;

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

    #[test]
    fn what_is_captured_has_an_end_and_leaves_nothing_behind() {
        let start = Instant::now();
        let captured = capture("sleep 5 & echo out; echo err >&2", Duration::from_secs(60)).expect("runs");
        assert_eq!((captured.out.as_str(), captured.complaints.as_str(), captured.is_well), ("out\n", "err\n", true));
        assert!(start.elapsed() < Duration::from_secs(4));
        let dir = tempfile::tempdir().expect("a folder");
        let mark = dir.path().join("mark");
        let command = format!("(sleep 2; touch '{}') | cat", mark.display());
        let late = capture(&command, Duration::from_millis(200)).map(|c| c.out).map_err(|e| e.to_string());
        assert!(late.is_err_and(|why| why.contains("ended after")));
        if tools::find("ps").is_some() {
            std::thread::sleep(Duration::from_secs(3));
            assert!(!mark.exists(), "what it started was ended, too");
        }
    }
}
