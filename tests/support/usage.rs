//! What a run of kdoctor costs: the time of all processors, its highest memory, the length of its report. Linux only.

#![allow(dead_code, unreachable_pub, reason = "each user takes a part")]

use std::process::{Command, Stdio};
use std::time::Duration;

/// What one run cost; the time counts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usage {
    /// Hundredths of a second of all processors.
    pub time: u64,
    /// KiB.
    pub memory: u64,
    /// Lines of the report.
    pub lines: usize,
}

/// The run that took least of some.
pub fn least(arguments: &[String], runs: usize) -> Option<Usage> {
    (0..runs).map(|_| run(arguments)).min()
}

fn run(arguments: &[String]) -> Usage {
    let out = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kdoctor"))
        .args(arguments)
        .stdout(out.reopen().expect("the file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("kdoctor runs");
    let (mut time, mut memory) = (0, 0);
    while child.try_wait().expect("its end").is_none() {
        let now = of_process(child.id()).unwrap_or_default();
        (time, memory) = (now.0.max(time), now.1.max(memory));
        std::thread::sleep(Duration::from_millis(2));
    }
    let lines = std::fs::read_to_string(out.path()).expect("what it printed").lines().count();
    Usage { time, memory, lines }
}

/// What a process has used so far: the kernel counts in hundredths of a second; its highest memory in KiB.
fn of_process(process: u32) -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in brackets, may hold blanks.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let time = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()?;
    Some((time(11)? + time(12)?, peak))
}
