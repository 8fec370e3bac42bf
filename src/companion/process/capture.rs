//! A command whose output is for this program, not for the person.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::{REST, follow, interrupted, pieces};
use crate::term::interrupt::Held;

/// What a command prints, apart from its complaints.
#[derive(Debug, Clone, Default)]
pub(in crate::companion) struct Captured {
    pub(in crate::companion) is_well: bool,
    pub(in crate::companion) out: String,
    pub(in crate::companion) complaints: String,
    /// Ctrl-C was pressed meanwhile.
    pub(in crate::companion) is_interrupted: bool,
}

/// Runs a command by `sh` without a terminal, and keeps all that it prints.
///
/// # Errors
/// It could not be started, or took longer than `limit`.
pub(in crate::companion) fn capture(command: &str, limit: Duration) -> anyhow::Result<Captured> {
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::companion::tools;

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
